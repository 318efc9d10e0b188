"""How far the gradient of e-prop points where that of BPTT does, by depth, length of the sample, and layer.

    python -m sim.online.alignment --out docs/online [--seeds 3]

S-MNIST, averaged over neighbouring pixels to samples of T steps. Both gradients are of the same loss, the mean over
steps of the cross-entropy of the readout's mean potential so far, at the same weights: at random ones and after some
steps of BPTT. Their cosine is 1 where e-prop is exact.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from sim.study import COLOURS, Job, Result, axes, options, run_jobs, spread, table, write

if TYPE_CHECKING:
    from torch import Tensor, nn

NEURONS = ("LIF", "TCLIF", "AdaptiveTCLIF")
STEPS = (28, 98, 392)
DEPTHS = (1, 2, 3)
TRAINED = (0, 40)  # steps of BPTT before the gradients are compared
PIXELS, BATCH, HIDDEN = 784, 64, 64


def measure(job: Job) -> Result:
    """The cosine between the gradients of e-prop and of BPTT, of every hidden layer's weights from the input on."""
    import torch

    from tclif_neuro.data import load_task
    from tclif_neuro.learning.eprop.learner import EPropLearner
    from tclif_neuro.learning.eprop.signal import EPropOptions

    task = load_task("smnist")
    generator = torch.Generator().manual_seed(job["seed"])
    torch.manual_seed(job["seed"])
    model = network(job["neuron"], job["depth"], job["recurrent"])
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)

    def batch() -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(task.y_train), (BATCH,), generator=generator)
        x = torch.from_numpy(task.x_train[chosen.numpy()])
        pooled = x.view(BATCH, job["steps"], PIXELS // job["steps"]).mean(2, keepdim=True)
        return pooled.transpose(0, 1).contiguous(), torch.from_numpy(task.y_train)[chosen]

    for _ in range(job["trained"]):
        optimiser.zero_grad()
        loss_of_steps(model, *batch()).backward()
        optimiser.step()
    x, y = batch()
    model.zero_grad()
    loss_of_steps(model, x, y).backward()
    wanted = gradients(model)
    model.zero_grad()
    EPropLearner(model, None, EPropOptions(mean=True)).sequence(x, y)
    cosines = [float(torch.cosine_similarity(a, b, dim=0)) for a, b in zip(wanted, gradients(model), strict=True)]
    return {"cosines": cosines, "first": cosines[0]}


def network(neuron: str, depth: int, recurrent: bool) -> nn.Sequential:
    """`depth` layers of 64 neurons, their resets detached, and a readout."""
    from torch import nn

    import tclif_neuro as tn

    layers: list[nn.Module] = []
    for inputs in (1, *(depth - 1) * (HIDDEN,)):
        layers += [nn.Linear(inputs, HIDDEN), getattr(tn, neuron)(HIDDEN, recurrent=recurrent, reset_grad="detach")]
    return nn.Sequential(*layers, tn.Readout(HIDDEN, 10))


def loss_of_steps(model: nn.Sequential, x: Tensor, y: Tensor) -> Tensor:
    """The mean over steps of the cross-entropy of the readout's mean potential until then."""
    import torch

    *hidden, readout = model
    for module in hidden:
        x = module(x)
    potential = readout.sequence(x) / torch.arange(1, len(x) + 1).view(-1, 1, 1)
    return torch.nn.functional.cross_entropy(potential.flatten(0, 1), y.repeat(len(x)))


def gradients(model: nn.Sequential) -> list[Tensor]:
    """A copy of the gradients of the hidden layers' weights, flat, those of the recurrent ones with them."""
    import torch

    found = []
    for linear, neurons in zip(model[:-1:2], model[1:-1:2], strict=True):
        weights = [linear.weight, *([] if neurons.recurrent is None else [neurons.recurrent.weight])]
        found.append(torch.cat([w.grad.flatten() for w in weights]).clone())
    return found


def jobs(seeds: int) -> list[dict[str, Any]]:
    """Depths at one T, and T at one depth, of every neuron."""
    by_depth = itertools.product(NEURONS, DEPTHS, (98,), (False, True))
    by_steps = itertools.product(NEURONS, (1, 2), STEPS, (False,))
    return [
        {"neuron": n, "depth": d, "steps": t, "recurrent": r, "trained": trained, "seed": seed}
        for n, d, t, r in dict.fromkeys((*by_depth, *by_steps))
        for trained in TRAINED
        for seed in range(seeds)
    ]


def report(found: list[tuple[Job, Result]], seeds: int) -> str:
    """Tables of the cosine of the first hidden layer, which is furthest from the loss."""
    parts = [
        "# Where e-prop's gradient points\n",
        "`python -m sim.online.alignment`: cosine between the gradients of e-prop and of BPTT of the first hidden "
        f"layer's weights ({HIDDEN} neurons a layer, resets detached, batch {BATCH}), mean and standard deviation over "
        f"{seeds} seeds; at random weights and after {TRAINED[1]} steps of BPTT. With one feed-forward hidden layer "
        "the two differ only in what a spike does, through the readout's memory, to the losses of later steps.\n",
        "## By depth, T = 98\n",
        table(["", *(f"{d} hidden, {after(t)}" for t in TRAINED for d in DEPTHS)], _rows(found, DEPTHS, None)),
        "## By length, two hidden layers, feed-forward\n",
        table(["", *(f"T = {s}, {after(t)}" for t in TRAINED for s in STEPS)], _rows(found, None, STEPS)),
    ]
    return "\n".join(parts)


def after(trained: int) -> str:
    """How the weights came about, in a word."""
    return "trained" if trained else "random"


def _rows(found: list[tuple[Job, Result]], depths: Any, steps: Any) -> list[list[str]]:
    rows = []
    for neuron, recurrent in itertools.product(NEURONS, (False, True) if depths else (False,)):
        cells = [
            spread([r["first"] for j, r in found if key_of(j) == (neuron, recurrent, depth, step, trained)], ".3f")
            for trained in TRAINED
            for depth in depths or (2,)
            for step in steps or (98,)
        ]
        rows.append([f"{neuron}{', recurrent' if recurrent else ''}", *cells])
    return rows


def key_of(job: Job) -> tuple[str, bool, int, int, int]:
    """All of a job but its seed."""
    return job["neuron"], job["recurrent"], job["depth"], job["steps"], job["trained"]


def plot(found: list[tuple[Job, Result]]) -> Any:
    """The cosine over T, for one and two hidden layers."""
    figure, panels = axes(2)
    for panel, depth in zip(panels, (1, 2), strict=True):
        for (i, neuron), trained in itertools.product(enumerate(NEURONS), TRAINED):
            values = [
                [r["first"] for j, r in found if key_of(j) == (neuron, False, depth, step, trained)] for step in STEPS
            ]
            means = [sum(v) / len(v) for v in values]
            style = "-o" if trained else "--o"
            panel.plot(STEPS, means, style, color=COLOURS[i], markersize=3, label=f"{neuron}, {after(trained)} weights")
        panel.set(
            xscale="log", xlabel="steps T", ylabel="cosine, first hidden layer", ylim=(min(0, *panel.get_ylim()), 1.02)
        )
        panel.set_title(f"{depth} hidden layer{'s' * (depth > 1)}", fontsize=9, loc="left")
    panels[0].legend(fontsize=7)
    return figure


def main() -> None:
    """Run the study; what was done before is not done again."""
    given = options(__doc__, 2)
    todo = jobs(given.seeds)
    results = run_jobs(measure, todo, given.out / "alignment.jsonl", workers=given.workers)
    found = list(zip(todo, results, strict=True))
    write(given.out, "alignment", report(found, given.seeds), plot(found))


if __name__ == "__main__":
    main()
