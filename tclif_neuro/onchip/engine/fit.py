"""The fit of the learning engine's traces to the eligibility: exponentials fitted to its impulse response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.dynamics import integrate

Floats = npt.NDArray[Any]

_GRID = np.concatenate([np.linspace(0.02, 0.9, 45), np.linspace(0.91, 0.999, 30)])
_LARGEST = 4.0  # of an amplitude, in peaks of the response: the difference of two large traces of 7 bits is noise


@dataclass(frozen=True, kw_only=True)
class TraceFit:
    """`e[t] ~ sum_i amplitude_i decay_i^t`, t = 0 being the step of the spike.

    decay: in [0, 1), one or two. amplitude: of either sign; the rule subtracts a trace whose amplitude is negative.
    error: the distance of fit and response divided by the response's norm; 0 if it is exact.
    """

    decay: tuple[float, ...]
    amplitude: tuple[float, ...]
    error: float

    def response(self, steps: int) -> Floats:
        """The fit at t = 0 ... steps - 1."""
        t = np.arange(steps)[:, None]
        return (np.array(self.amplitude) * np.array(self.decay) ** t).sum(axis=1)


def impulse_response(a1: float, a2: float, b1: float, b2: float, steps: int) -> Floats:
    """e[t] after an input of 1 at t = 0: `d = a1 d + b1 e + x; e = a2 e + b2 d`, coefficients as decimals."""
    response, d, e = np.zeros(steps), 0.0, 0.0
    for t in range(steps):
        d, e, _, _ = integrate(d, e, float(t == 0), 0.0, 0.0, a1, a2, b1, b2)
        response[t] = e
    return response


def fit_traces(a1: float, a2: float, b1: float, b2: float, *, steps: int, traces: int = 2) -> TraceFit:
    """The best `traces` (1 or 2) exponentials for the first `steps` steps of the response.

    With two real positive eigenvalues below 1 two exponentials are the response itself, with one compartment one is.
    Otherwise (an oscillation, which no sum of decays is) the decays are the best of a grid and the amplitudes least
    squares.
    """
    target = impulse_response(a1, a2, b1, b2, steps)
    eigenvalues = np.linalg.eigvals(np.array([[a1, b1], [b2 * a1, a2 + b1 * b2]]))
    real = np.sort(eigenvalues.real)
    if traces == 2 and not eigenvalues.imag.any() and 0 < real[0] < real[1] < 1:
        return _fitted(target, tuple(float(v) for v in real))
    if a1 == 0 and b1 == 0 and 0 < a2 < 1:
        return _fitted(target, (a2,))
    pairs = [(v,) for v in _GRID] if traces == 1 else [(u, v) for u in _GRID for v in _GRID if u < v]
    fits = [_fitted(target, tuple(float(v) for v in pair)) for pair in pairs]
    largest = _LARGEST * np.abs(target).max()
    return min((f for f in fits if max(map(abs, f.amplitude)) <= largest), key=lambda fit: fit.error)


def _fitted(target: Floats, decay: tuple[float, ...]) -> TraceFit:
    """The least-squares amplitudes of `decay`."""
    basis = np.array(decay) ** np.arange(len(target))[:, None]
    amplitude = np.linalg.lstsq(basis, target, rcond=None)[0]
    error = float(np.linalg.norm(basis @ amplitude - target) / np.linalg.norm(target))
    return TraceFit(decay=decay, amplitude=tuple(float(a) for a in amplitude), error=error)
