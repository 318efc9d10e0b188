"""The process `TCLIF` in a Lava network of one's own: both ProcessModels, Vars, with and without samples."""

import json

import numpy as np
import pytest

from tclif_neuro.fixed.reference import coefficients
from tclif_neuro.fixed.step import tclif_delayed, tclif_immediate
from tclif_neuro.lava import guarded
from tclif_neuro.network import FormatError, TCLIFNeuron

pytestmark = [pytest.mark.slow, pytest.mark.lava]

STEPS, N, M, START = 14, 3, 4, 5000


def request(rng, reset, tag, interval):
    """A small recurrent network whose neurons spike, with a schedule of decays; its samples begin in step 2."""
    weight = 2 * rng.integers(-20, 60, (N, M))
    weight[0, :2] = -2, 118  # of mixed sign, whatever was drawn
    return {
        "neuron": {
            "a1": rng.integers(3700, 4096, (3, N)).tolist(),
            "a2": [[4090], [4000], [3900]],
            "b1": [-1500],
            "b2": rng.integers(1500, 2500, N).tolist(),
            "vth_mant": 900,
            "gamma_mant": 500,
            "reset": reset,
        },
        "weight": weight.tolist(),
        "recurrent": (2 * rng.integers(-90, 90, (N, N))).tolist(),
        "bias": [10, -20, 30],
        "x": rng.integers(-3, 20, (STEPS, M)).tolist(),
        "tag": tag,
        "clock": {"reset_interval": interval, "reset_offset": 2},
        "start": [START] * N,
    }


def expected(request, advance):
    """The network step by step, its neurons advanced by `advance(state, act, step of the sample)`."""
    x, weight, recurrent = (np.array(request[k]) for k in ("x", "weight", "recurrent"))
    interval = request["clock"]["reset_interval"]
    state = np.zeros(N, int), np.zeros(N, int), np.zeros(N, int)
    history = []
    for t in range(1, STEPS + 1):
        now = t - 1 if interval is None else (t - 2) % interval
        if interval is not None and now == 0:
            state = np.zeros(N, int), np.zeros(N, int), np.zeros(N, int)
        drive = weight @ x[t - 2] if t > 1 else np.zeros(N, int)
        act = (drive + recurrent @ state[2]) * 64 + np.array(request["bias"]) * 64
        state = advance(state, act, now)
        if t == 1:
            state = np.full(N, START), *state[1:]
        history.append(state)
    return np.array(history).swapaxes(0, 1)


def integer_neuron(request):
    neuron = TCLIFNeuron(**request["neuron"])
    step = tclif_delayed if neuron.reset == "delayed" else tclif_immediate
    return lambda state, act, now: step(*state, act, *coefficients(neuron, now))[:3]


def real_neuron(request):
    """The float equations of TC-LIF, written out."""
    p = {k: np.array(v) / 4096 for k, v in request["neuron"].items() if k in ("a1", "a2", "b1", "b2")}
    vth, gamma = (request["neuron"][k] * 64 for k in ("vth_mant", "gamma_mant"))
    delayed = request["neuron"]["reset"] == "delayed"

    def advance(state, current, now):
        dendrite, soma, fired = state
        a1, a2 = (p[k][min(now, len(p[k]) - 1)] for k in ("a1", "a2"))
        dendrite = a1 * dendrite + p["b1"] * soma + current - delayed * gamma * fired
        soma = a2 * soma + p["b2"] * dendrite - delayed * vth * fired
        fired = soma >= vth
        if not delayed:
            dendrite, soma = dendrite - gamma * fired, soma - vth * fired
        return dendrite, soma, fired

    return advance


def test_a_network_of_ones_own(tmp_path, tasks, processes):
    rng = np.random.default_rng(2)
    cases = [(r, t, i) for r in ("delayed", "immediate") for t in ("fixed_pt", "floating_pt") for i in (5, None)]
    requests = [request(rng, *case) for case in cases]
    (tmp_path / "requests.json").write_text(json.dumps(requests))
    guarded("users_network:trajectories", tmp_path, timeout=200)
    for i, made in enumerate(requests):
        found = np.load(tmp_path / f"{i}.npy")
        fixed = made["tag"] == "fixed_pt"
        right = expected(made, (integer_neuron if fixed else real_neuron)(made))
        assert 0 < right[2].sum() < right[2].size
        np.testing.assert_allclose(found, right, rtol=0 if fixed else 1e-12, err_msg=str(cases[i]))
    assert processes.alive() == []


GOOD = {"a1": [[4096]], "a2": [[4096]], "b1": [-2048], "b2": [2048], "vth_mant": 100, "gamma_mant": 50}


@pytest.mark.parametrize(
    ("neuron", "arguments", "message"),
    [
        ({}, {"shape": (2, 3)}, r"shape: \(neurons,\) expected, got \(2, 3\)"),
        ({"b1": [-1, -2]}, {}, "b1: 2 coefficients for 3 neurons; give 1 or 3"),
        ({"a1": [[1, 2]]}, {}, "a1: 2 coefficients for 3 neurons; give 1 or 3"),
        ({}, {"bias_mant": [1, 2]}, r"bias_mant: shape \[3\] expected, got \[2\]"),
        ({}, {"bias_mant": 4096}, r"bias_mant: 4096 is outside \[-4096, 4095\]"),
        ({}, {"bias_exp": 8}, r"bias_exp: 8 is outside \[0, 7\]"),
        ({}, {"reset_interval": 0}, "reset_interval: 0 steps; a sample has at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(neuron, arguments, message):
    from tclif_neuro.lava.processes import TCLIF

    with pytest.raises(FormatError, match=message):
        TCLIF(**{"shape": (3,), "neuron": TCLIFNeuron(**{**GOOD, **neuron}), **arguments})
