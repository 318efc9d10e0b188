"""Run configurations that record every choice; on a board, one that keeps neurons and synapses off the host's CPU.

Lava's `Loihi2HwCfg` prefers microcode, then C, then Python on the host, without a word: a network whose neuron has no
microcode would "run on Loihi 2" on the CPU.
"""

from __future__ import annotations

from typing import Any

from lava.magma.core.model.py.model import AbstractPyProcessModel
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg

from tclif_neuro.errors import TclifError
from tclif_neuro.lava.hardware.machine import Choice
from tclif_neuro.lava.processes.sink import Sink
from tclif_neuro.lava.processes.source import Source
from tclif_neuro.lava.processes.tclif import TCLIF


class PlacementError(TclifError):
    """A process that would run elsewhere than the path says. The message names it and the model that was chosen."""


def _choice(process: AbstractProcess, model: Any) -> Choice:
    return Choice(
        process=type(process).__name__,
        model=model.__name__,
        resources=tuple(r.__name__ for r in getattr(model, "required_resources", ())),
        on_host=issubclass(model, AbstractPyProcessModel),
    )


class RecordingSimCfg(Loihi2SimCfg):
    """Lava's models of the chip on this CPU, every choice kept in `record`."""

    def __init__(self) -> None:
        super().__init__(select_tag="fixed_pt")
        self.record: list[Choice] = []

    def select(self, process: AbstractProcess, models: list[Any]) -> Any:
        """Lava's choice, recorded."""
        model = super().select(process, models)
        self.record.append(_choice(process, model))
        return model


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
        choice = _choice(process, model)
        self.record.append(choice)
        if choice.on_host and not isinstance(process, self.on_host):
            raise PlacementError(
                f"{choice.process}: would run on the host's CPU as {choice.model}; no model for a core was found. Take "
                "another path, or name a microcode model of your own with --ncmodel"
            )
        return model


def strict_config(ncmodel: type[Any] | None, profilers: list[Any]) -> StrictHwCfg:
    """For our graphs: source and sinks may be on the host, and the adapters' host sides; TC-LIF is `ncmodel`."""
    from lava.proc.embedded_io.spike import NxToPyAdapter, PyToNxAdapter

    chosen = {"exception_proc_model_map": {TCLIF: ncmodel}} if ncmodel is not None else {}
    return StrictHwCfg(on_host=(Source, Sink, PyToNxAdapter, NxToPyAdapter), callback_fxs=profilers, **chosen)
