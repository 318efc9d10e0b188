"""`tclif check` and `tclif map`: whether a network fits Loihi 2, and where it could lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tclif_neuro.cli.commands.outputs import check_output, save_figure
from tclif_neuro.cli.commands.samples import Choice, load_batch
from tclif_neuro.compare.energy import energy
from tclif_neuro.errors import TclifError, unsaid
from tclif_neuro.fixed.concerns import concerns
from tclif_neuro.fixed.run import encode
from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.loihi.checks import Finding, Question, check
from tclif_neuro.loihi.estimates import Estimate, Operations, count_operations, estimates
from tclif_neuro.loihi.host import check_ncmodel
from tclif_neuro.loihi.limits import find_board
from tclif_neuro.loihi.mapper import PATHS, Placement, place
from tclif_neuro.loihi.mapper import Path as ChipPath
from tclif_neuro.loihi.stock import StockError, StockLoss, to_stock
from tclif_neuro.loihi.vectors import Vector, all_vectors, network_vector
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.netx import load
from tclif_neuro.onchip.rule.setup import Variant
from tclif_neuro.onchip.silicon import Part, check_variant
from tclif_neuro.onchip.tasks.recipe_file import load_learn_recipe

ENGINE_VARIANTS: tuple[Variant, ...] = ("native", "prefiltered")


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The findings of a check. errors: how many findings are errors. samples: measured on, 0 for none."""

    file: Path
    board: str
    path: ChipPath
    samples: int
    errors: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class MapResult:
    """A possible placement of the network; on samples, its activity, and estimates of time and energy per sample.

    stock: what the stock form of each two-compartment layer costs, on that path. arithmetic_uj: microjoules per sample
    of the arithmetic alone, in 45 nm (`compare.energy`). warnings: `fixed.concerns` of the run on them.
    """

    file: Path
    placement: Placement
    stock: tuple[StockLoss, ...]
    samples: int
    operations: Operations | None
    estimates: tuple[Estimate, ...]
    arithmetic_uj: float | None
    figure: Path | None
    warnings: tuple[str, ...]


def choose_path(net: QuantizedNetwork, asked: str) -> ChipPath:
    """The path `asked` for; "auto": "lif" if every layer is one, else "stock" if that takes it, else "microcode"."""
    if asked != "auto":
        if asked not in PATHS:
            raise TclifError(f"path {asked!r}: auto, {', '.join(PATHS)} expected")
        return asked
    if not any(layer.neuron.two_compartment for layer in net.layers):
        return "lif"
    try:
        to_stock(net)
    except StockError:
        return "microcode"
    return "stock"


def vectors_with(files: Sequence[Path], data_dir: Path | None) -> tuple[Vector, ...]:
    """The conformance vectors, and one per network in `files`, on the first sample of its own test set."""
    vectors = list(all_vectors())
    for file in files:
        net = load(file)
        x = load_batch(net, Choice(limit=1, data_dir=data_dir)).cut().x
        vectors.append(network_vector(file.stem, net, encode(net, x).values[:, 0]))
    return tuple(vectors)


def check_file(
    file: Path, *, board: str, path: str, samples: int | None, one_run: bool, choice: Choice, ncmodel: str = ""
) -> CheckResult:
    """Check the network in `file`; on the first `samples` samples of `choice`, if given.

    ncmodel: "package.module:Class", a microcode model of the neuron, which is not looked at here.
    """
    if ncmodel:
        check_ncmodel(ncmodel)
    net = load(file)
    way = choose_path(net, path)
    asked = Question(board=find_board(board), path=way, one_run=one_run, ncmodel=bool(ncmodel))
    if samples is not None:
        batch = load_batch(net, choice)
        asked = replace(asked, samples=batch.x, lengths=batch.lengths)
    findings = check(net, asked)
    errors = sum(finding.severity == "error" for finding in findings)
    return CheckResult(file=file, board=board, path=way, samples=samples or 0, errors=errors, findings=findings)


@dataclass(frozen=True, kw_only=True)
class LearningCheckResult:
    """The parts of a learning recipe's network, by what could run them on Loihi 2, see `onchip.silicon`.

    variants: of the recipe's own ("exact") and, with random feedback, of the engine's. errors: how many parts of the
    recipe's own nothing of the chip is known to run.
    """

    file: Path
    feedback: str
    errors: int
    variants: dict[str, tuple[Part, ...]]


def check_recipe(file: Path) -> LearningCheckResult:
    """Check the recipe of `tclif learn` in `file`; its data are not looked at."""
    learning = load_learn_recipe(file).learning
    own = check_variant(learning.variant, learning.feedback)
    engine: dict[str, tuple[Part, ...]] = {name: check_variant(name, "random") for name in ENGINE_VARIANTS}
    return LearningCheckResult(
        file=file,
        feedback=learning.feedback,
        errors=sum(part.verdict == "nothing" for part in own),
        variants={learning.variant: own, **engine},
    )


def map_file(
    file: Path, *, board: str, path: str, samples: int | None, choice: Choice, figure: Path | None
) -> MapResult:
    """Place the network in `file`; with `samples`, count what it does on them; `figure`: draw the chips there."""
    if figure is not None:
        check_output(figure, (".png", ".svg", ".pdf"), [file])
    net = load(file)
    way = choose_path(net, path)
    if way == "lif" and choose_path(net, "auto") != "lif":
        raise TclifError(f"{file}: path lif: not all of its layers are Lava's LIF; choose stock or microcode")
    stock = to_stock(net) if way == "stock" else None
    placement = place(net, find_board(board), way, stock)
    operations: Operations | None = None
    made: tuple[Estimate, ...] = ()
    arithmetic: float | None = None
    warned: tuple[str, ...] = ()
    if samples is not None:
        batch = load_batch(net, choice)
        with unsaid():
            run = simulate(net, batch.x, lengths=batch.lengths, record=True)
        warned = concerns(net, run)
        operations = count_operations(net, run)
        made = estimates(operations, placement.cores)
        arithmetic = energy(net, run).uj_per_sample
    if figure is not None:
        from tclif_neuro.show.chip import draw_placement

        save_figure(figure, draw_placement(placement))
    return MapResult(
        file=file,
        placement=placement,
        stock=stock.loss if stock else (),
        samples=samples or 0,
        operations=operations,
        estimates=made,
        arithmetic_uj=arithmetic,
        figure=figure,
        warnings=warned,
    )
