"""Which integers a float neuron becomes, and that they compute the same."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import tclif_neuro as tn
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.network import DECAY_ONE, MANT_MAX, LIFNeuron, TCLIFNeuron
from tclif_neuro.neurons.trace import trace
from tclif_neuro.quantization import quantize
from tests.examples import examples


def sixteenths(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    """Numbers that neither 8-bit weights nor a few halvings round."""
    return torch.tensor(rng.integers(-7, 8, shape) / 16)


def exact_model(neurons: nn.Module, inputs: int, rng: np.random.Generator) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(inputs, neurons.size), neurons).double()
    for parameter in (*model[0].parameters(), *(neurons.recurrent.parameters() if neurons.recurrent else ())):
        parameter.data = sixteenths(rng, *parameter.shape)
    return model


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("reset", ["delayed", "immediate", "zero"])
@examples(15)
@given(beta=st.sampled_from([0.0, 0.5, 1.0]), seed=st.integers(0, 2**31))
def test_lif_is_the_same_neuron_in_integers(reset: str, recurrent: bool, beta: float, seed: int) -> None:
    """On weights, decays and inputs that integers hold exactly, every state is equal: the mapping is an identity."""
    rng = np.random.default_rng(seed)
    # A stock LIF spikes above its threshold, the float one at it: no potential is an odd multiple of 2^-11 here.
    neurons = tn.LIF(5, beta=beta, reset=reset, recurrent=recurrent, vth=1 + 2.0**-11)
    model = exact_model(neurons, 4, rng)
    x = torch.tensor(rng.integers(0, 2, (5, 3, 4)), dtype=torch.float64)
    net = quantize(model, x)
    run = run_reference(net, x.numpy(), record=True)
    (activity,) = trace(model, x)
    assert net.layers[0].scale_bits >= 17
    assert (run.layers[0].spikes == activity.spikes.numpy()).all()
    assert (run.layers[0].states[1] / 2.0 ** net.layers[0].scale_bits == activity.states[1].numpy()).all()


@pytest.mark.parametrize("reset", ["delayed", "immediate"])
@examples(15)
@given(seed=st.integers(0, 2**31))
def test_tclif_is_the_same_neuron_in_integers(reset: str, seed: int) -> None:
    """As above: couplings of one half, five steps, a scale that holds all the halvings."""
    rng = np.random.default_rng(seed)
    model = exact_model(tn.TCLIF(4, reset=reset, recurrent=True), 3, rng)
    x = torch.tensor(rng.integers(0, 2, (5, 3, 3)), dtype=torch.float64)
    net = quantize(model, x)
    run = run_reference(net, x.numpy(), record=True)
    (activity,) = trace(model, x)
    assert net.layers[0].scale_bits >= 14
    assert (run.layers[0].states / 2.0 ** net.layers[0].scale_bits == activity.states.numpy()).all()


def neuron_of(module: nn.Module, x: torch.Tensor | None = None):
    model = nn.Sequential(nn.Linear(2, module.size), module) if hasattr(module, "size") else nn.Sequential(module)
    return quantize(model, torch.ones(4, 2, 2) if x is None else x).layers[-1].neuron


def test_lif_has_a_passive_dendrite() -> None:
    neuron = neuron_of(tn.LIF(3, beta=0.75, reset="immediate"))
    assert isinstance(neuron, TCLIFNeuron)
    assert (neuron.a1.item(), neuron.a2.item(), neuron.b1.item(), neuron.b2.item()) == (0, 3072, 0, DECAY_ONE)
    assert neuron.gamma_mant == 0 and neuron.reset == "immediate"


def test_a_decay_for_each_neuron() -> None:
    neurons = tn.LIF(3, learn_beta=True, per_neuron=True)
    neurons.raw_beta.data = torch.tensor([-1.0, 0.0, 20.0])
    assert neuron_of(neurons).a2.tolist() == [[round(4096 / (1 + math.e)), 2048, 4096]]
    two = tn.TCLIF(3, per_neuron=True)
    two.c2.data = torch.tensor([-1.0, 0.0, 20.0])
    assert neuron_of(two).b2.tolist() == [round(4096 / (1 + math.e)), 2048, 4096]


def test_readout_is_an_integrator() -> None:
    assert neuron_of(tn.Readout(2, 3)) == LIFNeuron(i_decay=4096, v_decay=0, vth_mant=MANT_MAX)
    assert neuron_of(tn.Readout(2, 3, decay=0.5)) == LIFNeuron(i_decay=4096, v_decay=2048, vth_mant=MANT_MAX)


@examples(40)
@given(
    st.sampled_from(["survival", "density", "power"]),
    st.floats(1, 4),
    st.floats(0.5, 30),
    st.floats(0.05, 0.999),
    st.floats(0.05, 0.999),
)
def test_a_schedule_is_followed_to_half_a_unit_for_ever(form, k: float, theta: float, a1: float, a2: float) -> None:
    k = max(k, 2.0) if form == "power" else k  # a power law of exponent 1 needs more rows than a table may have
    neurons = tn.AdaptiveTCLIF(3, schedule=tn.Schedule(form=form, k=k, theta=theta), a1=a1, a2=a2).double()
    neuron = neuron_of(neurons)
    steps = len(neuron.a1) + 500
    row = np.minimum(np.arange(steps), len(neuron.a1) - 1)
    with torch.no_grad():
        exact = [c.numpy() * DECAY_ONE for c in neurons.coefficients(steps)[:2]]
    for table, decay in zip((neuron.a1, neuron.a2), exact, strict=True):
        # half a unit by rounding, half by ending the tail
        assert np.abs(table[row] - decay).max() <= 1.001
        assert np.abs(table[:-1] - decay[: len(table) - 1]).max(initial=0) <= 0.5001
    if neuron.adaptive:
        assert (neuron.a1[-1] != neuron.a1[-2]).any() or (neuron.a2[-1] != neuron.a2[-2]).any()


def test_a_schedule_that_does_nothing_is_one_row() -> None:
    neurons = tn.AdaptiveTCLIF(3, a1=0.99999, a2=0.99999)
    assert neuron_of(neurons).a1.tolist() == [[4096]]
