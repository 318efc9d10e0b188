"""From a float model to integers: `quantize`, what it cost (`report`), and training for it (`prepare_qat`)."""

from tclif_neuro.quantization.convert import apply_plan, quantize
from tclif_neuro.quantization.loss import LayerLoss, LossReport, WeightLoss, report
from tclif_neuro.quantization.plan import Plan, make_plan
from tclif_neuro.quantization.qat import QATModel, finish_qat, prepare_qat
from tclif_neuro.quantization.scales import LayerPlan, Options
from tclif_neuro.quantization.stages import ConversionError

__all__ = [
    "ConversionError",
    "LayerLoss",
    "LayerPlan",
    "LossReport",
    "Options",
    "Plan",
    "QATModel",
    "WeightLoss",
    "apply_plan",
    "finish_qat",
    "make_plan",
    "prepare_qat",
    "quantize",
    "report",
]
