"""Lava processes: the two-compartment neuron, and what a network needs around it. Importing this imports Lava.

>>> from tclif_neuro.lava.processes import TCLIF
>>> neurons = TCLIF(shape=(128,), neuron=TCLIFNeuron(...))
>>> dense.a_out.connect(neurons.a_in)
>>> neurons.run(RunSteps(num_steps=100), Loihi2SimCfg(select_tag="fixed_pt"))
"""

from tclif_neuro.lava.processes.block import Block
from tclif_neuro.lava.processes.lif import RecordedLIF
from tclif_neuro.lava.processes.source import Source
from tclif_neuro.lava.processes.synapses import SampleDense
from tclif_neuro.lava.processes.tclif import TCLIF

__all__ = ["TCLIF", "Block", "RecordedLIF", "SampleDense", "Source"]
