"""What a layer computes with besides its parameters: kept with them, compared, and never learnt by accident."""

import numpy as np
import pytest
import torch
from torch import nn

import tclif_neuro as tn
from tclif_neuro.errors import TclifError


def network(**layer: object) -> nn.Sequential:
    readout = {"decay": layer.pop("decay")} if "decay" in layer else {}
    return nn.Sequential(nn.Linear(8, 32), tn.TCLIF(32, **layer), tn.Readout(32, 4, **readout))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vth", 0.4), ("gamma", 0.2), ("reset", "immediate"), ("reset_grad", "detach"), ("decay", 0.9),
        ("surrogate", tn.Surrogate("arctan", 2.0)), ("lattice", True),
    ],
)  # fmt: skip
def test_a_state_of_other_constants_is_refused_by_name(name, value):
    theirs, ours = network(**{name: value}), network()
    network(**{name: value}).load_state_dict(theirs.state_dict())
    for one, other in ((theirs, ours), (ours, theirs)):
        with pytest.raises(RuntimeError, match=rf"\d: {name} is "):
            one.load_state_dict(other.state_dict())


def test_a_schedule_and_an_adaptation_are_compared():
    for one, other, name in (
        (tn.AdaptiveTCLIF(3), tn.AdaptiveTCLIF(3, schedule=tn.Schedule(theta=5.0)), "schedule"),
        (tn.LiquidLIF(3), tn.LiquidLIF(3, adaptation=1.0), "adaptation"),
        (tn.LIF(3), tn.LIF(3, reset="zero"), "reset"),
    ):
        with pytest.raises(RuntimeError, match=f"{name} is "):
            one.load_state_dict(other.state_dict())


def test_a_state_without_constants_still_loads_and_a_damaged_one_does_not():
    state = network(vth=0.4).state_dict()
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    old = {name: value for name, value in state.items() if not name.endswith("_extra_state")}
    assert not network().load_state_dict(old).missing_keys
    with pytest.raises(RuntimeError, match="1: the constants in the state cannot be read"):
        network().load_state_dict({**state, "1._extra_state": torch.zeros(3)})


@pytest.mark.parametrize("kind", [tn.TCLIF, tn.RelaxedTCLIF, tn.AdaptiveTCLIF, tn.LIF, tn.LiquidLIF])
@pytest.mark.parametrize("value", [nn.Parameter(torch.tensor(0.5)), torch.ones(32), np.ones(32)])
def test_a_tensor_for_a_constant_is_refused_by_name(kind, value):
    with pytest.raises(TclifError, match="vth is a"):
        kind(32, vth=value)
    layer = kind(32)
    with pytest.raises(TclifError, match="vth is a"):
        layer.vth = value
    assert layer.vth == kind(32).vth


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda v: tn.TCLIF(3, gamma=v), "gamma"), (lambda v: tn.TCLIF(3, c1=v), "c1"),
        (lambda v: tn.RelaxedTCLIF(3, a2=v), "a2"), (lambda v: tn.RelaxedTCLIF(3, b1=v), "b1"),
        (lambda v: tn.LIF(3, beta=v), "beta"), (lambda v: tn.Readout(3, 2, decay=v), "decay"),
        (lambda v: tn.Surrogate("triangle", v), "slope k"), (lambda v: tn.Schedule(theta=v), "theta"),
    ],
)  # fmt: skip
def test_every_constant_is_a_number(make, name):
    with pytest.raises(TclifError, match=f"{name} is a Parameter"):
        make(nn.Parameter(torch.tensor(0.5)))


def test_inference_mode_gives_the_logits_of_no_grad():
    torch.manual_seed(0)
    hidden = (tn.TCLIF(32, recurrent=True, vth=0.4), nn.Linear(32, 32), tn.LIF(32, vth=0.4))
    model, x = nn.Sequential(nn.Linear(8, 32), *hidden, tn.Readout(32, 4)), torch.rand(20, 6, 8)
    with torch.no_grad():
        expected = model(x)
    with torch.inference_mode():
        assert torch.equal(model(x), expected)
        spikes = model[1](model[0](x))
        before = model[2](spikes)
        spikes[0] = 0.5  # nobody counts changes here
        assert torch.allclose(model[2](spikes), nn.functional.linear(spikes.clone(), *model[2].parameters()))
        assert not torch.equal(model[2](spikes), before)


@pytest.mark.slow
def test_a_compiled_model_gives_the_same_logits():
    torch.manual_seed(0)
    model, x = network(vth=0.4), torch.rand(20, 6, 8)
    assert torch.allclose(torch.compile(model, backend="eager")(x), model(x), atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:DeprecationWarning", "ignore:.*torch.jit.trace.*:FutureWarning")
def test_tracing_is_refused_in_a_sentence():
    with pytest.raises(TclifError, match=r"cannot be traced .* export by tn.quantize"):
        torch.jit.trace(network(), torch.rand(3, 2, 8))


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:DeprecationWarning", "ignore:.*torch.jit.trace.*:FutureWarning")
@pytest.mark.parametrize("kind", [tn.TCLIF, tn.RelaxedTCLIF, tn.GeneralizedTCLIF, tn.LIF, tn.CUBALIF])
def test_one_step_is_traced_as_it_is(kind):
    class Step(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = kind(4, recurrent=True)

        def forward(self, current, *state):
            spikes, after = self.layer.step(current, type(self.layer.rest(1))(*state))
            return (spikes, *after)

    step = Step()
    state = step.layer.rest(3)
    traced = torch.jit.trace(step, (torch.rand(2, 4), *step.layer.rest(2)))
    for _ in range(8):
        x = torch.rand(3, 4) * 4
        ours, theirs = step(x, *state), traced(x, *state)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        state = ours[1:]


@pytest.mark.parametrize("kind", [tn.TCLIF, tn.RelaxedTCLIF, tn.AdaptiveTCLIF, tn.LIF, tn.LiquidLIF])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_steps_give_no_spikes(kind, dtype):
    layer = kind(8, recurrent=True).to(dtype)
    spikes, state = layer.scan(torch.zeros(0, 4, 8, dtype=dtype))
    assert spikes.shape == layer(torch.zeros(0, 4, 8, dtype=dtype)).shape == (0, 4, 8)
    if kind is not tn.LiquidLIF:
        assert all(part.shape == (4, 8) and not part.any() for part in state)
    readout = tn.Readout(8, 2).to(dtype)
    assert readout(spikes.detach()).tolist() == [[0.0, 0.0]] * 4
    assert readout.sequence(spikes.detach()).shape == (0, 4, 2)


def test_an_array_is_not_a_current():
    with pytest.raises(TclifError, match="a torch.Tensor expected, got a ndarray"):
        tn.TCLIF(3)(np.zeros((2, 1, 3)))
    with pytest.raises(TclifError, match="checkpointed: a torch.Tensor expected, got a ndarray"):
        tn.checkpointed(nn.Sequential(nn.Linear(3, 3), tn.TCLIF(3)), np.zeros((2, 1, 3)))


def test_backward_begins_with_the_spikes_it_was_given(monkeypatch):
    """Also where the soma that came with them would not have fired."""
    torch.manual_seed(0)
    layer, found = tn.TCLIF(8, vth=0.5), []
    parts = [torch.rand(3, 8), 2 * torch.rand(3, 8), torch.randint(0, 2, (3, 8)).float()]
    for scan in ("compiled", "reference"):
        monkeypatch.setenv("TCLIF_SCAN", scan)
        state = [part.clone().requires_grad_() for part in parts]
        spikes, _ = layer.scan(torch.ones(9, 3, 8) / 4, tn.functional.TCLIFState(*state))
        spikes.sum().backward()
        found.append([part.grad for part in state])
    for compiled, plain in zip(*found, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [tn.TCLIF, tn.LIF, tn.CUBALIF, tn.LiquidLIF, tn.AdaptiveTCLIF, tn.GeneralizedTCLIF])
def test_a_number_of_neurons_is_a_whole_one_and_recurrent_a_yes_or_no(kind):
    for size in (0, -1, 2.5, True, "8", None):
        with pytest.raises(TclifError, match=f"{kind.__name__}: .* neurons; a whole number"):
            kind(size)
    for recurrent in ("no", 1, None):
        with pytest.raises(TclifError, match="recurrent .* is neither True nor False"):
            kind(4, recurrent=recurrent)
    assert type(kind(np.int64(4), recurrent=np.bool_(True)).size) is int
