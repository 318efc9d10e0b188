"""Go on training a network of integers with its couplings on the lattice of Loihi 2's stock neurons: docs/loihi.md.

python sim/lattice_finetune.py models/smnist.net models/smnist-lattice.toml -o runs/smnist-lattice.net --minutes 25

The recipe's model starts from the integers of the .net file, as floats. A batch's loss is the recipe's, the learning
rate falls from --lr along a quarter of a cosine of the time. What comes out is quantized and saved, on the way too;
measure it with sim/stock_accuracy.py, or go on from it.
"""

import argparse
import math
import time
from pathlib import Path

import torch
from torch import nn

from tclif_neuro.cli.commands.recipe_text import recipe_text
from tclif_neuro.data import Batches, Task, load_task
from tclif_neuro.learning.recipe.file import load_recipe
from tclif_neuro.learning.recipe.model import build_model
from tclif_neuro.learning.recipe.sections import Recipe
from tclif_neuro.learning.training.optimiser import OPTIMISERS
from tclif_neuro.learning.training.run import RULES
from tclif_neuro.network import ACT_SHIFT, DECAY_ONE, Layer, QuantizedNetwork, TCLIFNeuron
from tclif_neuro.netx import load, save
from tclif_neuro.neurons.modules import TCLIF
from tclif_neuro.quantization import quantize

CALIBRATION = 256  # samples
REPORT, SAVE = 50, 500  # batches


def start_from(model: nn.Sequential, net: QuantizedNetwork, readout_bits: int) -> None:
    """Give the feed-forward `model` the weights and biases of `net`, and couplings that learn. A threshold is 1."""
    linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
    neurons = [m for m in model.modules() if isinstance(m, TCLIF)]
    with torch.no_grad():
        for i, (linear, layer) in enumerate(zip(linears, net.layers, strict=True)):
            unit = 2.0**readout_bits if layer.readout else float(layer.neuron.vth)
            weight = layer.synapses.weight * 2.0 ** (layer.synapses.exponent + ACT_SHIFT) / unit
            linear.weight.copy_(torch.as_tensor(weight * (1 if i else net.input.scale)))
            linear.bias.copy_(torch.as_tensor(layer.bias / unit))
        for neuron, layer in zip(neurons, net.layers, strict=False):
            if neuron.c1.requires_grad:  # else they are the recipe's
                copy_couplings(neuron, layer)


def copy_couplings(neuron: TCLIF, layer: Layer) -> None:
    """Give `neuron` the couplings of `layer`."""
    assert isinstance(layer.neuron, TCLIFNeuron)
    for c, b in ((neuron.c1, -layer.neuron.b1), (neuron.c2, layer.neuron.b2)):
        c.copy_(torch.logit(torch.as_tensor(b / DECAY_ONE)))


def save_integers(model: nn.Sequential, task: Task, recipe: Recipe, out: Path) -> None:
    """Quantize the `model` as it is and save it."""
    x = torch.as_tensor(task.x_train)[:CALIBRATION].transpose(0, 1).contiguous()
    save(quantize(model.eval(), x, classes=task.classes, recipe=recipe_text(recipe)), out)
    model.train()


def main() -> None:
    """Train for some minutes, quantize, save."""
    parser = argparse.ArgumentParser(description="Go on training a network of integers on the lattice.")
    parser.add_argument("net", type=Path)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--readout-bits", type=int, default=16, help="of the readout's scale, on the network's card")
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    recipe, net = load_recipe(options.recipe), load(options.net)
    task = load_task(recipe.task, data_dir=options.data_dir)
    model = build_model(recipe, task.inputs, len(task.classes))
    start_from(model, net, options.readout_bits)
    training = recipe.training
    optimiser = OPTIMISERS[training.optimiser](model.parameters(), lr=options.lr)  # type: ignore[call-arg]
    generator = torch.Generator().manual_seed(training.seed)
    batches, begin, limit = Batches(task.train, training.batch_size), time.monotonic(), 60 * options.minutes
    done, loss, right, seen = 0, 0.0, 0, 0
    while (spent := time.monotonic() - begin) < limit:
        for x, y in batches.shuffled(generator):
            spent = time.monotonic() - begin
            if spent >= limit:
                break
            for group in optimiser.param_groups:
                group["lr"] = options.lr * math.cos(math.pi / 2 * spent / limit)
            result = RULES[training.rule](model, optimiser, x, y, training)
            done, loss, right, seen = done + 1, loss + result.loss, right + result.correct, seen + result.labelled
            if done % REPORT == 0:
                print(
                    f"{spent:.0f} s, {done} batches: loss {loss / REPORT:.3f}, accuracy {right / seen:.2%}", flush=True
                )
                loss, right, seen = 0.0, 0, 0
            if done % SAVE == 0:
                save_integers(model, task, recipe, options.out)
    print(f"{done} batches of {training.batch_size} in {spent:.0f} s, of {len(batches)} in an epoch")
    save_integers(model, task, recipe, options.out)


if __name__ == "__main__":
    main()
