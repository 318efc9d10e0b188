"""Models and tensors of another device: converted, compared and run as those of the CPU; without numbers, refused."""

import numpy as np
import pytest
import torch
from torch import nn

import tclif_neuro as tn
from tclif_neuro.compare.runs import compare_float, compare_runs
from tclif_neuro.neurons.trace import trace
from tclif_neuro.quantization import ConversionError, finish_qat
from tests.elsewhere import ELSEWHERE, elsewhere


def model() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Linear(4, 8),
        tn.BatchNorm(8),
        tn.TCLIF(8, recurrent=True, c1=0.3),
        nn.Linear(8, 6),
        tn.LIF(6, learn_beta=True),
        tn.Readout(6, 3, decay=0.95),
    ).eval()


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    x = 3 * torch.rand(9, 5, 4, generator=generator)
    return x, torch.tensor([0, 1, 2, 0, 1]), torch.tensor([9, 3, 5, 9, 1])


def test_a_model_elsewhere_becomes_the_same_network() -> None:
    x, y, lengths = batch()
    net = tn.quantize(model(), x, lengths=lengths)
    said = tn.report(model(), net, x, y, lengths)
    with elsewhere():
        there, at = model().to(ELSEWHERE), (x.to(ELSEWHERE), y.to(ELSEWHERE), lengths.to(ELSEWHERE))
        moved = tn.quantize(there, at[0], lengths=at[2])
        assert tn.report(there, moved, *at) == said
        run = tn.run(moved, at[0], lengths=at[2], record=True)
        floats = compare_float(moved, trace(there, at[0], at[2]), run, labels=at[1])
        simulated = tn.simulate(moved, at[0].requires_grad_(), lengths=at[2])
        assert np.array_equal(simulated.logits, tn.simulate(net, x.numpy(), lengths=lengths.numpy()).logits)
        assert compare_runs(net, run, run, names=("a", "b"), labels=at[1]).identical
        assert np.array_equal(tn.Simulator(net, 5).step(at[0][0]), tn.Simulator(net, 5).step(x[0]))
    for a, b in zip(net.layers, moved.layers, strict=True):
        assert np.array_equal(a.synapses.weight, b.synapses.weight) and np.array_equal(a.bias_mant, b.bias_mant)
    assert all(map(np.array_equal, run.states, tn.run(net, x, lengths=lengths, record=True).states))
    assert floats.samples == 5


def test_quantization_aware_training_stays_where_the_model_is() -> None:
    x, y, _ = batch()
    with elsewhere():
        there = tn.prepare_qat(model().to(ELSEWHERE), x)
        optimiser = torch.optim.SGD(there.parameters(), lr=0.01)
        nn.functional.cross_entropy(there(x.to(ELSEWHERE)), y.to(ELSEWHERE)).backward()
        optimiser.step()
        plain = finish_qat(there)
        assert all(p.device == ELSEWHERE for p in (*there.parameters(), *plain.parameters()))
        net, again = tn.quantize(there, x), tn.quantize(there, x.to(ELSEWHERE))
    for a, b in zip(net.layers, again.layers, strict=True):
        assert np.array_equal(a.synapses.weight, b.synapses.weight)


def test_what_holds_no_numbers_is_refused() -> None:
    """torch's own "meta"."""
    x, y, lengths = batch()
    net = tn.quantize(model(), x)
    for wrong in (lambda: tn.simulate(net, x.to("meta")), lambda: tn.report(model(), net, x.to("meta"))):
        with pytest.raises(tn.TclifError, match=r"input: a Tensor that is no array of numbers: .*meta"):
            wrong()
    with pytest.raises(tn.TclifError, match="lengths: a Tensor that is no array"):
        tn.run(net, x, lengths=lengths.to("meta"))
    with pytest.raises(tn.TclifError, match="labels: a Tensor that is no array"):
        tn.report(model(), net, x, y.to("meta"))
    with pytest.raises(ConversionError, match=r"calibration: is on meta, which holds no numbers"):
        tn.quantize(model(), x.to("meta"))
    with pytest.raises(ConversionError, match=r"parameter 0\.weight: is on meta, which holds no numbers"):
        tn.quantize(model().to("meta"), x)
