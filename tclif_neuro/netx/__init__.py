""".net files: write, read, validate, describe."""

from tclif_neuro.netx.describe import (
    CoefficientSummary,
    LayerSummary,
    NetSummary,
    SynapsesSummary,
    describe,
)
from tclif_neuro.netx.format import FORMAT, STOCK_FORMAT, VERSION, NetFileError
from tclif_neuro.netx.read import load
from tclif_neuro.netx.write import save

__all__ = [
    "FORMAT",
    "STOCK_FORMAT",
    "VERSION",
    "CoefficientSummary",
    "LayerSummary",
    "NetFileError",
    "NetSummary",
    "SynapsesSummary",
    "describe",
    "load",
    "save",
]
