"""The integer rule is e-prop: the same update as a float e-prop whose eligibility is autograd's, on the same spikes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.fixed.step import tclif_delayed
from tclif_neuro.network import (
    ACT_SHIFT,
    DECAY_ONE,
    MANT_MAX,
    STATE_MAX,
    Layer,
    LIFNeuron,
    QuantizedNetwork,
    Synapses,
    TCLIFNeuron,
)
from tclif_neuro.onchip.exact.reference import Learner
from tclif_neuro.onchip.random_network import DIGIT_ROWS
from tclif_neuro.onchip.rule import equations as rule
from tclif_neuro.onchip.rule.connection import LearningConnection
from tclif_neuro.onchip.rule.random_bits import MASK, bits, key, mix
from tclif_neuro.onchip.rule.setup import LearningSetup, Plasticity

STEPS, INPUTS, HIDDEN, OUTPUTS = 12, 6, 20, 4


def setup_of(rng: np.random.Generator, reset: str = "delayed", readout_decay: int = 0) -> LearningSetup:
    """A recurrent Adaptive layer and a readout, and a rule whose shifts lose nothing to clipping."""
    decay = np.array([4096, 3900, 3700])[:, None]
    neuron = TCLIFNeuron(
        a1=decay, a2=decay - 200, b1=np.array([-2048]), b2=np.array([4096]), vth_mant=1024, gamma_mant=512, reset=reset
    )
    hidden = Layer(
        synapses=Synapses(weight=2 * rng.integers(-48, 49, (HIDDEN, INPUTS))),
        recurrent=Synapses(weight=2 * rng.integers(-32, 33, (HIDDEN, HIDDEN))),
        neuron=neuron,
        bias_mant=np.zeros(HIDDEN, int),
    )
    readout = Layer(
        synapses=Synapses(weight=2 * rng.integers(-32, 33, (OUTPUTS, HIDDEN))),
        neuron=LIFNeuron(i_decay=DECAY_ONE, v_decay=readout_decay, vth_mant=MANT_MAX),
        bias_mant=np.zeros(OUTPUTS, int),
        readout=True,
    )
    return LearningSetup(
        net=QuantizedNetwork(layers=(hidden, readout), input=DIGIT_ROWS),
        plasticity=(
            Plasticity(rate_shift=0, trace_shift=7, signal_shift=13, surrogate_shift=10, recurrent_trace_shift=2),
            Plasticity(rate_shift=0, trace_shift=3),
        ),
        target=np.array([2**17]),
        error_shift=11,
    )


def integer_updates(setup: LearningSetup, x, label: int, monkeypatch) -> tuple[Learner, list[np.ndarray]]:
    """The summed changes of each connection over a sample, before rounding and clipping to the weight's range."""
    kept: dict[int, np.ndarray] = {}
    monkeypatch.setattr(
        LearningConnection,
        "_update",
        lambda self, sample, step: kept.setdefault(self.matrix.number, self.change.copy()),
    )
    learner = Learner(setup, len(x))
    learner.sample(x, label, 0)
    return learner, [kept[matrix] for matrix in (0, 1, 2)]


def float_updates(setup: LearningSetup, learner: Learner, x, label: int) -> list[np.ndarray]:
    """Minus the gradients of `sum_t <L_t psi_t, US_t>` by autograd, spikes given: nothing is narrowed or rounded."""
    hidden, readout = setup.net.layers
    neuron = hidden.neuron
    spikes = torch.tensor(learner.layers[0].spikes.astype(np.float64))
    weights = [
        torch.tensor(s.weight.astype(np.float64), requires_grad=True) for s in (hidden.synapses, hidden.recurrent)
    ]
    out = torch.tensor(readout.synapses.weight.astype(np.float64), requires_grad=True)
    inputs = torch.tensor(x.astype(np.float64))
    dendrite, soma, fired = torch.zeros(3, HIDDEN, dtype=torch.float64)
    potential = torch.zeros(OUTPUTS, dtype=torch.float64)
    b1, b2 = neuron.b1[0] / DECAY_ONE, neuron.b2[0] / DECAY_ONE
    targets = setup.targets(label, len(x))
    width = setup.trace_max * 2.0 ** setup.plasticity[0].surrogate_shift
    loss = torch.zeros((), dtype=torch.float64)
    for t in range(len(x)):
        row = min(t, len(neuron.a1) - 1)
        a1, a2 = neuron.a1[row, 0] / DECAY_ONE, neuron.a2[row, 0] / DECAY_ONE
        act = 64 * (weights[0] @ inputs[t] + weights[1] @ fired)
        delayed = neuron.reset == "delayed"
        dendrite = a1 * dendrite + b1 * soma + act - delayed * neuron.gamma * fired
        soma = a2 * soma + b2 * dendrite - delayed * neuron.vth * fired
        psi = torch.clamp(1 - (soma - neuron.vth).abs() / width, min=0).detach()
        potential = potential * (1 - readout.neuron.v_decay / DECAY_ONE) + 64 * out @ spikes[t]
        error = (potential - torch.tensor(targets[t].astype(np.float64))).detach()
        loss = loss + (error * potential).sum() + ((out.detach().T @ error) * psi * soma).sum()
        fired = spikes[t]
        if not delayed:
            dendrite, soma = dendrite - neuron.gamma * fired, soma - neuron.vth * fired
    return [-g.numpy() for g in torch.autograd.grad(loss, [*weights, out])]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


@pytest.mark.parametrize("reset", ["delayed", "immediate"])
@pytest.mark.parametrize("readout_decay", [0, 500])
@pytest.mark.parametrize("seed", range(3))
def test_the_update_is_that_of_float_eprop(reset, readout_decay, seed, monkeypatch) -> None:
    rng = np.random.default_rng(seed)
    setup = setup_of(rng, reset, readout_decay)
    x = rng.integers(0, 17, (STEPS, INPUTS))
    learner, changes = integer_updates(setup, x, 1, monkeypatch)
    assert 0.05 < learner.layers[0].spikes.mean() < 0.8
    for ours, expected in zip(changes, float_updates(setup, learner, x, 1), strict=True):
        assert np.abs(expected).max() > 0
        assert cosine(ours.astype(np.float64), expected) > 0.99


STATES, PARTS = st.integers(-STATE_MAX, STATE_MAX), st.integers(0, DECAY_ONE)


@given(STATES, STATES, st.integers(-255, 255), PARTS, PARTS, st.integers(-DECAY_ONE, 0), PARTS)
def test_the_eligibility_is_the_neurons_own_map_without_its_reset(d, e, x, a1, a2, b1, b2) -> None:
    d, e, x = np.int64(d), np.int64(e), np.int64(x)
    neuron = tclif_delayed(d, e, np.int64(0), x << ACT_SHIFT, a1, a2, b1, b2, 1, 1)
    assert rule.eligibility(d, e, x, a1, a2, b1, b2) == neuron[:2]


@given(st.integers(-(2**40), 2**40), st.integers(0, 23), st.integers(1, 127))
def test_narrow_is_the_nearest_in_range(x, shift, limit) -> None:
    narrowed = int(rule.narrow(np.int64(x), shift, limit))
    assert abs(narrowed) <= limit
    assert abs(narrowed) == limit or abs(narrowed * 2**shift - x) * 2 <= 2**shift
    assert int(rule.narrow(np.int64(-x), shift, limit)) == -narrowed


@given(st.integers(-(2**30), 2**30), st.integers(0, 12), st.integers(-128, 127))
def test_the_stochastic_update_is_right_on_average(change, shift, weight) -> None:
    dithers = np.arange(2**shift)
    unbounded = rule.update(np.int64(weight), np.int64(change), shift, dithers, -(2**40), 2**40)
    assert (unbounded - weight).sum() == change
    bounded = rule.update(np.int64(weight), np.int64(change), shift, dithers, -128, 127)
    assert np.array_equal(bounded, np.clip(unbounded, -128, 127))


@given(st.integers(-(2**20), 2**20), st.integers(0, 127), st.integers(0, 20))
def test_what_is_posted_is_one_sided_and_narrow(signal, psi, shift) -> None:
    y1, y2 = rule.posted(np.int64(psi), np.int64(signal), shift, 127)
    assert 0 <= y1 <= 127 and 0 <= y2 <= 127 and y1 * y2 == 0
    assert y1 - y2 == rule.narrow(np.int64(psi * signal), shift, 127)


def test_the_bits_are_a_permutation_and_look_random() -> None:
    numbers = np.arange(2**16, dtype=np.int64)
    mixed = mix(numbers)
    assert len(np.unique(mixed)) == len(numbers) and mixed.min() >= 0 and mixed.max() <= MASK
    drawn = bits(key(1, 2, 3, 4), numbers)
    flipped = bits(key(1, 2, 3, 4), numbers ^ 1)
    for bit in range(32):
        assert abs((drawn >> bit & 1).mean() - 0.5) < 0.02
        assert abs(((drawn ^ flipped) >> bit & 1).mean() - 0.5) < 0.02


@given(st.lists(st.integers(0, 2**31 - 1), min_size=4, max_size=4), st.integers(0, 3))
def test_every_argument_changes_the_key(numbers, which) -> None:
    other = list(numbers)
    other[which] ^= 1
    assert key(*numbers) != key(*other)
    assert key(*numbers) == int(key(*map(np.int64, numbers)))
