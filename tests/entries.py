"""Every entry from Python into compiled code, given what does not fit, in a process that may die of it.

Prints a line for each entry: its name, how many calls were answered and how many refused. An answer has to be that of
the plain path to the same call, forward and backward; anything else ends with status 1 and the call's name.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import tclif_neuro as tn
from tclif_neuro.neurons.scan import lif_scan, tclif_scan
from tclif_neuro.neurons.spikes import Events, Spikes, add_rows, event_linear, weight_gradient
from tclif_neuro.neurons.step import LIFState, TCLIFState
from tests.onchip.engine_setups import setup_of

T, B, N, M = 19, 3, 24, 17
REFUSED = (tn.TclifError, RuntimeError, ValueError, TypeError)
KINDS = {
    "tclif": lambda: tn.TCLIF(N, recurrent=True, vth=0.5),
    "relaxed": lambda: tn.RelaxedTCLIF(N, per_neuron=True, reset="immediate"),
    "adaptive": lambda: tn.AdaptiveTCLIF(N, recurrent=True),
    "lif": lambda: tn.LIF(N, learn_beta=True, reset="zero"),
    "liquid": lambda: tn.LiquidLIF(N),
}


def wrong(x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """`x` in other sizes, types and layouts; some of them are as good as x itself."""
    for axis, size in enumerate(x.shape):
        before = (slice(None),) * axis
        for other in {0, 1, size - 1, size + 1, 4 * size} - {size, -1}:
            yield f"axis {axis} of {other}", x[(*before, torch.arange(other) % max(1, size))].clone()
        yield f"without axis {axis}", x.select(axis, 0).clone() if size else x
        yield f"axis {axis} more", x.unsqueeze(axis).clone()
        yield (
            f"axis {axis} strided",
            torch.repeat_interleave(x, 2, axis)[(slice(None),) * axis + (slice(None, None, 2),)],
        )
        yield f"axis {axis} expanded", x.select(axis, 0).unsqueeze(axis).expand_as(x) if size else x
    for kind in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool):
        yield str(kind), x.to(kind)
    yield "transposed", x.transpose(0, -1)
    yield "reversed in memory", x.transpose(0, -1).contiguous().transpose(0, -1)
    yield "a number", torch.tensor(1.0)


def grid(*shape: int) -> Tensor:
    """Random numbers in 64ths, so that the order of sums does not matter."""
    return torch.randint(0, 64, shape) / 64


def on_grid(module: nn.Module) -> nn.Module:
    """`module` with its matrices in 64ths."""
    with torch.no_grad():
        for p in module.parameters():
            if p.ndim == 2:
                p.copy_(torch.round(64 * p) / 64)
    return module


def one_wrong(good: dict[str, Tensor]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The arguments with one of them wrong."""
    yield "all right", good
    for name, x in good.items():
        for how, bad in wrong(x):
            yield f"{name}, {how}", {**good, name: bad}


@contextmanager
def plain() -> Iterator[None]:
    """Without the compiled passes."""
    os.environ["TCLIF_SCAN"] = "reference"
    try:
        yield
    finally:
        os.environ["TCLIF_SCAN"] = "auto"


def outcome(call: Callable[..., Any], arguments: dict[str, Any]) -> list[Tensor] | str:
    """What `call` gives and the gradients of the arguments, or the message of its error."""
    leaves = {
        name: x.detach().clone(memory_format=torch.preserve_format).requires_grad_() if x.is_floating_point() else x
        for name, x in arguments.items()
    }
    try:
        found = call(**leaves)
        results = list(found) if isinstance(found, tuple | list) else [found]
        differentiable = [r for r in results if r.requires_grad]
        if differentiable:
            sum(r.as_subclass(Tensor).float().sum() for r in differentiable).backward()
    except REFUSED as error:
        return f"{type(error).__name__}: {error}"
    plainly = [r.detach().as_subclass(Tensor) for r in results]
    return plainly + [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves.values()]


def equal(a: list[Tensor], b: list[Tensor]) -> bool:
    """Whether two outcomes are the same, up to the order of sums: a tensor's error is measured by its norm."""
    same = len(a) == len(b) and all(x.shape == y.shape for x, y in zip(a, b, strict=True))
    pairs = [(x.double(), y.double()) for x, y in zip(a, b, strict=True)] if same else []
    return same and all((x - y).norm() <= 1e-3 * y.norm() + 1e-4 for x, y in pairs)


def describe(found: list[Tensor], expected: list[Tensor] | str) -> str:
    """Where two outcomes part."""
    if isinstance(expected, str):
        return expected
    errors = [
        float((x.double() - y.double()).norm() / y.double().norm()) for x, y in zip(found, expected, strict=False)
    ]
    return f"something else: relative errors {errors}"


def hold(
    entry: str, call: Callable[..., Any], good: dict[str, Tensor], judge: Callable[..., Any] | None = None
) -> None:
    """Give `call` one wrong argument after the other; judge: another way to the same result, else the plain path."""
    answered = refused = 0
    for how, arguments in one_wrong(good):
        print(f"{entry}: {how}", file=sys.stderr, flush=True)  # the last line, if the process dies here
        found = outcome(call, arguments)
        if isinstance(found, str):
            assert how != "all right", f"{entry}: {found}"
            refused += 1
            continue
        with plain():
            expected = outcome(judge or call, arguments)
        if isinstance(expected, str) or not equal(found, expected):
            sys.exit(f"{entry}: {how}: answered, where the plain path says {describe(found, expected)}")
        answered += 1
    print(f"{entry}: {answered} answered, {refused} refused")
    assert answered and refused


def layers() -> None:
    """Modules: a sequence, a step, states of other batches, layers and kinds."""
    for kind, make in KINDS.items():
        torch.manual_seed(0)
        layer = on_grid(make())
        hold(f"{kind}", layer, {"current": grid(T, B, N)})
        _, state = layer.scan(grid(T, B, N))
        given = {name: part.detach() for name, part in zip(state._fields, state, strict=True)}
        of = type(state)

        def scanned(current: Tensor, layer: Any = layer, of: Any = of, **state: Tensor) -> tuple[Tensor, ...]:
            spikes, end = layer.scan(current, of(**state))
            return (spikes, *end)

        def stepped(current: Tensor, layer: Any = layer, of: Any = of, **state: Tensor) -> tuple[Tensor, ...]:
            spikes, end = layer.step(current, of(**state), 3)
            return (spikes, *end)

        hold(f"{kind}.scan", scanned, {"current": grid(T, B, N), **given})
        hold(f"{kind}.step", stepped, {"current": grid(B, N), **given})
        zero = torch.zeros(B, N)
        for other in (TCLIFState(zero, zero, zero), LIFState(zero, zero), (zero, zero, zero), zero, "rest"):
            if type(other) is not of:
                for call in (layer.scan, layer.step):
                    x = torch.rand(T, B, N) if call == layer.scan else zero
                    assert isinstance(outcome(lambda x, call=call, other=other: call(x, other), {"x": x}), str), kind


def functions() -> None:
    """Scans with coefficients and recurrent weights of their own, and the products with spikes."""
    torch.manual_seed(0)
    two, one = tn.AdaptiveTCLIF(N, per_neuron=True, recurrent=True), tn.LIF(N)
    p, q = two.params(T), one.params()
    coefficients = {name: getattr(p, name).detach() for name in ("a1", "a2", "b1", "b2")}
    hold(
        "tclif_scan",
        lambda current, weight, **c: tclif_scan(current, replace(p, **c), weight)[0],
        {"current": grid(T, B, N), "weight": grid(N, N) / 32, **coefficients},
    )
    hold(
        "lif_scan",
        lambda current, weight, beta: lif_scan(current, replace(q, beta=beta), weight)[0],
        {"current": grid(T, B, N), "weight": grid(N, N) / 32, "beta": torch.full((N,), 0.9)},
    )
    spikes = (torch.rand(T * B, N) < 0.2).float()
    weight, bias, grad = torch.rand(M, N), torch.rand(M), torch.rand(T * B, M)
    events = Events.of(spikes)
    with torch.no_grad():
        hold(
            "Events",
            lambda x: Events.of(x).dense(x),
            {"x": spikes},
            lambda x: 1 * x.reshape(x.shape[:-1].numel(), x.shape[-1]),
        )
        hold(
            "event_linear",
            lambda weight, bias: event_linear(events, weight, bias, (T * B, M)),
            {"weight": weight, "bias": bias},
            lambda weight, bias: spikes.to(weight.dtype) @ weight.T + bias,
        )
        hold("weight_gradient", lambda g: weight_gradient(events, g), {"g": grad}, lambda g: g.T @ spikes.to(g.dtype))

        def added(weight: Tensor, out: Tensor) -> Tensor:
            out = out.clone(memory_format=torch.preserve_format)
            add_rows(events, weight, out)
            return out

        hold("add_rows", added, {"weight": weight, "out": grad}, lambda weight, out: out + spikes @ weight.T)
    linear = nn.functional.linear
    hold(
        "linear of spikes",
        lambda weight, bias: linear(Spikes.mark(spikes.view(T, B, N)), weight, bias),
        {"weight": weight, "bias": bias},
        lambda weight, bias: linear(spikes.view(T, B, N), weight, bias),
    )


def networks() -> None:
    """Whole models, whole or in parts, and e-prop; layers that do not fit each other."""
    x = grid(T, B, M)
    for columns in (1, N - 1, N, N + 1, 4 * N):
        for readout in (1, 31, 32, 33):
            torch.manual_seed(0)
            modules = nn.Linear(M, N), tn.TCLIF(N, vth=0.5), nn.Linear(columns, 32), tn.LIF(32), tn.Readout(readout, 4)
            model, fits = on_grid(nn.Sequential(*modules)), (columns, readout) == (N, 32)
            calls = (
                lambda x, m=model: m(x),
                lambda x, m=model: tn.checkpointed(m, x, every=5),
                lambda x, m=model: by_eprop(m, x),
            )
            for call in calls:
                found = outcome(call, {"x": x})
                assert isinstance(found, str) != fits, (columns, readout, found)
            if fits:
                hold("a model", calls[0], {"x": x})
                hold("checkpointed", calls[1], {"x": x})
                hold("e-prop", calls[2], {"x": x})


def by_eprop(model: nn.Sequential, x: Tensor) -> list[Tensor]:
    """The gradients of e-prop."""
    model.zero_grad()
    target = torch.arange(x.shape[1] if x.ndim > 1 else 1) % 4
    tn.EPropLearner(model).sequence(x.detach(), target)
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def integers() -> None:
    """The simulator and learning on the chip, judged by their references."""
    exact = setup_of("exact", feedback="symmetric")
    net = exact.net
    inputs = net.inputs

    def ran(execute: Callable[..., Any]) -> Callable[[Tensor], tuple[Tensor, ...]]:
        return lambda x: tuple(torch.from_numpy(np.array(layer.final)) for layer in execute(net, x).layers)

    x = torch.randint(0, 2, (T, B, inputs)).float()
    hold("simulate", ran(tn.simulate), {"x": x}, ran(tn.run_reference))
    simulator = tn.Simulator(net, B)
    hold("Simulator.run", lambda x: simulator.run(x).readout and torch.zeros(1), {"x": x}, lambda x: torch.zeros(1))
    hold("Simulator.step", lambda x: torch.zeros(simulator.step(x).shape), {"x": x[0]}, lambda x: torch.zeros(B, 10))

    def learnt(backend: str) -> Callable[..., Any]:
        return lambda x, y: torch.from_numpy(np.array(tn.onchip.learn(exact, x, y, backend=backend).potential))

    labels = torch.arange(B)
    hold("learn", learnt("simulator"), {"x": x, "y": labels}, learnt("reference"))


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")  # torch's, of odd shapes
    for part in sys.argv[1:] or ("layers", "functions", "networks", "integers"):
        globals()[part]()
