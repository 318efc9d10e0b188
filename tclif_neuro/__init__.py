"""tclif-neuro: two-compartment spiking neurons, from PyTorch training to neuromorphic integers.

    model = torch.nn.Sequential(torch.nn.Linear(8, 128), tn.TCLIF(128, recurrent=True), tn.Readout(128, 10))
    net = tn.quantize(model, calibration=x)
    tn.save(net, "digits.net")
    run = tn.run(tn.load("digits.net"), x)
    same = tn.run(net, x, backend="lava")

Names are imported when first used, so that `import tclif_neuro` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tclif_neuro import data as data
    from tclif_neuro import lava as lava
    from tclif_neuro import onchip as onchip
    from tclif_neuro.errors import TclifError as TclifError
    from tclif_neuro.errors import TclifWarning as TclifWarning
    from tclif_neuro.executors import run as run
    from tclif_neuro.fixed.reference import run_reference as run_reference
    from tclif_neuro.fixed.run import Run as Run
    from tclif_neuro.fixed.simulator import Simulator as Simulator
    from tclif_neuro.fixed.simulator import simulate as simulate
    from tclif_neuro.learning import losses as losses
    from tclif_neuro.learning import train as train
    from tclif_neuro.learning.eprop.learner import EPropLearner as EPropLearner
    from tclif_neuro.learning.eprop.signal import EPropOptions as EPropOptions
    from tclif_neuro.learning.training.checkpoint import load_trained as load_run
    from tclif_neuro.learning.zoo import load_model as load_model
    from tclif_neuro.network import QuantizedNetwork as QuantizedNetwork
    from tclif_neuro.netx import load as load
    from tclif_neuro.netx import save as save
    from tclif_neuro.neurons import step as _functional
    from tclif_neuro.neurons.checkpointed import checkpointed as checkpointed
    from tclif_neuro.neurons.general import CUBALIF as CUBALIF
    from tclif_neuro.neurons.general import GeneralizedTCLIF as GeneralizedTCLIF
    from tclif_neuro.neurons.grid import on_grid as on_grid
    from tclif_neuro.neurons.liquid import LiquidLIF as LiquidLIF
    from tclif_neuro.neurons.modules import LIF as LIF
    from tclif_neuro.neurons.modules import TCLIF as TCLIF
    from tclif_neuro.neurons.modules import AdaptiveTCLIF as AdaptiveTCLIF
    from tclif_neuro.neurons.modules import Readout as Readout
    from tclif_neuro.neurons.modules import RelaxedTCLIF as RelaxedTCLIF
    from tclif_neuro.neurons.norm import BatchNorm as BatchNorm
    from tclif_neuro.neurons.outputs import logits as logits
    from tclif_neuro.neurons.outputs import outputs as outputs
    from tclif_neuro.neurons.schedule import Schedule as Schedule
    from tclif_neuro.neurons.surrogate import Surrogate as Surrogate
    from tclif_neuro.nir import load_nir as load_nir
    from tclif_neuro.nir import save_nir as save_nir
    from tclif_neuro.quantization import quantize as quantize
    from tclif_neuro.quantization.loss import report as report
    from tclif_neuro.quantization.qat import prepare_qat as prepare_qat

    functional = _functional

__version__ = "0.1.0"

_HOME = {
    "TclifError": "errors",
    "TclifWarning": "errors",
    "run": "executors",
    "run_reference": "fixed.reference",
    "Run": "fixed.run",
    "Simulator": "fixed.simulator",
    "simulate": "fixed.simulator",
    "train": "learning",
    "EPropLearner": "learning.eprop.learner",
    "EPropOptions": "learning.eprop.signal",
    "load_model": "learning.zoo",
    "load": "netx",
    "save": "netx",
    "QuantizedNetwork": "network",
    "CUBALIF": "neurons.general",
    "GeneralizedTCLIF": "neurons.general",
    "LiquidLIF": "neurons.liquid",
    "checkpointed": "neurons.checkpointed",
    "on_grid": "neurons.grid",
    "LIF": "neurons.modules",
    "TCLIF": "neurons.modules",
    "AdaptiveTCLIF": "neurons.modules",
    "BatchNorm": "neurons.norm",
    "Readout": "neurons.modules",
    "RelaxedTCLIF": "neurons.modules",
    "logits": "neurons.outputs",
    "outputs": "neurons.outputs",
    "Schedule": "neurons.schedule",
    "Surrogate": "neurons.surrogate",
    "load_nir": "nir",
    "save_nir": "nir",
    "quantize": "quantization",
    "report": "quantization.loss",
    "prepare_qat": "quantization.qat",
}

_ROOMS = {
    "data": "data",
    "functional": "neurons.step",
    "lava": "lava",
    "losses": "learning.losses",
    "onchip": "onchip",
}

__all__ = [*_HOME, *_ROOMS, "load_run"]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"tclif_neuro.{_ROOMS[name]}")
    if name == "load_run":
        return importlib.import_module("tclif_neuro.learning.training.checkpoint").load_trained
    if name not in _HOME:
        raise AttributeError(f"module 'tclif_neuro' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tclif_neuro.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({name for name in globals() if name.startswith("__")} | {*__all__})
