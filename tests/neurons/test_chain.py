"""One walk over a model, in export, e-prop, FPTT, checkpointing and tracing: followed rightly, or refused by name."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import tclif_neuro as tn
from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.chain import links
from tclif_neuro.neurons.trace import trace

X = torch.rand(9, 6, 8, generator=torch.Generator().manual_seed(0))


def by_eprop(model):
    return tn.EPropLearner(model).sequence(X, torch.arange(6) % 4).potential


def by_fptt(model):
    from tclif_neuro.learning.recipe.training import TrainingSection
    from tclif_neuro.learning.rules.fptt import fptt_step

    return fptt_step(model, torch.optim.SGD(model.parameters(), 0.0), X, torch.arange(6) % 4, TrainingSection(epochs=1))


WALKERS = {
    "export": lambda model: tn.quantize(model, X),
    "checkpointed": lambda model: tn.checkpointed(model, X),
    "trace": lambda model: trace(model, X),
    "e-prop": by_eprop,
    "FPTT": by_fptt,
}


def network(**layer):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 32), tn.TCLIF(32, vth=0.4, **layer), tn.Readout(32, 4))


class Doubling(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


class Called(nn.Sequential):
    def __call__(self, x):
        return 2 * super().__call__(x)


class Silenced(tn.TCLIF):
    def forward(self, current, lengths=None):
        return 0 * super().forward(current, lengths)


class SilencedReadout(tn.Readout):
    def __call__(self, x):
        return 0 * super().__call__(x)


def lazy():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls lazy modules new
        return nn.LazyLinear(32)


def with_forward(index):
    model = network()
    model[index].forward = lambda x: 0 * x
    return model


def with_hook(index):
    model = network(recurrent=True)
    module = model[1].recurrent if index == "recurrent" else model if index is None else model[index]
    module.register_forward_hook(lambda module, x, out: 2 * out)
    return model


REFUSED = {
    "forward": (lambda: Doubling(*network()), r"model \(Doubling\): has a forward of its own"),
    "inside": (lambda: nn.Sequential(Doubling(*network()[:2]), network()[2]), r"module 0 \(Doubling\): has a forward"),
    "call": (lambda: Called(*network()), r"model \(Called\): has a forward"),
    "neurons": (
        lambda: nn.Sequential(nn.Linear(8, 6), Silenced(6), tn.Readout(6, 4)),
        r"1 \(Silenced\): has a forward",
    ),
    "neuron": (lambda: with_forward(1), r"module 1 \(TCLIF\): has a forward"),
    "readout": (
        lambda: nn.Sequential(*network()[:2], SilencedReadout(32, 4)),
        r"module 2 \(SilencedReadout\): has a forward",
    ),
    "lazy": (lambda: nn.Sequential(lazy(), *network()[1:]), r"module 0 \(LazyLinear\): is lazy"),
    "hook": (lambda: with_hook(1), r"module 1 \(TCLIF\): has forward hooks"),
    "hook of all": (lambda: with_hook(None), "has forward hooks"),
    "hook of R": (lambda: with_hook("recurrent"), r"module 1.recurrent \(Linear\): has forward hooks"),
    "BatchNorm1d": (
        lambda: nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), tn.TCLIF(6), tn.Readout(6, 4)),
        r"module 1 \(BatchNorm1d\): .*use tclif_neuro.BatchNorm",
    ),
    "sizes": (lambda: nn.Sequential(nn.Linear(8, 6), tn.TCLIF(5), tn.Readout(5, 4)), "has 5 neurons, the Linear .* 6"),
    "kind": (lambda: nn.Linear(8, 4), "an nn.Sequential expected, got Linear"),
}


@pytest.mark.parametrize("walker", WALKERS)
@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_followed_is_refused_by_name(walker, fault):
    make, message = REFUSED[fault]
    with pytest.raises(TclifError, match=message):
        WALKERS[walker](make())


def normed(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch prefers its parametrizations
        return nn.utils.weight_norm(module)


MADE = {
    "norm": lambda model: normed(model[0]),
    "prune": lambda model: prune.l1_unstructured(model[0], "weight", 0.5),
    "pruned R": lambda model: prune.l1_unstructured(model[1].recurrent, "weight", 0.5),
    "pruned readout": lambda model: prune.l1_unstructured(model[2], "weight", 0.5),
}


@pytest.mark.parametrize("kind", MADE)
def test_weights_made_by_hooks_are_those_of_now(kind):
    model = network(recurrent=True)
    MADE[kind](model)
    model(X)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.5)
    out = tn.checkpointed(model, X)
    net = tn.quantize(model, X)
    assert tn.report(model, net, X, model(X).argmax(1)).float_accuracy == 1.0
    plain = network(recurrent=True)
    with torch.no_grad():
        for module, made in zip(plain.modules(), model.modules(), strict=True):
            if isinstance(module, nn.Linear):
                module.weight.copy_(made.weight)
                if module.bias is not None:
                    module.bias.copy_(made.bias)
        for name in ("c1", "c2"):
            getattr(plain[1], name).copy_(getattr(model[1], name))
    for a, b in zip(net.layers, tn.quantize(plain, X).layers, strict=True):
        assert (a.synapses.weight == b.synapses.weight).all() and (a.bias == b.bias).all()
        assert a.recurrent is None or (a.recurrent.weight == b.recurrent.weight).all()
    with torch.no_grad():
        torch.testing.assert_close(out, model(X))
        torch.testing.assert_close(trace(model, X)[-1].states[0, -1], model(X))
        state, t = [None] * 3, 0
        for t, x in enumerate(X):
            for i, module in enumerate(model):
                x, state[i] = module.step(x, state[i], t) if i else (module(x), None)
        torch.testing.assert_close(x, model(X))
    with pytest.raises(TclifError, match=r"module \d \(\w+\): e-prop moves a weight itself.*prune.remove"):
        by_eprop(model)


def test_a_pruned_recurrent_matrix_trains_and_stays_pruned():
    model = network(recurrent=True)
    prune.l1_unstructured(model[1].recurrent, "weight", 0.5)
    optimiser, before = torch.optim.SGD(model.parameters(), 0.1), model[1].recurrent.weight_orig.detach().clone()
    for _ in range(2):
        optimiser.zero_grad()
        model(X).square().sum().backward()
        optimiser.step()
    mask = model[1].recurrent.weight_mask.bool()
    moved = model[1].recurrent.weight_orig.detach() != before
    assert moved.any() and not moved[~mask].any()


def test_a_module_used_twice_is_two_layers():
    torch.manual_seed(0)
    linear, layer = nn.Linear(8, 8), tn.TCLIF(8, vth=0.3)
    model = nn.Sequential(linear, layer, nn.Sequential(linear, nn.Identity(), layer), tn.Readout(8, 4))
    assert [name for name, _ in links(model)] == ["0", "1", "2.0", "2.1", "2.2", "3"]
    torch.testing.assert_close(tn.checkpointed(model, X), model(X))
    assert len(trace(model, X)) == len(tn.quantize(model, X).layers) == 3
    assert len(tn.EPropLearner(model).layers) == 2
    with torch.no_grad():
        torch.testing.assert_close(by_eprop(model), model(X))
    by_fptt(model)


def test_a_module_may_be_called_recurrent():
    model = nn.Sequential()
    for name, module in zip(("recurrent", "cells", "out"), network(), strict=True):
        model.add_module(name, module)
    with torch.no_grad():
        torch.testing.assert_close(by_eprop(model), model(X))


def test_modes_are_left_as_they_were():
    model = nn.Sequential(*network()[:2], nn.Dropout(0.5), network()[2])
    model.train()
    model[0].eval()
    before = copy.deepcopy([module.training for module in model.modules()])
    trace(model, X)
    tn.report(model, tn.quantize(model, X), X)
    assert [module.training for module in model.modules()] == before


def test_a_gradient_that_is_not_finite_is_refused_and_others_are_added():
    model, y = network(), torch.arange(6) % 4
    learner = tn.EPropLearner(model)
    learner.sequence(X, y)
    once = [p.grad.clone() for p in model.parameters()]
    learner.sequence(X, y)
    for p, grad in zip(model.parameters(), once, strict=True):
        torch.testing.assert_close(p.grad, 2 * grad)
    broken, before = X.clone(), [p.detach().clone() for p in model.parameters()]
    broken[3, 2, 1] = float("nan")
    with pytest.raises(TclifError, match="gradient is not finite"):
        tn.EPropLearner(model, torch.optim.SGD(model.parameters(), 0.1).step).sequence(broken, y)
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))
