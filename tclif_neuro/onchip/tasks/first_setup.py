"""The setup at the beginning of a recipe: its network, random or from a file, and its rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import TclifError
from tclif_neuro.network import ACT_SHIFT, DECAY_ONE, MANT_MAX, InputCoding, LIFNeuron, QuantizedNetwork, TCLIFNeuron
from tclif_neuro.netx import load
from tclif_neuro.onchip.calibration import SAMPLES, calibrate, on_grid
from tclif_neuro.onchip.random_network import random_network
from tclif_neuro.onchip.rule.setup import RATE_SHIFT, LearningSetup, Plasticity
from tclif_neuro.onchip.tasks.recipe import LearningSection, LearnRecipe, NetworkSection
from tclif_neuro.onchip.tasks.stream import Stream

STATE_BITS = 16  # a state of 1.0 in a recipe is 2^16 in a random network
DRIVE = 24.0  # the size of an input [M] in graded spikes, root mean square over the steps
INPUT_MAX = 127.0


class StartError(TclifError, ValueError):
    """A network that a task cannot start from."""


def first_setup(recipe: LearnRecipe, stream: Stream) -> LearningSetup:
    """The setup before the first sample. Raises `StartError`, `FormatError` or `NetFileError` if it cannot be."""
    learning, network = recipe.learning, recipe.network
    outputs = len(stream.classes)
    net = _random(network, stream, outputs) if network.start is None else _from_file(network.start, stream, outputs)
    net = replace(on_grid(net, learning.weight_bits), classes=stream.classes, steps=len(stream.x), recipe=stream.recipe)
    options: dict[str, Any] = {
        "variant": learning.variant,
        "update_every": learning.update_every or None,
        "rounding": learning.rounding,
        "seed": learning.seed,
        "weight_bits": learning.weight_bits,
        "trace_bits": learning.trace_bits,
    }
    if learning.hidden is None or learning.readout is None or learning.error_shift is None or learning.target is None:
        x, y = stream.part(0, min(len(stream.order), 4 * SAMPLES))
        return calibrate(net, x, y, feedback=learning.feedback, asked=stream.asked, **options)
    unit = 2.0 ** (STATE_BITS if network.start is None else net.layers[-1].scale_bits)
    hidden, readout = (Plasticity(**section.model_dump()) for section in (learning.hidden, learning.readout))
    return LearningSetup(
        net=net,
        plasticity=(*(hidden for _ in net.layers[1:]), readout),
        target=_target(learning.target * unit, learning, stream, unit),
        target_others=round(learning.target_others * unit),
        error_shift=learning.error_shift,
        feedback=learning.feedback,
        **options,
    )


def in_phase(setup: LearningSetup, *, hidden: bool, slower: int) -> tuple[Plasticity | None, ...]:
    """The rules of `setup`. hidden: whether the hidden layers learn. slower: how often the rates have been halved."""
    *inner, readout = setup.plasticity
    return tuple(rule and _slower(rule, slower) for rule in (*(rule if hidden else None for rule in inner), readout))


def _slower(rule: Plasticity, slower: int) -> Plasticity:
    def rate(shift: int) -> int:
        return min(RATE_SHIFT[1], shift + slower)

    own = rule.recurrent_rate_shift
    return replace(rule, rate_shift=rate(rule.rate_shift), recurrent_rate_shift=None if own is None else rate(own))


def _target(top: float, learning: LearningSection, stream: Stream, unit: float) -> npt.NDArray[np.int64]:
    """[T], the potential that the right class should have."""
    steps, asked = len(stream.x), stream.asked
    goal, others = round(top), round(learning.target_others * unit)
    target = np.full(steps, goal, np.int64)
    if learning.ramp:
        since = np.arange(1, steps - asked + 1)
        target[asked:] = others + (goal - others) * since // len(since)
    target[:asked] = others
    return target


def _input_scale(x: npt.NDArray[np.float32]) -> float:
    """The scale by which the neurons of a random network are driven as those of the digits are, within 8 bits."""
    size = float(np.sqrt((x.astype(np.float64) ** 2).sum(axis=2).mean())) or 1.0
    limit = INPUT_MAX / max(1e-9, float(np.abs(x).max()))
    return min(limit, DRIVE / size)


def _random(section: NetworkSection, stream: Stream, outputs: int) -> QuantizedNetwork:
    neuron = TCLIFNeuron(
        a1=np.array([[_fixed(section.a1)]]),
        a2=np.array([[_fixed(section.a2)]]),
        b1=np.array([_fixed(section.b1)]),
        b2=np.array([_fixed(section.b2)]),
        vth_mant=round(section.vth * 2 ** (STATE_BITS - ACT_SHIFT)),
        gamma_mant=round(section.gamma * 2 ** (STATE_BITS - ACT_SHIFT)),
        reset=section.reset,
    )
    scale = _input_scale(stream.x) if section.input_scale is None else section.input_scale
    net = random_network(
        stream.x.shape[2],
        neuron,
        section.hidden,
        outputs,
        rng=np.random.default_rng(section.seed),
        recurrent=section.recurrent,
        coding=InputCoding(bits=8, scale=scale, signed=bool(stream.x.min() < 0)),
    )
    hidden, readout = net.layers
    kept = LIFNeuron(i_decay=DECAY_ONE, v_decay=DECAY_ONE - _fixed(section.readout_decay), vth_mant=MANT_MAX)
    return replace(
        net, layers=(replace(hidden, scale_bits=STATE_BITS), replace(readout, neuron=kept, scale_bits=STATE_BITS))
    )


def _fixed(value: float) -> int:
    """`value` with 12 fractional bits."""
    return round(value * DECAY_ONE)


def _from_file(path: str, stream: Stream, outputs: int) -> QuantizedNetwork:
    """The network in a file; if it has too few outputs, with new ones whose weights are 0."""
    inputs = stream.x.shape[2]
    net = load(path)
    if not net.layers[-1].readout:
        raise StartError(f"{path}: its last layer is no readout; a network to learn from must have one")
    if net.inputs != inputs or net.outputs > outputs:
        raise StartError(
            f"{path}: has {net.inputs} inputs and {net.outputs} outputs; the task has {inputs} and {outputs} classes"
        )
    *hidden, last = net.layers
    more = outputs - net.outputs
    weight = np.pad(last.synapses.weight, ((0, more), (0, 0)))
    grown = replace(last, synapses=replace(last.synapses, weight=weight), bias_mant=np.pad(last.bias_mant, (0, more)))
    return replace(net, layers=(*hidden, grown), classes=())
