"""The bits of every trained network that ships, on inputs that never change: integers are the same on every machine.

A digest that differs says that the arithmetic of the integers has changed, or that the network was trained anew. In the
second case alone the digest here is replaced by the one that the test prints.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import tclif_neuro as tn

MODELS = Path(__file__).resolve().parent.parent / "models"
SAMPLES = 3

DIGESTS: dict[str, str] = {
    "ecg-lif.net": "f7ffbfaca2f347bbba0c95ea22f70c8332e69276b3d935b1a609f669d5bb1ede",
    "ecg-tclif.net": "94318c0c399682ae146b19c941edbbd17bd8565a6b36fc26c06a290aba435aaa",
    "digits-pixels.net": "de78a3cd1af6edc3f1e4632be0a2e5c5b6367f6d16a858b6c01cff10546dd607",
    "digits-rows-lattice.net": "46bd600d26baeeea5ac2911687d4eb019434779ad85c6e79e1fa4fa5f2c6d387",
    "digits-rows-online.net": "18c6028135637d237889e727c957b2f7db83eb0c27be2eb7d5d56e853b0a2fc5",
    "digits-rows.net": "4914a5048834e8376ea84a1d4149d78d89f3803dc8928e244e0f6f3645516296",
    "psmnist-rows-adaptive.net": "d589cc16bcb92f7c4cc1af0de9f6744afae841a29ff0b739e842438e29c899ca",
    "psmnist-rows-online.net": "84aedbf83320506220676bbfb8604997f0f27b6a668f4a2fd979cb79b7db07a5",
    "smnist-rows-adaptive.net": "c070679d8f469cf877e193df71f292b04f0ed0f83f721f8c58c0434701a7b3ed",
    "smnist-rows-lattice.net": "2d92b4214b338bbf99e12ddb1378542a97adfdfb573b0eea9ed35ef7a53859d2",
    "smnist-rows-online.net": "5d5d2d6844261822d71feaed3d64f523f58a62042548497062ce3b7eec6fcad0",
    "smnist-rows.net": "d5d2fd537f56a163677417f0e914c0854ee2b21872836b242dfcce331e913f82",
    "smnist.net": "6daeac4e2ab7dc265047b31b963179511e3375a07f96343090280734f9d53b82",
}


def inputs(net: tn.QuantizedNetwork) -> np.ndarray:
    """Random integers [T, B, M] in the range of the network's input, half of them 0; made without a generator of NumPy,
    whose numbers may change with its version."""
    low, high = net.input.range
    shape = (net.steps, SAMPLES, net.inputs)
    count = int(np.prod(shape))
    stream = np.frombuffer(hashlib.shake_256(b"tclif-neuro").digest(4 * count), "<u4").astype(np.int64).reshape(shape)
    return np.where(stream % 2, low + (stream >> 1) % (high - low + 1), 0)


def digest(run: tn.Run) -> str:
    """SHA-256 of spikes, states, saturations and logits, in fixed types."""
    found = hashlib.sha256()
    for layer in run.layers:
        for array, kind in ((layer.spikes, "<u1"), (layer.states, "<i4")):
            found.update(np.ascontiguousarray(array, kind).tobytes())
        found.update(str(layer.saturations).encode())
    found.update(np.ascontiguousarray(run.logits, "<i8").tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.net")), ids=lambda path: path.name)
def test_the_bits_of_a_trained_network(path: Path) -> None:
    net = tn.load(path)
    x = inputs(net) / net.input.scale
    np.testing.assert_array_equal(net.input.encode(x), inputs(net))
    assert digest(tn.simulate(net, x, record=True)) == DIGESTS.get(path.name)
