"""The decay schedule g(t) of the Adaptive TC-LIF.

Yin et al. (2024, eqs. 29-32) make the decays time-varying through the gamma distribution function, a long-tailed memory
trace that falls towards a minimum `a_min`. The exact formula is not reproduced here: `g` below is a reconstruction, and
this one function is the place to correct it. The tail of a gamma distribution is exponential; a memory whose rates are
gamma distributed, the mean of `exp(-r t)` over r, has a long one, a power law: both readings of the words are offered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.constants import plain_number

TABLE = 1024  # steps that are made at least: a stream comes back for the next one

Form = Literal["survival", "density", "power"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """g(t) in [0, 1], monotone towards 0; t = 0, 1, ... is the step within the sample.

        survival:  g(t) = Q(k, t / theta)                        (the gamma distribution's survival function; g(0) = 1)
        density:   g(t) = 1 up to the peak t* = (k-1) theta, then p(t) / p(t*), p the gamma density
        power:     g(t) = (1 + t / theta)^-k                     (the mean of exp(-r t) over gamma distributed r)

    k: shape, theta: scale in steps, both positive (density: k >= 1). theta should fit the sample: with T steps, T / 4
    lets the decays fall within it, whereas 20 steps leave them near 1 throughout a sample of 8.
    """

    form: Form = "survival"
    k: float = 2.0
    theta: float = 20.0

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            raise TclifError(f"schedule form: {self.form!r} is none of {', '.join(get_args(Form))}")
        for name in ("k", "theta"):
            plain_number("schedule", name, getattr(self, name))
        if not (self.theta > 0 and math.isfinite(self.theta) and math.isfinite(self.k)):
            raise TclifError(f"schedule theta: {self.theta} is not positive")
        if self.k <= 0 or (self.form == "density" and self.k < 1):
            raise TclifError(f"schedule k: {self.k} must be positive (density: at least 1)")

    def g(self, steps: int, start: int = 0) -> Tensor:
        """g(start), ..., g(start + steps - 1): float64 [steps]."""
        t = torch.arange(start, start + steps, dtype=torch.float64) / self.theta
        if self.form == "survival":
            return torch.special.gammaincc(torch.tensor(self.k, dtype=torch.float64), t)
        if self.form == "power":
            return (1 + t) ** -self.k
        peak = self.k - 1
        ratio = torch.clamp(t, min=peak) / peak if peak > 0 else torch.ones_like(t)
        return ratio**peak * torch.exp(torch.clamp(peak - t, max=0))

    def on(self, like: Tensor, steps: int, start: int = 0) -> Tensor:
        """`g` in the type and on the device of `like`, made and copied there once for all calls."""
        end = start + steps
        rows = max(TABLE, 1 << (end - 1).bit_length())
        return _table(self, rows, like.dtype, like.device)[start:end]

    def length(self, tolerance: float = 2.0**-13, limit: int = 2**16) -> int:
        """The steps after which g stays below `tolerance`: a table of that many entries is exact in 12 bits."""
        below = self.g(limit) < tolerance
        if not below.any():
            raise TclifError(f"schedule: g(t) is still above {tolerance:g} after {limit} steps; lower k or theta")
        return int(below.int().argmax()) + 1


@lru_cache(maxsize=16)
def _table(schedule: Schedule, rows: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The first rows of a schedule."""
    with torch.inference_mode(False):  # what is made inside could not take part in training afterwards
        return schedule.g(rows).to(dtype).to(device)  # in this order: not every device has float64
