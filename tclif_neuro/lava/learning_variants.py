"""On-chip learning on the stock learning engine: the variants `native` and `prefiltered`. Does not import Lava.

run = learn_stock(setup, x, labels)     # setup.variant "native" or "prefiltered", feedback "random", epoch 1
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.run import check_input
from tclif_neuro.lava.guard import guarded, require
from tclif_neuro.lava.learning import setup_from, setup_to
from tclif_neuro.network import DECAY_ONE, FormatError, TCLIFNeuron
from tclif_neuro.onchip.connection import Coefficients
from tclif_neuro.onchip.fit import fit_traces
from tclif_neuro.onchip.reference import check_labels
from tclif_neuro.onchip.setup import LearningSetup

TASK = f"{__name__}:run_job"
FOREVER = 2**32  # a time constant so long that the engine's trace keeps its value
LOST = 3  # bits that the engine's products of two traces lose (7 + 7 + 4 bits in an accumulator of 15)
ENGINE_SHIFT = (0, 7)  # k of 2^-k in a product of the engine
IMPULSE_MAX = 127
_START, _STEP = 60.0, 2e-2  # seconds allowed for the start of Lava, and for a step of a process
_REGULAR, _OVERWRITE, _ADD = 0, 1, 2  # lava: GradedSpikeCfg

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class StockRule:
    """What stock synapses are told. products: the rule. impulse, tau: of x1 and x2, in the chip's steps.

    graded, graded_cfg: whether payloads come, and what they do to x1. payload_shift: they are `e / 2^payload_shift`.
    fit_error: the distance of the engine's traces from the eligibility, relative; 0 where they are the same.
    """

    products: str
    impulse: tuple[float, ...]
    tau: tuple[float, ...]
    graded: bool
    graded_cfg: int
    payload_shift: int = 0
    fit_error: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class StockRun:
    """What a stock network has learnt. weights: mantissas after the last sample, for each matrix (layer, recurrent);
    those of a prefiltered hidden layer have two columns for each input, for its trace's positive and negative part.
    potential: [T, S, K], the readout's. error: [S], the sum of the squared errors. fit_error: that of each matrix.
    """

    weights: dict[tuple[int, bool], Array]
    potential: Array
    error: Array
    fit_error: dict[tuple[int, bool], float]

    @property
    def predictions(self) -> Array:
        """[S]: the class of the largest potential at the end of each sample."""
        return self.potential[-1].argmax(axis=-1)


def doubled(weight: Array) -> Array:
    """[N, M] -> [N, 2 M], the same for the positive and, negated, for the negative parts of the inputs."""
    return np.concatenate([weight, -weight], axis=1)


def check_stock(setup: LearningSetup) -> None:
    """Raise `FormatError` on what the stock engine cannot do."""
    layers = setup.net.layers
    hidden = layers[0].neuron
    faults = {
        f'variant: {setup.variant!r}; "native" or "prefiltered" expected': setup.variant == "exact",
        f"net: {len(layers)} layers; one hidden layer and a readout expected": len(layers) != 2,
        "rules: every layer must learn": None in setup.rules,
        'feedback: "symmetric"; the engine cannot copy weights, choose "random"': setup.feedback != "random",
        f"epoch: {setup.epoch}; the engine's epoch is one step of the network, 1 expected": setup.epoch != 1,
        'rounding: "nearest"; the engine rounds stochastically': setup.rounding != "stochastic",
        f"weight_bits: {setup.weight_bits}; the engine's weights have 8 and a sign": setup.weight_bits != 8,
        f"trace_bits: {setup.trace_bits}; the engine's traces have 7": setup.trace_bits != 7,
        'neuron: reset "delayed" expected': isinstance(hidden, TCLIFNeuron) and hidden.reset != "delayed",
        "rules: the recurrent synapses must learn": layers[0].recurrent is not None
        and setup.rule(0, recurrent=True) is None,
        "bias: the prefiltered network has none": setup.variant == "prefiltered"
        and any(layer.bias_mant.any() for layer in layers),
    }
    for message, wrong in faults.items():
        if wrong:
            raise FormatError(message)


def stock_rule(setup: LearningSetup, layer: int, recurrent: bool, phases: int, steps: int) -> StockRule:
    """The engine's version of `Plasticity` for one matrix; raises `FormatError` where the engine has no such rate."""
    found = setup.rule(layer, recurrent=recurrent)
    assert found is not None
    shift = found.rate_shift - 1 - LOST  # a step of the weight is two mantissas
    if not ENGINE_SHIFT[0] <= shift <= ENGINE_SHIFT[1]:
        low, high = (bound + 1 + LOST for bound in ENGINE_SHIFT)
        raise FormatError(f"layer {layer}: rate_shift {found.rate_shift} is outside the engine's [{low}, {high}]")
    if setup.variant == "prefiltered":
        return StockRule(
            products=f"2^-{shift}*x0*x1*y2 - 2^-{shift}*x0*x1*y1",
            impulse=(0,),
            tau=(FOREVER,),
            graded=True,
            graded_cfg=_OVERWRITE,
            payload_shift=found.trace_shift - 1,
        )
    return _native(setup, layer, recurrent, shift, phases, steps)


def _native(setup: LearningSetup, layer: int, recurrent: bool, shift: int, phases: int, steps: int) -> StockRule:
    """Exponentials for the eligibility. Payloads reach x1 alone, so graded input has one."""
    found = setup.rule(layer, recurrent=recurrent)
    assert found is not None
    graded = layer == 0 and not recurrent and setup.net.input.bits > 0
    a1, a2, b1, b2 = (np.asarray(c).mean() / DECAY_ONE for c in _arrays(setup, layer))
    single = graded or setup.net.layers[layer].readout
    fit = fit_traces(a1, a2, b1, b2, steps=steps, traces=1 if single else 2)
    unit = 64 / 2**found.trace_shift
    impulse, tau, products = [], [], []
    for i, (decay, amplitude) in enumerate(zip(fit.decay, fit.amplitude, strict=True), start=1):
        size = min(IMPULSE_MAX, abs(amplitude) * unit * decay ** (1 / phases - 1))
        k = shift
        if graded:  # x1 grows by half the payload; what that is too much, the rate is less
            k, size = shift - round(math.log2(abs(amplitude) * unit * 2)), 0
        plus, minus = ("y2", "y1") if amplitude > 0 else ("y1", "y2")
        products.append(f"2^-{min(7, max(0, k))}*u0*x{i}*{plus} - 2^-{min(7, max(0, k))}*u0*x{i}*{minus}")
        impulse.append(size)
        tau.append(-phases / math.log(decay))
    return StockRule(
        products=" + ".join(products),
        impulse=tuple(impulse),
        tau=tuple(tau),
        graded=graded,
        graded_cfg=_ADD if graded else _REGULAR,
        fit_error=fit.error,
    )


def _arrays(setup: LearningSetup, layer: int) -> tuple[Any, ...]:
    c = Coefficients.of(setup.net.layers[layer])
    return c.a1, c.a2, c.b1, c.b2


def weight_path(folder: Path, layer: int, recurrent: bool) -> Path:
    """Where in `folder` the last weights of a matrix are."""
    return folder / f"weight{layer}{'r' if recurrent else ''}.npy"


def matrices(setup: LearningSetup) -> list[tuple[int, bool]]:
    """(layer, recurrent) of each matrix."""
    recurrent = [(0, True)] if setup.net.layers[0].recurrent is not None else []
    return [(0, False), *recurrent, (1, False)]


def learn_stock(
    setup: LearningSetup,
    x: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    idle: int = 1,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> StockRun:
    """Learn the samples of the float input `x` [T, S, M], of classes `labels` [S], on Lava's stock learning engine.

    idle: silent steps of the network after each sample, in which a `native` network's traces decay (a prefiltered one's
    start anew by themselves). timeout, progress: as `learn` has them.

    Raises `LavaMissing`; `FormatError` for a setup that the engine cannot run; `InputError`; `LavaError`.
    """
    check_stock(setup)
    require()
    encoded = setup.net.input.encode(check_input(setup.net, x))
    classes = check_labels(setup, labels, encoded.shape[1])
    steps, samples = encoded.shape[:2]
    rules = {which: stock_rule(setup, *which, 4, steps) for which in matrices(setup)}
    targets = np.stack([setup.targets(int(label), steps) for label in classes], axis=1)
    chip_steps = 4 * (steps + idle) * samples
    limit = _START + _STEP * chip_steps * 10 if timeout is None else timeout
    with tempfile.TemporaryDirectory(prefix="tclif-lava-") as name:
        folder = Path(name)
        setup_to(folder, setup)
        np.savez(folder / "data.npz", encoded=encoded, targets=targets)
        (folder / "stock.json").write_text(json.dumps({"idle": idle}))
        guarded(TASK, folder, timeout=limit, steps=chip_steps, progress=progress)
        weights = {which: np.load(weight_path(folder, *which), allow_pickle=False) for which in rules}
        potential = np.load(folder / "potentials.npy", allow_pickle=False).transpose(1, 0, 2)
    error = (setup.error(potential, targets) ** 2).sum(axis=(0, 2))
    fit = {which: rule.fit_error for which, rule in rules.items()}
    return StockRun(weights=weights, potential=potential, error=error, fit_error=fit)


def run_job(folder: Path) -> None:
    """Do what was asked for in `folder`. Imports Lava."""
    from tclif_neuro.lava.learning_stock_build import StockBuilder
    from tclif_neuro.lava.runtime import run_lava

    setup, idle = setup_from(folder), json.loads((folder / "stock.json").read_text())["idle"]
    with np.load(folder / "data.npz", allow_pickle=False) as data:
        encoded, targets = data["encoded"], data["targets"]
    steps, samples, _ = encoded.shape
    builder = StockBuilder(setup=setup, steps=steps, idle=idle, samples=samples, folder=folder)
    run_lava(builder.build(encoded, targets), builder.chip_steps)
