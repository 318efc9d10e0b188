"""Scales, and what a conversion lost, without what stands in the padding."""

import numpy as np
import pytest
import torch
from torch import nn

import tclif_neuro as tn
from tclif_neuro.fixed.run import InputError
from tclif_neuro.quantization import quantize, report

STEPS, BATCH = 14, 70  # over two chunks
LENGTHS = torch.arange(BATCH) % STEPS + 1


def example(garbage: float, silent: int) -> tuple[nn.Sequential, torch.Tensor]:
    """An undamped network, which goes on firing in silence, and samples with `garbage` as padding."""
    torch.manual_seed(0)
    hidden = tn.TCLIF(12, recurrent=True), nn.Linear(12, 6), tn.LIF(6, recurrent=True)
    x = torch.rand(STEPS, BATCH, 4)
    x = torch.where((torch.arange(STEPS)[:, None] < LENGTHS)[..., None], x, garbage)
    padded = torch.cat([x, torch.full((silent, BATCH, 4), garbage)])
    return nn.Sequential(nn.Linear(4, 12), *hidden, tn.Readout(6, 3, decay=0.9)), padded


@pytest.mark.parametrize(("garbage", "silent"), [(0.0, 60), (9.0, 3), (torch.nan, 3)])
def test_the_calibration_s_padding_sets_nothing(garbage: float, silent: int) -> None:
    model, x = example(0.0, 0)
    _, padded = example(garbage, silent)
    ours, theirs = (quantize(model, given, lengths=LENGTHS, steps=STEPS) for given in (x, padded))
    assert ours.input == theirs.input
    for a, b in zip(ours.layers, theirs.layers, strict=True):
        assert a.scale_bits == b.scale_bits and np.array_equal(a.synapses.weight, b.synapses.weight)
    plans = [tn.prepare_qat(model, given, lengths=LENGTHS).plan for given in (x, padded)]
    assert plans[0] == plans[1]


@pytest.mark.parametrize("kind", ["class", "class per step", "values", "values per step"])
def test_a_report_reads_no_padding(kind: str) -> None:
    model, x = example(0.0, 0)
    net = quantize(model, x, lengths=LENGTHS, steps=0, weight_bits=4)
    outputs = tn.outputs(model, x, LENGTHS).detach()
    y = outputs if "values" in kind else outputs.argmax(-1)
    own = torch.arange(STEPS)[:, None] < LENGTHS
    if "per step" in kind:
        y = torch.where(own[..., None], y, torch.nan) if "values" in kind else torch.where(own, y, -100)
    else:
        y = y[-1]
    found = report(model, net, x, y, LENGTHS)
    longer = torch.cat([y, y[-1:].expand(60, *y.shape[1:])]) if "per step" in kind else y
    if "per step" in kind:
        longer[STEPS:] = torch.nan if "values" in kind else -100
    padded = report(model, net, example(9.0, 60)[1], longer, LENGTHS)
    if "values" in kind:
        assert found.float_accuracy is None and found.float_error == pytest.approx(0, abs=1e-5)
        assert found.integer_error is not None and found.integer_error > 1e-4
    else:
        assert (found.float_accuracy, found.float_error, found.integer_error) == (1.0, None, None)
    assert found.per_step == ("per step" in kind) and 0 < found.agreement <= 1
    run = tn.run(net, x, lengths=LENGTHS, record=True)
    said = run.outputs if "per step" in kind else run.logits
    if "values" not in kind:
        assert found.integer_accuracy == found.agreement == pytest.approx((said.argmax(-1) == y.numpy())[y >= 0].mean())
    for ours, theirs, done in zip(found.layers, padded.layers, run.layers, strict=True):
        assert ours.integer_rate == theirs.integer_rate == pytest.approx(done.counts.sum() / (run.steps * ours.neurons))
        assert (ours.state_used, ours.spikes_differ) == (theirs.state_used, theirs.spikes_differ)
    assert (
        found.integer_spikes
        == padded.integer_spikes
        == pytest.approx(sum(done.counts.sum() for done in run.layers) / BATCH)
    )
    assert (found.integer_accuracy, found.input_clipped) == (padded.integer_accuracy, padded.input_clipped)


def test_targets_that_do_not_fit_are_refused() -> None:
    model, x = example(0.0, 0)
    net = quantize(model, x, lengths=LENGTHS)
    for y in (torch.zeros(3, dtype=torch.int64), torch.zeros(BATCH), torch.zeros(STEPS, BATCH, 2)):
        with pytest.raises(InputError, match="expected, got"):
            report(model, net, x, y)
    with pytest.raises(InputError, match="lengths"):
        report(model, net, x, None, LENGTHS[:3])
