"""`tclif plot FILE.net --view phase` and `traces`: single neurons, from inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tclif_neuro.cli.commands.executors import execute
from tclif_neuro.cli.commands.outputs import check_output, save_figure
from tclif_neuro.cli.commands.plot import SUFFIXES
from tclif_neuro.cli.commands.samples import Choice, load_batch
from tclif_neuro.compare.inside import eligibility, path
from tclif_neuro.errors import TclifError
from tclif_neuro.fixed.concerns import concerns
from tclif_neuro.netx import load
from tclif_neuro.show.inside import phase_figure, traces_figure
from tclif_neuro.show.plots import MOST_NEURONS

if TYPE_CHECKING:
    from tclif_neuro.fixed.run import Run

BUSIEST = {"phase": 3, "traces": 1}  # neurons that are drawn if none is named


@dataclass(frozen=True, kw_only=True)
class InsideResult:
    """The figure drawn: of a layer's neurons, in one sample. input_clipped, warnings: as of `tclif run`."""

    figure: Path
    source: str
    view: str
    layer: int
    sample: int
    neurons: tuple[int, ...]
    input_clipped: float
    warnings: tuple[str, ...]


def plot_inside(
    file: Path, figure: Path, choice: Choice, *, view: str, layer: int, index: int, neurons: Sequence[int] | None
) -> InsideResult:
    """Draw neurons of a layer in sample `index`; None: those that spike most in it.

    view: "phase", the plane of dendrite and soma, or "traces", the eligibility traces of one neuron.
    """
    check_output(figure, SUFFIXES, [file])
    net = load(file)
    batch = load_batch(net, choice).sample(index).cut()
    run = execute("reference", net, batch, record=True).run
    if not 0 <= layer < len(net.layers):
        raise TclifError(f"layer {layer}: the network has layers 0 to {len(net.layers) - 1}")
    chosen = _busiest(run, layer, BUSIEST[view]) if neurons is None else list(neurons)
    most = MOST_NEURONS if view == "phase" else 1
    if len(chosen) > most:
        raise TclifError(f"neurons: {len(chosen)} asked for, a figure of {view} has room for {most}")
    name = Path(batch.source.partition(":")[0]).name
    title = f"{file.name}, layer {layer}, sample {index} of {name}"
    if view == "phase":
        paths = [path(net, run, layer=layer, sample=0, neuron=neuron) for neuron in chosen]
        drawn = phase_figure(paths, title=title)
    else:
        found = eligibility(net, run, layer=layer, sample=0, neuron=chosen[0])
        drawn = traces_figure(found, title=f"{title}, neuron {chosen[0]}")
    save_figure(figure, drawn)
    return InsideResult(
        figure=figure,
        source=batch.source,
        view=view,
        layer=layer,
        sample=index,
        neurons=tuple(chosen),
        input_clipped=run.input_clipped,
        warnings=concerns(net, run),
    )


def _busiest(run: Run, layer: int, count: int) -> list[int]:
    """The neurons that spike most in the only sample of a run, in falling order."""
    spikes = run.layers[layer].counts[0]
    return (-spikes).argsort(kind="stable")[:count].tolist()
