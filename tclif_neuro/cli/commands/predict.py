"""`tclif predict`: what a network says of samples that need no labels, as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tclif_neuro.cli.commands.executors import Tell, execute
from tclif_neuro.cli.commands.outputs import check_output
from tclif_neuro.cli.commands.samples import Choice, load_batch
from tclif_neuro.data import DataError
from tclif_neuro.data.toml import parse_toml
from tclif_neuro.files import write_atomically
from tclif_neuro.fixed.concerns import concerns
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.netx import load

FORMATS = ("csv", "json")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Of one sample, or one of its steps: the class with the highest score, and the scores, one per class.

    step: None at the end of the sample. scores: the readout's potentials in the units of the float model. predicted:
    None of a network that was trained on real targets; the potentials are its answer. file: the sample's, "" where
    many samples are in one.
    """

    sample: int
    step: int | None
    predicted: str | None
    scores: tuple[float, ...]
    file: str = ""


@dataclass(frozen=True, kw_only=True)
class PredictResult:
    """All predictions, in the order of the samples. classes: of the scores; of real targets, names of the values."""

    file: Path
    source: str
    classes: tuple[str, ...]
    predictions: tuple[Prediction, ...]
    warnings: tuple[str, ...]


def predict_file(file: Path, data: Path, *, per_step: bool = False, tell: Tell | None = None) -> PredictResult:
    """Run the network in `file` on the samples in `data`; per_step: an answer after each of a sample's own steps.

    Raises `DataError` if the samples have another width or another number of steps than the network was made for.
    """
    net = load(file)
    batch = load_batch(net, Choice(data=data))
    run = execute("simulator", net, batch, record=per_step, tell=tell).run
    classes = tuple(net.classes) or tuple(map(str, range(net.outputs)))
    rows: list[tuple[int, int | None, Any]]
    if per_step:
        outputs = run.float_outputs
        rows = [(b, t, outputs[t, b]) for b, end in enumerate(run.ends) for t in range(end)]
    else:
        rows = [(b, None, scores) for b, scores in enumerate(run.float_logits)]
    values = answers_values(net) or (batch.y is not None and batch.y.dtype.kind == "f")
    predictions = tuple(
        Prediction(
            sample=b,
            step=t,
            predicted=None if values else classes[int(scores.argmax())],
            scores=tuple(map(float, scores)),
            file=batch.names[b] if batch.names else "",
        )
        for b, t, scores in rows
    )
    said = concerns(net, run)
    if batch.per_step and not per_step:
        said += (f"{batch.source}: has targets of every step; these answers are of each sample's last: --per-step",)
    return PredictResult(file=file, source=batch.source, classes=classes, predictions=predictions, warnings=said)


def answers_values(net: QuantizedNetwork) -> bool:
    """Return whether the network was trained on real targets, by the recipe that it carries."""
    if not net.recipe:
        return False
    training = parse_toml(net.recipe, "the recipe in the network", DataError).get("training")
    return isinstance(training, dict) and training.get("loss") == "mse"


def format_of(out: Path | None, asked: str | None, inputs: tuple[Path, ...]) -> str:
    """The format asked for, else that of the output's suffix, else CSV. Raises `OutputError`."""
    if out is None:
        return asked or "csv"
    check_output(out, (".csv", ".json") if asked is None else (out.suffix.lower(),), inputs)
    return asked or out.suffix.lower().removeprefix(".")


def write_predictions(result: PredictResult, form: str, out: Path | None) -> str:
    """The predictions as text; written to `out`, if that is given. Raises `OSError`."""
    text = as_csv(result) if form == "csv" else as_json(result)
    if out is not None:
        write_atomically(out, lambda file: file.write(text.encode()))
    return text


def as_csv(result: PredictResult) -> str:
    """A row per prediction: sample, file and step if there are any, class, and a score per class; or the values."""
    values = any(one.predicted is None for one in result.predictions)
    named = [f"{'value' if values else 'score'} {name}" for name in result.classes]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for i, one in enumerate(result.predictions):
        said = _said(one)
        if not i:
            writer.writerow([*said, *named])
        writer.writerow([*said.values(), *one.scores])
    return text.getvalue()


def as_json(result: PredictResult) -> str:
    """The same as one object on one line: the classes, and a list of predictions."""
    facts: dict[str, Any] = {"network": str(result.file), "data": result.source, "classes": list(result.classes)}
    rows = [_row(one) for one in result.predictions]
    return json.dumps({**facts, "predictions": rows}, allow_nan=False) + "\n"


def _row(one: Prediction) -> dict[str, Any]:
    return {**_said(one), "values" if one.predicted is None else "scores": list(one.scores)}


def _said(one: Prediction) -> dict[str, Any]:
    """A prediction without its scores; what it does not have is left out."""
    said = {"sample": one.sample, "file": one.file or None, "step": one.step, "class": one.predicted}
    return {key: value for key, value in said.items() if value is not None}
