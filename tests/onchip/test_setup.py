"""What a learning setup takes and refuses: networks, weights, engines; both sides of every limit."""

from dataclasses import replace

import numpy as np
import pytest

from tclif_neuro.network import (
    DECAY_ONE,
    MANT_MAX,
    FormatError,
    InputCoding,
    Layer,
    LIFNeuron,
    QuantizedNetwork,
    Synapses,
    TCLIFNeuron,
)
from tclif_neuro.onchip.rule.losses import count, shares, total
from tclif_neuro.onchip.rule.matrices import Matrix, matrices, synapses_of, weights_of, with_weights
from tclif_neuro.onchip.rule.setup import EngineState, LearningSetup, Plasticity
from tests.judge.learning import random_feedback

RULE = Plasticity(rate_shift=5, trace_shift=4, signal_shift=3, surrogate_shift=2)
NEURON = TCLIFNeuron(a1=[[4000]], a2=[[4000]], b1=[-500], b2=[500], vth_mant=300, gamma_mant=100)
LIF = LIFNeuron(i_decay=DECAY_ONE, v_decay=7, vth_mant=300)
COARSE, FINE = 32, 2  # multiples of 32 are weights of 4 bits


def layer(n: int, m: int, neuron=NEURON, weight: int = COARSE, own: int | None = None, readout: bool = False) -> Layer:
    recurrent = None if own is None else Synapses(weight=np.full((n, n), own))
    return Layer(
        synapses=Synapses(weight=np.full((n, m), weight)),
        recurrent=recurrent,
        neuron=neuron,
        bias_mant=[0] * n,
        readout=readout,
    )


def readout(m: int, i_decay: int = DECAY_ONE, weight: int = COARSE) -> Layer:
    return layer(2, m, LIFNeuron(i_decay=i_decay, v_decay=0, vth_mant=MANT_MAX), weight, readout=True)


def setup_of(*layers: Layer, **changes) -> LearningSetup:
    given = {"plasticity": tuple(RULE for _ in layers), "target": [9], "error_shift": 1, "weight_bits": 4, **changes}
    return LearningSetup(net=QuantizedNetwork(layers=layers, input=InputCoding(bits=8, signed=True)), **given)


SIMPLE = layer(3, 4, own=COARSE), readout(3)
ENGINE = EngineState(weights={}, traces={}, epochs=0)


@pytest.mark.parametrize(
    ("layers", "changes", "says"),
    [
        ((layer(3, 4, weight=FINE), readout(3)), {}, "layer 0: weight: not all are multiples of 32, a step of 4 bits"),
        ((layer(3, 4, own=FINE), readout(3)), {}, "layer 0: recurrent weight: not all"),
        ((layer(3, 4), readout(3, weight=FINE)), {}, "layer 1: weight: not all"),
        ((layer(3, 4, weight=254), readout(3)), {"weight_bits": 7}, "layer 0: weight: not all are multiples of 4"),
        (
            (layer(3, 4, weight=3), readout(3, weight=2)),
            {"weight_bits": 8},
            "not all are multiples of 2, a step of 8 bits",
        ),
        ((layer(3, 4),), {}, "its last layer is no readout"),
        ((layer(3, 4, LIF), readout(3)), {}, "layer 0: LIF neurons"),
        ((layer(3, 4), readout(3, 4095)), {}, "layer 1: i_decay 4095"),
        ((layer(3, 4), layer(3, 3), readout(3)), {}, "layer 0: symmetric feedback reaches the last hidden layer alone"),
        (SIMPLE, {"plasticity": (RULE,)}, "plasticity: 1 for 2 layers"),
        (SIMPLE, {"plasticity": (RULE, RULE, RULE)}, "plasticity: 3 for 2 layers"),
        (SIMPLE, {"plasticity": (None, None)}, "no layer learns"),
        (SIMPLE, {"idle": 1}, "idle: 1; the exact variant takes 3"),
        (SIMPLE, {"idle": 2}, "idle: 2; the exact"),
        (SIMPLE, {"idle": 4}, "idle: 4; the exact"),
        (SIMPLE, {"engine": ENGINE}, 'engine: given for the variant "exact"'),
        *(
            ((layer(3, 4, replace(NEURON, **{name: wide})), readout(3)), {}, f"layer 0: 3 values of {name}")
            for name, wide in (("a1", [[1] * 3]), ("a2", [[1] * 3]), ("b1", [-1] * 3), ("b2", [1] * 3))
        ),
    ],
)
def test_what_does_not_fit_is_refused(layers, changes, says: str) -> None:
    with pytest.raises(FormatError) as caught:
        setup_of(*layers, **changes)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("layers", "changes"),
    [
        ((layer(3, 4, own=FINE), readout(3)), {"plasticity": (replace(RULE, recurrent=False), RULE)}),
        ((layer(3, 4, weight=FINE), readout(3)), {"plasticity": (None, RULE)}),
        ((layer(3, 4, LIF), readout(3)), {"plasticity": (None, RULE)}),
        ((layer(3, 4, replace(NEURON, b1=[-1] * 3)), readout(3)), {"plasticity": (None, RULE)}),
        ((layer(3, 4), readout(3, 4095)), {"plasticity": (RULE, None)}),
        ((layer(3, 4), layer(3, 3), readout(3)), {"plasticity": (None, RULE, RULE)}),
        ((layer(3, 4), layer(3, 3), readout(3)), {"feedback": "random"}),
        (SIMPLE, {"idle": 3}),
        (SIMPLE, {"variant": "native", "engine": ENGINE}),
        (SIMPLE, {"variant": "native", "idle": 2}),
    ],
)
def test_what_fits_is_taken(layers, changes) -> None:
    setup_of(*layers, **changes)


@pytest.mark.parametrize(("bits", "largest"), [(8, 254), (4, 224), (2, 128)])
def test_weights_are_symmetric(bits: int, largest: int) -> None:
    """A mantissa of -256 is a weight too low; it is allowed beside a positive one alone."""
    for low, fits in ((-largest, True), (-256, False)):
        weight = np.array([[low, largest, 0, largest]] * 3)
        hidden = replace(layer(3, 4), synapses=Synapses(weight=weight))
        if fits:
            setup = setup_of(hidden, readout(3, weight=0), weight_bits=bits)
            assert setup.weight_range == (-(largest >> setup.weight_shift), largest >> setup.weight_shift)
        else:
            with pytest.raises(FormatError, match=r"layer 0: weight / \d+: -\d+ at \[0, 0\] is outside"):
                setup_of(hidden, readout(3, weight=0), weight_bits=bits)


def test_idle_steps() -> None:
    exact, native = setup_of(*SIMPLE), setup_of(*SIMPLE, variant="native")
    assert (exact.idle_steps, native.idle_steps, replace(native, idle=5).idle_steps) == (3, 1, 5)


def test_matrices_have_numbers_and_names() -> None:
    net = setup_of(*SIMPLE).net
    found = matrices(net)
    assert found == (Matrix(0), Matrix(0, True), Matrix(1))
    assert [m.number for m in found] == [0, 1, 2] and [m.name for m in found] == ["0", "0_recurrent", "1"]
    assert synapses_of(net, Matrix(0, True)) is net.layers[0].recurrent
    assert synapses_of(net, Matrix(1)) is net.layers[1].synapses
    with pytest.raises(KeyError, match="matrix 1_recurrent: layer 1 is not recurrent"):
        synapses_of(net, Matrix(1, True))
    other = with_weights(net, {Matrix(0, True): np.full((3, 3), 64), Matrix(1): np.full((2, 3), 96)})
    changed = {matrix: int(weight[0, 0]) for matrix, weight in weights_of(other).items()}
    assert changed == {Matrix(0): COARSE, Matrix(0, True): 64, Matrix(1): 96}
    assert with_weights(net, {}) == net


def test_feedback_is_the_readout_transposed_or_random_bits() -> None:
    last = replace(readout(5), synapses=Synapses(weight=32 * np.arange(-5, 5).reshape(2, 5)))
    symmetric = setup_of(layer(3, 4), layer(5, 3), last, plasticity=(None, RULE, RULE))
    found = symmetric.feedback_weights(1)
    assert found.dtype == np.int64 and found.tolist() == [[32 * (n - 5), 32 * n] for n in range(5)]
    drawn = replace(symmetric, feedback="random", seed=3)
    for index in (0, 1):
        assert drawn.feedback_weights(index).tolist() == random_feedback(drawn, index)


def test_losses_add_up() -> None:
    assert all(type(n) is int for n in count("a", np.array([True]), np.array([1]))["a"]), "for JSON"
    found = total([{"a": (1, 2), "b": (0, 0)}, {"a": (3, 6)}])
    assert found == {"a": (4, 8), "b": (0, 0)} and shares(found) == {"a": 0.5, "b": 0.0}
