"""On-chip learning: three-factor e-prop in integers, and its NumPy reference.

- `LearningSetup`, `Plasticity`: a network of integers and how it learns, checked when made
- `random_network`: a network to start from
- `learn_reference(setup, x, labels)`: one sample after the other; the others are measured by it
"""

from tclif_neuro.onchip.reference import learn_reference
from tclif_neuro.onchip.run import LearningRun
from tclif_neuro.onchip.setup import LearningSetup, Plasticity
from tclif_neuro.onchip.start import random_network

__all__ = ["LearningRun", "LearningSetup", "Plasticity", "learn_reference", "random_network"]
