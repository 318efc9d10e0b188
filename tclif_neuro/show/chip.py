"""The display of results for Loihi 2: findings, the map of the cores as tables and as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tclif_neuro.show.tables import Sheet, number, share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tclif_neuro.cli.commands.deploy import DeployResult
    from tclif_neuro.cli.commands.loihi import CheckResult, LearningCheckResult, MapResult
    from tclif_neuro.loihi.conformance import Verdict
    from tclif_neuro.loihi.mapper import LayerPlace, Placement

KINDS = {
    "P": "published by Intel",
    "C": "public code",
    "O": "printed by Intel's compiler",
    "I": "inferred from what it prints",
    "M": "measured here",
    "E": "an estimate",
    "F": "a fact of the network",
}
VERDICTS = {
    "stock": "a process that Lava ships for cores",
    "host": "a host or an embedded processor",
    "microcode": "microcode, which nobody has written",
    "nothing": "nothing that is known",
}
COLUMNS = 12  # cores beside each other in the picture
MAX_CHIPS = 4  # that are drawn


def check_parts(result: CheckResult) -> list[Sheet | str]:
    """The findings, and the verdict."""
    rows = tuple(
        (f.severity, f.code, "" if f.layer < 0 else str(f.layer), f.text, f.remedy, f.kind) for f in result.findings
    )
    measured = f", measured on {result.samples} samples" if result.samples else ""
    title = f"{result.file.name} on {result.board}, path {result.path}{measured}"
    columns = ("severity", "check", "layer", "what", "remedy", "known by")
    verdict = f"{result.errors} error(s)" if result.errors else "no error: it fits by our estimate"
    return [Sheet(title=title, columns=columns, rows=rows), _kinds({f.kind for f in result.findings}), verdict]


def learning_parts(result: LearningCheckResult) -> list[Sheet | str]:
    """The processes that could run each part of a learning network, variant by variant, and the verdict."""
    rows = tuple(
        (variant, part.name, VERDICTS[part.verdict], part.why)
        for variant, parts in result.variants.items()
        for part in parts
    )
    title = f"{result.file.name} on Loihi 2, by Lava's interfaces; nothing of it has run on a chip"
    sheet = Sheet(title=title, columns=("variant", "part", "by what", "why"), rows=rows)
    no = f"{result.errors} part(s) that nothing of the chip is known to run" if result.errors else "no error"
    return [sheet, f"{no}; a recipe learns by the first variant, the others by onchip.learn with random feedback"]


def map_parts(result: MapResult) -> list[Sheet | str]:
    """Layers, cores, the cost of the stock form, and the estimates."""
    parts: list[Sheet | str] = [_layers(result), _cores(result.placement)]
    if result.stock:
        parts.append(_stock(result))
    if result.operations is not None:
        parts.append(_estimates(result))
    parts.append(_kinds({"C", "O", "I", *(limit.kind for e in result.estimates for limit in e.limits)}))
    if result.figure is not None:
        parts.append(f"wrote {result.figure}")
    return parts


def _kinds(used: set[str]) -> str:
    return "known by: " + ", ".join(f"{kind} {text}" for kind, text in KINDS.items() if kind in used)


def _layers(result: MapResult) -> Sheet:
    placement = result.placement
    rows = tuple(_layer_row(layer) for layer in placement.layers)
    fits = "" if placement.fits else "; it does NOT fit"
    board = placement.board
    taken = f"at least {placement.cores} of {board.all_cores} cores of {board.name}"
    title = f"{result.file.name}, path {placement.path}: {taken}{fits}"
    columns = ("layer", "neurons", "fan-in", "axon map", "cores, at least", "tightest limit", "used")
    return Sheet(title=title, columns=columns, rows=rows)


def _layer_row(layer: LayerPlace) -> tuple[str, ...]:
    stored = sum(population.neurons for population in layer.populations)
    head = (str(layer.layer), number(stored), number(layer.fan_in))
    if not layer.parts:
        return (*head, "", "none fits", "", "")
    code, used = max((part.use.tightest() for part in layer.parts), key=lambda pair: pair[1])
    return (*head, number(sum(part.use.axon_map for part in layer.parts)), str(len(layer.parts)), code, share(used))


def _cores(placement: Placement) -> Sheet:
    columns = ("chip", "core", "layer", "its neurons", "axons in", "synapse words", "of 12,000", "words", "of 15,000")
    rows = tuple(
        (
            str(part.chip),
            str(part.core),
            str(part.layer),
            f"{part.first} to {part.last}",
            number(part.use.axons_in),
            number(part.use.synapse_words),
            share(part.use.shares()["core-synapses"][0]),
            number(part.use.words),
            share(part.use.shares()["core-words"][0]),
        )
        for layer in placement.layers
        for part in layer.parts
    )
    return Sheet(title="cores", columns=columns, rows=rows)


def _stock(result: MapResult) -> Sheet:
    rows = tuple(
        (str(s.layer), number(s.threshold), str(s.bits_dropped), str(s.coarse), share(s.drift), number(s.synapses))
        for s in result.stock
    )
    columns = ("layer", "threshold", "bits dropped", "coarser in the LIF", "drift", "synapses")
    return Sheet(title="on stock neurons: two Sigma and one LIF per neuron, one step late", columns=columns, rows=rows)


def _estimates(result: MapResult) -> Sheet:
    assert result.operations is not None
    done = result.operations
    rows = (
        ("synaptic operations", number(done.synaptic), "", f"counted on {result.samples} samples"),
        ("neuron updates", number(done.updates), "", "counted"),
        *(
            (e.name, number(e.value), e.unit, "; ".join(f"{x.name} {x.value:g} {x.unit}: {x.source}" for x in e.limits))
            for e in result.estimates
        ),
        ("energy of its arithmetic in 45 nm", number(result.arithmetic_uj), "uJ", "as the TC-LIF paper prices it"),
    )
    title = "per sample; time and energy are orders of magnitude, estimated, not measured on a chip"
    return Sheet(title=title, columns=("what", "value", "unit", "from"), rows=rows)


def _placed(result: DeployResult) -> list[tuple[str, str]]:
    """Return how many processes became which model, and where."""
    rows = []
    for on_host, place in ((False, "on cores"), (True, "on the host's CPU")):
        models = Counter(choice.model for choice in result.placement if choice.on_host == on_host)
        if models:
            rows.append((place, ", ".join(f"{count} {model}" for model, count in sorted(models.items()))))
    return rows


def deploy_parts(result: DeployResult) -> list[Sheet | str]:
    """Return what was run and how it compares."""
    rows = [
        ("path", result.path),
        ("cores, at least", str(result.cores)),
        ("samples", str(result.samples)),
        ("inputs clipped", share(result.input_clipped)),
        *_scores(result),
        ("spikes in both, of those in either", ", ".join(share(c) for c in result.coincidence) or share(None)),
        *_placed(result),
        *((f"profile: {key}", ", ".join(number(v) for v in values)) for key, values in result.profile.items()),
        *(("environment", f"{key}={value}") for key, value in result.environment.items()),
        ("wrote", str(result.folder)),
    ]
    verdicts = {None: "not run", True: "the bits of the path's reference", False: "OTHER bits than the reference"}
    title = f"{result.file.name} on {result.target}: {verdicts[result.identical]}"
    return [Sheet(title=title, columns=(), rows=tuple(rows))]


def _scores(result: DeployResult) -> list[tuple[str, str]]:
    """Return the score there and that of the network of integers."""
    real = result.reference_error is not None
    word = ("error" if real else "accuracy") + " per step" * result.per_step
    there, here = (result.error, result.reference_error) if real else (result.accuracy, result.reference_accuracy)
    shown = number if real else share
    dash = "– (potentials are read at the end of a sample alone)" if result.per_step else share(None)
    return [
        (f"{word} there", dash if there is None else shown(there)),
        (f"{word} of the network of integers", share(None) if here is None else shown(here)),
    ]


def verdict_parts(facts: dict[str, str], verdicts: Sequence[Verdict]) -> list[Sheet | str]:
    """Every vector's verdict, and how many were what Lava gives."""
    rows = tuple((v.vector, v.about, _verdict(v)) for v in verdicts)
    made = ", ".join(f"{key} {value}" for key, value in facts.items() if value)
    equal = sum(v.equal == "lava" for v in verdicts)
    sheet = Sheet(title=f"conformance: {made}", columns=("vector", "asks", "answer"), rows=rows)
    return [sheet, f"{equal} of {len(verdicts)} vectors are what Lava's CPU models give"]


def _verdict(v: Verdict) -> str:
    if v.error:
        return v.error
    if v.equal:
        return f"equal to {v.equal}"
    return f"like {v.nearest} until step {v.step}, neuron {v.neuron}: {v.found} where {v.expected} was expected"


def draw_placement(placement: Placement) -> Figure:
    """The chips with their cores as cells, each with its layer's number, coloured by the tightest limit."""
    from matplotlib import rc_context

    from tclif_neuro.show.plots import STYLE

    with rc_context(STYLE):
        return _chips(placement)


def _chips(placement: Placement) -> Figure:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    parts = [part for layer in placement.layers for part in layer.parts]
    chips = min(MAX_CHIPS, max((part.chip for part in parts), default=0) + 1)
    rows = -(-placement.board.cores // COLUMNS)
    figure = Figure(figsize=(3.9 * chips + 1.6, 4.2), layout="constrained")
    axes = figure.subplots(1, chips, squeeze=False)[0]
    colours = colormaps["viridis_r"]
    for chip, axis in enumerate(axes):
        axis.set(xlim=(0, COLUMNS), ylim=(rows, 0), aspect="equal", xticks=[], yticks=[], title=f"chip {chip}")
        axis.spines[:].set_visible(False)
        for core in range(placement.board.cores):
            axis.add_patch(Rectangle((core % COLUMNS, core // COLUMNS), 0.92, 0.92, fc="0.93"))
        for part in (part for part in parts if part.chip == chip):
            x, y = part.core % COLUMNS, part.core // COLUMNS
            used = part.use.tightest()[1]
            axis.add_patch(Rectangle((x, y), 0.92, 0.92, fc=colours(used)))
            colour = "white" if used > 0.5 else "black"
            axis.text(x + 0.46, y + 0.46, str(part.layer), ha="center", va="center", fontsize=7, color=colour)
    bar = figure.colorbar(ScalarMappable(cmap=colours), ax=list(axes), shrink=0.8)
    bar.set_label("share of the tightest limit, by our estimate")
    title = f"at least {placement.cores} cores, path {placement.path}; a cell is a core, with its layer's number"
    figure.suptitle(title, x=0.01, ha="left", fontsize=9)
    return figure
