"""One layer's scale and exponents: what bounds f, and which exponents then lose least.

`f` (`scale_bits`) is as large as the formats allow, because products round towards zero: of a slow decay `a`, a state
below 1/(1 - a) counts is a dead band. What bounds f from above:

    states      twice (`headroom`) the largest state of the calibration fits in 24 bits
    threshold   Vth is a 17-bit mantissa << 6; gamma likewise
    bias        is a 13-bit mantissa << 7
    weights     the largest one fits in its mantissa at the largest exponent
    input sum   all weights of a neuron at once, each with the largest input that the code holds, stay within the 32
                bits Lava computes in
    current     where it wraps around instead of saturating (a stock LIF): all weights of a neuron at once, each with
                the largest input of the calibration, stay within 24 bits, for as long as the current remembers them

and from below ("floor"): the threshold's mantissa is at least 32, so that it is right to 1/64. Where the bounds
conflict, the floor wins, weights and biases are clipped, and the report says so.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from tclif_neuro.lavadl import STOCK_BIAS_EXP
from tclif_neuro.network import (
    ACT_SHIFT,
    ACT_SUM_MAX,
    BIAS_EXP,
    BIAS_MANT,
    MANT_MAX,
    STATE_MAX,
    WEIGHT_EXP,
    InputCoding,
)
from tclif_neuro.neurons.modules import Readout
from tclif_neuro.quantization.grid import Grid, bias_grid, weight_grid
from tclif_neuro.quantization.stages import ConversionError, Stage

THRESHOLD_MANT_MIN = 32  # a threshold rounded to a mantissa this large is right to 1/64
CURRENT_MAX = STATE_MAX >> ACT_SHIFT  # |a_in| up to this does not wrap a 24-bit current around


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """One layer's scale and grids. limit: what kept `scale_bits` from being larger (see the module's table)."""

    scale_bits: int
    limit: str
    weight: Grid
    recurrent: Grid | None
    bias: Grid


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of quantization.

    stock: for an unmodified lava-dl: weight exponents 0, bias exponents 6, stock neurons only; an analogue input is
    coded more coarsely where the weights would have no bits left.
    weight_bits: 2 to 8. headroom: how often the largest state of the calibration fits in 24 bits, at least 1.
    input_coding: of the input; None: binary if the calibration is all zeros and ones, otherwise 8 bits over its range.
    """

    stock: bool = False
    weight_bits: int = 8
    headroom: float = 2.0
    input_coding: InputCoding | None = None

    def __post_init__(self) -> None:
        if self.weight_bits not in range(2, 9):
            raise ConversionError(f"weight_bits: {self.weight_bits} is outside [2, 8]")
        if not (math.isfinite(self.headroom) and self.headroom >= 1):
            raise ConversionError(f"headroom: {self.headroom} is below 1")


@dataclass(frozen=True, kw_only=True)
class Signal:
    """The signal that a matrix is multiplied with: integers `x scale`.

    largest: the largest magnitude that the code can hold; the 32 bits of the sum bear all of them. occurring: the
    largest of the calibration; the current's 24 bits bear all of these.
    """

    scale: float
    largest: int
    occurring: int


SPIKES = Signal(scale=1.0, largest=1, occurring=1)


@dataclass(frozen=True)
class Planner:
    """Plans one layer. peak: of its states on the calibration. signal: its input."""

    stage: Stage
    peak: float
    signal: Signal
    options: Options

    @property
    def matrices(self) -> tuple[tuple[Tensor, Signal], ...]:
        """Each weight matrix with what it is multiplied with."""
        recurrent = self.stage.recurrent
        first = (self.stage.weight, self.signal)
        return (first,) if recurrent is None else (first, (recurrent, SPIKES))

    @property
    def stock_neuron(self) -> bool:
        """True if the layer becomes a stock LIF, whose current wraps around."""
        neuron = self.stage.neuron
        return isinstance(neuron, Readout) or neuron.reset == "zero"

    @property
    def current_max(self) -> int:
        """The largest |a_in| at every step that a stock LIF's current takes: with a decay a it sums to 1/(1 - a)."""
        neuron = self.stage.neuron
        if isinstance(neuron, Readout):
            return CURRENT_MAX
        return max(1, int(CURRENT_MAX * (1 - float(neuron.coefficients(1)[0].detach().max()))))

    def plan(self) -> LayerPlan:
        """The largest f within all limits, and the best grids there."""
        limits = self.limits()
        limit = min(limits, key=lambda name: limits[name])
        top, floor = limits[limit], self.floor()
        if floor is not None and top < floor:
            top, limit = floor, "floor"
        for f in range(top, top - 64 if floor is None else floor - 1, -1):
            grids = self.grids(f, self.current_max if self.stock_neuron else ACT_SUM_MAX)
            if grids is not None:
                break
        else:
            grids = self.grids(f, ACT_SUM_MAX)
        if grids is None:
            raise self.stage.error(
                f"its summed input exceeds {ACT_SUM_MAX - 1} at every scale that leaves it a threshold; "
                "lower its weights or the number of its inputs"
            )
        if f < top:
            limit = "current" if self.stock_neuron else "input sum"
        return LayerPlan(scale_bits=f, limit=limit, weight=grids[0], recurrent=grids[1], bias=self.bias(f))

    def limits(self) -> dict[str, int]:
        """The largest f that each format allows; formats that a zero fits anyhow are left out."""
        neuron = self.stage.neuron
        weight_exp, bias_exp = (0, STOCK_BIAS_EXP) if self.options.stock else (WEIGHT_EXP[1], BIAS_EXP[1])
        sums = [(m.abs().sum(dim=1) / signal.scale, signal) for m, signal in self.matrices]
        held = float(torch.stack([total * signal.largest for total, signal in sums]).sum(dim=0).max())
        occurring = float(torch.stack([total * signal.occurring for total, signal in sums]).sum(dim=0).max())
        bounds = {
            "states": (STATE_MAX, self.options.headroom * self.peak),
            "threshold": (MANT_MAX << ACT_SHIFT, 0.0 if isinstance(neuron, Readout) else neuron.vth),
            "gamma": (MANT_MAX << ACT_SHIFT, getattr(neuron, "gamma", 0.0)),
            "bias": (BIAS_MANT[1] << bias_exp, float(self.stage.bias.abs().max())),
            "input sum": ((ACT_SUM_MAX - 1) << ACT_SHIFT, held),
            "current": (self.current_max << ACT_SHIFT, occurring if self.stock_neuron else 0.0),
        }
        for i, (matrix, signal) in enumerate(self.matrices):
            grid = self.weight_grid(i, 0, 0)
            largest = max(-grid.low, grid.high) << (weight_exp + ACT_SHIFT)
            bounds[("weights", "recurrent weights")[i]] = (largest, float(matrix.abs().max()) / signal.scale)
        return {name: math.floor(math.log2(top / value)) for name, (top, value) in bounds.items() if value > 0} or {
            "nothing": 0
        }

    def floor(self) -> int | None:
        """The smallest f that leaves the threshold a mantissa of its own; a readout has no threshold."""
        if isinstance(self.stage.neuron, Readout):
            return None
        return math.ceil(math.log2((THRESHOLD_MANT_MIN << ACT_SHIFT) / self.stage.neuron.vth))

    def grids(self, f: int, current_max: int) -> tuple[Grid, Grid | None] | None:
        """The grids of least squared error for the matrices at f, among those whose sum of inputs fits; or None."""
        exponents = [0] if self.options.stock else range(WEIGHT_EXP[0], WEIGHT_EXP[1] + 1)
        choices = [
            [_choice(self.weight_grid(i, f, e), matrix, signal) for e in exponents]
            for i, (matrix, signal) in enumerate(self.matrices)
        ]
        fitting = [
            combination
            for combination in itertools.product(*choices)
            if sum(c.accumulated for c in combination) < ACT_SUM_MAX
            and sum(c.delivered for c in combination) <= current_max
        ]
        if not fitting:
            return None
        # Of equally good ones, those nearest to exponent 0: a negative one floors the sum.
        best = min(fitting, key=lambda cs: (sum(c.error for c in cs), sum(abs(c.grid.exponent) for c in cs)))
        return best[0].grid, best[1].grid if len(best) > 1 else None

    def weight_grid(self, index: int, f: int, exponent: int) -> Grid:
        """The grid of matrix `index` at f with that exponent."""
        matrix, signal = self.matrices[index]
        low, high = float(matrix.min()), float(matrix.max())
        if self.options.stock:  # lava-dl joins a layer's matrices, and takes all but positive ones for mixed
            low, high = -1.0, 1.0
        unit = math.ldexp(signal.scale, exponent + ACT_SHIFT - f)
        return weight_grid(low, high, self.options.weight_bits, unit, exponent)

    def bias(self, f: int) -> Grid:
        """The finest bias grid that holds the largest bias."""
        exponents = [STOCK_BIAS_EXP] if self.options.stock else range(BIAS_EXP[0], BIAS_EXP[1] + 1)
        grids = [bias_grid(math.ldexp(1.0, e - f), e) for e in exponents]
        return next((g for g in grids if not g.clipped(self.stage.bias).any()), grids[-1])


class _Choice(NamedTuple):
    """A grid for a matrix: its squared error, and the largest sums of inputs.

    accumulated: of any input that the code holds, before a negative exponent's shift. delivered: of the largest that
    occur, after it.
    """

    grid: Grid
    error: float
    accumulated: int
    delivered: int


def _choice(grid: Grid, matrix: Tensor, signal: Signal) -> _Choice:
    mantissas = grid.mantissas(matrix)
    error = float((mantissas * grid.unit - matrix).square().sum())
    weights = int(mantissas.abs().sum(dim=1).max())
    total, accumulated = weights * signal.occurring, weights * signal.largest << max(grid.exponent, 0)
    delivered = total << grid.exponent if grid.exponent >= 0 else (total >> -grid.exponent) + 1
    return _Choice(grid, error, accumulated, delivered)
