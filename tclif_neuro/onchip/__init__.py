"""On-chip learning: three-factor e-prop in integers.

- `LearningSetup`, `Plasticity`: a network of integers and how it learns, checked when made
- `learn(setup, x, y)`: learn samples one after the other, in the simulator, the NumPy reference or Lava
- `calibrate(net, x, y)`: the setup that fits a network and samples, from one pass over them
- `potentials(setup, x)`: what the network answers, without learning
- `random_network`: a network to start from
"""

from tclif_neuro.onchip.backends import learn, potentials
from tclif_neuro.onchip.calibration import calibrate
from tclif_neuro.onchip.random_network import random_network
from tclif_neuro.onchip.rule.matrices import Matrix
from tclif_neuro.onchip.rule.setup import EngineState, LearningSetup, Plasticity
from tclif_neuro.onchip.run import LayerTrace, LearningRun

__all__ = [
    "EngineState",
    "LayerTrace",
    "LearningRun",
    "LearningSetup",
    "Matrix",
    "Plasticity",
    "calibrate",
    "learn",
    "potentials",
    "random_network",
]
