"""On-chip learning: three-factor e-prop in integers.

- `LearningSetup`, `Plasticity`: a network of integers and how it learns, checked when made
- `random_network`: a network to start from
- `learn(setup, x, labels)`: compiled, thousands of samples a second
- `learn_reference(setup, x, labels)`: the same in NumPy, by which all others are measured
- `learn_stock(setup, x, labels)`: on the stock learning engine as Lava models it, compiled; `run_stock`: no learning
"""

from tclif_neuro.onchip.engine.program import StockRun
from tclif_neuro.onchip.engine.simulator import learn_stock, run_stock
from tclif_neuro.onchip.exact.reference import learn_reference
from tclif_neuro.onchip.exact.simulator import learn
from tclif_neuro.onchip.random_network import random_network
from tclif_neuro.onchip.rule.setup import LearningSetup, Plasticity
from tclif_neuro.onchip.run import LearningRun

__all__ = [
    "LearningRun",
    "LearningSetup",
    "Plasticity",
    "StockRun",
    "learn",
    "learn_reference",
    "learn_stock",
    "random_network",
    "run_stock",
]
