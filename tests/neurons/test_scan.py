"""The compiled scan against the plain loop: the same spikes to the bit, the same gradients."""

import copy
import io
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons import kernels, lane_kernels
from tclif_neuro.neurons.general import CUBALIF, GeneralizedTCLIF
from tclif_neuro.neurons.modules import LIF, TCLIF, AdaptiveTCLIF, Readout, RelaxedTCLIF
from tclif_neuro.neurons.scan import _neurons, lif_states, tclif_states
from tclif_neuro.neurons.spikes import Current, Events, Spikes, weight_gradient
from tclif_neuro.neurons.surrogate import Surrogate
from tests.examples import examples


@pytest.fixture
def scan(monkeypatch):
    return lambda mode: monkeypatch.setenv("TCLIF_SCAN", mode)


def outputs_and_gradients(module, x):
    module.zero_grad()
    x = x.clone().requires_grad_()
    out = module(x).as_subclass(torch.Tensor)
    out.backward(torch.linspace(-1, 1, out.numel(), dtype=x.dtype).view_as(out))
    return out.detach(), [x.grad, *(p.grad.clone() for p in module.parameters())]


def made(layer, size, **options):
    """A layer whose coefficients are all learnt."""
    more = {"learn_beta": True} if layer is LIF else {"learn_decays": True} if layer is CUBALIF else {}
    return layer(size, **options, **more)


def agree(module, x, scan, tolerance):
    scan("reference")
    spikes, gradients = outputs_and_gradients(module, x)
    scan("compiled")
    compiled_spikes, compiled_gradients = outputs_and_gradients(module, x)
    assert torch.equal(spikes, compiled_spikes)
    # One vector: a single coefficient's gradient can be a sum that cancels, and then has no digits in either path.
    plain, scanned = (torch.cat([g.flatten() for g in gs]) for gs in (gradients, compiled_gradients))
    assert (plain - scanned).norm() <= tolerance * plain.norm() + 1e-12
    return spikes


LAYERS = [
    (TCLIF, "delayed"), (TCLIF, "immediate"), (RelaxedTCLIF, "delayed"), (RelaxedTCLIF, "immediate"),
    (AdaptiveTCLIF, "delayed"), (AdaptiveTCLIF, "immediate"), (LIF, "delayed"), (LIF, "immediate"), (LIF, "zero"),
    (GeneralizedTCLIF, "delayed"), (GeneralizedTCLIF, "immediate"), (CUBALIF, "immediate"), (CUBALIF, "zero"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "reset"), LAYERS)
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("reset_grad", ["keep", "detach"])
def test_compiled_equals_plain(layer, reset, recurrent, reset_grad, scan):
    torch.manual_seed(0)
    for per_neuron in (False, True):
        module = made(layer, 12, recurrent=recurrent, reset=reset, reset_grad=reset_grad, per_neuron=per_neuron)
        spikes = agree(module.double(), torch.randn(50, 7, 12, dtype=torch.float64), scan, 1e-10)
        assert 0.02 < spikes.mean() < 0.9


@examples(30)
@given(
    steps=st.integers(1, 3 * kernels.SEGMENT + 1),
    batch=st.integers(1, 5),
    size=st.sampled_from([1, 3, 16, 600]),
    kind=st.sampled_from(LAYERS),
    surrogate=st.sampled_from(["triangle", "arctan", "fast_sigmoid"]),
    seed=st.integers(0, 2**31),
)
def test_compiled_equals_plain_for_any_shape_in_float32(steps, batch, size, kind, surrogate, seed):
    """Currents on a grid of 2^-6, so that no sum rounds differently; gradients to 1e-5."""
    torch.manual_seed(seed)
    layer, reset = kind
    module = layer(size, reset=reset, surrogate=Surrogate(surrogate, 0.5))
    x = torch.round(torch.randn(steps, batch, size) * 64) / 64
    with pytest.MonkeyPatch.context() as patch:
        agree(module, x, lambda mode: patch.setenv("TCLIF_SCAN", mode), 1e-5)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("surrogate", ["triangle", "arctan", "fast_sigmoid"])
@pytest.mark.parametrize(("layer", "reset"), LAYERS)
def test_neurons_sixteen_at_a_time_are_those_one_by_one(layer, reset, surrogate, kind, monkeypatch):
    """The two implementations of layers without recurrence, bit for bit: spikes, states, every gradient."""
    monkeypatch.setenv("TCLIF_SCAN", "compiled")
    torch.manual_seed(0)
    module = made(layer, 48, reset=reset, surrogate=Surrogate(surrogate, 0.5), per_neuron=True)
    x = torch.randn(2 * kernels.SEGMENT + 5, 7, 48, dtype=torch.from_numpy(np.empty(0, kind)).dtype)
    module, found = module.to(x.dtype), []
    for passes in (kernels, lane_kernels):
        monkeypatch.setattr("tclif_neuro.neurons.scan.passes", lambda _, passes=passes: passes)
        current = x.clone().requires_grad_()
        module.zero_grad()
        out, state = module.scan(current)
        (out * x).sum().backward()
        found.append([out, *state, current.grad, *(p.grad for p in module.parameters())])
    assert out.any() and all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize(("layer", "reset"), LAYERS)
def test_gradcheck_of_the_plain_path_without_spikes(layer, reset, scan):
    """Below threshold the neuron is smooth, so finite differences see the true gradient of the soma's path."""
    scan("reference")
    torch.manual_seed(0)
    module = layer(3, reset=reset, vth=1e6).double()
    x = torch.randn(9, 2, 3, dtype=torch.float64, requires_grad=True)

    def last_state(x):
        if layer is LIF:
            return lif_states(x, module.params())[-1].potential
        return tclif_states(x, module.params(len(x)))[-1].soma

    assert torch.autograd.gradcheck(last_state, x)


def test_a_whole_network_trains_alike(scan):
    """Weights on a grid, so that the order of sums does not matter: the same spikes, gradients within float32."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 32),
        TCLIF(32, recurrent=True),
        nn.Linear(32, 24),
        TCLIF(24),
        nn.Linear(24, 16),
        LIF(16),
        Readout(16, 3),
    )
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.round(p * 64) / 32)
    agree(model, torch.randint(0, 2, (40, 6, 4)).float(), scan, 2e-5)


def test_small_states_and_gradients_are_flushed():
    """A leaky layer left alone for long would otherwise sink into denormals, which are slow; in every thread's part."""
    module = RelaxedTCLIF(8, a1=0.5, a2=0.5)
    x = torch.zeros(400, 400, 8)
    assert kernels.tasks(400, 8) > 2
    x[0] = 0.5
    x.requires_grad_()
    out = module(x)
    out.backward(torch.ones_like(out))
    tiny = torch.finfo(torch.float32).tiny
    assert ((x.grad == 0) | (x.grad.abs() >= tiny)).all()
    neurons = _neurons(tuple(module.coefficients(1)), torch.empty(0, 8), module.params())
    current = np.zeros((2 * kernels.SEGMENT, 1, 8), np.float32)
    current[0] = 1e-29
    state, kept = np.zeros((3, 1, 8), np.float32), np.ones((2, 2, 1, 8), np.float32)
    kernels.forward(0, neurons, current, state, np.empty_like(current), kept, current[:0])
    assert (kept[1] == 0).all()


@pytest.mark.parametrize("mode", ["reference", "compiled"])
@pytest.mark.parametrize("layer", [TCLIF, LIF])
def test_a_nan_reaches_the_gradient(layer, mode, scan):
    """Spikes hide a NaN, since no comparison with it holds; the gradient must not."""
    scan(mode)
    x = torch.zeros(5, 2, 8)
    x[1, 0, 3] = float("nan")
    x.requires_grad_()
    layer(8)(x).sum().backward()
    assert x.grad[1, 0, 3].isnan() and x.grad[:, 1].isfinite().all()


def test_backward_is_linear_in_time():
    """Peers fill a [T, B, N] gradient at every step: quadratic. Twenty times the steps must not cost 100 times."""
    module = TCLIF(64)

    def seconds(steps):
        x = torch.randn(steps, 4, 64, requires_grad=True)
        best = float("inf")
        for _ in range(3):
            out = module(x)
            begin = time.process_time()
            out.backward(torch.ones_like(out))
            best = min(best, time.process_time() - begin)
        return best

    seconds(100)
    assert seconds(4000) < 100 * max(seconds(200), 1e-3)


@given(rows=st.integers(1, 40), inputs=st.integers(1, 30), density=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_event_driven_products_equal_dense_ones(rows, inputs, density, seed):
    rng = np.random.default_rng(seed)
    spikes = torch.from_numpy((rng.random((rows, inputs)) < density).astype(np.float32))
    events = Events.of(spikes)
    assert events.start[-1] == len(events.index) == spikes.sum()
    grad = torch.from_numpy(rng.integers(-8, 8, (rows, 17)).astype(np.float32))
    assert torch.equal(weight_gradient(events, grad), grad.T @ spikes)
    assert torch.equal(events.dense(grad), spikes)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rate", [0.1, 0.6])
def test_linear_meets_spikes(bias, rate):
    torch.manual_seed(0)
    linear = nn.Linear(40, 32, bias=bias)
    with torch.no_grad():
        for p in linear.parameters():
            p.copy_(torch.round(p * 256) / 256)
    plain = (torch.rand(9, 4, 40) < rate).float().requires_grad_()
    marked = Spikes.mark(plain.detach().clone().requires_grad_())
    weights = torch.randint(-4, 4, (9, 4, 32)).float()
    for x in (plain, marked):
        linear.zero_grad()
        out = linear(x)
        assert type(out + 0) is torch.Tensor
        (out * weights).sum().backward()
        if x is plain:
            expected = out.detach(), [p.grad.clone() for p in linear.parameters()]
    assert torch.equal(out, expected[0])
    assert all(torch.equal(p.grad, e) for p, e in zip(linear.parameters(), expected[1], strict=True))
    assert type(marked + 1) is torch.Tensor


def plain_copy(x):
    return x.detach().as_subclass(torch.Tensor).clone()


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_current_made_of_spikes_is_made_again_for_backward(recurrent, monkeypatch):
    """To the bit, so that backward sees the states of forward; changed in place it is not, and is kept instead."""
    torch.manual_seed(0)
    linear, layer = nn.Linear(40, 24), TCLIF(24, recurrent=recurrent, vth=0.2)
    monkeypatch.setattr("tclif_neuro.neurons.scan.KEEP", 0)
    spikes = (torch.rand(50, 3, 40) < 0.2).float()
    assert Current.recipe(linear(Spikes.mark(spikes))) and not Current.recipe(linear(Spikes.mark(spikes)).mul_(0.5))
    for change in (lambda current: current, lambda current: current.mul_(0.5), lambda current: current + 0.1):
        found = []
        for x in (Spikes.mark(spikes), spikes):
            layer.zero_grad()
            linear.zero_grad()
            current = change(linear(x))
            out = layer(current if x is not spikes else found[0])
            out.backward(torch.linspace(-1, 1, out.numel()).view_as(out))
            found += [plain_copy(current), out.detach(), [p.grad.clone() for p in layer.parameters()]]
        assert torch.equal(found[1], found[4]) and 0.005 < out.mean() < 0.9
        assert all(torch.equal(a, b) for a, b in zip(found[2], found[5], strict=True))


@pytest.mark.parametrize("recurrent", [False, True])
def test_spikes_changed_in_place_are_what_they_were_changed_to(recurrent):
    torch.manual_seed(0)
    linear, layer = nn.Linear(32, 32), TCLIF(32, recurrent=recurrent)
    with torch.no_grad():
        spikes = layer(torch.randn(20, 3, 32))
        linear(spikes)
        spikes.mul_(0.5)
        spikes[:, :, 0] = 7.0
        plain = spikes.as_subclass(torch.Tensor).clone()
        torch.testing.assert_close(linear(spikes), linear(plain))
    saved = io.BytesIO()
    torch.save(spikes, saved)
    saved.seek(0)
    for copied in (copy.deepcopy(spikes), torch.load(saved, weights_only=True)):
        assert type(copied) is torch.Tensor and torch.equal(copied, plain)


def test_the_environment_variable_is_checked(scan):
    scan("quick")
    with pytest.raises(TclifError, match="'quick'"):
        TCLIF(3)(torch.zeros(2, 1, 3))
