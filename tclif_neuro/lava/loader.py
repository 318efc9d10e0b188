"""A .net file as a Lava process, as lava-dl's netx makes one, with two-compartment layers. Importing imports lava-dl.

>>> network = Network("digits.net", reset_interval=100)
>>> source.s_out.connect(network.inp)
>>> network.out.connect(sink.a_in)
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from typing import Any

import h5py
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from tclif_neuro.lava.processes import Block
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.netx import NetFileError, load

with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lava.lib.dl.netx import hdf5  # prints that it found neither CUDA nor a data set that nobody asked for


class Network(hdf5.Network):
    """lava-dl's `Network` for our files as well as its own. Ports: `inp`, `out`; `layers`: the layers' processes.

    Dense layers of files that `tclif_neuro.load` can read are `Block`s: neurons of every type of ours; recurrent
    synapses with their own exponent and binary input, which carry nothing over to the next sample. Other files are left
    to lava-dl.

    net_config: the file. input_message_bits: 0 for binary input, 8 for graded; None: as the file says. reset_interval:
    the steps of a sample, or None: never reset. reset_offset: lava-dl's, such that the first layer's sample begins in
    step `reset_offset + 1` of the run; at 1 a source that starts in the first step is in time. Other arguments:
    `lava.lib.dl.netx.hdf5.Network`. The input of our files is `network.quantized.input.encode(x)`.

    Raises `NetFileError` for a damaged file of ours.
    """

    _runtime = None  # Lava's clean-up asks for it, even of a process whose file could not be read

    def __init__(
        self,
        net_config: str | os.PathLike[str],
        *,
        input_message_bits: int | None = None,
        reset_interval: int | None = None,
        reset_offset: int = 1,
        **netx: Any,
    ) -> None:
        self.quantized = _read(net_config)
        self._remaining = iter(self.quantized.layers if self.quantized else ())
        if input_message_bits is None:
            input_message_bits = self.quantized.input.bits if self.quantized else 0
        super().__init__(
            net_config=os.fspath(net_config),
            input_message_bits=input_message_bits,
            reset_interval=reset_interval,
            reset_offset=reset_offset,
            **netx,
        )
        self.net_config.f.close()

    def create_dense(
        self,
        layer_config: Any,
        input_message_bits: int = 0,
        reset_interval: int | None = None,
        reset_offset: int = 0,
        **netx: Any,
    ) -> tuple[AbstractProcess, str]:
        """The process of the next dense layer, and its line in the description of the network."""
        clock: dict[str, Any] = {"reset_interval": reset_interval, "reset_offset": reset_offset}
        if self.quantized is None:
            made: tuple[AbstractProcess, str] = hdf5.Network.create_dense(
                layer_config, input_message_bits=input_message_bits, **clock, **netx
            )
            return made
        layer = next(self._remaining)
        line = self._table_str(type_str="Dense", width=1, height=1, channel=layer.size)
        return Block(layer=layer, input_message_bits=input_message_bits, **clock), line


def _read(path: str | os.PathLike[str]) -> QuantizedNetwork | None:
    """The network in the file, None if it is a file of lava-dl's with layers that we do not know."""
    try:
        return load(path)
    except NetFileError:
        with h5py.File(path, "r") as file:
            if "format" in file.attrs or "tclif" in file:
                raise
        return None


@implements(proc=Network, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyNetwork(AbstractSubProcessModel):
    """The layers; they are the process's, made and connected there."""

    def __init__(self, proc: AbstractProcess) -> None:
        """Nothing to build."""
