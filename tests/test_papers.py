"""docs/papers.md: what the papers leave open or print otherwise, each shown by a computation."""

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import tclif_neuro as tn
from tclif_neuro.neurons.step import TCLIFState, tclif_step

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "papers.md").read_text()


@pytest.mark.parametrize(("file", "name"), re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE))
def test_every_test_that_the_page_names_is_there(file, name):
    assert f"def {name}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("row", [line for line in PAGE.splitlines() if "`python models/build.py " in line])
def test_our_results_are_those_of_the_cards(row):
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    last, best, integers, epochs, seconds, command = (cells[i] for i in (3, 4, 5, 6, 7, 9))
    card = (ROOT / "models" / f"{command.split()[-1].strip('`')}.md").read_text()
    assert f"(last epoch; the test set chose nothing) | {last}%" in card
    assert f"not the weights kept) | {best}%" in card or best == last
    assert f"whole test set | {integers}%" in card
    assert f"| epochs | {epochs.split()[0]} |" in card and f"all epochs | {seconds} s |" in card


def step_jacobian(b1: float, b2: float) -> torch.Tensor:
    """d(UD, US)[t] / d(UD, US)[t-1] of the neuron below its threshold, by autograd."""
    layer = tn.TCLIF(1, c1=math.log(-b1 / (1 + b1)), c2=math.log(b2 / (1 - b2)), vth=1e6).double()
    p = layer.params(1)

    def step(state: torch.Tensor) -> torch.Tensor:
        dendrite, soma = state[:1, None], state[1:, None]
        after = tclif_step(TCLIFState(dendrite, soma, torch.zeros(1, 1).double()), torch.zeros(1, 1).double(), p)
        return torch.cat([after.dendrite.flatten(), after.soma.flatten()])

    return torch.autograd.functional.jacobian(step, torch.tensor([0.3, -0.2]).double()).detach()


def printed_jacobian(b1: float, b2: float) -> np.ndarray:
    """[T] equation 14."""
    return np.array([[1 + b1 * b2, b1], [b1 * b2**2 + 2 * b2, 1 + b1 * b2]])


@pytest.mark.parametrize(("b1", "b2", "after_784"), [(-0.5, 0.5, 1.39), (-0.2, 0.8, 2.24)])
def test_the_true_jacobian_turns_and_neither_grows_nor_shrinks(b1, b2, after_784):
    jacobian = step_jacobian(b1, b2).numpy()
    np.testing.assert_allclose(jacobian, [[1, b1], [b2, 1 + b1 * b2]], atol=1e-12)
    assert np.linalg.det(jacobian) == pytest.approx(1)
    assert abs(np.linalg.eigvals(jacobian)) == pytest.approx([1, 1])
    assert np.linalg.norm(np.linalg.matrix_power(jacobian, 784), np.inf) == pytest.approx(after_784, abs=0.01)
    assert not np.allclose(jacobian, printed_jacobian(b1, b2), atol=0.1)
    assert np.linalg.norm(printed_jacobian(b1, b2), np.inf) ** 784 > 1e100  # what equation 15 would allow


def equation_15(b1: float, b2: float) -> float:
    """[T] equation 15, the infinite norm of equation 14's matrix."""
    return b1 * b2**2 + b1 * b2 + 2 * b2 + 1


# [T] table 7: b1, b2 and the norm before training, after training; and the accuracy, %
TABLE_7 = """
-0.2 0.2 1.352  -0.184 0.146 1.262  98.40
-0.2 0.4 1.688  -0.188 0.307 1.539  99.07
-0.2 0.6 2.008  -0.203 0.563 1.948  99.15
-0.2 0.8 2.312  -0.202 0.835 2.360  89.36
-0.4 0.2 1.304  -0.379 0.159 1.248  99.01
-0.4 0.4 1.576  -0.370 0.318 1.480  99.15
-0.4 0.6 1.816  -0.383 0.532 1.751  99.06
-0.4 0.8 2.024  -0.380 0.700 1.949  99.04
-0.6 0.2 1.256  -0.621 0.172 1.219  99.08
-0.6 0.4 1.464  -0.621 0.342 1.399  99.01
-0.6 0.6 1.624  -0.634 0.594 1.587  98.96
-0.6 0.8 1.736  -0.612 0.761 1.704  98.82
-0.8 0.2 1.208  -0.812 0.187 1.194  98.97
-0.8 0.4 1.352  -0.815 0.360 1.321  99.20
-0.8 0.6 1.432  -0.812 0.580 1.416  98.64
-0.8 0.8 1.448  -0.821 0.801 1.418  98.99
"""
ROWS = [[float(x) for x in line.split()] for line in TABLE_7.split("\n") if line]
HALF = 5e-4  # of the last digit printed


def follows(b1: float, b2: float, norm: float) -> bool:
    """Whether a printed norm is equation 15's of couplings that round to the printed ones."""
    corners = [equation_15(b1 + i, b2 + k) for i in (-HALF, HALF) for k in (-HALF, HALF)]
    return min(corners) - HALF <= norm <= max(corners) + HALF


@pytest.mark.parametrize(("b1", "b2", "norm"), [row[:3] for row in ROWS])
def test_table_7_before_training(b1, b2, norm):
    assert round(equation_15(b1, b2), 3) == norm


@pytest.mark.parametrize(("b1", "b2", "norm"), [row[3:6] for row in ROWS])
def test_table_7_after_training_follows_from_the_printed_couplings_in_15_rows_of_16(b1, b2, norm):
    slip = (b1, b2) == (-0.612, 0.761)
    assert follows(b1, b2, norm) != slip
    assert equation_15(-0.612, 0.761) == pytest.approx(1.702, abs=5e-4)  # printed: 1.704


def test_no_row_of_table_7_explodes_by_the_true_jacobian():
    for row in ROWS:
        for b1, b2 in (row[:2], row[3:5]):
            jacobian = np.array([[1, b1], [b2, 1 + b1 * b2]])
            assert np.linalg.det(jacobian) == pytest.approx(1)
            assert np.linalg.norm(np.linalg.matrix_power(jacobian, 784), np.inf) < 2.5


def test_equation_15_is_the_second_rows_sum_and_not_always_the_norm():
    assert equation_15(-0.5, 0.5) == pytest.approx(np.abs(printed_jacobian(-0.5, 0.5)[1]).sum())
    b2 = np.linspace(0, 1, 20_001)
    first_row_is_larger = 1 - np.mean(2 * b2 / (1 + b2**2))  # where |b1| > 2 b2 / (1 + b2^2)
    assert first_row_is_larger == pytest.approx(1 - math.log(2), abs=1e-3) == pytest.approx(0.31, abs=0.004)
    norms = [np.linalg.norm(printed_jacobian(*row[3:5]), np.inf) for row in ROWS]
    assert sum(norm > equation_15(*row[3:5]) + 1e-9 for norm, row in zip(norms, ROWS, strict=True)) == 5


def count(sizes: list[int], recurrent: int, bias: bool) -> int:
    """Parameters of a TC-LIF network whose first `recurrent` hidden layers are recurrent, `bias`: with one."""
    layers: list[nn.Module] = []
    for i, (m, n) in enumerate(itertools.pairwise(sizes[:-1])):
        layers += [nn.Linear(m, n), tn.TCLIF(n, recurrent=i < recurrent)]
    model = nn.Sequential(*layers, tn.Readout(sizes[-2], sizes[-1]))
    biases = sum(sizes[1 : 1 + recurrent]) if bias else 0  # one for each neuron of a recurrent layer
    return sum(p.numel() for p in model.parameters()) + biases


@pytest.mark.parametrize(
    ("sizes", "recurrent", "bias", "parameters"),
    [
        ([1, 64, 256, 256, 10], 0, False, 85_136),  # [T] 85.1K
        ([1, 64, 256, 256, 10], 2, True, 155_088),  # [T] 155.1K: the first two layers, with a recurrent bias
        ([1, 64, 256, 256, 10], 2, False, 154_768),  # as here, without
        ([1, 64, 256, 256, 10], 3, True, 220_880),  # all three would be
        ([40, 300, 300, 12], 1, True, 196_516),  # [T] GSC 196.5K: 40-300-300-12, the first layer
        ([28, 64, 256, 256, 10], 0, False, 86_864),  # [O] prints 85.1K for rows of 28: the count of one input
        ([28, 64, 256, 256, 10], 2, True, 156_816),
    ],
)
def test_which_layouts_fit_the_printed_parameter_counts(sizes, recurrent, bias, parameters):
    assert count(sizes, recurrent, bias) == parameters


def test_the_best_trained_couplings_are_those_of_the_code_not_of_table_5():
    layer = tn.TCLIF(1, c1=1.5, c2=-0.5)
    _, _, b1, b2 = layer.coefficients(1)
    assert (round(b1.item(), 2), round(b2.item(), 2)) == (-0.82, 0.38)


def test_the_decay_of_the_codes_alif_is_less_than_a_step_of_memory():
    c = np.linspace(-20, 20, 401)
    assert np.exp(-(1 + np.exp(-c))).max() < 0.368  # alpha = exp(-1 / sigmoid(c))


def test_the_tail_of_a_gamma_distribution_is_exponential_and_a_power_laws_is_not():
    survival, power = tn.Schedule().g(785), tn.Schedule(form="power").g(785)
    assert survival[200] == pytest.approx(5e-4, rel=0.01) and survival[784] < 1e-14
    assert power[200] == pytest.approx(8e-3, rel=0.04) and power[784] == pytest.approx(6e-4, rel=0.04)


@pytest.mark.slow
def test_the_gradient_of_undamped_neurons_grows_when_the_reset_is_detached():
    from sim.papers.detached import gradient

    for seed in (0, 1):
        (kept, even), (detached, early) = (gradient(way, seed, 784) for way in ("keep", "detach"))
        assert detached > 1000 * kept
        assert max(even) < 0.5 < early[0]
