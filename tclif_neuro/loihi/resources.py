"""The share of a core that a part of a layer takes: the compiler's bookkeeping, inferred from what it prints.

A word has 64 bits. An input axon's synapses to n neurons of a core take `ceil((n (bits + 12) + 4) / 64)` words, fitted
to 15 printed figures of which it meets 14; neurons, input axons and axon map entries take 3/4 word each, a group 1.3.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.loihi import limits
from tclif_neuro.loihi.limits import Limit

INDEX_BITS, HEADER_BITS, WORD_BITS = 12, 4, 64


@dataclass(frozen=True, kw_only=True)
class Afferent:
    """Synapses into a population: from `inputs` axons with weights of `bits` bits; one to one if `diagonal`."""

    inputs: int
    bits: int
    diagonal: bool = False


@dataclass(frozen=True, kw_only=True)
class Population:
    """`neurons` neurons of one kind, in `groups` groups of equal parameters, that send to `targets` populations."""

    neurons: int
    afferents: tuple[Afferent, ...]
    targets: int = 1
    groups: int = 1

    @property
    def fan_in(self) -> int:
        """The inputs of one neuron."""
        return sum(1 if a.diagonal else a.inputs for a in self.afferents)


@dataclass(frozen=True, kw_only=True)
class CoreUse:
    """The contents of a core: neurons, groups, input axons, words of synapses, axon map entries, words in all."""

    neurons: int
    groups: int
    axons_in: int
    synapse_words: int
    axon_map: int
    words: float

    def shares(self) -> dict[str, tuple[float, Limit]]:
        """Each quantity as a share of its limit, by the code of its check."""
        return {
            "core-neurons": (self.neurons / limits.CORE_NEURONS.value, limits.CORE_NEURONS),
            "core-groups": (self.groups / limits.CORE_GROUPS.value, limits.CORE_GROUPS),
            "core-axons": (max(self.axons_in, self.axon_map) / limits.CORE_AXONS.value, limits.CORE_AXONS),
            "core-synapses": (self.synapse_words / limits.CORE_SYNAPSES.value, limits.CORE_SYNAPSES),
            "core-words": (self.words / limits.CORE_WORDS.value, limits.CORE_WORDS),
        }

    def tightest(self) -> tuple[str, float]:
        """The code of the check nearest to its limit, and the share of that limit."""
        code, (share, _) = max(self.shares().items(), key=lambda item: item[1][0])
        return code, share

    @property
    def fits(self) -> bool:
        """True if it is within every limit."""
        return self.tightest()[1] <= 1

    def __add__(self, other: CoreUse) -> CoreUse:
        return CoreUse(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


def axon_words(neurons: int, bits: int) -> int:
    """The words that one input axon's synapses to `neurons` neurons take; weights of 7 bits are stored in 8.

    >>> axon_words(256, 8), axon_words(100, 3)
    (81, 24)
    """
    return ceil((neurons * ((8 if bits == 7 else bits) + INDEX_BITS) + HEADER_BITS) / WORD_BITS)


def core_use(population: Population, neurons: int) -> CoreUse:
    """Return the use of a core that holds `neurons` of the population's neurons."""
    axons = sum(neurons if a.diagonal else a.inputs for a in population.afferents)
    synapses = sum(
        neurons * axon_words(1, a.bits) if a.diagonal else a.inputs * axon_words(neurons, a.bits)
        for a in population.afferents
    )
    axon_map, groups = neurons * population.targets, min(population.groups, neurons)
    entries = limits.ENTRY_WORDS.value * (axons + neurons + axon_map)
    return CoreUse(
        neurons=neurons,
        groups=groups,
        axons_in=axons,
        synapse_words=synapses,
        axon_map=axon_map,
        words=synapses + entries + limits.GROUP_WORDS.value * groups,
    )


def weight_bits(weight: npt.NDArray[Any]) -> int:
    """The bits that hold the mantissas `weight`, low bits that are zero in all of them left out.

    >>> weight_bits(np.array([-256, 254])), weight_bits(np.array([0, 3]))
    (8, 2)
    """
    bits = int(np.bitwise_or.reduce(np.abs(weight.astype(np.int64)).ravel()))
    zeros = max((bits & -bits).bit_length() - 1, 0)
    low, high = int(weight.min()) >> zeros, int(weight.max()) >> zeros
    if low >= 0 or high <= 0:
        return max(1, max(high, -low).bit_length())
    return 1 + max((-low - 1).bit_length(), high.bit_length())
