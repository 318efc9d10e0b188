"""A run configuration that refuses to let a neuron or a synapse run on the host's CPU, and records every choice.

Lava's `Loihi2HwCfg` prefers microcode, then C, then Python on the host, without a word: a network whose neuron has no
microcode would "run on Loihi 2" on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lava.magma.core.model.py.model import AbstractPyProcessModel
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2HwCfg

from tclif_neuro.errors import TclifError
from tclif_neuro.lava.processes.sink import Sink
from tclif_neuro.lava.processes.source import Source


class PlacementError(TclifError):
    """A process that would run elsewhere than the path says. The message names it and the model that was chosen."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A process, the model that was chosen for it, and the resources that this asks for."""

    process: str
    model: str
    resources: tuple[str, ...]
    on_host: bool


class StrictHwCfg(Loihi2HwCfg):
    """`Loihi2HwCfg` for networks whose neurons and synapses must be on cores.

    on_host: the kinds of process that may stay on the host: sources, sinks. `record` lists every choice; nothing is
    called a hardware run without it.
    """

    def __init__(self, *, on_host: tuple[type[AbstractProcess], ...], **config: Any) -> None:
        super().__init__(**config)
        self.on_host = on_host
        self.record: list[Choice] = []

    def select(self, process: AbstractProcess, models: list[Any]) -> Any:
        """Lava's choice, recorded. Raises `PlacementError` if it would put a neuron or synapse on the host."""
        model = super().select(process, models)
        host = issubclass(model, AbstractPyProcessModel)
        resources = tuple(r.__name__ for r in getattr(model, "required_resources", ()))
        name = type(process).__name__
        self.record.append(Choice(process=name, model=model.__name__, resources=resources, on_host=host))
        if host and not isinstance(process, self.on_host):
            raise PlacementError(
                f"{name}: would run on the host's CPU as {model.__name__}; no model for a core was found. Take another "
                "path, or name a microcode model of your own with --ncmodel"
            )
        return model


def strict_config() -> StrictHwCfg:
    """For the graphs of `lava.stock`: their source and sinks may be on the host, and the adapters' host sides."""
    from lava.proc.embedded_io.spike import NxToPyAdapter, PyToNxAdapter

    return StrictHwCfg(on_host=(Source, Sink, PyToNxAdapter, NxToPyAdapter))
