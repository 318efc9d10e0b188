"""The sources of the learning signal: the loss of a step, the readout, and the way back to a hidden layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.grid import behind, grid_of
from tclif_neuro.neurons.modules import Readout

Feedback = Literal["symmetric", "random"]
Loss = Literal["cross_entropy", "mean_square"]
Potential = Literal["running", "step"]


@dataclass(frozen=True, kw_only=True)
class EPropOptions:
    """Options for how the learning signal is made, and how often the weights change.

    feedback: how the error reaches a hidden layer, by the weights of the layers above it ("symmetric") or by a fixed
    random matrix ("random"). potential: what the loss of a step sees, the readout's potential V[t] so far ("running")
    or the step's own input to it, W x[t] + b ("step"). loss: the loss of a step; "mean_square" is half the sum over
    outputs. mean: the loss sees V[t] divided by the weights of the steps so far, which does not grow with time.
    class_weights: the weight of each class in the cross-entropy; empty: all weigh 1. update_every: steps between
    updates; 0: at the end of the sample. seed: the seed of the random feedback. Raises `TclifError` on another value.
    """

    feedback: Feedback = "symmetric"
    potential: Potential = "running"
    loss: Loss = "cross_entropy"
    mean: bool = False
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()
    update_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        allowed = {
            "feedback": ("symmetric", "random"),
            "potential": ("running", "step"),
            "loss": ("cross_entropy", "mean_square"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise TclifError(f"e-prop: {name} {getattr(self, name)!r} is none of {', '.join(values)}")
        if not 0 <= self.label_smoothing < 1:
            raise TclifError(f"e-prop: label_smoothing {self.label_smoothing} is outside [0, 1)")
        if self.class_weights and self.loss != "cross_entropy":
            raise TclifError(f"e-prop: class_weights weigh classes; loss {self.loss!r} has none")
        if not all(0 <= weight < math.inf for weight in self.class_weights):
            raise TclifError(f"e-prop: class_weights {list(self.class_weights)}: finite numbers from 0 on expected")
        if self.update_every < 0:
            raise TclifError(
                f"e-prop: update_every {self.update_every} is negative; 0 updates at the end of the sample"
            )


class Errors(NamedTuple):
    """Of K steps: dE_t/dV[t] [K, B, C], and the sum over steps of the loss E_t, a mean over samples.

    steps: how many of them had a target, on the mean over samples; with class weights each counts as its class weighs.
    """

    error: Tensor
    loss: float
    steps: float


def step_errors(potential: Tensor, target: Tensor, options: EPropOptions) -> Errors:
    """The loss of each step, and its derivative by what it saw.

        cross_entropy:  E_t = -mean_b sum_k y_k log softmax(V[t])_k          dE_t/dV = (softmax(V[t]) - y) / B
        mean_square:    E_t =  mean_b sum_k (V_k[t] - y_k)^2 / 2             dE_t/dV = (V[t] - y) / B

    With class weights w, w_k y_k is in the place of y_k, and -w_k y_k plus softmax(V[t])_k sum_j w_j y_j the error.

    potential: [K, B, C]. target: classes [B] or [K, B], or y itself as floats [B, C] or [K, B, C]. A step with a
    negative class, and an output whose y is NaN, have no target, and no error.
    """
    y = _distribution(target, potential, options.label_smoothing).expand_as(potential)
    known = ~y.isnan()
    batch = potential.shape[1]
    steps = _counted(known, target, options) / batch
    y = torch.where(known, y, potential if options.loss == "mean_square" else 0.0)
    if options.class_weights:
        y = y * y.new_tensor(options.class_weights)
    if options.loss == "mean_square":
        difference = potential - y
        return Errors(difference / batch, 0.5 * (difference**2).sum().item() / batch, steps)
    log = torch.log_softmax(potential, -1)
    return Errors((log.exp() * y.sum(-1, keepdim=True) - y) / batch, -(y * log).sum().item() / batch, steps)


def _counted(known: Tensor, target: Tensor, options: EPropOptions) -> float:
    """The number of steps that have a target, over all samples; each counts as its class weighs."""
    if not options.class_weights:
        return float(known.any(-1).sum())
    if target.is_floating_point() or len(options.class_weights) != known.shape[-1]:
        raise TclifError(
            f"e-prop: {len(options.class_weights)} class_weights for "
            + ("real targets" if target.is_floating_point() else f"{known.shape[-1]} outputs")
        )
    weights = torch.tensor(options.class_weights, dtype=torch.float64)
    target = target.cpu()  # not every device has float64
    each = torch.where(target >= 0, weights[target.long().clamp(min=0)], 0.0)
    return float(each.expand(known.shape[:-1]).sum())


def _distribution(target: Tensor, like: Tensor, smoothing: float) -> Tensor:
    steps, batch, outputs = like.shape
    if target.is_floating_point():
        if target.shape not in ((batch, outputs), like.shape):
            raise TclifError(
                f"e-prop: targets {[batch, outputs]} or {list(like.shape)} expected, got {list(target.shape)}"
            )
        return target.to(like.dtype)
    if target.shape not in ((batch,), (steps, batch)):
        raise TclifError(f"e-prop: classes {[batch]} or {[steps, batch]} expected, got {list(target.shape)}")
    labelled = target >= 0
    if int(target.max()) >= outputs or not (target.ndim == 2 or labelled.all()):
        raise TclifError(f"e-prop: classes {int(target.min())} ... {int(target.max())} with {outputs} outputs")
    wanted = nn.functional.one_hot(target.long().clamp(min=0), outputs).to(like.dtype)
    return torch.where(labelled[..., None], wanted * (1 - smoothing) + smoothing / outputs, torch.nan)


def integrate(x: Tensor, decay: float, carried: Tensor) -> Tensor:
    """y[t] = decay y[t-1] + x[t] for the K steps of `x` [K, ...], as one product; carried [...]: y before them."""
    if len(x) == 1:
        return x + decay * carried
    weight = _weights(len(x), decay, x.dtype, x.device)
    return (weight @ torch.cat([x, carried[None]]).reshape(len(x) + 1, -1)).view_as(x)


@lru_cache(maxsize=16)
def _weights(steps: int, decay: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """decay^(t - s) where s <= t, for x[s] and, in the last column, for y before the first step: [K, K + 1]."""
    age = torch.arange(steps, dtype=dtype, device=device)
    age = age[:, None] - age
    weight = torch.where(age >= 0, decay ** age.clamp(min=0), 0.0)
    return torch.cat([weight, decay * weight[:, :1]], 1)


class ReadoutTrace:
    """The readout during a sample: its potential, and the gradient of its weights, which has no approximation.

    V[t] = decay V[t-1] + W x[t] + b, so dV_k[t]/dW_ki is x_i filtered as V is: z_i[t] = decay z_i[t-1] + x_i[t], and
    dE/dW_ki = sum_t dE_t/dV_k[t] z_i[t]. With potential = "step" it is x_i[t] itself. z is linear in x, so over a chunk
    the sum is taken of x and of the errors filtered backward, which are fewer.
    """

    def __init__(self, readout: Readout, options: EPropOptions) -> None:
        self.readout, self.options = readout, options
        weight = readout.weight.detach()
        self.grad = torch.zeros_like(weight, requires_grad=False)
        self.bias_grad = weight.new_zeros(len(weight), requires_grad=False)

    def reset(self, batch: int) -> None:
        """Begin a sample."""
        outputs, inputs = self.readout.weight.shape
        self.potential = self.grad.new_zeros(batch, outputs)
        self._filtered, self._age = self.grad.new_zeros(batch, inputs), self.grad.new_zeros(())
        self.grad.zero_()
        self.bias_grad.zero_()

    def learn(self, x: Tensor, target: Tensor | None) -> Errors | None:
        """K steps of spikes [K, B, N]: dE_t/dV[t] of each and the sum of their losses; without a target None."""
        current = nn.functional.linear(x, self.readout.weight, self.readout.bias)
        x = x.as_subclass(Tensor)
        self.sequence = integrate(current, self.readout.decay, self.potential)
        self.potential = self.sequence[-1]
        age = integrate(x.new_ones(len(x)), self._memory, self._age)
        found = None
        if target is not None:
            found = self._errors(current, age, target)
            self._add_gradient(x, found.error)
        self._carry(x, age)
        return found

    @property
    def _memory(self) -> float:
        """The decay of z."""
        return 0.0 if self.options.potential == "step" else self.readout.decay

    def _errors(self, current: Tensor, age: Tensor, target: Tensor) -> Errors:
        """The loss of each step and its derivative. age: [K], the weights of the steps so far."""
        scale = 1 / age[:, None, None] if self.options.mean else current.new_ones(1, 1, 1)
        seen = current if self.options.potential == "step" else self.sequence
        found = step_errors(scale * seen, target, self.options)
        return found._replace(error=scale * found.error)

    def _add_gradient(self, x: Tensor, error: Tensor) -> None:
        """The sum over the chunk of dE_t/dV[t] z[t]: of x under the errors filtered backward, and of z before it."""
        decay = self._memory
        entered = integrate(error.flip(0), decay, torch.zeros_like(error[0])).flip(0)
        self.grad += entered.flatten(0, 1).T @ x.flatten(0, 1) + decay * entered[0].T @ self._filtered
        self.bias_grad += entered.sum((0, 1)) + decay * entered[0].sum(0) * self._age

    def _carry(self, x: Tensor, age: Tensor) -> None:
        """Take z, and the age, to the end of the chunk."""
        left = _weights(len(x), self._memory, x.dtype, x.device)[-1]
        self._filtered = left[-1] * self._filtered + (left[:-1] @ x.flatten(1)).view_as(self._filtered)
        self._age = age[-1]

    def back(self, error: Tensor) -> Tensor:
        """The learning signal of the last hidden layer, W^T error at the same step: [K, B, N]."""
        return error @ self.readout.weight

    def take(self, steps: float) -> None:
        """Add the gradient of the mean loss of `steps` steps to .grad, and begin anew."""
        for name, grad in (("weight", self.grad), ("bias", self.bias_grad)):
            if getattr(self.readout, name) is not None:
                put(self.readout, name, grad / steps)
            grad.zero_()


class GradientError(TclifError):
    """A gradient that is NaN or infinite; the weights are those of the update before."""


def put(module: nn.Module, name: str, grad: Tensor) -> None:
    """Add the gradient of a module's weight to what is learnt: itself, or the numbers behind it on a grid."""
    grid, parameter = grid_of(module, name), behind(module, name)
    grad = grad.reshape(parameter.shape)
    add(parameter, grad if grid is None else grid.passed(parameter.detach(), grad))


def add(parameter: Tensor, grad: Tensor) -> None:
    """Add `grad` to the parameter's .grad, as `backward` does. Raises `GradientError`."""
    if not grad.isfinite().all():
        raise GradientError(
            "e-prop: the gradient is not finite: an input is NaN or infinite, or the states have overflowed"
        )
    if parameter.requires_grad:
        own = grad.reshape(parameter.shape).to(parameter.dtype).contiguous()
        parameter.grad = own if parameter.grad is None else parameter.grad + own


def random_feedback(outputs: int, sizes: list[int], like: Tensor, seed: int) -> list[Tensor]:
    """A fixed matrix [C, N] for each hidden layer of N neurons, uniform as a `Linear`'s initial weights are."""
    generator = torch.Generator().manual_seed(seed)
    return [
        ((2 * torch.rand(outputs, n, generator=generator) - 1) / n**0.5).to(dtype=like.dtype, device=like.device)
        for n in sizes
    ]
