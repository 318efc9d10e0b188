"""e-prop against autograd, in double precision: equalities, not tolerances."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tclif_neuro.errors import TclifError
from tclif_neuro.learning.eprop import chunks
from tclif_neuro.learning.eprop.layer import EligibleLayer
from tclif_neuro.learning.eprop.learner import EPropLearner
from tclif_neuro.learning.eprop.signal import EPropOptions, random_feedback
from tclif_neuro.neurons.modules import LIF, TCLIF, AdaptiveTCLIF, Readout, RelaxedTCLIF
from tclif_neuro.neurons.norm import BatchNorm
from tests.examples import examples
from tests.learning.eprop_references import eprop_gradients, gradients, models, spikes_of

MODES = st.sampled_from(["reference", "compiled", "products"])


def choose(patch: pytest.MonkeyPatch, mode: str) -> None:
    """The equations, the compiled passes, or the products of other devices."""
    patch.setenv("TCLIF_SCAN", "compiled" if mode == "compiled" else "reference")
    patch.setattr(chunks, "reorders", lambda state: mode == "products")


def sequence(seed: int, steps: int, batch: int, inputs: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(steps, batch, inputs, generator=generator, dtype=torch.float64)


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * max(1.0, expected.abs().max().item()))


@examples(40)
@given(models(), MODES, st.integers(1, 25), st.integers(1, 3), st.integers(1, 9), st.integers(0, 2**31))
def test_a_layer_has_the_gradient_of_bptt_for_any_learning_signal(model, mode, steps, batch, chunk, seed):
    """E = sum_t L[t] S[t] for arbitrary L: reset kept or detached, as the layer says; all weights and coefficients."""
    linear, layer = model[0], model[1]
    x = sequence(seed, steps, batch, linear.in_features)
    signal = torch.randn(steps, batch, layer.size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    parameters = [*linear.parameters(), *layer.parameters()]
    expected = gradients((signal * spikes_of(layer, linear(x))).sum(), parameters)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        choose(patch, mode)
        learner = EligibleLayer(linear, layer)
        learner.reset(batch)
        for part, its in zip(x.split(chunk), signal.split(chunk), strict=True):
            learner.forward(part)
            learner.learn(its)
        learner.take(1)
    for p, e in zip(parameters, expected, strict=True):
        close(p.grad, e)


def test_traces_are_shared_where_nothing_in_them_belongs_to_a_neuron():
    shared = [kind(6, reset_grad="detach", recurrent=True) for kind in (TCLIF, RelaxedTCLIF, AdaptiveTCLIF, LIF)]
    own = [
        TCLIF(6),
        TCLIF(6, reset_grad="detach", per_neuron=True),
        LIF(6, reset_grad="detach", reset="zero"),  # 1 - S multiplies the potential
    ]
    for layer, n in [(layer, 1) for layer in shared] + [(layer, 6) for layer in own]:
        learner = EligibleLayer(nn.Linear(4, 6), layer)
        learner.reset(3)
        assert learner.afferents[0].trace.shape == (2, 3, n, 4)


OPTIONS = st.builds(
    EPropOptions,
    feedback=st.sampled_from(["symmetric", "random"]),
    potential=st.sampled_from(["running", "step"]),
    loss=st.sampled_from(["cross_entropy", "mean_square"]),
    mean=st.booleans(),
    label_smoothing=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 9),
)


def loss_of(options: EPropOptions, target: Tensor, decay: float):
    """The mean over steps of the loss, written out."""

    def losses(potential: Tensor, current: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for t in range(len(potential)):
            seen, weight = potential[t], sum(decay**age for age in range(t + 1))
            if options.potential == "step":
                seen, weight = current[t], 1.0
            if options.mean:
                seen = seen / weight
            if options.loss == "cross_entropy":
                total = total + nn.functional.cross_entropy(seen, target, label_smoothing=options.label_smoothing)
            else:
                smoothing = options.label_smoothing
                y = nn.functional.one_hot(target, 3).double() * (1 - smoothing) + smoothing / 3
                total = total + 0.5 * ((seen - y) ** 2).sum(1).mean()
        return total / len(potential)

    return losses


@examples(25)
@given(st.integers(1, 3).flatmap(models), OPTIONS, MODES, st.integers(1, 12), st.integers(1, 3), st.integers(0, 2**31))
def test_a_network_has_the_gradient_without_the_paths_it_leaves_out(model, options, mode, steps, batch, seed):
    x = sequence(seed, steps, batch, model[0].in_features)
    y = torch.randint(0, 3, (batch,), generator=torch.Generator().manual_seed(seed))
    readout = model[-1]
    sizes = [layer.size for layer in model[1:-1:2]]
    feedback = random_feedback(3, sizes, readout.weight, options.seed) if options.feedback == "random" else None
    losses = loss_of(options, y, readout.decay)
    expected = eprop_gradients(model, x, losses, feedback)
    with pytest.MonkeyPatch.context() as patch:
        choose(patch, mode)
        model.zero_grad()
        result = EPropLearner(model, None, options).sequence(x, y)
        patch.setenv("TCLIF_SCAN", "reference")
        close(result.potential, model(x).detach())
    for name, p in model.named_parameters():
        close(p.grad, expected[name])


@examples(15)
@given(
    st.integers(1, 2).flatmap(models), OPTIONS, st.sampled_from(["compiled", "products"]),
    st.integers(1, 20), st.integers(1, 7), st.integers(0, 2**31),
)  # fmt: skip
def test_streaming_plain_and_chunks_agree(model, options, mode, steps, chunk, seed):
    """To 1e-10, in float64."""
    x = sequence(seed, steps, 2, model[0].in_features)
    y = torch.randint(0, 3, (steps, 2), generator=torch.Generator().manual_seed(seed))  # another target at every step
    learner = EPropLearner(model, None, options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TCLIF_SCAN", "reference")
        learner.begin(2)
        for x_t, y_t in zip(x, y, strict=True):
            learner.step(x_t, y_t)
        streamed = learner.end()
        expected = [p.grad.clone() for p in model.parameters()]
        model.zero_grad()
        choose(patch, mode)
        learner.begin(2)
        for part, its in zip(x.split(chunk), y.split(chunk), strict=True):
            learner.chunk(part, its)
        chunked = learner.end()
    assert chunked.loss == pytest.approx(streamed.loss, rel=1e-10)
    for p, e in zip(model.parameters(), expected, strict=True):
        close(p.grad, e)


@pytest.mark.parametrize("mode", ["compiled", "products"])
@pytest.mark.parametrize("reset_grad", ["keep", "detach"])
@pytest.mark.parametrize("kind", [TCLIF, AdaptiveTCLIF, LIF])
def test_single_precision_agrees_with_double(kind, reset_grad, mode, monkeypatch):
    """Larger layers, whose spikes are read as events; weights and inputs on a grid, so that the spikes are the same."""
    choose(monkeypatch, mode)
    torch.manual_seed(0)
    more = {"learn_beta": True, "beta": 0.875} if kind is LIF else {}
    model = nn.Sequential(
        nn.Linear(12, 40), kind(40, recurrent=True, reset_grad=reset_grad, **more),
        nn.Linear(40, 32), kind(32, reset_grad=reset_grad, **more), Readout(32, 3),
    )  # fmt: skip
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.round(p * 32) / 32)
    x, y = torch.randint(0, 2, (60, 9, 12)).float(), torch.randint(0, 3, (9,))
    single = EPropLearner(model).sequence(x, y)
    found = torch.cat([p.grad.flatten() for p in model.parameters()]).double()
    model.zero_grad()
    choose(monkeypatch, "reference")
    double = EPropLearner(model.double()).sequence(x.double(), y)
    expected = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert single.loss == pytest.approx(double.loss, rel=1e-5)
    assert (found - expected).norm() < 1e-4 * expected.norm()


def test_by_products_the_traces_of_all_synapses_are_touched_once_per_chunk(monkeypatch):
    """However many steps it has; by the equations, at every step."""

    class Touched(TorchFunctionMode):
        count = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            self.count += isinstance(out, Tensor) and out.numel() >= 2 * 7 * 40  # more than the rest of a chunk has
            return out

    model, counts = nn.Sequential(nn.Linear(40, 7), TCLIF(7), Readout(7, 2)), {}
    for mode in ("reference", "products"):
        choose(monkeypatch, mode)
        for steps in (5, 6):
            with Touched() as touched:
                EPropLearner(model).sequence(torch.rand(steps, 2, 40), torch.tensor([0, 1]))
            counts[mode, steps] = touched.count
    assert counts["products", 5] == counts["products", 6] < counts["reference", 5] < counts["reference", 6]


@pytest.mark.parametrize("every", [0, 1, 3, 7])
def test_updates_come_when_asked(every):
    """Every K steps and at the end; each is by the mean gradient of the steps since the last."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), TCLIF(5), Readout(5, 2)).double()
    x, y = sequence(0, 16, 2, 3), torch.tensor([0, 1])
    seen: list[Tensor] = []
    learner = EPropLearner(model, lambda: seen.append(model[-1].weight.grad.clone()), EPropOptions(update_every=every))
    learner.sequence(x, y)
    lengths = [16] if every == 0 else [every] * (16 // every) + [16 % every] * (16 % every > 0)
    assert len(seen) == len(lengths)
    whole = EPropLearner(model)
    whole.sequence(x, y)
    close(sum(n * g for n, g in zip(lengths, seen, strict=True)) / 16, model[-1].weight.grad)


@pytest.mark.slow
@pytest.mark.trains
def test_a_stream_teaches_to_remember(seed):
    """Which of two inputs was on three steps ago: nothing at the step of the answer tells."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 40), RelaxedTCLIF(40, reset_grad="detach"), Readout(40, 2, decay=0.0))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    learner = EPropLearner(model, optimiser.step)
    generator, right = torch.Generator().manual_seed(seed + 1), []
    for trial in range(400):
        y = torch.randint(0, 2, (32,), generator=generator)
        learner.begin(32)
        learner.step(2 * nn.functional.one_hot(y, 2).float())
        learner.step(torch.zeros(32, 2))
        learner.step(torch.zeros(32, 2))
        potential = learner.step(torch.zeros(32, 2), y)
        learner.end()
        if trial >= 300:
            right.append((potential.argmax(1) == y).float().mean().item())
    assert sum(right) / len(right) > 0.75, "two classes: chance is 0.5"


def test_only_what_wants_a_gradient_gets_one():
    model = nn.Sequential(nn.Linear(3, 5), TCLIF(5), Readout(5, 2))
    model[1].c1.requires_grad_(False)
    model[0].bias.requires_grad_(False)
    EPropLearner(model).sequence(torch.rand(4, 2, 3), torch.tensor([0, 1]))
    assert model[1].c1.grad is None and model[0].bias.grad is None
    assert model[1].c2.grad is not None and model[0].weight.grad is not None


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([nn.Linear(3, 5), BatchNorm(5), TCLIF(5), Readout(5, 2)], "module 1 .BatchNorm.: e-prop has no batch norm"),
        ([nn.Linear(3, 5), TCLIF(5), nn.Dropout(0.1), Readout(5, 2)], "module 2 .Dropout.: e-prop has no dropout"),
        ([nn.Linear(3, 5), TCLIF(5)], "must end with a spiking layer and a Readout"),
        ([nn.Linear(3, 5), Readout(5, 2)], "must end with a spiking layer and a Readout"),
        ([nn.Linear(3, 5), nn.ReLU(), Readout(5, 2)], "module 1 .ReLU.: e-prop trains Linear and spiking layers"),
    ],
)
def test_a_model_it_cannot_train_is_refused(modules, message):
    with pytest.raises(TclifError, match=message):
        EPropLearner(nn.Sequential(*modules))


def test_a_batch_it_cannot_take_is_refused():
    learner = EPropLearner(nn.Sequential(nn.Linear(3, 5), TCLIF(5), Readout(5, 2)))
    y = torch.tensor([0, 1])
    with pytest.raises(TclifError, match=r"begin\(batch\) comes before"):
        learner.step(torch.rand(2, 3), y)
    with pytest.raises(TclifError, match="no steps"):
        learner.sequence([], y)
    learner.begin(2)
    for x, target, message in [
        (torch.rand(2, 4), y, r"input \[K, 2, 3\] expected, got \[1, 2, 4\]"),
        (torch.rand(2, 3).double(), y, "the input is torch.float64, the model torch.float32"),
        (torch.rand(2, 3), torch.tensor([0, 2]), "classes 0 ... 2 with 2 outputs"),
        (torch.rand(2, 3), torch.tensor([0]), r"classes \[2\] or \[1, 2\] expected, got \[1\]"),
        (np.ones((2, 3)), y, "e-prop: a torch.Tensor expected, got a ndarray"),
        (torch.rand(2, 3), y.numpy(), "e-prop: target: a torch.Tensor expected, got a ndarray"),
        (torch.rand(2, 3), torch.rand(2, 3), r"targets \[2, 2\] or \[1, 2, 2\] expected, got \[2, 3\]"),
    ]:
        with pytest.raises(TclifError, match=message):
            learner.step(x, target)
    for x in (np.ones((4, 2, 3)), [np.ones((4, 2, 3))]):
        with pytest.raises(TclifError, match=r"e-prop: a torch.Tensor expected, got a ndarray"):
            learner.sequence(x, y)


@pytest.mark.parametrize(
    "wrong", [{"feedback": "none"}, {"loss": "l1"}, {"potential": "x"}, {"update_every": -1}, {"label_smoothing": 1.0}]
)
def test_options_are_checked(wrong):
    with pytest.raises(TclifError, match=next(iter(wrong))):
        EPropOptions(**wrong)
