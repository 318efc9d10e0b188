"""`tclif report`: one run or network, or two side by side, on a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.cli.commands.drawings import Picture, input_picture, log_charts, rasters
from tclif_neuro.cli.commands.outputs import check_output
from tclif_neuro.cli.commands.samples import Choice
from tclif_neuro.cli.commands.subject import Subject, load_subject
from tclif_neuro.compare.activity import kind
from tclif_neuro.compare.runs import answers, score_of
from tclif_neuro.data.toml import parse_toml
from tclif_neuro.errors import TclifError
from tclif_neuro.files import write_atomically
from tclif_neuro.fixed.concerns import concerns
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.page.page import render
from tclif_neuro.page.parts import Chart, Curve, Listing, Page, Part, Section
from tclif_neuro.score import Score, score
from tclif_neuro.show.sheets import loss_sheet
from tclif_neuro.show.tables import Sheet, number, share
from tclif_neuro.text import cut

SAMPLES = 256
MOST_MARKS = 2**20  # of all rasters of a page: within 175 kB, whatever the spikes
ESTIMATE = (
    "An estimate, from counted operations at 0.9 pJ per accumulate and 4.6 pJ per multiply-accumulate, 32-bit floating "
    "point in 45 nm: no memory, no routing, no chip. It compares networks with each other; nothing was measured."
)


@dataclass(frozen=True, kw_only=True)
class ReportResult:
    """The report written. accuracy: of each subject, None without labels; error: the same of real targets."""

    file: Path
    subjects: tuple[str, ...]
    samples: int
    accuracy: tuple[float | None, ...]
    error: tuple[float | None, ...]
    bytes: int
    warnings: tuple[str, ...]


def report_files(
    paths: Sequence[Path], file: Path, choice: Choice, *, index: int = 0, trained: Path | None = None
) -> ReportResult:
    """Write a page about the run or network in `paths`, or about two of them.

    index: of the sample whose spikes are drawn. trained: the training run of one .net file, for its float model.
    """
    check_output(file, (".html",), [path for path in paths if path.is_file()])
    if not 1 <= len(paths) <= 2:
        raise TclifError(f"{len(paths)} runs or networks given: a page has room for one or two")
    if trained is not None and (len(paths) > 1 or paths[0].is_dir()):
        raise TclifError(f"{trained}: goes with one .net file alone")
    subjects = [load_subject(path, choice, index, trained) for path in paths]
    content = render(page_of(subjects))
    write_atomically(file, lambda out: out.write(content))
    return ReportResult(
        file=file,
        subjects=tuple(subject.name for subject in subjects),
        samples=len(subjects[0].batch),
        accuracy=tuple(_score(subject).accuracy for subject in subjects),
        error=tuple(_score(subject).error for subject in subjects),
        bytes=len(content),
        warnings=tuple(w for subject in subjects for w in concerns(subject.net, subject.run)),
    )


def page_of(subjects: Sequence[Subject]) -> Page:
    """The page about one subject, or about two."""
    names = [subject.name for subject in subjects]
    names = names if len(set(names)) == len(names) else [f"{name} ({i + 1})" for i, name in enumerate(names)]
    sections = [Section(heading="Summary", parts=tuple(_summary(subjects, names)))]
    if charts := tuple(log_charts([subject.log for subject in subjects], names)):
        sections.append(Section(heading="Curves", parts=charts))
    for subject, name in zip(subjects, names, strict=True):
        sections += [
            Section(heading=heading if len(subjects) == 1 else f"{name}: {heading}", parts=tuple(parts))
            for heading, parts in _sections(subject, MOST_MARKS // len(subjects))
        ]
    first = subjects[0]
    lead = f"{len(first.batch)} samples of {first.batch.source}, {_steps(first)} steps each"
    numbers = {name: _numbers(subject) for name, subject in zip(names, subjects, strict=True)}
    return Page(title=" and ".join(names), lead=lead, sections=tuple(sections), numbers=numbers)


def _score(subject: Subject) -> Score:
    return score_of(subject.run, subject.batch.y)


def _steps(subject: Subject) -> str:
    lengths = subject.batch.lengths
    return str(len(subject.batch.x)) if lengths is None else f"{lengths.min()} to {lengths.max()}"


def _silent(subject: Subject) -> list[int]:
    """Return the number of neurons of each layer that did not spike once, in any sample."""
    return [int((layer.counts.sum(axis=0) == 0).sum()) for layer in subject.run.layers]


def _spiking(net: QuantizedNetwork) -> list[int]:
    return [i for i, layer in enumerate(net.layers) if not layer.readout]


def _facts(subject: Subject) -> dict[str, str]:
    """The summary of one subject."""
    hidden, run, found = _spiking(subject.net), subject.run, _score(subject)
    spikes = sum(float(run.layers[i].counts.sum()) for i in hidden) / len(subject.batch)
    each, loss = " per step" if found.per_step else "", subject.loss
    facts = {
        f"accuracy{each}, integers": share(found.accuracy),
        f"accuracy{each}, float model": share(None if loss is None else loss.float_accuracy),
        f"error{each}, integers": number(found.error),
        f"error{each}, float model": number(None if loss is None else loss.float_error),
        "layers": ", ".join(f"{layer.size} {kind(layer)}" for layer in subject.net.layers),
        "spikes per sample": number(spikes),
        "silent neurons": number(sum(_silent(subject)[i] for i in hidden)),
        "saturations": number(sum(max(0, layer.saturations) for layer in run.layers)),
        "inputs clipped": share(run.input_clipped),
        "energy per sample, estimate": f"{number(subject.energy.uj_per_sample)} µJ",
        "samples": f"{len(subject.batch)} of {subject.batch.source}",
    }
    facts |= subject.digests
    return {name: value for name, value in facts.items() if value != share(None)}


def _summary(subjects: Sequence[Subject], names: Sequence[str]) -> list[Part]:
    found = [_facts(subject) for subject in subjects]
    rows = dict.fromkeys(name for facts in found for name in facts)
    cells = tuple((row, *(facts.get(row, "–") for facts in found)) for row in rows)
    if len(subjects) == 1:
        warnings = concerns(subjects[0].net, subjects[0].run)
        return [Sheet(title="", columns=(), rows=cells), *warnings]
    short = tuple((row, *(cut(value, 70) for value in values)) for row, *values in cells)
    return [Sheet(title="", columns=("", *names), rows=short), *_same_class(subjects), *_recipes_apart(subjects, names)]


def _same_class(subjects: Sequence[Subject]) -> list[Part]:
    one, other = subjects
    if not np.array_equal(one.batch.x, other.batch.x):
        return ["The two were run on different samples: their figures are of different tests."]
    y = one.batch.y
    ours, theirs = (answers(subject.run, y) for subject in subjects)
    if y is not None and y.dtype.kind == "f":
        apart = score(ours, np.where(np.isnan(y), np.nan, theirs)).error
        return [f"The outputs of the two are {number(apart)} apart, root mean square."]
    same = ours.argmax(-1) == theirs.argmax(-1)
    known = np.ones_like(same) if y is None else y >= 0
    of = "labelled steps" if one.batch.per_step else "samples"
    return [f"Both give the same class for {share(float(same[known].mean()))} of the {of}."]


def _recipes_apart(subjects: Sequence[Subject], names: Sequence[str]) -> list[Part]:
    """In which keys of their recipes the two differ."""
    from tclif_neuro.learning.recipe.file import differences

    if not all(subject.recipe for subject in subjects):
        return ["One of them carries no recipe: in what they differ is not known."]
    one, other = map(_recipe, subjects)
    rows = tuple((key, cut(str(a), 60), cut(str(b), 60)) for key, a, b in differences(one, other))
    if not rows:
        return ["Their recipes are the same."]
    return [Sheet(title="In what their recipes differ", columns=("key", *names), rows=rows)]


def _recipe(subject: Subject) -> dict[str, Any]:
    """The recipe with every default in it, so that an older one differs from a newer one in no key that it lacks."""
    from tclif_neuro.learning.recipe.file import parse_recipe

    source = f"the recipe of {subject.name}"
    found = parse_toml(subject.recipe, source, TclifError)
    return parse_recipe(found, source).model_dump(mode="json") if "model" in found else found


def _sections(subject: Subject, marks: int) -> list[tuple[str, list[Part]]]:
    found: list[tuple[str, list[Part]]] = [
        ("Integers and float", [_loss(subject)]),
        ("Activity", [_rates_chart(subject), _rates_sheet(subject)]),
        (f"Sample {subject.index}", _rasters(subject, marks)),
        ("Energy", [_energy_sheet(subject), ESTIMATE]),
    ]
    if subject.recipe:
        found.append(("Recipe", [Listing(title="The recipe that it was trained with", text=subject.recipe)]))
    return found


def _loss(subject: Subject) -> Part:
    if subject.loss is None:
        return "The float model is not at hand, so that nothing can be said of what the conversion lost."
    return loss_sheet(subject.loss)


def _rates(subject: Subject, layer: int) -> list[float]:
    """Each neuron's spikes per step, the busiest first."""
    counts = subject.run.layers[layer].counts
    rates = counts.sum(axis=0) / subject.run.steps
    ordered: list[float] = sorted(rates.tolist(), reverse=True)
    return ordered


def _rates_chart(subject: Subject) -> Chart:
    curves = tuple(
        Curve(name=f"layer {i}, {kind(subject.net.layers[i])}", x=range(len(rates)), y=rates)
        for i in _spiking(subject.net)
        for rates in [_rates(subject, i)]
    )
    return Chart(title="Spikes per neuron and step", x_label="neuron, the busiest first", curves=curves)


def _rates_sheet(subject: Subject) -> Sheet:
    run, silent = subject.run, _silent(subject)
    rows = tuple(
        (
            f"{i} {kind(layer)}",
            str(layer.size),
            number(float(done.counts.sum() / (run.steps * layer.size))) if not layer.readout else "–",
            number(silent[i]) if not layer.readout else "–",
            number(max(0, done.saturations)),
        )
        for i, (layer, done) in enumerate(zip(subject.net.layers, run.layers, strict=True))
    )
    return Sheet(title="", columns=("layer", "neurons", "rate", "silent", "saturations"), rows=rows)


def _rasters(subject: Subject, marks: int) -> list[Part]:
    """The input and the spikes of the sample, and its answers if they are per step; as many as there is room for."""
    shown, net = subject.shown, subject.net
    pictures = [input_picture(shown.input[:, 0], grades=bool(net.input.bits))]
    for i in _spiking(net):
        pictures.append(Picture(title=f"Layer {i}, {kind(net.layers[i])}", values=shown.layers[i].spikes[:, 0]))
    y = _target(subject)
    if y is not None and y.ndim == 1 and y.dtype.kind != "f":
        rows, labelled = np.arange(net.outputs), (y >= 0)[:, None]
        given = shown.outputs[:, 0].argmax(-1)[:, None] == rows
        pictures += [Picture(title="Class given, at the steps with a label", values=given & labelled, unit="class")]
        pictures += [Picture(title="Class labelled", values=y[:, None] == rows, unit="class")]
    return [_verdict(subject), *rasters(pictures, marks)]


def _target(subject: Subject) -> npt.NDArray[Any] | None:
    """The target of the sample that is shown: of it [] or [K], or of its steps [T] or [T, K]."""
    batch = subject.batch.sample(subject.index).cut()
    return None if batch.y is None else batch.y[:, 0] if batch.per_step else batch.y[0]


def _verdict(subject: Subject) -> str:
    """The network's answer on the sample that is shown, and the right one."""
    net, shown, y = subject.net, subject.shown, subject.batch.sample(subject.index).cut().y
    found = score_of(shown, y)
    if found.error is not None:
        each = "After each step" if found.per_step else "At its end"
        return f"{each}, the outputs are off by {number(found.error)}, root mean square."
    if found.per_step:
        return f"Right at {share(found.accuracy)} of its {found.count} labelled steps."
    name = [*net.classes] or list(map(str, range(net.outputs)))
    said = f"Predicted: {name[int(shown.predictions[0])]}."
    return said if y is None or y[0] < 0 else f"{said} Truly: {name[int(y[0])]}."


def _energy_sheet(subject: Subject) -> Sheet:
    rows = [
        (
            f"{i} {kind(layer)}",
            number(e.accumulates),
            number(e.multiplies),
            number(e.nj),
            number(e.lif_nj),
            "–" if layer.readout else number(e.lstm_nj),
        )
        for i, (layer, e) in enumerate(zip(subject.net.layers, subject.energy.layers, strict=True))
    ]
    all_, lif, lstm = subject.energy.nj_per_step, subject.energy.lif_nj_per_step, subject.energy.lstm_nj_per_step
    rows.append(("all", "", "", number(all_), number(lif), number(lstm)))
    columns = ("per step", "accumulates", "multiplies", "nJ", "nJ as LIF", "nJ as LSTM")
    return Sheet(title="", columns=columns, rows=tuple(rows))


def _numbers(subject: Subject) -> dict[str, Any]:
    return {
        "accuracy": _score(subject).accuracy,
        "error": _score(subject).error,
        "samples": len(subject.batch),
        "source": subject.batch.source,
        "digests": subject.digests,
        "recipe": subject.recipe,
        "log": subject.log,
        "loss": subject.loss,
        "rates": {str(i): _rates(subject, i) for i in _spiking(subject.net)},
        "silent": _silent(subject),
        "saturations": [layer.saturations for layer in subject.run.layers],
        "energy": subject.energy,
    }
