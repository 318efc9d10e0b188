"""The setup at the beginning of a recipe: its network, random or from a file, and its rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import TclifError
from tclif_neuro.network import DECAY_ONE, MANT_MAX, InputCoding, LIFNeuron, QuantizedNetwork, Synapses, TCLIFNeuron
from tclif_neuro.netx import load
from tclif_neuro.onchip.random_network import random_network
from tclif_neuro.onchip.rule.setup import LearningSetup, Plasticity
from tclif_neuro.onchip.tasks.recipe import HiddenSection, LearningSection, LearnRecipe, NetworkSection, ReadoutSection
from tclif_neuro.onchip.tasks.stream import Stream


class StartError(TclifError, ValueError):
    """A network that a task cannot start from."""


def first_setup(recipe: LearnRecipe, stream: Stream) -> LearningSetup:
    """The setup before the first sample. Raises `StartError`, `FormatError` or `NetFileError` if it cannot be."""
    learning, network = recipe.learning, recipe.network
    inputs, outputs = stream.x.shape[2], len(stream.classes)
    net = _random(network, inputs, outputs) if network.start is None else _from_file(network.start, inputs, outputs)
    on_grid = _on_grid(net, 1 << (9 - learning.weight_bits))
    net = replace(on_grid, classes=stream.classes, steps=len(stream.x), recipe="")
    return LearningSetup(
        net=net,
        plasticity=rules(recipe, net, stream.phases[0].hidden, 0),
        target=_target(learning, stream),
        target_others=learning.target_others,
        error_shift=learning.error_shift,
        variant=learning.variant,
        update_every=learning.update_every or None,
        rounding=learning.rounding,
        feedback=learning.feedback,
        seed=learning.seed,
        weight_bits=learning.weight_bits,
        trace_bits=learning.trace_bits,
    )


def rules(recipe: LearnRecipe, net: QuantizedNetwork, hidden: bool, slower: int) -> tuple[Plasticity | None, ...]:
    """One a layer. hidden: whether the hidden layers learn. slower: how often the rates have been halved."""
    learning = recipe.learning
    inner = _plasticity(learning.hidden, slower) if hidden else None
    return (*(inner for _ in net.layers[1:]), _plasticity(learning.readout, slower))


def _plasticity(section: HiddenSection | ReadoutSection, slower: int) -> Plasticity:
    values = section.model_dump()
    rates = {key: min(24, value + slower) for key, value in values.items() if key.endswith("rate_shift")}
    return Plasticity(**{**values, **rates})


def _target(learning: LearningSection, stream: Stream) -> npt.NDArray[np.int64]:
    """[T], the potential that the right class should have."""
    steps, asked = len(stream.x), stream.asked
    target = np.full(steps, learning.target, np.int64)
    if learning.ramp:
        since = np.arange(1, steps - asked + 1)
        target[asked:] = learning.target_others + (learning.target - learning.target_others) * since // len(since)
    target[:asked] = learning.target_others
    return target


def _random(section: NetworkSection, inputs: int, outputs: int) -> QuantizedNetwork:
    neuron = TCLIFNeuron(
        a1=np.array([[_fixed(section.a1)]]),
        a2=np.array([[_fixed(section.a2)]]),
        b1=np.array([_fixed(section.b1)]),
        b2=np.array([_fixed(section.b2)]),
        vth_mant=section.vth,
        gamma_mant=section.gamma,
        reset=section.reset,
    )
    net = random_network(
        inputs,
        neuron,
        section.hidden,
        outputs,
        rng=np.random.default_rng(section.seed),
        recurrent=section.recurrent,
        coding=InputCoding(bits=8, scale=section.input_scale),
    )
    hidden, readout = net.layers
    kept = LIFNeuron(i_decay=DECAY_ONE, v_decay=DECAY_ONE - _fixed(section.readout_decay), vth_mant=MANT_MAX)
    return replace(net, layers=(hidden, replace(readout, neuron=kept)))


def _fixed(value: float) -> int:
    """`value` with 12 fractional bits."""
    return round(value * DECAY_ONE)


def _from_file(path: str, inputs: int, outputs: int) -> QuantizedNetwork:
    """The network in a file; if it has too few outputs, with new ones whose weights are 0."""
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


def _on_grid(net: QuantizedNetwork, step: int) -> QuantizedNetwork:
    """`net` with the mantissas rounded towards 0 to multiples of `step`, and the largest that learning reaches."""

    def rounded(synapses: Synapses) -> Synapses:
        weight = np.clip(synapses.weight, step - 256, 256 - step)
        return replace(synapses, weight=weight - np.fmod(weight, step))

    layers = [
        replace(layer, synapses=rounded(layer.synapses), recurrent=layer.recurrent and rounded(layer.recurrent))
        for layer in net.layers
    ]
    return replace(net, layers=tuple(layers))
