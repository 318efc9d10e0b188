"""Networks on Loihi 2's stock neurons against the same networks of integers, on their test sets: docs/loihi.md's table.

python sim/stock_accuracy.py models/digits-rows-lattice.net [--samples 2000] [--data-dir DIR]
"""

import argparse
from pathlib import Path

import numpy as np

from tclif_neuro.cli.commands.samples import Choice, load_whole
from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.loihi.stock import to_stock
from tclif_neuro.loihi.stock_run import run_stock
from tclif_neuro.netx import load

CALIBRATION, BATCH = 64, 250  # samples


def main() -> None:
    """Run one network both ways and print what the table has."""
    parser = argparse.ArgumentParser(description="Accuracy and coinciding spikes of a network on stock neurons.")
    parser.add_argument("net", type=Path)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    net = load(options.net)
    batch = load_whole(net, Choice(limit=options.samples, data_dir=options.data_dir))
    stock = to_stock(net, batch.x[:, :CALIBRATION])
    right, same, left = np.zeros(2, int), 0, 0
    both, either = np.zeros((2, len(stock.loss)), int)
    for start in range(0, len(batch), BATCH):
        part = batch.part(start, start + BATCH)
        integers, on_stock = simulate(net, part.x, record=True), run_stock(stock, part.x, record=True)
        right += [int((run.predictions == part.y).sum()) for run in (integers, on_stock)]
        same += int((integers.predictions == on_stock.predictions).sum())
        left += sum(layer.saturations for layer in on_stock.layers)
        for i, loss in enumerate(stock.loss):
            a, b = integers.layers[loss.layer].spikes, on_stock.layers[loss.layer].spikes
            both[i] += int((a & b).sum())
            either[i] += int((a | b).sum())
    shares = ", ".join(f"{share:.1%}" for share in both / np.maximum(either, 1))
    total = len(batch)
    print(f"{options.net.name}: {total} samples; integers {right[0] / total:.2%}, stock {right[1] / total:.2%}")
    print(
        f"the same class {same / total:.1%}; spikes in both, of those in either: {shares}; {left} times beyond 24 bits"
    )
    print(f"{stock.processes} Lava processes, {stock.synapses:,} synapses; {stock.loss}")


if __name__ == "__main__":
    main()
