"""Learning curves of TC-LIF and of what it is compared with, at equal settings and of equal parameters.

    python -m sim.papers.curves --out docs/papers [--quick]

[T] figure 3, scaled to a CPU: handwritten digits for the 784 steps of S-MNIST, a row per step (8 steps), of which all
networks are trained with several seeds, and a pixel per step (64 steps), feed-forward ones alone.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from typing import Any

from sim.papers.figures import Found, draw, mean_curve, select
from sim.study import COLOURS, Job, Result, axes, spread, table

NEURONS = ("LIF", "LIF, learnt leak", "ALIF", "GLIF", "TC-LIF", "LSTM")
KINDS = {False: "feed-forward", True: "recurrent"}
PANELS = (("digits-rows", False), ("digits-rows", True), ("digits-pixels", False))
EPOCHS = {"digits-rows": 20, "digits-pixels": 30}
LOOPED = ("ALIF", "GLIF")  # plain loops over time: fewer seeds where there are many steps


def jobs(quick: bool) -> list[dict[str, Any]]:
    """Every network and seed."""
    size, limit, seeds = (8, 32, 1) if quick else (64, None, 3)
    return [
        {"task": t, "neuron": n, "recurrent": r, "size": size, "epochs": epochs_of(t, quick), "limit": limit, "seed": s}
        for (t, r), n, s in itertools.product(PANELS, NEURONS, range(seeds))
        if s < 2 or n not in LOOPED or t == "digits-rows"
    ]


def epochs_of(task: str, quick: bool) -> int:
    """How long it trains."""
    return 1 if quick else EPOCHS[task]


def measure(job: Job) -> Result:
    """Test accuracy in per cent after every epoch, how many parameters there are, and the seconds that it took."""
    import time

    import torch

    from sim.papers.baselines import network, parameters
    from sim.papers.training import fit, tensors
    from tclif_neuro.data import load_task

    begin = time.monotonic()
    torch.manual_seed(job["seed"])
    data = tensors(load_task(job["task"]), job["limit"])
    model = network(job["neuron"], job["size"], 10, inputs=data[0].shape[-1], recurrent=job["recurrent"])
    curve = fit(model, data, epochs=job["epochs"], seed=job["seed"])
    return {"curve": curve, "parameters": parameters(model), "seconds": round(time.monotonic() - begin, 1)}


def report(found: Found) -> str:
    """A table for each panel: parameters, and the accuracy halfway and at the end."""
    parts = [
        "# Learning curves\n",
        "`python -m sim.papers.curves`: figure 3 of the TC-LIF paper on handwritten digits, 8 rows or 64 pixels in "
        f"time where the paper has 784 pixels. Two layers of {found[0][0]['size']}; test accuracy in per cent, mean "
        "and standard deviation over seeds. All networks have the same batches of 64, optimiser (Adam, 5e-3, a "
        "cosine), clipping and loss, and none has batch normalisation. The LSTM has as many parameters as TC-LIF, is "
        "read at its last step, and its forget gates begin with a bias of 1. ALIF and GLIF "
        "(`sim/papers/baselines.py`) learn their decays per neuron, as does the LIF with a learnt leak; TC-LIF learns "
        "two couplings per layer.\n",
    ]
    for task, recurrent in PANELS:
        rows = []
        for neuron in NEURONS:
            results = select(found, task=task, recurrent=recurrent, neuron=neuron)
            curves = [r["curve"] for r in results]
            halfway, end = (spread([curve[i] for curve in curves]) for i in ((len(curves[0]) - 1) // 2, -1))
            rows.append([neuron, f"{results[0]['parameters']:,}", str(len(results)), halfway, end])
        parts.append(f"## {task}, {KINDS[recurrent]}, {len(curves[0])} epochs\n")
        parts.append(table(["", "parameters", "seeds", "halfway, %", "at the end, %"], rows))
    return "\n".join(parts)


def plot(found: Found) -> Any:
    """Mean test accuracy over epochs, with the range over seeds."""
    figure, panels = axes(len(PANELS))
    for panel, (task, recurrent) in zip(panels, PANELS, strict=True):
        for neuron, colour in zip(NEURONS, COLOURS, strict=False):
            results = select(found, task=task, recurrent=recurrent, neuron=neuron)
            mean = mean_curve(results)
            epochs = range(1, len(mean) + 1)
            ends = list(zip(*(r["curve"] for r in results), strict=True))
            panel.plot(epochs, mean, color=colour, label=neuron)
            panel.fill_between(epochs, [min(e) for e in ends], [max(e) for e in ends], color=colour, alpha=0.15, lw=0)
        panel.set_title(f"{task}, {KINDS[recurrent]}", fontsize=9, loc="left")
        panel.set(xlabel="epoch", ylabel="test accuracy, %")
    panels[0].legend(fontsize=7)
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Run it."""
    draw(sys.modules[__name__], argv)


if __name__ == "__main__":
    main()
