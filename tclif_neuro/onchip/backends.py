"""Learn samples, one after the other, by whatever rule the setup has and wherever it should run.

run = learn(setup, x, y)                    # x [T, S, M], y [S]: the samples one after the other
more = learn(run.setup, x2, y2)             # goes on, to the bit as one run over both would have
same = learn(setup, x, y, backend="lava")   # the same bits
known = potentials(run.setup, x_test)       # [S, K], nothing is learnt
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import warn
from tclif_neuro.fixed.concerns import of_input
from tclif_neuro.fixed.run import Encoded, InputError, encode
from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.onchip.rule.setup import LearningSetup
from tclif_neuro.onchip.run import LearningRun, check_labels

Backend = Literal["simulator", "reference", "lava"]

# By name, so that nothing is compiled or imported before it is asked for; and the room lava stands on this one.
_EXACT = {
    "simulator": "tclif_neuro.onchip.exact.simulator:learn_exact",
    "reference": "tclif_neuro.onchip.exact.reference:learn_reference",
    "lava": "tclif_neuro.lava.learning.job:learn_in_lava",
}
_ENGINE = {
    "simulator": "tclif_neuro.onchip.engine.simulator:learn_engine",
    "lava": "tclif_neuro.lava.learning.job:learn_in_lava",
}


def learn(
    setup: LearningSetup,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    backend: Backend = "simulator",
    record: bool = False,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LearningRun:
    """Learn the samples of the float input `x` [T, S, M], of classes `y` [S] (integers), one after the other.

    All backends give the same bits: "simulator", compiled; "reference", NumPy, of the variant "exact" alone (the other
    variants are Lava's own model, which is their reference); "lava", processes on the CPU in a guarded child process.

    record: keep every step's spikes, states and traces, and the weights after every sample. For Lava, timeout: seconds
    (default: 60 s and 10 ms per step and process); progress: called with the steps done and the steps of the run.

    Raises `InputError` if an input does not fit, `FormatError` for a setup that the variant cannot run, and from Lava
    `LavaMissing` and `LavaError`. Issues a `TclifWarning` if inputs lie outside the network's code.

    Example:

        setup = onchip.calibrate(net, x, y)
        run = onchip.learn(setup, x, y)
        accuracy = (run.predictions == y).mean()    # of each sample before it was learnt
    """
    learner = _learner(setup, backend)
    if backend == "lava":
        options: dict[str, Any] = {"timeout": timeout, "progress": progress}
    elif timeout is None and progress is None:
        options = {}
    else:
        raise InputError(f'timeout, progress: the backend {backend!r} has neither; they are for backend="lava"')
    encoded = _encoded(setup, x)
    labels = check_labels(setup, y, encoded.values.shape[1])
    run: LearningRun = learner(setup, encoded.values, labels, record=record, **options)
    return replace(run, outside=encoded.outside)


def potentials(setup: LearningSetup, x: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """The readout's potentials [S, K] at the end of each sample of `x` [T, S, M], int64; nothing is learnt."""
    if setup.variant == "exact":
        return simulate(setup.net, x).logits.astype(np.int64)
    from tclif_neuro.onchip.engine.simulator import run_engine

    return run_engine(setup, _encoded(setup, x).values)


def _encoded(setup: LearningSetup, x: npt.ArrayLike) -> Encoded:
    """`x` as the network takes it; warns of what its code cannot hold."""
    encoded = encode(setup.net, x)
    for sentence in of_input(setup.net.input, encoded.outside):
        warn(sentence)
    return encoded


def _learner(setup: LearningSetup, backend: str) -> Callable[..., LearningRun]:
    """Return the function that learns `setup` in `backend`."""
    table = _EXACT if setup.variant == "exact" else _ENGINE
    if backend not in table:
        raise InputError(
            f"backend: {backend!r}; the variant {setup.variant!r} learns in {' or '.join(map(repr, table))}"
        )
    module, name = table[backend].split(":")
    learner: Callable[..., LearningRun] = getattr(import_module(module), name)
    return learner
