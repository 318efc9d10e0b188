"""The .net file, version 1: lava-dl's netx HDF5, and what we add to it.

Written for one network of L layers; every dataset is stored contiguously, all texts are fixed-length ASCII.

    attributes of the root
      format                 "tclif-neuro-net"; a file without it is a stock file, written by lava-dl
      version                1
      digest                 SHA-256 of all datasets (`digest` below): a damaged file is never run
    tclif/                   what a program needs to use the network without its training script
      inputBits, inputScale, inputSigned      `network.InputCoding`
      steps                  the steps of a sample, 0 for any
      classes, recipe        JSON: a list of names, a text
    layer/0/                 the input, a layer without neurons: type "input", shape [M]
    layer/1/ ... layer/L/    the layers, in order
      type                   "dense", or "dense_rec" with recurrent synapses
      shape                  [N]
      weight                 [N, M] mantissas; in a CUBA layer `mantissa 2^weightExp`
      weight_rec             [N, N], if recurrent; likewise with weightRecExp
      bias                   [N] mantissas; in a CUBA layer `mantissa 2^(biasExp - 6)`
      weightExp, weightRecExp, biasExp        the exponents (weightRecExp if recurrent)
      scaleBits              f: the float state U is the integer U 2^f
      readout                whether the potential is the network's output
    layer/1/neuron/
      type                   "TCLIF", "ATCLIF" (decays follow a schedule), "CUBA" or "LIF"
      vThMant                threshold >> 6
      (TCLIF, ATCLIF)        12 fractional bits each; n is 1 (shared by the layer) or N
        alpha1, alpha2       the decays: [n], of an ATCLIF [K, n], one row per step
        beta1, beta2         the couplings: [n]
        gammaMant            gamma >> 6
        reset                "delayed" or "immediate"
      (CUBA, LIF)            12 fractional bits
        iDecay, vDecay       1 minus the decay of current and potential
        refDelay, gradedSpike                 1 and false, as lava-dl writes them

CUBA and LIF are one neuron. A layer is of lava-dl's type CUBA if an unmodified lava-dl computes exactly our numbers:
it knows no exponents (bar 6 for the bias), so the plain product is stored, and the exponent tells how to undo it. Any
other layer is of type LIF with mantissas, and lava-dl refuses it loudly instead of computing something else.

A file of CUBA layers alone runs in lava-dl, with samples of T steps one after the other; layer l answers l steps late:

    Network(file, input_message_bits=inputBits, reset_interval=T, reset_offset=1)

The reset is needed for one sample too, or a bias acts from the run's first step on. It does not clear the spikes that
are on their way in a recurrent layer: they leak into the next sample.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import TclifError
from tclif_neuro.network import Neuron

FORMAT = "tclif-neuro-net"
STOCK_FORMAT = "lava-dl netx"  # our name for a file without the attribute `format`
VERSION = 1
DIGEST = "digest"

INPUT = "input"
DENSE = "dense"
RECURRENT = "dense_rec"

TCLIF = "TCLIF"
ATCLIF = "ATCLIF"
CUBA = "CUBA"  # the LIF of lava-dl
LIF = "LIF"  # the same neuron in a layer that lava-dl could not compute
LOIHI = "LOIHI"  # what older versions of lava-dl call CUBA

SCALE_BITS = (-64, 64)  # far beyond any sensible scale: states have 24 bits

Datasets = dict[str, npt.NDArray[Any]]  # a file's content: path -> array of integers, floats, booleans or bytes


class NetFileError(TclifError):
    """A .net file that cannot be read or written. The message names the file, the path in it and the value."""


def check_text(name: str, text: str, allowed: str = "") -> None:
    """Raise `NetFileError` if `text` holds control characters other than `allowed`: it may be shown on a terminal."""
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in allowed:
            raise NetFileError(f"{name}: holds the control character {character!a}")


def check_texts(classes: Iterable[str], recipe: str) -> None:
    """`check_text` for the names of classes, and for a recipe, which may have lines."""
    for name in classes:
        check_text("tclif/classes", name)
    check_text("tclif/recipe", recipe, "\t\n\r")


def neuron_type(neuron: Neuron, stock: bool) -> str:
    """The file's name for the neurons of a layer that lava-dl can or cannot compute."""
    if neuron.two_compartment:
        return ATCLIF if neuron.adaptive else TCLIF
    return CUBA if stock else LIF


def digest(datasets: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 (hexadecimal) over path, type, shape and little-endian bytes of every dataset, ordered by path."""
    sha = hashlib.sha256()
    for name in sorted(datasets):
        array = np.asarray(datasets[name])
        plain = array.astype(array.dtype.newbyteorder("<"), order="C")
        sha.update(f"{name} {plain.dtype.str} {list(plain.shape)}\n".encode())
        sha.update(plain.tobytes())
    return sha.hexdigest()
