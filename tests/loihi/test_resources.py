"""The bookkeeping of a core against what Intel's compiler printed in public notebooks; it was fitted to the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.loihi import limits
from tclif_neuro.loihi.mapper import fewest_cores, part_use
from tclif_neuro.loihi.resources import Afferent, Population, axon_words, core_use, weight_bits

# Percentages of the limits, printed in 2024: input axons, groups, neurons, synapses, axon map, axon memory, all.
PERCENT = [
    (0.40, 12.5, 0.24, 1.60, 0.06, 0, 1.71),
    (0.80, 12.5, 1.56, 16.8, 0.40, 0, 14.72),
    (4.90, 12.5, 1.22, 78.4, 0.31, 0, 67.14),
    (0.01, 25.0, 65.64, 19.2, 16.8, 0, 42.26),
    (0.01, 12.5, 87.52, 86.4, 0.35, 0.17, 87.47),
    (0.01, 12.5, 87.52, 67.2, 0.09, 0.35, 72.04),
    (0.01, 12.5, 87.52, 86.4, 0.35, 0.35, 87.61),
    (0.01, 12.5, 87.52, 72.0, 0.35, 2.80, 78.05),
    (0.01, 12.5, 87.52, 79.2, 0.17, 0.17, 81.57),
    (0.01, 12.5, 87.52, 39.6, 0.17, 0.35, 50.03),
    (0.01, 12.5, 87.52, 10.8, 0.35, 0.17, 26.99),
    (0.01, 12.5, 87.52, 3.6, 0.70, 0.35, 21.65),
    (0.01, 12.5, 87.52, 0.34, 1.40, 0.70, 19.88),
    (0.62, 12.5, 0.02, 0.62, 0.01, 0, 1.02),
    (0.45, 12.5, 2.44, 0.49, 1.25, 0, 2.25),
]
# Neurons on a core, bits, words per input axon, printed in 2022-23; the last is 31.5 in print, a mean over two cores.
WORDS = [
    (256, 8, 81),
    (200, 7, 63),
    (86, 8, 27),
    (100, 3, 24),
    (17, 3, 5),
    (9, 3, 3),
    (100, 4, 26),
    (9, 4, 3),
    (50, 4, 13),
    (50, 6, 15),
    (10, 5, 3),
    (10, 5, 3),
    (1, 6, 1),
    (1, 4, 1),
    (100, 7, 31.5),
]
# Inputs, neurons, bits, cores by us, cores by the compiler.
LAYERS = [
    (784, 128, 8, 3, 3),
    (128, 64, 8, 1, 1),
    (64, 10, 8, 1, 1),
    (200, 256, 8, 2, 3),
    (256, 200, 7, 2, 2),
    (2560, 100, 3, 7, 12),
    (100, 50, 4, 1, 1),
    (11352, 1000, 8, None, None),
]


def test_the_printed_totals_are_the_sum_of_words_over_one_pool():
    entries = np.array([16_000, 8, 4_095, 12_000, 16_000, 16_000]) / 100  # per percent
    words = np.array([0.75, limits.GROUP_WORDS.value, 0.75, 1, 0.75, 0.75])
    for *row, total in PERCENT:
        found = 100 * float(np.array(row) * entries @ words) / limits.CORE_WORDS.value
        assert abs(found - total) < 0.012, (found, total)  # printed to 0.01 points


def test_fourteen_of_fifteen_printed_words_per_axon():
    assert [axon_words(n, bits) == words for n, bits, words in WORDS] == [True] * 14 + [False]


@pytest.mark.parametrize(("inputs", "neurons", "bits", "ours", "compilers"), LAYERS)
def test_our_core_counts_are_lower_bounds_of_the_compilers(inputs, neurons, bits, ours, compilers):
    population = Population(neurons=neurons, afferents=(Afferent(inputs=inputs, bits=bits),))
    assert fewest_cores(neurons, (population,)) == ours
    assert (ours is None) == (compilers is None) and (ours is None or ours <= compilers)


def test_the_largest_fan_in_of_one_neuron():
    def fits(inputs):
        return core_use(Population(neurons=1, afferents=(Afferent(inputs=inputs, bits=8),)), 1).fits

    assert fits(int(limits.FAN_IN.value)) and not fits(int(limits.FAN_IN.value) + 1)


@given(st.integers(1, 600), st.integers(1, 400), st.integers(1, 8), st.booleans())
def test_a_split_fits_and_one_core_less_does_not(inputs, neurons, bits, diagonal):
    afferents = (Afferent(inputs=inputs, bits=bits), Afferent(inputs=neurons, bits=bits, diagonal=diagonal))
    populations = (Population(neurons=neurons, afferents=afferents, targets=2),)
    k = fewest_cores(neurons, populations)
    assert k is not None and part_use(populations, -(-neurons // k)).fits
    assert k == 1 or not part_use(populations, -(-neurons // (k - 1))).fits


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=9), st.integers(0, 4))
def test_weight_bits_hold_the_mantissas(values, zeros):
    bits = weight_bits(np.array(values) << zeros)
    signed = min(values) < 0 < max(values)
    span = range(-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else range(-(2**bits) + 1, 2**bits)
    own = (np.bitwise_or.reduce(np.abs(values)) & -np.bitwise_or.reduce(np.abs(values))) or 1
    assert all(v // int(own) in span for v in values)
