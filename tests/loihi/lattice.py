"""Networks drawn over every form that stock neurons have: layers of two compartments, LIF and a readout."""

import warnings
from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from tclif_neuro.errors import TclifWarning
from tclif_neuro.fixed.run import Run
from tclif_neuro.loihi.stock import ChipNetwork, to_stock
from tclif_neuro.loihi.stock_run import run_stock
from tclif_neuro.network import DECAY_ONE, InputCoding, Layer, QuantizedNetwork
from tests.loihi.nets import lif, network, spikes, tclif

FADING = (0, 1, 2, 4, 8, 16, 64, 128)  # 256ths that a decay takes off in a step
INPUTS = (InputCoding(), InputCoding(bits=8, scale=20.0), InputCoding(bits=8, scale=20.0, signed=True))
TRIES = 200
DRAWN = 6  # the seeds from 0 on in which every form occurs: tests/loihi/test_stock.py


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A network on stock neurons, an input in which every layer of two compartments spikes, and what NumPy makes of it.

    axes: the forms that occur in it, in words.
    """

    stock: ChipNetwork
    x: np.ndarray
    run: Run
    axes: frozenset[str]


def draw_case(seed: int, *, steps: int = 40, batch: int = 1) -> Case:
    """A network of three or two layers of two compartments, by the seed, drawn until all of them spike."""
    rng, depth = np.random.default_rng(seed), 3 - seed % 2
    for _ in range(TRIES):
        coding = INPUTS[rng.integers(3)]
        net = network(*draw_layers(rng, depth, coding), input=coding, steps=steps)
        x = spikes(rng, steps, batch, net.inputs, rate=0.35)
        if coding.bits:
            x *= rng.uniform(-3 if coding.signed else 0, 6, x.shape)
        calibrated = rng.random() < 0.5
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TclifWarning)  # a random LIF behind it may be silent or saturate
            stock = to_stock(net, x if calibrated else None)
        run = run_stock(stock, x, record=True)
        pairs = zip(net.layers, run.layers, strict=True)
        if all(done.counts.any() for layer, done in pairs if layer.neuron.two_compartment):
            return Case(stock=stock, x=x, run=run, axes=axes_of(net) | {"calibrated"} if calibrated else axes_of(net))
    raise AssertionError(f"seed {seed}: no network that spikes in {TRIES} tries")


def draw_layers(rng: np.random.Generator, depth: int, coding: InputCoding) -> list[Layer]:
    """`depth` layers of two compartments, at times a LIF before one of them, then at times a LIF and a readout."""
    sizes = rng.integers(3, 9, 2 * depth + 3).tolist()
    layers = [draw_two_compartments(rng, sizes.pop(), sizes[-1], gain=-4 if coding.bits else 1)]
    while sum(layer.neuron.two_compartment for layer in layers) < depth:
        if rng.random() < 0.2:
            layers.append(lif(rng, sizes.pop(), sizes[-1], bias=False, i_decay=int(rng.integers(1000, 4097))))
        else:
            layers.append(draw_two_compartments(rng, sizes.pop(), sizes[-1], gain=1))
    if rng.random() < 0.3:
        layers.append(lif(rng, layers[-1].size, sizes[-1], v_decay=int(rng.integers(0, 4097))))
    if rng.random() < 0.5:
        layers.append(lif(rng, layers[-1].size, 3, readout=True, v_decay=int(rng.integers(0, 400))))
    return layers


def draw_two_compartments(rng: np.random.Generator, inputs: int, size: int, gain: int) -> Layer:
    """A layer whose decays are 256ths, its couplings sixteenths of which every product is on the lattice."""
    kept = 256 - rng.choice(FADING, (2, size if rng.random() < 0.5 else 1))
    kept[rng.random(2) < 0.4] = 256
    width = size if rng.random() < 0.5 or kept.shape[1] > 1 else 1
    unit = np.array([16 // gcd(16, int(n)) for n in np.broadcast_to(kept[1], width)])  # of b1, as b1 a2 has to be whole
    b1 = unit * np.maximum(1, rng.integers(1, 17, width) // unit)
    signs = rng.choice([1, -1], width) if rng.random() < 0.3 else 1  # of either sign, the two are still one oscillator
    scale = int(rng.integers(11, 16))
    layer = tclif(
        rng,
        inputs,
        size,
        scale=scale,
        gain=min(gain, 16 - scale),
        recurrent=bool(rng.random() < 0.5),
        bias=bool(rng.random() < 0.5),
        reset=("delayed", "immediate")[rng.integers(2)],
        a1=kept[:1] * (DECAY_ONE // 256),
        a2=kept[1:] * (DECAY_ONE // 256),
        b1=-signs * b1 * (DECAY_ONE // 16),
        b2=signs * rng.integers(1, 17, width) * (DECAY_ONE // 16),
    )
    return replace(layer, neuron=replace(layer.neuron, gamma_mant=int(rng.integers(0, 1 << scale))))


def axes_of(net: QuantizedNetwork) -> frozenset[str]:
    """The forms that occur in `net`."""
    found = {f"input of {net.input.bits} bits", "signed" if net.input.signed else "unsigned"}
    for before, layer in zip((None, *net.layers), net.layers, strict=False):
        if not layer.neuron.two_compartment:
            found.add("readout" if layer.readout else "LIF")
            continue
        neuron = layer.neuron
        found |= {neuron.reset, "recurrent" if layer.recurrent else "feed-forward"}
        found |= {"bias"} if layer.bias.any() else {"no bias"}
        found |= {f"{n} {'fades' if (getattr(neuron, n) < DECAY_ONE).any() else 'stays'}" for n in ("a1", "a2")}
        found |= {f"{n} per {'neuron' if getattr(neuron, n).shape[-1] > 1 else 'layer'}" for n in ("a1", "b1")}
        found |= {"b1 of either sign"} if (neuron.b1 > 0).any() and (neuron.b1 < 0).any() else set()
        found |= {"behind a LIF"} if before is not None and not before.neuron.two_compartment else set()
    return frozenset(found)
