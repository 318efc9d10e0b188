"""The Triton kernels, interpreted: `test_gpu` runs this file in a process of its own, with TRITON_INTERPRET=1.

The engine is a parameter of the scan's own tests; what judges it is the plain path, in float64 for gradients. The
interpreter takes a second or two for a layer of a few neurons, so most kinds are marked slow.
"""

import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tclif_neuro.errors import TclifWarning
from tclif_neuro.neurons import gpu, gpu_launch
from tclif_neuro.neurons.gpu_products import (
    add_product,
    fixed_point,
    half_parts,
    total_current,
    weight_gradient,
)
from tclif_neuro.neurons.modules import LIF, TCLIF, AdaptiveTCLIF, Readout, RelaxedTCLIF
from tclif_neuro.neurons.scan import engine
from tclif_neuro.neurons.surrogate import Surrogate
from tests.examples import examples
from tests.neurons.test_scan import LAYERS, made, outputs_and_gradients

GRID = 2.0**-8
EXACT, HALF = 1e-5, 1e-3  # gradients, of a feed-forward layer or a small recurrent one, and where R has 11 bits


def on_grid(*shape):
    return torch.round(torch.randn(shape) / GRID) * GRID


def put_on_grid(module):
    """Weights, so that their sums are exact in any order."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                for p in layer.parameters():
                    p.copy_(torch.round(p / GRID) * GRID)
    return module


def flat(gradients):
    return torch.cat([g.flatten().double() for g in gradients])


def judge(module, x, monkeypatch, tolerance=EXACT):
    """Spikes are those of the other two engines; gradients, all as one vector, those of the plain path in float64."""
    found = {}
    for name, (m, x_) in {
        "triton": (module, x),
        "compiled": (module, x),
        "plain": (module, x),
        "reference": (copy.deepcopy(module).double(), x.double()),
    }.items():
        monkeypatch.setenv("TCLIF_SCAN", "reference" if name == "plain" else name)
        found[name] = outputs_and_gradients(m, x_)
    spikes, gradients = found["triton"]
    assert all(torch.equal(spikes.double(), other.double()) for other, _ in found.values())
    exact = flat(found["reference"][1])
    assert (flat(gradients) - exact).norm() <= tolerance * exact.norm()
    return spikes


QUICK = [(TCLIF, "delayed"), (AdaptiveTCLIF, "immediate"), (LIF, "zero")]
KINDS = [
    pytest.param(*kind, recurrent, marks=[pytest.mark.slow] * (kind not in QUICK))
    for kind in LAYERS
    for recurrent in (False, True)
]


@pytest.mark.parametrize(("layer", "reset", "recurrent"), KINDS)
def test_spikes_and_gradients_are_those_of_the_other_engines(layer, reset, recurrent, monkeypatch):
    torch.manual_seed(0)
    i = LAYERS.index((layer, reset)) + recurrent
    size, steps = (7, 18) if recurrent else (33, 18)
    module = put_on_grid(
        made(
            layer, size, recurrent=recurrent, reset=reset, reset_grad=("keep", "detach")[i % 2],
            per_neuron=i % 4 > 1, surrogate=Surrogate(("triangle", "arctan", "fast_sigmoid")[i % 3], 0.7),
        )
    )  # fmt: skip
    spikes = judge(module, on_grid(steps, 9 if recurrent else 4, size), monkeypatch)
    assert 0.02 < spikes.mean() < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize(("layer", "reset"), [(TCLIF, "delayed"), (AdaptiveTCLIF, "immediate"), (LIF, "zero")])
def test_a_stream_in_parts_is_the_whole(layer, reset, recurrent, monkeypatch):
    """States, their gradients and those of what made them: cut at every step of a segment's neighbourhood."""
    torch.manual_seed(1)
    module = put_on_grid(made(layer, 5, recurrent=recurrent, reset=reset))
    x, states = on_grid(19, 2, 5), []
    for mode, cuts in (("reference", (0, 19)), ("triton", (0, 1, 16, 19))):
        monkeypatch.setenv("TCLIF_SCAN", mode)
        module.zero_grad()
        current, state, spikes = x.clone().requires_grad_(), None, []
        for start, stop in pairwise(cuts):
            out, state = module.scan(current[start:stop], state, start)
            spikes.append(out)
        weighed = torch.stack([torch.cat(spikes).pow(2).sum(), *(s.pow(2).sum() for s in state)])
        weighed.sum().backward()
        states.append((torch.cat(spikes), *state, flat([current.grad, *(p.grad for p in module.parameters())])))
    *expected, gradients = states[0]
    *got, found = states[1]
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))
    assert (found - gradients).norm() <= EXACT * gradients.norm() and gradients.norm() > 1


@pytest.mark.slow
@examples(3)
@given(
    steps=st.sampled_from([1, 2, 15, 16, 17, 33]),
    batch=st.integers(1, 9),
    size=st.sampled_from([1, 3, 32, 33]),
    kind=st.sampled_from(LAYERS),
    recurrent=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_any_shape(steps, batch, size, kind, recurrent, seed):
    torch.manual_seed(seed)
    layer, reset = kind
    module = put_on_grid(made(layer, size, recurrent=recurrent, reset=reset))
    with pytest.MonkeyPatch.context() as patch:
        judge(module, on_grid(steps, batch, size), patch)


@pytest.mark.slow
def test_more_neurons_than_programs_walk_back(monkeypatch):
    """Each then takes several tiles, one after the other."""
    torch.manual_seed(2)
    monkeypatch.setattr(gpu_launch, "PROGRAMS", 2)
    judge(TCLIF(33), on_grid(18, 13, 33), monkeypatch)


@pytest.mark.slow
def test_a_recurrent_layer_in_one_half_precision_part(monkeypatch):
    monkeypatch.setattr("tclif_neuro.neurons.gpu_products.PARTS_UP_TO", {9: 0})
    torch.manual_seed(3)
    judge(put_on_grid(RelaxedTCLIF(33, recurrent=True)), on_grid(20, 3, 33), monkeypatch, HALF)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_gradients_of_any_size_go_back_through_r(scale, monkeypatch):
    """Half precision ends at 65504 and at 6e-8; each sample is scaled by itself."""
    torch.manual_seed(4)
    module, x = put_on_grid(TCLIF(5, recurrent=True)), on_grid(12, 3, 5)
    found = []
    for mode in ("reference", "triton"):
        monkeypatch.setenv("TCLIF_SCAN", mode)
        here = x.clone().requires_grad_()
        (module(here) * torch.tensor([1.0, scale, 0.0])[:, None]).sum().backward()
        found.append(here.grad)
    for expected, got in zip(found[0].unbind(1), found[1].unbind(1), strict=True):
        assert (expected - got).norm() <= EXACT * expected.norm()


def test_a_whole_network_trains_alike(monkeypatch):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 32), TCLIF(32, recurrent=True), nn.Linear(32, 24), TCLIF(24), nn.Linear(24, 8), LIF(8),
        Readout(8, 3),
    )  # fmt: skip
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.round(p * 64) / 32)
    x = torch.randint(0, 2, (18, 3, 4)).float()
    logits = []
    for mode in ("reference", "triton"):
        monkeypatch.setenv("TCLIF_SCAN", mode)
        logits.append(outputs_and_gradients(model, x))
    assert torch.equal(logits[0][0], logits[1][0])
    assert (flat(logits[0][1]) - flat(logits[1][1])).norm() <= 2e-5 * flat(logits[0][1]).norm()


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_nan_reaches_the_gradient(recurrent, monkeypatch):
    monkeypatch.setenv("TCLIF_SCAN", "triton")
    x = torch.zeros(5, 2, 8)
    x[1, 0, 3] = float("nan")
    x.requires_grad_()
    TCLIF(8, recurrent=recurrent)(x).sum().backward()
    assert x.grad[1, 0, 3].isnan() and x.grad[:, 1].isfinite().all()


@examples(20)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9), exponent=st.integers(-40, 40), seed=st.integers(0, 2**31))
def test_digits_are_the_weights_in_fixed_point(rows, columns, exponent, seed):
    torch.manual_seed(seed)
    weight = torch.randn(rows, columns) * 2.0**exponent
    digits, unit = fixed_point(weight, 32, 16)
    low, middle, high = digits.double()
    again = (high * 65536 + middle * 256 + low) * unit.double()
    assert (again[:rows, :columns] - weight.double()).abs().max() <= unit.double() / 2
    assert unit <= weight.abs().max() * 2.0**-20 and not again[rows:].any() and not again[:, columns:].any()
    assert torch.log2(unit) == torch.log2(unit).round()


def test_digits_hold_the_largest_row_and_say_what_is_not_finite():
    weight = torch.full((2, 512), 1.0)
    digits, unit = fixed_point(weight, 2, 512)
    whole = (digits[2].long() * 65536 + digits[1] * 256 + digits[0]).sum(1)
    assert whole.max() < 2**31 and torch.equal(whole[:2] * unit.double(), torch.full((2,), 512.0).double())
    assert fixed_point(torch.tensor([[1.0, float("nan")]]), 1, 2)[1].isnan()
    assert half_parts(torch.tensor([[float("inf")]]), 32, 1)[1].isnan()


@pytest.mark.parametrize(("inputs", "outputs"), [(5, 3), (70, 66)])
def test_a_product_with_spikes_is_exact(inputs, outputs):
    """That of the weights in fixed point; its one rounding is the float's."""
    torch.manual_seed(5)
    weight, spikes = torch.randn(outputs, inputs), torch.randint(0, 2, (67, 2, inputs), dtype=torch.int8)
    base, out = torch.zeros(67, 2, outputs), torch.empty(67, 2, outputs)
    digits, unit = fixed_point(weight, outputs, inputs)
    add_product(base, spikes, digits, unit, out)
    fixed = (weight / unit).round().double()
    assert torch.equal(out, (spikes.double() @ fixed.T).float() * unit)
    assert torch.equal(weight_gradient(spikes, base + 1), spikes.float().sum((0, 1)).expand(outputs, -1))


def test_the_whole_current_is_made_again_to_the_bit():
    torch.manual_seed(6)
    current, bits = torch.randn(4, 3, 5), torch.randint(0, 2, (4, 3, 5), dtype=torch.int8)
    first, weight = torch.ones(3, 5), on_grid(5, 5)
    before = torch.cat([first[None], bits[:-1].float()])
    assert torch.equal(total_current(current, first, bits, weight), current + before @ weight.T)


def test_what_others_run(monkeypatch):
    monkeypatch.setenv("TCLIF_SCAN", "triton")
    assert engine(torch.zeros(2, 2, 2)) == "triton" and engine(torch.zeros(2, 2, 2, dtype=torch.float64)) == "plain"
    gpu._say.cache_clear()
    with pytest.warns(TclifWarning, match="300 neurons do not fit"):
        assert engine(torch.zeros(2, 2, 300), torch.zeros(300, 300)) == "compiled"
