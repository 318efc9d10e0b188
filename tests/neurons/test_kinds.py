"""The records of the kinds of neurons: what they name exists, and each kind does all that its record says."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import tclif_neuro as tn
from tclif_neuro import network
from tclif_neuro.errors import TclifWarning
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.learning.recipe import sections
from tclif_neuro.learning.recipe.file import parse_recipe
from tclif_neuro.learning.recipe.model import build_model
from tclif_neuro.netx import format as net_format
from tclif_neuro.netx.read import from_bytes
from tclif_neuro.netx.write import to_bytes
from tclif_neuro.neurons.kinds import INTEGERS, KINDS, Kind, kind_of
from tclif_neuro.neurons.layer import SpikingLayer, TwoCompartment

WITH_INTEGERS = [(kind, reset) for kind in KINDS for reset in kind.integers]
DOCS = Path(__file__).resolve().parents[2] / "docs"


def recipe(layer: dict[str, object], rule: str = "bptt"):
    data = {"name": "digits-rows"}, {"layers": [layer]}, {"epochs": 1, "rule": rule}
    return parse_recipe(dict(zip(("task", "model", "training"), data, strict=True)))


def model_of(kind: Kind, reset: str, **keys: object) -> nn.Sequential:
    bias = {"bias": False} if kind.name == "cubalif" else {}
    made = build_model(recipe({"type": kind.name, "size": 6, "reset": reset, **bias, **keys}), 4, 3)
    with torch.no_grad():
        made[0].weight.abs_().mul_(3)  # so that it fires
    return made


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_a_record_names_exists(kind: Kind) -> None:
    section = getattr(sections, kind.section)
    assert section.model_fields["type"].annotation.__args__ == (kind.name,)
    module = build_model(recipe({"type": kind.name, "size": 3}), 2, 2)[1]
    assert type(module) is kind.module and kind_of(module) is kind
    assert all(hasattr(module, name) for name in (*kind.logits, *kind.values))
    assert set(kind.integers.values()) <= INTEGERS.keys()
    assert getattr(tn, kind.module.__name__) is kind.module
    assert f"`{kind.module.__name__}`" in (DOCS / "neurons.md").read_text()


def test_what_the_records_of_integers_name_exists() -> None:
    for name, integer in INTEGERS.items():
        assert isinstance(getattr(network, name), type)
        assert all(getattr(net_format, kind) == kind for kind in integer.net)
        place, _ = integer.lava
        assert importlib.util.find_spec(place.split(".")[0]) or place.startswith("lava")


def test_kind_of_a_module_that_computes_something_else_is_none() -> None:
    class Other(tn.TCLIF):
        def forward(self, current: torch.Tensor) -> torch.Tensor:
            return current

    class Slower(tn.TCLIF):
        def step(self, current, state=None, t=0):
            return super().step(current / 2, state, t)

    assert kind_of(Other(3)) is None and kind_of(Slower(3)) is None and kind_of(nn.Linear(2, 2)) is None


@pytest.mark.filterwarnings("error::tclif_neuro.errors.TclifWarning")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("module", [*(kind.module for kind in KINDS), tn.LiquidLIF])
def test_a_potential_that_is_not_finite_is_said(module: type[SpikingLayer], value: float) -> None:
    """Such a neuron is silent ever after: the network's answer would be finite, and wrong."""
    layer = module(3)
    current = torch.zeros(4, 2, 3)
    spoilt = current.clone()
    spoilt[1, 0, 2] = value
    said = f"{module.__name__} of 3 neurons: a membrane potential is NaN or infinite"
    for forward in (layer, layer.scan, lambda x: layer.step(x[1])):
        with pytest.warns(TclifWarning, match=said):
            forward(spoilt)
    layer(current)
    layer(spoilt, lengths=torch.tensor([1, 4]))  # that step is padding
    layer(torch.full((1, 2, 3), 1e38))  # a sum of finite potentials may overflow


class Own(TwoCompartment):
    """A neuron from outside: it says what its coefficients are, and no more."""

    def __init__(self, size: int, reset: str = "delayed", rows: int = 1) -> None:
        super().__init__(size, recurrent=True, reset=reset)
        self.own, self.rows = nn.Parameter(torch.linspace(0.3, 0.9, size)), rows

    def coefficients(self, steps: int, start: int = 0) -> tuple[torch.Tensor, ...]:
        return self.own.expand(self.rows, -1), 1 - self.own[None] / 8, -self.own / 2, self.own


@pytest.mark.parametrize("reset", ["delayed", "immediate"])
def test_a_neuron_from_outside_learns_and_runs_in_equal_bits(reset: str) -> None:
    torch.manual_seed(3)
    made = nn.Sequential(nn.Linear(4, 6), Own(6, reset), tn.Readout(6, 3))
    x, before = (torch.rand(12, 5, 4) < 0.5).float(), made[1].own.detach().clone()
    made[0].weight.data.abs_().mul_(3)
    tn.EPropLearner(made).sequence(x, torch.tensor([0, 1, 2, 0, 1]))
    nn.functional.cross_entropy(made(x), torch.tensor([0, 1, 2, 0, 1])).backward()
    torch.optim.SGD(made.parameters(), 0.1).step()
    assert not torch.equal(made[1].own, before)
    net = from_bytes(to_bytes(tn.quantize(made, x))).net
    rounded = [(4096 * c.detach().double()).round().int().numpy() for c in made[1].coefficients(1)]
    assert all(
        (getattr(net.layers[0].neuron, n) == c).all() for n, c in zip(network.COEFFICIENTS, rounded, strict=True)
    )
    plain, fast = run_reference(net, x.numpy(), record=True), tn.run(net, x, record=True)
    assert plain.layers[0].spikes.sum() > 20
    for a, b in zip(plain.layers, fast.layers, strict=True):
        assert (a.spikes == b.spikes).all() and (a.states == b.states).all()


def test_one_whose_decays_change_has_to_say_its_table() -> None:
    with pytest.raises(tn.TclifError, match="module 1 .*its class needs a method `table`"):
        tn.quantize(nn.Sequential(nn.Linear(4, 6), Own(6, rows=2)), torch.ones(3, 2, 4))


@pytest.mark.parametrize(("kind", "reset"), WITH_INTEGERS, ids=lambda x: getattr(x, "name", x))
def test_every_kind_becomes_its_integer_neuron_and_runs_in_equal_bits(kind: Kind, reset: str) -> None:
    torch.manual_seed(3)
    keys = {"b1": 0.3, "b2": -0.6} if kind.name == "generalized" else {}
    made = model_of(kind, reset, recurrent=True, **keys)
    x = (torch.rand(12, 5, 4) < 0.5).float()
    net = from_bytes(to_bytes(tn.quantize(made, x))).net
    assert type(net.layers[0].neuron).__name__ == kind.integers[reset]
    plain, fast = run_reference(net, x.numpy(), record=True), tn.run(net, x, record=True)
    for a, b in zip(plain.layers, fast.layers, strict=True):
        assert (a.spikes == b.spikes).all() and (a.states == b.states).all()
    if not keys:
        assert plain.layers[0].spikes.sum() > 20


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.integers], ids=lambda kind: kind.name)
def test_every_kind_streams(kind: Kind) -> None:
    torch.manual_seed(3)
    module = model_of(kind, "delayed", recurrent=True)[1].double()
    current = torch.randn(9, 2, 6).double() + 0.5
    whole = module(current)
    spikes, state = module.scan(current[:4])
    rest, _ = module.scan(current[4:], state, 4)
    assert torch.equal(torch.cat([spikes, rest]), whole)
    state, rows = None, []
    for t, row in enumerate(current):
        spike, state = module.step(row, state, t)
        rows.append(spike)
    assert torch.equal(torch.stack(rows), whole)


def test_cubalif_is_the_map_of_the_current_and_the_potential() -> None:
    """Against its equations, written out."""
    for reset in ("delayed", "immediate", "zero"):
        neurons = tn.CUBALIF(5, alpha=0.75, beta=0.5, reset=reset).double()
        currents = torch.randint(-8, 16, (20, 3, 5)).double() / 8
        u, v, s, spikes = (torch.zeros(3, 5, dtype=torch.float64) for _ in range(4))
        for current, found in zip(currents, neurons(currents), strict=True):
            u = 0.75 * u + current
            v = 0.5 * v + u - (s if reset == "delayed" else 0)
            s = (v >= 1).double()
            v = v - s if reset == "immediate" else v * (1 - s) if reset == "zero" else v
            assert torch.equal(found, s)
            spikes = spikes + s
        assert spikes.sum() > 0


def test_cubalif_to_zero_is_lavas_lif_with_its_two_decays() -> None:
    made = nn.Sequential(nn.Linear(4, 6, bias=False), tn.CUBALIF(6, alpha=0.75, beta=0.875, reset="zero"))
    neuron = tn.quantize(made, torch.ones(6, 2, 4)).layers[0].neuron
    assert isinstance(neuron, network.LIFNeuron) and (neuron.i_decay, neuron.v_decay) == (1024, 512)


@pytest.mark.parametrize(
    ("linear", "neurons", "why"),
    [
        (nn.Linear(4, 6), tn.CUBALIF(6, reset="zero"), "has a bias, which enters its current"),
        (nn.Linear(4, 6, bias=False), tn.CUBALIF(6, alpha=1.0, reset="zero"), "lower alpha"),
    ],
)
def test_what_lavas_lif_cannot_be_is_refused(linear: nn.Module, neurons: nn.Module, why: str) -> None:
    with pytest.raises(tn.TclifError, match=re.escape(why)):
        tn.quantize(nn.Sequential(linear, neurons), torch.ones(3, 2, 4))


def test_a_current_without_memory_takes_a_bias_and_so_does_a_reset_that_subtracts() -> None:
    x = (torch.rand(6, 2, 4) < 0.5).float()
    for neurons in (tn.CUBALIF(6, alpha=0.0, reset="zero"), tn.CUBALIF(6, reset="delayed")):
        assert tn.quantize(nn.Sequential(nn.Linear(4, 6), neurons), x).layers[0].bias.any()


TWO = [kind for kind in KINDS if issubclass(kind.module, TwoCompartment) and kind.name != "cubalif"]


@pytest.mark.parametrize("per_neuron", [False, True])
@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("kind", TWO, ids=lambda kind: kind.name)
def test_couplings_are_learnt_or_not(kind: Kind, learn: bool, per_neuron: bool) -> None:
    torch.manual_seed(2)
    made = model_of(kind, "delayed", learn_couplings=learn, per_neuron=per_neuron)
    before = [c.detach().clone() for c in made[1].coefficients(1)[2:]]
    optimiser = torch.optim.SGD(made.parameters(), 5.0)
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.cross_entropy(made(torch.rand(12, 8, 4)), torch.arange(8) % 3).backward()
        optimiser.step()
    after = made[1].coefficients(1)[2:]
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [not learn] * 2
    assert all((c.abs() <= 1).all() for c in after)
    x = torch.rand(6, 4, 4)
    qat = tn.prepare_qat(made, x)
    qat(x).sum().backward()
    grid = [c.detach() * 4096 for c in qat[1].coefficients(1)[2:]]
    assert all(torch.allclose(c, c.round(), atol=1e-3) for c in grid)
    assert (np.abs(tn.quantize(qat, x).layers[0].neuron.b1 - np.asarray(grid[0])) < 0.5).all()


def test_a_generalized_neuron_can_be_fixed() -> None:
    neurons = tn.GeneralizedTCLIF(4, a1=0.5, b1=1.0, b2=-1.0, learn_decays=False, learn_couplings=False)
    assert not list(neurons.parameters()) and neurons.rest(3).soma.shape == (3, 4)
    for wrong in ({"a1": 1.0}, {"a2": 0.0}, {"b1": 1.5}, {"b2": float("nan")}):
        with pytest.raises(tn.TclifError, match=next(iter(wrong))):
            tn.GeneralizedTCLIF(4, **wrong)
