"""`tclif import`: a NIR file into a .net file, and what that lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from tclif_neuro.cli.commands.outputs import check_output
from tclif_neuro.data import load_samples
from tclif_neuro.data.sequences import time_first
from tclif_neuro.netx import save
from tclif_neuro.nir import load_nir
from tclif_neuro.quantization import LossReport, quantize, report
from tclif_neuro.show.sheets import loss_sheet
from tclif_neuro.show.tables import Sheet

CALIBRATION = 256  # samples that set the scales, and that the loss is measured on


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """The file written, and the loss of the conversion to integers on the samples that set its scales."""

    file: Path
    report: LossReport


def import_file(
    file: Path, out: Path, data: Path, *, dt: float | None, reset: Literal["zero", "delayed", "immediate"]
) -> ImportResult:
    """Read the NIR file `file`, convert it with the samples in `data`, and write `out`."""
    check_output(out, (".net",), inputs=(file, data))
    model = load_nir(file, dt=dt, reset=reset)
    first = model[0]
    assert isinstance(first, nn.Linear)
    x = load_samples(data, inputs=first.in_features).x[:CALIBRATION]
    calibration = torch.from_numpy(time_first(x))
    net = quantize(model, calibration)
    loss = report(model, net, calibration)
    save(net, out)
    return ImportResult(file=out, report=loss)


def import_parts(result: ImportResult) -> list[Sheet | str]:
    """Return the parts to show: the loss of the conversion, and where the file is."""
    return [loss_sheet(result.report), f"wrote {result.file}"]
