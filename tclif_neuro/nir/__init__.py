"""NIR files, both ways: our neurons as nodes of the standard, and files of others as models of ours."""

from tclif_neuro.nir.graph import NIRError
from tclif_neuro.nir.load import load_nir
from tclif_neuro.nir.save import NIRExport, save_nir

__all__ = ["NIRError", "NIRExport", "load_nir", "save_nir"]
