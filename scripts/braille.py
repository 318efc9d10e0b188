"""Compare the NIR paper's Braille network with what platforms recorded of it: the table of docs/nir.md.

    python -m scripts.braille [--steps 256] [--sample x.npy]

`$TCLIF_DATA/nir` holds, from `paper/03_rnn` of github.com/neuromorphs/NIR, the network `braille_noDelay_bias_zero.nir`
and the spikes [256, 38] of its hidden layer that platforms recorded on one test sample. The sample, an array [256, 12],
is not among them. With it (`--sample`) our spikes are compared; without it, a linear program asks whether there is any
input, of numbers from 0 to 1, from which our network computes a recording spike by spike, and how much is missing if
the potential took the current of the step before. The spikes are known, so the recurrent input is; between two spikes
potentials are linear in the input.
"""

from __future__ import annotations

import argparse
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from scipy.optimize import linprog

import tclif_neuro as tn
from tclif_neuro.neurons.trace import trace
from tclif_neuro.show.tables import Sheet

NETWORK = "braille_noDelay_bias_zero"
PLATFORMS = ("snntorch", "norse", "lava")
MARGIN = 1e-6  # below the threshold, where there is no spike
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Hidden:
    """The hidden layer: U[t] = alpha U[t-1] + W x[t] + R S[t-1] + b;  V[t] = beta V[t-1] + U[t], 0 after a spike."""

    weight: Array
    recurrent: Array
    bias: Array
    alpha: float
    beta: float
    vth: float


def data() -> Path:
    """The folder of the files."""
    return Path(os.environ.get("TCLIF_DATA", "data")) / "nir"


def network() -> torch.nn.Sequential:
    """The network, read from its file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tn.TclifWarning)  # its recurrent bias acts in the first step, too
        return tn.load_nir(data() / f"{NETWORK}.nir", dt=1e-4).double()


def hidden(model: torch.nn.Sequential) -> Hidden:
    """The numbers of its first layer."""
    linear, neurons = model[0], model[1]
    alpha, beta = (float(c.detach().reshape(-1)[0]) for c in neurons.coefficients(1)[:2])
    weight, bias, recurrent = (t.detach().numpy() for t in (linear.weight, linear.bias, neurons.recurrent.weight))
    return Hidden(weight=weight, recurrent=recurrent, bias=bias, alpha=alpha, beta=beta, vth=neurons.vth)


def recordings() -> dict[str, Array]:
    """The recorded spikes [T, 38], by platform; Lava's file has time last."""
    found = {name: np.load(data() / f"{name}_activity_noDelay_bias_zero.npy") for name in PLATFORMS}
    return {name: spikes if spikes.shape[1] == 38 else spikes.T for name, spikes in found.items()}


def missing(net: Hidden, spikes: Array, late: bool = False) -> float:
    """By how much, in thresholds and in all, the best input's potentials fall short of `spikes` [T, N]; 0: by nothing.

    late: the potential takes the current of the step before.
    """
    steps, n, m = *spikes.shape, net.weight.shape[1]
    time, neurons = sparse.identity(steps), sparse.identity(n)
    before = sparse.eye(steps, k=-1)
    last = np.vstack([np.zeros((1, n)), spikes[:-1]])
    current = sparse.kron(time, neurons) - net.alpha * sparse.kron(before, neurons)
    kept = sparse.kron(time, neurons) - net.beta * sparse.diags(1 - last.ravel()) @ sparse.kron(before, neurons)
    taken = sparse.kron(before if late else time, neurons)
    none, short = sparse.csr_matrix((steps * n, steps * m)), sparse.csr_matrix((steps * n, steps * n))
    # The unknowns: x, U, V, and what is missing. Rows: the equations of U and of V; then the threshold.
    equations = sparse.bmat([[-sparse.kron(time, net.weight), current, None, short], [none, -taken, kept, None]])
    right = np.concatenate([(net.bias + last @ net.recurrent.T).ravel(), np.zeros(steps * n)])
    sign = np.where(spikes.ravel() > 0, -1.0, 1.0)
    threshold = sparse.bmat([[none, short, sparse.diags(sign), -sparse.identity(steps * n)]])
    bounds = [(0, 1)] * (steps * m) + [(None, None)] * (2 * steps * n) + [(0, None)] * (steps * n)
    cost = np.r_[np.zeros(steps * (m + 2 * n)), np.ones(steps * n)]
    limits = sign * net.vth - MARGIN * (sign > 0)
    found = linprog(cost, threshold, limits, equations, right, bounds=bounds, method="highs")
    if found.status:
        raise tn.TclifError(f"the linear program has no solution: {found.message}")
    return float(found.fun)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Compare the Braille network with recordings of it.")
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--sample", type=Path)
    given = parser.parse_args()
    model, found = network(), {name: spikes[: given.steps] for name, spikes in recordings().items()}
    net = hidden(model)
    if given.sample:
        x = torch.from_numpy(np.load(given.sample, allow_pickle=False)[: given.steps, None].astype(float))
        found["ours"] = trace(model, x)[0].spikes[:, 0].numpy()
    rows = [
        (
            name,
            f"{spikes.sum():.0f}",
            *(f"{(spikes != other).sum():.0f}" for other in found.values()),
            *(f"{missing(net, spikes, late):.3f}" for late in (False, True)),
        )
        for name, spikes in found.items()
    ]
    columns = ("recorded by", "spikes", *(f"differ from {name}" for name in found), "short", "short, late current")
    print(Sheet(title="", columns=columns, rows=tuple(rows)).markdown(), end="")


if __name__ == "__main__":
    main()
