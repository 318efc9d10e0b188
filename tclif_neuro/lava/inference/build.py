"""From a quantized network to Lava processes for one run over a batch.

Samples follow each other without a gap. A Dense delivers one step late, so what the source sends in step k of the run
(from 1) reaches layer l (from 0) in step k + l + 1: there layer l begins its first sample in step l + 2, every sample
takes T steps, and each layer clears its state, schedule and recurrent buffer in the first step of its own sample.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from tclif_neuro.lava.processes import Block, Source
from tclif_neuro.lava.recording import RecordingRequest, recording_path
from tclif_neuro.network import QuantizedNetwork

LATENCY = 2  # the run's step in which layer 0 begins its first sample


def build(
    net: QuantizedNetwork, encoded: npt.NDArray[Any], ends: npt.NDArray[Any], folder: Path, sequences: bool
) -> Source:
    """The processes of `net` on the encoded input [T, B, M], connected; returns the source.

    ends: [B], how many steps of each sample are its own. sequences: with every step's spikes and states. Each layer
    writes its recording into `folder`.
    """
    steps, samples, inputs = encoded.shape
    signal = encoded.transpose(1, 0, 2).reshape(samples * steps, inputs)
    source = Source(signal=signal, progress=folder, name="source")
    upstream = source.s_out
    for i, layer in enumerate(net.layers):
        recording = RecordingRequest(
            path=recording_path(folder, i),
            first_step=i + LATENCY,
            steps=steps,
            samples=samples,
            ends=tuple(ends.tolist()),
            sequences=sequences,
        )
        block = Block(
            layer=layer,
            input_message_bits=0 if i else net.input.bits,
            reset_interval=steps,
            reset_offset=recording.first_step,
            recording=recording,
            name=f"layer {i}",
        )
        upstream.connect(block.inp)
        upstream = block.out
    return source
