"""On-chip learning: three-factor e-prop in integers.

- `LearningSetup`, `Plasticity`: a network of integers and how it learns, checked when made
- `random_network`: a network to start from
- `learn(setup, x, labels)`: compiled, thousands of samples a second
- `learn_reference(setup, x, labels)`: the same in NumPy, by which all others are measured
- `learn_stock(setup, x, labels)`: on the stock learning engine as Lava models it, compiled; `run_stock`: no learning
"""

from tclif_neuro.onchip.reference import learn_reference
from tclif_neuro.onchip.run import LearningRun
from tclif_neuro.onchip.setup import LearningSetup, Plasticity
from tclif_neuro.onchip.simulator import learn
from tclif_neuro.onchip.start import random_network
from tclif_neuro.onchip.stock import StockRun
from tclif_neuro.onchip.stock_simulator import learn_stock, run_stock

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
