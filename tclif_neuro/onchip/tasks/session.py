"""A task learnt sample by sample, in pieces: what happens between two looks at it, and what must be kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tclif_neuro.errors import unsaid
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.onchip.backends import learn
from tclif_neuro.onchip.rule.losses import Losses, total
from tclif_neuro.onchip.rule.setup import LearningSetup
from tclif_neuro.onchip.tasks.first_setup import first_setup, in_phase
from tclif_neuro.onchip.tasks.recipe import LearnRecipe
from tclif_neuro.onchip.tasks.records import Row, loss_shares, measure, weight_statistics
from tclif_neuro.onchip.tasks.stream import Floats, Stream

SLOWER = (0.4, 0.6, 0.75, 0.88)  # shares of the passes after which a calibrated recipe halves its rates
PIECE = 100  # samples, at most, between two looks


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """Between two samples, everything that the rest depends on.

    net: with the weights of now. measured: the network of the last record. correct, error: since then, of the samples
    before they were learnt. losses: what the limits took since then. rows: the records.
    """

    position: int
    net: QuantizedNetwork
    measured: QuantizedNetwork
    correct: int = 0
    error: int = 0
    losses: Losses = field(default_factory=dict)
    rows: tuple[Row, ...] = ()

    @property
    def since(self) -> int:
        """The number of samples learnt since the last record."""
        return self.position - (int(self.rows[-1]["sample"] or 0) if self.rows else 0)


@dataclass(frozen=True, kw_only=True)
class LearnProgress:
    """The progress of learning: after `sample` of `samples`.

    phase: its name. online: the share of the samples since the last record that were known before they were learnt.
    row: the record, if there is one at this sample. rows: all so far. net: with the weights of now. last: the last
    sample that was learnt, x [T, 1, M], and its class; None before the first.
    """

    sample: int
    samples: int
    phase: str
    online: float | None
    row: Row | None
    rows: tuple[Row, ...] = field(repr=False, compare=False)
    net: QuantizedNetwork = field(repr=False, compare=False)
    last: tuple[Floats, int] | None = field(default=None, repr=False, compare=False)


LearnReport = Callable[[LearnProgress], None]


class Session:
    """A recipe and its stream; `advance` from moment to moment."""

    def __init__(self, recipe: LearnRecipe, stream: Stream) -> None:
        self.recipe, self.stream = recipe, stream
        self.samples = len(stream.order)
        with unsaid():  # of the samples: `run_task` says it, of all of them
            self.first = first_setup(recipe, stream)
        self._slower = _schedule(recipe, stream)

    def start(self) -> Moment:
        """Before the first sample; the network as it is then is measured."""
        begun = Moment(position=0, net=self.first.net, measured=self.first.net)
        return replace(begun, rows=(self._row(begun),))

    def setup(self, position: int, net: QuantizedNetwork) -> LearningSetup:
        """Return the setup in which `net` learns sample number `position`, from 0."""
        done = position // self.stream.size
        slower = sum(done >= passes for passes in self._slower)
        chosen = in_phase(self.first, hidden=self.stream.phase(position).hidden, slower=slower)
        return replace(self.first, net=net, plasticity=chosen, learnt=position)

    def advance(self, moment: Moment) -> Moment:
        """Up to the next look at it: a record, a checkpoint, another rule, or `PIECE` samples."""
        stop = self._next(moment.position)
        x, y = self.stream.part(moment.position, stop)
        with unsaid():
            run = learn(self.setup(moment.position, moment.net), x, y)
        after = replace(
            moment,
            position=stop,
            net=run.net,
            correct=moment.correct + int((run.predictions == y).sum()),
            error=moment.error + int(run.error.sum()),
            losses=total((moment.losses, run.losses)),
        )
        if stop % self.recipe.learning.test_every and stop not in self.stream.ends:
            return after
        return replace(after, measured=after.net, correct=0, error=0, losses={}, rows=(*moment.rows, self._row(after)))

    def is_checkpoint(self, position: int) -> bool:
        """Return whether everything is kept at `position`."""
        return position % self.recipe.learning.checkpoint_every == 0 or position == self.samples

    def _next(self, position: int) -> int:
        learning = self.recipe.learning
        steps = (learning.test_every, learning.checkpoint_every, self.stream.size, PIECE)
        multiples = [(position // step + 1) * step for step in steps]
        return min(*multiples, *(end for end in self.stream.ends if end > position))

    def _row(self, moment: Moment) -> Row:
        """The record at a moment."""
        since, accuracy = moment.since, measure(self.stream, moment.net)
        row: Row = {
            "sample": moment.position,
            "phase": self.stream.phase(max(0, moment.position - 1)).name,
            "online_accuracy": moment.correct / since if since else None,
            "error": moment.error / since if since else None,
        }
        row |= {f"accuracy_{name}": value for name, value in accuracy.items()}
        row |= loss_shares(self.first, moment.losses)
        return row | weight_statistics(self.setup(moment.position, moment.net), moment.measured)

    def columns(self) -> set[str]:
        """The keys of every record."""
        accuracies = {f"accuracy_{name}" for name in self.stream.tests}
        weights = weight_statistics(self.setup(0, self.first.net), self.first.net).keys()
        return {"sample", "phase", "online_accuracy", "error", *accuracies, *loss_shares(self.first, {}), *weights}

    def progress(self, moment: Moment) -> LearnProgress:
        """For a progress bar."""
        row = moment.rows[-1] if moment.since == 0 else None
        known = moment.correct / moment.since if moment.since else moment.rows[-1]["online_accuracy"]
        phase = self.stream.phase(max(0, moment.position - 1)).name
        x, y = self.stream.part(max(0, moment.position - 1), moment.position)
        return LearnProgress(
            sample=moment.position,
            samples=self.samples,
            phase=phase,
            online=None if known is None else float(known),
            row=row,
            rows=moment.rows,
            net=moment.net,
            last=(x, int(y[0])) if len(y) else None,
        )


def _schedule(recipe: LearnRecipe, stream: Stream) -> tuple[int, ...]:
    """The epochs after which the rates halve."""
    learning, network = recipe.learning, recipe.network
    if learning.slower is not None:
        return learning.slower
    from_the_beginning = learning.calibrated and network.start is None and len(stream.phases) == 1
    return tuple(round(share * learning.passes) for share in SLOWER) if from_the_beginning else ()
