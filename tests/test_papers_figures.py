"""The papers' figures: each script runs, each kept page is that of its kept results, and the baselines' equations."""

import json
import math
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import tclif_neuro as tn
from sim.online import decays
from sim.papers.baselines import ALIF, GLIF, NEURONS, network, parameters
from sim.papers.figures import select

FIGURES = ("curves", "quadrants", "gradient", "landscape")
KEPT = Path(__file__).resolve().parent.parent / "docs" / "papers"


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_can_be_drawn(name, tmp_path):
    figure = import_module(f"sim.papers.{name}")
    figure.main(["--out", str(tmp_path), "--quick"])
    lines = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
    assert len(lines) == len(figure.jobs(True)) >= 3
    for line in lines:
        numbers = np.concatenate([np.ravel(value) for value in line["result"].values()])
        assert np.isfinite(numbers).all() and numbers.any()
    page = (tmp_path / f"{name}.md").read_text()
    assert f"`python -m sim.papers.{name}`" in page and "nan" not in page
    assert (tmp_path / f"{name}.png").stat().st_size > 1000


@pytest.mark.parametrize("name", FIGURES)
def test_each_page_is_that_of_the_results_kept_beside_it(name):
    figure = import_module(f"sim.papers.{name}")
    lines = [json.loads(line) for line in (KEPT / f"{name}.jsonl").read_text().splitlines()]
    found = [(line["job"], line["result"]) for line in lines]
    wanted = figure.jobs(False)
    assert sorted(map(str, wanted)) == sorted(str({key: job[key] for key in wanted[0]}) for job, _ in found)
    assert (KEPT / f"{name}.md").read_text().startswith(figure.report(found).rstrip())
    assert (KEPT / f"{name}.png").exists()


def kept(name):
    lines = [json.loads(line) for line in (KEPT / f"{name}.jsonl").read_text().splitlines()]
    return [(line["job"], line["result"]) for line in lines]


def test_of_the_last_steps_loss_only_tclif_keeps_a_gradient_over_784_steps():
    found = kept("gradient")
    left = {n: [r["reach"] for r in select(found, neuron=n, loss="last")] for n in {job["neuron"] for job, _ in found}}
    assert min(left.pop("TC-LIF")) > 1e-3
    assert min(left.pop("ALIF, constants of the code")) > 1e90, "it grows backwards"
    assert max(map(max, left.values())) < 1e-7 and left.keys() == {"LIF", "ALIF", "GLIF"}


def test_with_long_memory_tclif_leads_the_spiking_neurons_and_with_short_memory_and_recurrence_it_does_not():
    def ends(task, recurrent):
        results = {n: select(kept("curves"), task=task, recurrent=recurrent, neuron=n) for n in (*NEURONS, "LSTM")}
        return {name: np.array([r["curve"][-1] for r in found]) for name, found in results.items()}

    for task, lead in (("digits-pixels", 15), ("digits-rows", 5)):
        feedforward = ends(task, False)
        others = [feedforward[name].max() for name in NEURONS if name != "TC-LIF"]
        assert feedforward["TC-LIF"].min() > max(others) + lead / 2
        assert feedforward["TC-LIF"].mean() > max(feedforward[n].mean() for n in NEURONS if n != "TC-LIF") + lead
        assert abs(feedforward["TC-LIF"].mean() - feedforward["LSTM"].mean()) < feedforward["LSTM"].std(ddof=1)
    recurrent = ends("digits-rows", True)
    assert recurrent["TC-LIF"].mean() - recurrent["ALIF"].mean() < recurrent["ALIF"].std(ddof=1)


def test_quadrants_of_opposite_signs_learn_and_those_of_equal_signs_do_not():
    means = {
        q: np.mean([r["curve"][-1] for r in select(kept("quadrants"), quadrant=q)]) for q in ("I", "II", "III", "IV")
    }
    assert min(means["II"], means["IV"]) > 45 > 20 > max(means["I"], means["III"])


def test_the_page_of_both_decays_is_that_of_its_results_and_time_varying_decays_forgive_their_minima():
    lines = [json.loads(line) for line in (KEPT.parent / "online" / "decays.jsonl").read_text().splitlines()]
    results = {json.dumps(line["job"], sort_keys=True): line["result"] for line in lines}
    halves = [[(job, results[json.dumps(job, sort_keys=True)]) for job in half] for half in decays.jobs(2)]
    page = (KEPT.parent / "online" / "decays.md").read_text()
    assert page.startswith(decays.report(*halves, 2).rstrip())
    fixed, varying = ([r["accuracy"] for r in decays.of(halves[0], neuron=n)] for n in decays.NEURONS)
    assert min(varying) > 55 and min(fixed) < 30 and max(fixed) < max(varying)


@pytest.mark.parametrize("signs", [(-1, 1), (1, 1)])
def test_opposite_quadrants_are_the_same_neuron_with_its_input_turned_round(signs):
    """U_D -> -U_D: without a reset of the dendrite (b1, b2, I) and (-b1, -b2, -I) give the same spikes, bit for bit."""
    b1, b2 = (sign * 0.5 for sign in signs)
    one = tn.GeneralizedTCLIF(7, b1=b1, b2=b2, gamma=0.0)
    other = tn.GeneralizedTCLIF(7, b1=-b1, b2=-b2, gamma=0.0)
    current = torch.randn(40, 3, 7, generator=torch.Generator().manual_seed(1))
    spikes = one(current)
    assert torch.equal(spikes, other(-current)) and 0 < spikes.mean() < 1


def of_plain_numbers(kind, currents, p):
    """A neuron's spikes for a list of currents, in Python."""
    u = s = h = 0.0
    spikes = []
    for current in currents:
        if kind == "ALIF":
            h = p["rho"] * h + (1 - p["rho"]) * s
            theta = 1 + 1.8 * h
            u = p["alpha"] * u + current - theta * s
        else:
            theta = p["vth"]
            leak = (1 - p["p"] * (1 - p["tau"])) * u * (1 - p["q"] * s) - (1 - p["p"]) * p["leak"]
            u = leak + (1 - p["r"] * (1 - p["g"])) * current - (1 - p["q"]) * p["reset"] * s
        s = float(u >= theta)
        spikes.append(s)
    return spikes


@pytest.mark.parametrize("kind", [ALIF, GLIF])
def test_the_baselines_are_their_equations(kind):
    layer = kind(1).double()
    currents = np.random.default_rng(3).normal(0.3, 0.8, 200)
    p = {
        name.removeprefix("raw_"): 1 / (1 + math.exp(-v.item())) if name.startswith("raw_") else v.item()
        for name, v in layer.named_parameters()
    }
    spikes = layer(torch.from_numpy(currents)[:, None, None]).flatten().tolist()
    assert spikes == of_plain_numbers(kind.__name__, currents, p)
    assert 10 < sum(spikes) < 150


def test_recurrent_spikes_come_back_a_step_later():
    layer = ALIF(2, recurrent=True)
    with torch.no_grad():
        layer.recurrent.weight.copy_(torch.tensor([[0.0, 0.0], [5.0, 0.0]]))  # the first excites the second
    current = torch.zeros(4, 1, 2)
    current[1, 0, 0] = 2.0
    assert layer(current)[:, 0].tolist() == [[0, 0], [1, 0], [0, 1], [0, 1]]


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_networks_compared_have_equal_parameters(recurrent):
    counts = {name: parameters(network(name, 64, 10, recurrent=recurrent)) for name in (*NEURONS, "LSTM")}
    matrices = 64 * 2 + 64 * 65 + 65 * 10 + recurrent * 2 * 64 * 64
    assert counts["LIF"] == matrices and counts["TC-LIF"] == matrices + 4
    assert counts["ALIF"] == matrices + 2 * 2 * 64 and counts["GLIF"] == matrices + 2 * 8 * 64
    assert abs(counts["LSTM"] - counts["TC-LIF"]) < 0.03 * counts["TC-LIF"]
