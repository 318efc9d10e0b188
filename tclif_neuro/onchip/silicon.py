"""The parts of a learning setup, by what could run them.

Each is one that Loihi 2's stock silicon could run, one that would need microcode, or none of the chip's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tclif_neuro.onchip.rule.setup import Feedback, LearningSetup, Variant

Verdict = Literal["stock", "host", "microcode", "nothing"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a learning network.

    verdict: "stock" for a process that Lava ships for cores, "host" for what a host or an embedded processor does,
    "microcode" for a neuron that INRC's tools could make, "nothing" where no such thing is known.
    """

    name: str
    verdict: Verdict
    why: str


def check_learning(setup: LearningSetup) -> tuple[Part, ...]:
    """The parts of `setup` and what runs them; a statement about interfaces, since no variant has run on a chip."""
    return check_variant(setup.variant, setup.feedback)


def check_variant(variant: Variant, feedback: Feedback) -> tuple[Part, ...]:
    """`check_learning` of every setup of that variant and feedback."""
    engine = variant != "exact"
    parts = [
        Part(name="input and targets", verdict="host", why="spikes and targets are sent from outside"),
        Part(
            name="hidden neurons",
            verdict="microcode",
            why="two compartments, a surrogate, a product of 7 by 24 bits, y1 and y2 written in every step",
        ),
        Part(name="readout's errors", verdict="microcode", why="a difference, sent as a signed graded spike"),
        Part(
            name="synapses that learn",
            verdict="stock" if engine else "nothing",
            why="LearningDense with a three-factor rule, as Lava models it"
            if engine
            else "two coupled, signed traces and a delay are not the learning engine's",
        ),
        Part(
            name="feedback",
            verdict="stock" if feedback == "random" else "host",
            why="a Dense of fixed weights"
            if feedback == "random"
            else "the readout's weights, copied once per sample: no core reads another's",
        ),
    ]
    if variant == "prefiltered":
        parts.append(
            Part(name="input filters", verdict="microcode", why="two compartments that send graded spikes of 8 bits")
        )
    return tuple(parts)
