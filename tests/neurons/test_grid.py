"""Weights on a grid: sums of them are the same number in every order, and whoever computes them."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import tclif_neuro as tn
from tclif_neuro.neurons.grid import DIGITS, GridError, OnGrid, behind, grid_of
from tclif_neuro.neurons.hooks import plain_copy
from tclif_neuro.neurons.kinds import KINDS
from tclif_neuro.neurons.layer import SpikingLayer
from tclif_neuro.neurons.spikes import Events, add_rows, event_linear
from tclif_neuro.quantization import finish_qat
from tests.examples import examples

LAYERS = [kind.module for kind in KINDS if kind.integers]


def spikes(*shape: int, seed: int, rate: float = 0.2) -> Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < rate).float()


def summed(weight: Tensor, x: Tensor, order: Tensor) -> Tensor:
    """`weight x` [N] in float32, one term after the other, in an order of its own."""
    total = torch.zeros(len(weight))
    for j in order:
        total = total + weight[:, j] * x[j]
    return total


def exact(weight: Tensor, x: Tensor) -> Tensor:
    """`weight x` in Python's own integers, [N] float64: a float32 weight is a whole number of 2^-149."""
    whole = [[int(w * 2.0**149) for w in row] for row in weight.double().tolist()]
    return torch.tensor([sum(w for w, one in zip(row, x, strict=True) if one) / 2**149 for row in whole]).double()


@given(
    inputs=st.integers(1, 40),
    size=st.integers(1, 20),
    bits=st.sampled_from([None, 2, 8, 16]),
    seed=st.integers(0, 2**16),
    scale=st.sampled_from([1e-4, 1.0, 3e3]),
)
@examples(25)
def test_a_sum_is_the_same_in_every_order(inputs: int, size: int, bits: int | None, seed: int, scale: float) -> None:
    torch.manual_seed(seed)
    linear = nn.Linear(inputs, size, bias=False)
    with torch.no_grad():
        linear.weight.mul_(scale)
    model = tn.on_grid(nn.Sequential(linear, tn.LIF(size)), bits)
    weight, x = model[0].weight.detach(), spikes(3, inputs, seed=seed, rate=0.6)
    for row in x:
        wanted = exact(weight, row)
        for _ in range(3):
            found = summed(weight, row, torch.randperm(inputs))
            assert torch.equal(found.double(), wanted)
    dense = nn.functional.linear(x, weight)
    assert torch.equal(dense, event_linear(Events.of(x), weight, None, dense.shape))
    assert torch.equal(dense.double(), nn.functional.linear(x.double(), weight.double()))


def test_without_a_grid_it_is_not() -> None:
    """So the tests above can fail."""
    torch.manual_seed(0)
    weight, x = nn.Linear(200, 20).weight.detach(), torch.ones(200)
    assert not torch.equal(summed(weight, x, torch.arange(200)), summed(weight, x, torch.arange(199, -1, -1)))


@given(seed=st.integers(0, 2**16), bits=st.integers(2, 16), step=st.sampled_from([1.0, 2.0, 1 / 16]))
@examples(15)
def test_the_largest_sum_that_the_bound_allows_is_exact(seed: int, bits: int, step: float) -> None:
    """Every weight at the end of the grid, and as many inputs of the largest value as there may be."""
    top, largest = 2 ** (bits - 1), 2 * step
    inputs = min(2000, int((2**DIGITS * min(step, 1.0) / top - 1) / largest))  # the bias takes one
    if inputs < 1:
        return
    linear = nn.Linear(inputs, 1)
    nn.init.constant_(linear.weight, 1.0)
    nn.init.constant_(linear.bias, 1.0)
    with torch.no_grad():
        linear.weight[0, 0] = 0.3
    on = tn.on_grid(nn.Sequential(linear, tn.LIF(1)), bits, step=step, largest=largest)[0]
    x = torch.full((inputs,), largest)
    order = torch.randperm(inputs, generator=torch.Generator().manual_seed(seed))
    found = summed(on.weight.detach(), x, order) + on.bias.detach()
    assert found.item() == on.bias.item() + sum(w * largest for w in on.weight[0].tolist())


def net(layer: type[SpikingLayer], recurrent: bool) -> nn.Sequential:
    torch.manual_seed(5)
    model = nn.Sequential(
        nn.Linear(20, 48),
        layer(48, recurrent=recurrent, vth=0.6),
        nn.Dropout(0.25),
        nn.Linear(48, 40),
        layer(40, recurrent=recurrent, vth=0.4),
        tn.Readout(40, 3, decay=0.9),
    ).eval()
    with torch.no_grad():
        for module in model:
            if isinstance(module, nn.Linear):
                module.weight.mul_(3)
    return model


def activity(model: nn.Sequential, x: Tensor) -> list[Tensor]:
    with torch.no_grad():
        out = []
        for module in model[:-1]:
            x = module(x)
            out.append(x.as_subclass(Tensor))
        return [*out, model[-1].sequence(x)]


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
def test_every_engine_gives_the_same_bits(
    layer: type[SpikingLayer], recurrent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Event-driven on threads, and dense, step by step: currents, spikes and the readout's potential."""
    model, x = tn.on_grid(net(layer, recurrent)), spikes(30, 8, 20, seed=6)
    compiled = activity(model, x)
    monkeypatch.setenv("TCLIF_SCAN", "reference")
    assert 0 < compiled[1].mean() < 0.3 and compiled[4].mean() > 0
    assert all(map(torch.equal, compiled, activity(model, x)))
    order = torch.randperm(48)
    current = nn.functional.linear(compiled[1][..., order], model[3].weight[:, order], model[3].bias)
    assert torch.equal(current, compiled[3])


def test_on_one_thread_and_on_several(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, threads = tn.on_grid(net(tn.TCLIF, True)), spikes(30, 8, 20, seed=7), torch.get_num_threads()
    several = activity(model, x)
    try:
        torch.set_num_threads(1)
        assert all(map(torch.equal, several, activity(model, x)))
    finally:
        torch.set_num_threads(threads)


def test_the_recurrent_sum_starts_from_the_current() -> None:
    """Compiled, R's rows are added to what the Linear gave; plain, their sum is: the same number on a grid."""
    model = tn.on_grid(net(tn.TCLIF, True))
    recurrent, current = model[1].recurrent_weight.detach(), model[0](spikes(4, 20, seed=8)).detach()
    before = spikes(4, 48, seed=9)
    total = current.clone()
    add_rows(Events.of(before), recurrent, total)
    assert torch.equal(total, current + before @ recurrent.T)


def test_weights_move_by_half_a_step_at_most() -> None:
    """17 bits for 255 spikes and a bias, in which the largest weight takes half of the range at least."""
    torch.manual_seed(10)
    plain = nn.Sequential(nn.Linear(255, 30), tn.TCLIF(30))
    on = tn.on_grid(plain)
    grid = grid_of(on[0], "weight")
    assert grid is not None and grid.top == 2**16 and grid_of(on[0], "bias") is not None
    assert (on[0].weight - plain[0].weight).abs().max() <= grid.unit / 2
    assert grid.unit / 2 <= 2.0**-16 * plain[0].weight.abs().max()
    assert type(plain[0]) is nn.Linear  # the model itself is as it was
    again = on[0].weight.detach() / grid.unit
    assert torch.equal(again, again.round())


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (nn.Sequential(nn.Linear(256, 4), tn.LIF(4)), {"bits": 17}, r"module 1: weights of 17 bits; .* up to 16 bits"),
    (nn.Sequential(nn.Linear(3, 4), tn.LIF(4)), {"largest": 2.0**24}, r"module 1: sums of up to .* exact on no grid"),
    (nn.Sequential(nn.Linear(3, 4), tn.LIF(4)), {"bits": 1}, "at least 2"),
    (nn.Sequential(nn.Linear(3, 4), tn.LIF(4)), {"step": 0.3}, "not a power of two"),
    (nn.Sequential(nn.Linear(3, 4), tn.LIF(4)), {"step": 2.0}, "what enters is at least a step"),
    (nn.Sequential(nn.Linear(3, 4), tn.BatchNorm(4), tn.LIF(4)), {}, r"module 1 \(BatchNorm\): has sums of its own"),
    (nn.Sequential(nn.Linear(3, 4), tn.LiquidLIF(4)), {}, r"module 1 \(LiquidLIF\): has sums of its own"),
    (nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), tn.LIF(4)), {}, r"module 1 \(Linear\): has sums of its own"),
    (nn.Sequential(nn.Linear(3, 4), tn.LIF(4)).half(), {}, "is torch.float16"),
    (tn.on_grid(nn.Sequential(nn.Linear(3, 4), tn.LIF(4))), {}, "is on a grid already"),
]


@pytest.mark.parametrize(("model", "options", "says"), REFUSED, ids=[says for *_, says in REFUSED])
def test_what_has_no_grid_is_refused(model: nn.Sequential, options: dict[str, Any], says: str) -> None:
    with pytest.raises(GridError, match=says):
        tn.on_grid(model, **options)


def test_weights_that_are_no_numbers_are_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 4), tn.LIF(4))
    nn.init.constant_(model[0].bias, torch.nan)
    with pytest.raises(GridError, match="module 1: its bias contains NaN"):
        tn.on_grid(model)


def test_it_trains_and_what_leaves_the_range_has_no_gradient() -> None:
    model, x = tn.on_grid(net(tn.TCLIF, True).train(), bits=6), spikes(12, 4, 20, seed=11)
    first = behind(model[0], "weight")
    with torch.no_grad():
        first[0, 0] = 100.0
    optimiser, before = torch.optim.Adam(model.parameters(), lr=0.05), model[0].weight.detach().clone()
    for every in (0, 5):
        optimiser.zero_grad()
        out = tn.checkpointed(model, x, every=every) if every else model(x)
        nn.functional.cross_entropy(out, torch.tensor([0, 1, 2, 0])).backward()
        assert first.grad is not None and first.grad[0, 0] == 0 and first.grad.any()
        optimiser.step()
    grid = grid_of(model[0], "weight")
    assert grid is not None and not torch.equal(model[0].weight, before)
    assert set((model[0].weight / grid.unit).unique().tolist()) <= set(range(-32, 33))


def test_checkpointed_has_the_gradient_of_the_whole() -> None:
    model, x = tn.on_grid(net(tn.AdaptiveTCLIF, True)), spikes(12, 4, 20, seed=12)
    grads = []
    for run in (model, lambda x: tn.checkpointed(model, x, every=5)):
        model.zero_grad()
        run(x).square().sum().backward()
        grads.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert len(grads[0]) == len(list(model.parameters()))
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(*grads, strict=True))


def test_eprop_moves_the_numbers_behind_as_it_moves_plain_weights() -> None:
    """The gradients are those of a plain model with the same weights, 0 where a weight is clipped."""
    model = tn.on_grid(nn.Sequential(*[m for m in net(tn.TCLIF, True) if not isinstance(m, nn.Dropout)]))
    plain = plain_copy(model)
    with torch.no_grad():
        behind(model[0], "weight")[0, 0] = 50.0
        plain[0].weight[0, 0] = model[0].weight[0, 0]
    x, y = spikes(9, 4, 20, seed=13), torch.tensor([0, 1, 2, 0])
    for each in (model, plain):
        tn.EPropLearner(each).sequence(x, y)
    there = plain[0].weight.grad.clone()
    assert there[0].all()
    there[0, 0] = 0
    assert torch.equal(behind(model[0], "weight").grad, there)
    for key, name in ((1, "recurrent"), (2, None), (4, None)):
        a, b = ((each[key] if name is None else getattr(each[key], name)) for each in (model, plain))
        assert torch.equal(behind(a, "weight").grad, b.weight.grad)


def test_it_is_quantized_and_exported_as_its_plain_copy_is(tmp_path: Any) -> None:
    model, x = tn.on_grid(net(tn.TCLIF, True), bits=8), spikes(12, 4, 20, seed=14)
    plain = plain_copy(model)
    one, two = tn.quantize(model, x), tn.quantize(plain, x)
    assert all((a.synapses.weight == b.synapses.weight).all() for a, b in zip(one.layers, two.layers, strict=True))
    tn.save_nir(model, tmp_path / "grid.nir")
    assert torch.equal(tn.load_nir(tmp_path / "grid.nir")[0].weight.float(), plain[0].weight)
    qat = tn.prepare_qat(model, x)
    assert isinstance(finish_qat(qat), nn.Sequential)


def test_a_state_of_another_grid_is_refused() -> None:
    fine, coarse = (tn.on_grid(net(tn.LIF, False), bits=bits) for bits in (8, 6))
    fine.load_state_dict(fine.state_dict())
    with pytest.raises(RuntimeError, match="top is 32 in the state, 128 in this OnGrid"):
        fine.load_state_dict(coarse.state_dict())


def test_a_parametrization_takes_an_assigned_weight() -> None:
    model = tn.on_grid(nn.Sequential(nn.Linear(3, 4), tn.LIF(4)), bits=4)
    model[0].weight = torch.full((4, 3), 100.0)
    grid = grid_of(model[0], "weight")
    assert grid is not None and (model[0].weight == grid.top * grid.unit).all()
    assert torch.equal(OnGrid(unit=1.0, top=2)(torch.tensor([0.5, 1.5, -2.5])), torch.tensor([0.0, 2.0, -2.0]))
