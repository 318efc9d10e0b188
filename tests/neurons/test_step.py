"""The float neurons against a few lines of independent float64 NumPy, and against what follows from their equations."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro import CUBALIF, GeneralizedTCLIF, LiquidLIF
from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.modules import LIF, TCLIF, AdaptiveTCLIF, Readout, RelaxedTCLIF
from tclif_neuro.neurons.norm import BatchNorm
from tclif_neuro.neurons.scan import lif_states, tclif_states
from tclif_neuro.neurons.schedule import Schedule
from tclif_neuro.neurons.surrogate import Surrogate
from tclif_neuro.neurons.trace import trace
from tests.examples import examples


def released_neuron(current, c1, c2, gamma, vth):
    """The TC-LIF authors' neuron as they released it: the reset is taken off at the end of the same step."""
    b1, b2 = 1 / (1 + np.exp(-c1)), 1 / (1 + np.exp(-c2))
    dendrite = soma = np.zeros_like(current[0])
    trains, dendrites, somas = [], [], []
    for x in current:
        dendrite = dendrite - b1 * soma + x
        soma = soma + b2 * dendrite
        spike = (soma >= vth).astype(float)
        dendrite, soma = dendrite - gamma * spike, soma - vth * spike
        trains.append(spike), dendrites.append(dendrite), somas.append(soma)
    return np.stack(trains), np.stack(dendrites), np.stack(somas)


def paper_neuron(current, c1, c2, gamma, vth):
    """Equations 10-12 of the paper: the reset is taken off in the next step."""
    b1, b2 = 1 / (1 + np.exp(-c1)), 1 / (1 + np.exp(-c2))
    dendrite = soma = spike = np.zeros_like(current[0])
    trains, dendrites, somas = [], [], []
    for x in current:
        dendrite = dendrite - b1 * soma + x - gamma * spike
        soma = soma + b2 * dendrite - vth * spike
        spike = (soma >= vth).astype(float)
        trains.append(spike), dendrites.append(dendrite), somas.append(soma)
    return np.stack(trains), np.stack(dendrites), np.stack(somas)


@pytest.mark.parametrize(("reset", "neuron"), [("immediate", released_neuron), ("delayed", paper_neuron)])
@pytest.mark.parametrize("seed", range(5))
def test_tclif_equals_independent_numpy(reset, neuron, seed):
    rng = np.random.default_rng(seed)
    current = rng.normal(0.1, 0.6, (200, 3, 8))
    c1, c2, gamma, vth = *rng.normal(0, 1, 2), rng.uniform(0, 1), rng.uniform(0.5, 2)
    layer = TCLIF(8, c1=c1, c2=c2, gamma=gamma, vth=vth, reset=reset).double()
    with torch.no_grad():
        layer.c1.fill_(c1), layer.c2.fill_(c2)
        states = tclif_states(torch.from_numpy(current), layer.params(200))
    spikes, dendrite, soma = neuron(current, c1, c2, gamma, vth)
    assert 0.02 < spikes.mean() < 0.9
    np.testing.assert_array_equal(torch.stack([s.spike for s in states]), spikes)
    np.testing.assert_allclose(torch.stack([s.dendrite for s in states]), dendrite, atol=1e-6)
    np.testing.assert_allclose(torch.stack([s.soma for s in states]), soma, atol=1e-6)


@pytest.mark.parametrize("reset", ["delayed", "immediate", "zero"])
def test_lif_equals_independent_numpy(reset):
    rng = np.random.default_rng(1)
    current, beta, vth = rng.normal(0.2, 0.5, (200, 2, 5)), 0.85, 1.1
    potential = spike = np.zeros((2, 5))
    expected = []
    for x in current:
        potential = beta * potential + x - (vth * spike if reset == "delayed" else 0)
        spike = (potential >= vth).astype(float)
        expected.append(spike)
        if reset == "immediate":
            potential = potential - vth * spike
        elif reset == "zero":
            potential = np.where(spike > 0, 0, potential)
    layer = LIF(5, beta=beta, vth=vth, reset=reset).double()
    layer.fixed_beta.fill_(beta)
    states = lif_states(torch.from_numpy(current), layer.params())
    np.testing.assert_array_equal(torch.stack([s.spike for s in states]), np.stack(expected))
    np.testing.assert_allclose(states[-1].potential, potential, atol=1e-9)


@pytest.mark.parametrize("layer", [TCLIF, RelaxedTCLIF, AdaptiveTCLIF, LIF])
@pytest.mark.parametrize("recurrent", [False, True])
def test_stepping_a_stream_gives_the_sequence(layer, recurrent):
    torch.manual_seed(0)
    module = layer(6, recurrent=recurrent).double()
    x = torch.randn(40, 3, 6, dtype=torch.float64)
    state, out = None, []
    with torch.no_grad():
        for t, row in enumerate(x):
            spike, state = module.step(row, state, t)
            out.append(spike)
        assert torch.equal(torch.stack(out), module(x))
    assert torch.stack(out).any()


@examples(20)  # of 300 steps each
@given(st.floats(-6, 6), st.floats(-6, 6))
def test_without_decay_and_below_threshold_the_neuron_is_an_undamped_rotation(c1, c2):
    """a1 = a2 = 1: the trajectory turns by acos(1 + b1 b2 / 2) a step and its invariant quadratic form is conserved."""
    layer = TCLIF(1, vth=1e9).double()
    with torch.no_grad():
        layer.c1.fill_(c1), layer.c2.fill_(c2)
        _, _, b1, b2 = (float(v) for v in layer.coefficients(1))
        pulse = torch.zeros(300, 1, 1, dtype=torch.float64)
        pulse[0] = 1.0
        states = tclif_states(pulse, layer.params(300))
    d, s = (np.array([float(getattr(state, k)) for state in states]) for k in ("dendrite", "soma"))
    conserved = b2 * d**2 - b1 * s**2 + b1 * b2 * d * s
    np.testing.assert_allclose(conserved, conserved[0], rtol=1e-8)
    angle = math.acos(1 + b1 * b2 / 2)
    np.testing.assert_allclose(s[2:] - 2 * math.cos(angle) * s[1:-1] + s[:-2], 0, atol=1e-8 * np.abs(s).max())


def test_schedule_falls_from_one_and_its_table_length_is_exact_in_12_bits():
    for schedule in (
        Schedule(),
        Schedule(form="density", k=3.0, theta=5.0),
        Schedule(k=0.5, theta=3.0),
        Schedule(form="power"),
    ):
        g = schedule.g(2000)
        assert g[0] == 1 and (g.diff() <= 1e-12).all() and (g >= 0).all()
        length = schedule.length()
        assert g[length - 1] < 2**-13 <= g[length - 2]
        assert torch.equal(schedule.g(50, start=7), g[7:57])


def test_adaptive_decays_restart_with_every_call():
    layer = AdaptiveTCLIF(4, a1=0.5, a2=0.25).double()
    with torch.no_grad():
        a1, a2, _, _ = layer.coefficients(100)
    assert float(a1[0]) == 1 and float(a1[-1]) == pytest.approx(0.5, abs=0.05)
    assert (a2[1:] <= a2[:-1]).all()
    x = torch.randn(30, 2, 4, dtype=torch.float64)
    assert torch.equal(layer(x), layer(x))


@pytest.mark.parametrize("name", ["triangle", "arctan", "fast_sigmoid"])
def test_surrogates_peak_at_the_threshold_and_carry_the_gradient(name):
    surrogate = Surrogate(name, 2.0)
    x = torch.linspace(-2, 2, 401, dtype=torch.float64, requires_grad=True)
    spikes = surrogate(x)
    assert torch.equal(spikes.detach(), (x.detach() >= 0).double())
    spikes.sum().backward()
    assert torch.equal(x.grad, surrogate.psi(x.detach()))
    assert x.grad.argmax() == 200 and float(x.grad.max()) == pytest.approx(1) and (x.grad >= 0).all()


def test_readout_sums_over_time_and_its_sequence_ends_there():
    torch.manual_seed(0)
    for decay in (1.0, 0.9, 0.0):
        readout = Readout(5, 3, decay=decay).double()
        x = torch.rand(20, 4, 5, dtype=torch.float64)
        sequence = readout.sequence(x)
        torch.testing.assert_close(readout(x), sequence[-1])
        potential = None
        for row in x:
            _, potential = readout.step(row, potential)
        torch.testing.assert_close(potential, sequence[-1])


def test_batch_norm_is_over_time_and_batch():
    x = torch.randn(7, 5, 3) * 4 + 2
    y = BatchNorm(3)(x)
    torch.testing.assert_close(y.mean((0, 1)), torch.zeros(3), atol=1e-5, rtol=0)


@pytest.mark.parametrize("bad", [np.ones((3, 2, 4)), torch.ones(3, 2, 5), torch.ones(4), torch.ones(3, 2, 4).long()])
def test_batch_norm_refuses_what_is_no_current(bad):
    with pytest.raises(TclifError, match="^BatchNorm: .* expected, got"):
        BatchNorm(4)(bad)


@pytest.mark.parametrize("layer", [TCLIF(4), GeneralizedTCLIF(4), CUBALIF(4), LiquidLIF(4), BatchNorm(4)])
def test_a_sparse_tensor_is_refused_by_name(layer):
    with pytest.raises(TclifError, match="a dense tensor expected, got a sparse_coo one"):
        layer(torch.eye(4).expand(3, 4, 4).to_sparse())


def test_trace_sees_what_forward_computes():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), TCLIF(6), torch.nn.Linear(6, 5), LIF(5), Readout(5, 2)).double()
    x = torch.rand(12, 3, 4, dtype=torch.float64) * 3
    traces = trace(model, x)
    assert [t.name for t in traces] == ["1", "3", "4"]
    assert torch.equal(traces[2].states[1, -1], model[4].sequence(traces[1].spikes)[-1].detach())
    torch.testing.assert_close(traces[2].states[1, -1], model(x).detach())
    assert traces[0].spikes.any()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TCLIF(0), "0 neurons"),
        (lambda: TCLIF(4, vth=-1.0), "vth -1.0"),
        (lambda: TCLIF(4, vth=float("nan")), "vth nan"),
        (lambda: TCLIF(4, reset="later"), "'later'"),
        (lambda: TCLIF(4, gamma=-0.1), "gamma -0.1"),
        (lambda: TCLIF(4, surrogate="box"), "'box'"),
        (lambda: TCLIF(4, surrogate=Surrogate("triangle", -1.0)), "-1.0"),
        (lambda: TCLIF(4, reset_grad="some"), "'some'"),
        (lambda: RelaxedTCLIF(4, a1=1.0), "a1: 1.0"),
        (lambda: RelaxedTCLIF(4, b1=0.5), "b1 = 0.5"),
        (lambda: AdaptiveTCLIF(4, schedule=Schedule(theta=0.0)), "theta: 0.0"),
        (lambda: Schedule(form="density", k=0.5), "k: 0.5"),
        (lambda: Schedule(k=500.0, theta=1000.0).length(), "after 65536 steps"),
        (lambda: LIF(4, beta=1.5), "beta 1.5"),
        (lambda: LIF(4, reset="never"), "'never'"),
        (lambda: Readout(4, 2, decay=2.0), "decay 2.0"),
        (lambda: TCLIF(4)(torch.zeros(3, 4)), "got [3, 4]"),
        (lambda: TCLIF(4)(torch.zeros(3, 2, 5)), "got [3, 2, 5]"),
        (lambda: LIF(4).step(torch.zeros(2, 5)), "got [2, 5]"),
    ],
)
def test_errors_name_the_value(make, says):
    with pytest.raises(TclifError, match=".") as caught:
        make()
    assert says in str(caught.value)
