"""How far integers drift from floats below the threshold: products round towards zero."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import tclif_neuro as tn
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.fixed.step import mul
from tclif_neuro.network import ACT_SHIFT, DECAY_ONE, TCLIFNeuron
from tclif_neuro.neurons.scan import tclif_states
from tclif_neuro.neurons.step import TCLIFParams
from tclif_neuro.quantization import quantize
from tests.examples import examples

QUIET = 600


def drift_bound(neuron: TCLIFNeuron, steps: int) -> np.ndarray:
    """The largest error in counts of (dendrite, soma) after each step, [steps, 2].

    Each of the four products loses less than one count. With M the linear step, the losses of one step enter as
    (d1, b2 d1 + d2), |d1|, |d2| < 2, and those of k steps ago have become M^k times that.
    """
    a1, a2, b1, b2 = (float(np.ravel(c)[0]) / DECAY_ONE for c in (neuron.a1, neuron.a2, neuron.b1, neuron.b2))
    step = np.array([[a1, b1], [b2 * a1, a2 + b1 * b2]])
    power, total, out = np.eye(2), np.zeros(2), []
    for _ in range(steps):
        total = total + np.abs(power @ [1, b2]) * 2 + np.abs(power @ [0, 1]) * 2
        out.append(total)
        power = step @ power
    return np.stack(out)


def floats(neuron: TCLIFNeuron, act: np.ndarray) -> np.ndarray:
    """The same coefficients in floating point, on the same input: states in counts, [2, T, B, N]."""
    a1, a2, b1, b2 = (torch.tensor(c / DECAY_ONE) for c in (neuron.a1, neuron.a2, neuron.b1, neuron.b2))
    params = TCLIFParams(a1=a1, a2=a2, b1=b1, b2=b2, vth=float(neuron.vth), gamma=float(neuron.gamma))
    states = tclif_states(torch.tensor(act, dtype=torch.float64), params)
    return np.stack([[s.dendrite.numpy() for s in states], [s.soma.numpy() for s in states]])


@examples(8)
@given(st.floats(0.9, 0.9998), st.floats(0.9, 0.9998), st.floats(-1, -0.05), st.floats(0, 1), st.integers(0, 2**31))
def test_quiet_layers_stay_within_the_bound(a1: float, a2: float, b1: float, b2: float, seed: int) -> None:
    """A burst, then silence: the states ring down as the float ones do, to within the rounding of the products."""
    rng = np.random.default_rng(seed)
    neurons = tn.RelaxedTCLIF(2, a1=a1, a2=a2, b1=b1, b2=b2, vth=50.0)
    model = nn.Sequential(nn.Linear(3, 2, bias=False), neurons)
    model[0].weight.data = torch.tensor(rng.uniform(-0.3, 0.3, (2, 3)), dtype=torch.float32)
    x = np.zeros((QUIET, 1, 3))
    x[:8] = rng.integers(0, 2, (8, 1, 3))
    net = quantize(model, torch.tensor(x))
    layer, (run,) = net.layers[0], run_reference(net, x, record=True).layers
    act = np.floor(x @ layer.synapses.weight.T.astype(float) * 2.0**layer.synapses.exponent) * 2.0**ACT_SHIFT
    assert run.counts.sum() == 0
    error = np.abs(run.states - floats(layer.neuron, act)).max(axis=(2, 3)).T
    bound = drift_bound(layer.neuron, QUIET)
    assert (error <= bound + 1e-6).all()
    assert run.saturations == 0


def test_the_drift_of_an_undamped_neuron_is_small_against_its_threshold() -> None:
    """Vanilla TC-LIF forgets nothing: 600 quiet steps of rounding move a state by less than 1 % of the threshold."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), tn.TCLIF(1))
    model[0].weight.data.fill_(0.4)
    x = np.zeros((QUIET, 1, 1))
    x[0] = 1
    net = quantize(model, torch.tensor(x))
    layer = net.layers[0]
    (run,) = run_reference(net, x, record=True).layers
    act = x * layer.synapses.weight.item() * 2.0 ** (layer.synapses.exponent + ACT_SHIFT)
    error = np.abs(run.states - floats(layer.neuron, act)).max()
    assert layer.scale_bits >= 20
    assert run.counts.sum() == 0
    assert error < 0.01 * layer.neuron.vth


@given(st.integers(4096 - 400, 4095), st.floats(0.1, 1))
def test_a_state_in_the_dead_band_vanishes(decay: int, part: float) -> None:
    """Below 1 / (1 - a) counts a product loses a whole count each step: it is gone while the float lives."""
    start = state = max(1, int(part * DECAY_ONE / (DECAY_ONE - decay)))
    for _ in range(start):
        state = int(mul(np.int64(state), np.int64(decay)))
    assert state == 0
    assert start * (decay / DECAY_ONE) ** start > 0.35 * start


@examples(20)
@given(st.floats(0.9, 0.999))
def test_the_dead_band_is_far_below_the_threshold(decay: float) -> None:
    """What the choice of the largest scale buys: a state of 1 / (1 - a) counts is under 1 % of the threshold."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), tn.LIF(3, beta=decay))
    x = torch.rand(30, 4, 2, generator=torch.Generator().manual_seed(0))
    assert 1 / (1 - decay) < 0.01 * quantize(model, x).layers[0].neuron.vth
