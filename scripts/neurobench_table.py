"""Print NeuroBench's figures of every model as the table of docs/neurobench.md.

    python -m scripts.neurobench_table [--samples 1000]

Of each test set the first samples; of a pixel per step a tenth as many. Needs the extra `neurobench` and, in
`$TCLIF_DATA`, the data sets; a model whose data is not there is left out, and said.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import tclif_neuro as tn
from tclif_neuro.cli.commands.neurobench import measure_file
from tclif_neuro.cli.commands.samples import Choice
from tclif_neuro.show.tables import Sheet, share

MODELS = Path(__file__).resolve().parent.parent / "models"
COLUMNS = ("model", "samples", "accuracy", "bytes", "weights 0", "spikes 0", "ACs", "MACs", "dense", "updates")


def row(file: Path, samples: int) -> tuple[str, ...]:
    """The figures of one model."""
    few = samples // 10 if tn.load(file).steps > 500 else samples
    found = measure_file(file, Choice(limit=few), trained=None, recipe=None).figures
    shares = (f"{found.connection_sparsity:.3f}", f"{found.activation_sparsity:.3f}")
    counts = (found.accumulates, found.multiplies, found.dense, found.membrane_updates)
    size = f"{found.footprint:,}"
    return file.stem, f"{found.samples:,}", share(found.accuracy), size, *shares, *(f"{count:,.0f}" for count in counts)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Print NeuroBench's figures of every model.")
    parser.add_argument("--samples", type=int, default=1000)
    samples, rows = parser.parse_args().samples, []
    for file in sorted(MODELS.glob("*.net")):
        try:
            rows.append(row(file, samples))
        except tn.TclifError as error:
            print(f"{file.stem}: {error}", file=sys.stderr)
    print(Sheet(title="", columns=COLUMNS, rows=tuple(rows)).markdown(), end="")


if __name__ == "__main__":
    main()
