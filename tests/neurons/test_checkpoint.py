"""A sequence in parts with carried states, and checkpoints over time, against the sequence in one piece."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

import tclif_neuro as tn
from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.checkpointed import advance, stages_of
from tclif_neuro.neurons.liquid import LiquidLIF

KINDS = [
    (tn.TCLIF, "delayed"), (tn.TCLIF, "immediate"), (tn.AdaptiveTCLIF, "delayed"), (tn.AdaptiveTCLIF, "immediate"),
    (tn.RelaxedTCLIF, "immediate"), (tn.LIF, "delayed"), (tn.LIF, "immediate"), (tn.LIF, "zero"),
]  # fmt: skip


def on_a_grid(model):
    """Weights of few bits, so that the order of sums does not matter."""
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.round(p * 64) / 32)
    return model


def gradients(model, out):
    model.zero_grad()
    out.backward(torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out))
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def close(one, other, tolerance):
    assert other.norm() > 0
    assert (one - other).norm() <= tolerance * other.norm()


@pytest.mark.parametrize("mode", ["reference", "compiled"])
@pytest.mark.parametrize(("layer", "reset"), KINDS)
@pytest.mark.parametrize("options", [{}, {"recurrent": True}, {"recurrent": True, "reset_grad": "detach"}])
def test_a_scan_goes_on_from_the_state_before(mode, layer, reset, options, monkeypatch):
    """Parts of uneven length: the same spikes and states to the bit, the same gradients; also of the states."""
    monkeypatch.setenv("TCLIF_SCAN", mode)
    torch.manual_seed(0)
    module = layer(6, reset=reset, **options).double()
    x = torch.randn(41, 3, 6, dtype=torch.float64, requires_grad=True)
    spikes, end = module.scan(x)
    expected = gradients_of(module, x, spikes, end)
    parts, state = [], None
    for first, last in ((0, 1), (1, 18), (18, 41)):
        part, state = module.scan(x[first:last], state, first)
        parts.append(part)
    assert torch.equal(torch.cat(parts), spikes) and 0.02 < spikes.mean() < 0.9
    assert all(torch.equal(a, b) for a, b in zip(state, end, strict=True))
    close(gradients_of(module, x, torch.cat(parts), state), expected, 1e-10)


def gradients_of(module, x, spikes, state):
    module.zero_grad()
    x.grad = None
    loss = (spikes * torch.linspace(-1, 1, spikes.numel(), dtype=x.dtype).view_as(spikes)).sum()
    (loss + sum(((i + 2) * s * s[0, 0].detach()).sum() for i, s in enumerate(state))).backward()
    return torch.cat([x.grad.flatten(), *(p.grad.flatten() for p in module.parameters() if p.grad is not None)])


def test_a_scan_is_its_steps():
    torch.manual_seed(0)
    for module in (tn.AdaptiveTCLIF(5, recurrent=True), tn.LIF(5), tn.Readout(5, 2)):
        x, state, out = torch.rand(9, 2, 5), None, []
        for t, row in enumerate(x):
            now, state = module.step(row, state, t)
            out.append(now)
        whole, after = module.scan(x[4:], module.scan(x[:4])[1], 4)
        torch.testing.assert_close(whole, out[-1] if isinstance(module, tn.Readout) else torch.stack(out[4:]))
        torch.testing.assert_close(tuple(after), tuple(state))


@pytest.mark.parametrize("every", [None, 1, 7, 16, 50, 1000])
@pytest.mark.parametrize("recurrent", [False, True])
def test_checkpoints_change_neither_spikes_nor_gradients(every, recurrent):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 32), tn.TCLIF(32, recurrent=recurrent), nn.Linear(32, 24))
    layers = (tn.AdaptiveTCLIF(24, recurrent=recurrent), nn.Linear(24, 16), tn.LIF(16, learn_beta=True))
    model = on_a_grid(nn.Sequential(body, *layers))
    x = torch.randint(0, 2, (50, 6, 4)).float()
    spikes, same = model(x), tn.checkpointed(model, x, every=every)
    assert torch.equal(spikes, same) and 0.02 < spikes.mean() < 0.9
    close(gradients(model, same), gradients(model, spikes), 2e-5)
    model.append(on_a_grid(tn.Readout(16, 3, decay=0.9)))
    logits, same = model(x), tn.checkpointed(model, x, every=every)
    torch.testing.assert_close(logits, same)
    close(gradients(model, same), gradients(model, logits), 2e-5)
    potential, same = tn.outputs(model, x), tn.checkpointed(model, x, every=every, every_step=True)
    torch.testing.assert_close(potential, same)
    close(gradients(model, same), gradients(model, potential), 2e-5)


def test_a_potential_after_every_step_needs_a_readout():
    with pytest.raises(TclifError, match="every_step is of a model that ends in a Readout"):
        tn.checkpointed(nn.Sequential(nn.Linear(2, 3), tn.LIF(3)), torch.rand(4, 1, 2), every_step=True)


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_layer_without_a_scan_of_its_own_is_stepped(recurrent):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), LiquidLIF(8, recurrent=recurrent), tn.Readout(8, 2)).double()
    x = 2 * torch.rand(20, 3, 3, dtype=torch.float64)
    logits, same = model(x), tn.checkpointed(model, x, every=6)
    close(gradients(model, same), gradients(model, logits), 1e-10)


def test_dropout_draws_the_same_masks_again():
    """Backward sees the masks of forward: the gradient is that of the same parts, drawn alike, without checkpoints."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), tn.TCLIF(16), nn.Dropout(0.5), tn.Readout(16, 3))
    x = 2 * torch.rand(30, 5, 4)
    torch.manual_seed(1)
    logits = tn.checkpointed(model, x, every=10)
    torch.rand(1)  # forward's generator has gone on when backward runs
    found = gradients(model, logits)
    torch.manual_seed(1)
    stages, states = stages_of(model), (None,) * 5
    for start in (0, 10, 20):
        out, states = advance(stages, x[start : start + 10], states, start)
    assert torch.equal(out, logits)
    close(gradients(model, out), found, 1e-6)


def test_batch_normalisation_takes_part_only_with_fixed_statistics():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), tn.BatchNorm(16), tn.TCLIF(16), tn.Readout(16, 3))
    x = torch.rand(30, 5, 4)
    model(x)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(TclifError, match=r"layer 1, a BatchNorm, .* eval\(\)"):
        tn.checkpointed(model, x)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    model[1].eval()
    torch.testing.assert_close(tn.checkpointed(model, x, every=7), model(x))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((nn.Sequential(nn.Linear(3, 3)), nn.Sequential(nn.Conv1d(3, 3, 1))), "layer 1.0, a Conv1d"),
        ((tn.Readout(3, 3), tn.LIF(3)), "layer 0, a Readout"),
    ],
)
def test_what_cannot_be_exact_is_refused(layers, message):
    with pytest.raises(TclifError, match=message):
        tn.checkpointed(nn.Sequential(*layers), torch.zeros(4, 2, 3))


def test_wrong_arguments_are_refused():
    model = nn.Sequential(tn.LIF(3))
    for x, every, message in ((torch.zeros(4, 2, 3), 0, "every 0"), (torch.zeros(0, 2, 3), None, r"\[0, 2, 3\]")):
        with pytest.raises(TclifError, match=message):
            tn.checkpointed(model, x, every=every)
    with pytest.raises(TclifError, match="got LIF"):
        tn.checkpointed(model[0], torch.zeros(4, 2, 3))
    model[0].register_forward_hook(lambda *_: None)
    with pytest.raises(TclifError, match="hooks"):
        tn.checkpointed(model, torch.zeros(4, 2, 3))


MEMORY = """
import re, torch, tclif_neuro as tn
torch.manual_seed(0)
hidden = (tn.TCLIF(256), torch.nn.Linear(256, 256), tn.LIF(256))
model = torch.nn.Sequential(torch.nn.Linear(1, 256), *hidden, tn.Readout(256, 2))
def highest():  # ru_maxrss would begin with that of the process that started this one
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
def peak(run, x):
    before = highest()
    run(x).sum().backward()
    return highest() - before
x = torch.rand(4000, 16, 1)
for run in (model, lambda x: tn.checkpointed(model, x, every=10)):
    peak(run, x[:20])  # what compiles and is allocated once
less = peak(lambda x: tn.checkpointed(model, x), x)
print(less, less + peak(model, x))
"""


@pytest.mark.slow
def test_checkpoints_take_a_fraction_of_the_memory():
    """In a process of its own. Peaks of the same run differ by many MiB, so this is far from a tight bound."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, timeout=500, check=True)
    checkpointed, plain = map(int, done.stdout.split())
    assert checkpointed < plain / 3, done.stdout
