"""What is written comes back: parameters with `==`, names in the order of execution, with or without the claim."""

import itertools

import h5py
import nir
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tclif_neuro as tn
from tclif_neuro.neurons.layer import TwoCompartment
from tclif_neuro.neurons.trace import trace
from tclif_neuro.quantization.stages import canonical, parse
from tests.examples import examples

finite = st.floats(-3, 3, width=32)
positive = st.floats(0.125, 4, width=32)


@st.composite
def neurons(draw, size):
    """Any neurons of ours that NIR can say, constants and parameters of any value."""
    kind = draw(st.sampled_from(["TCLIF", "RelaxedTCLIF", "GeneralizedTCLIF", "LIF", "CUBALIF"]))
    common = {"recurrent": draw(st.booleans()), "vth": draw(positive), "per_neuron": draw(st.booleans())}
    resets = ["delayed", "immediate"]
    if kind == "LIF":
        learn = draw(st.booleans())
        beta = draw(st.floats(0.05, 0.95) if learn else st.floats(0, 1, width=32))
        return tn.LIF(size, beta=beta, learn_beta=learn, reset=draw(st.sampled_from([*resets, "zero"])), **common)
    if kind == "CUBALIF":
        decays = {name: draw(st.floats(0.05, 0.95)) for name in ("alpha", "beta")}
        resets = [*resets, "zero"]
        return tn.CUBALIF(
            size, **decays, learn_decays=draw(st.booleans()), reset=draw(st.sampled_from(resets)), **common
        )
    common |= {"reset": draw(st.sampled_from(resets)), "gamma": draw(st.floats(0, 2))}
    if kind == "TCLIF":
        return tn.TCLIF(size, lattice=draw(st.booleans()), c1=draw(finite), c2=draw(finite), **common)
    if kind == "GeneralizedTCLIF":
        return tn.GeneralizedTCLIF(size, b1=draw(st.floats(-1, 1)), b2=draw(st.floats(-1, 1)), **common)
    return tn.RelaxedTCLIF(
        size,
        a1=draw(st.floats(0.1, 0.99)),
        a2=draw(st.floats(0.1, 0.99)),
        b1=draw(st.floats(-1, 0)),
        b2=draw(st.floats(0, 1)),
        **common,
    )


@st.composite
def models(draw):
    """One to three layers of one to three neurons, with or without a readout."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    modules = []
    for inputs, outputs in itertools.pairwise(sizes):
        modules += [torch.nn.Linear(inputs, outputs), draw(neurons(outputs))]
    if draw(st.booleans()):
        modules.append(tn.Readout(sizes[-1], 2, decay=draw(st.floats(0, 1))))
    model = torch.nn.Sequential(*modules)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith((".b1", ".b2")):
                continue  # in [-1, 1]
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    return model


def plain(model):
    """The parameters, buffers and constants of a model, as float64, by name."""
    values = {name: tensor.double() for name, tensor in canonical(parse(model)).state_dict().items()}
    constants = [
        {name: getattr(m, name) for name in ("vth", "gamma", "reset", "decay", "lattice") if hasattr(m, name)}
        for m in model
    ]
    return values, constants


def check_same(ours, again):
    (values, constants), (values_again, constants_again) = plain(ours), plain(again)
    assert values.keys() == values_again.keys()
    for name in values:
        assert torch.equal(values[name], values_again[name]), name
    assert constants == constants_again


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("nir") / "model.nir"


@examples(15)
@given(models(), st.sampled_from([1e-4, 1e-3, 2.0**-10, 0.7]))
def test_parameters_come_back_as_they_were(file, model, dt) -> None:
    assert tn.save_nir(model, file, dt=dt).exact
    check_same(model, tn.load_nir(file))


@examples(8)
@given(models())
def test_float64_parameters_come_back_too(file, model) -> None:
    """Of a LIF that is reset to zero the weights are divided and multiplied again, which can cost their last bit."""
    model = model.double()
    tn.save_nir(model, file)
    values, values_again = plain(model)[0], plain(tn.load_nir(file))[0]
    divided = {
        key
        for i, m in enumerate(model)
        if isinstance(m, tn.LIF) and m.reset == "zero"
        for key in (f"{i - 1}.weight", f"{i - 1}.bias", f"{i}.recurrent.weight")
    }
    for name, value in values.items():
        tolerance = {"rtol": 2**-51, "atol": 0} if name in divided else {"rtol": 0, "atol": 0}
        torch.testing.assert_close(values_again[name], value, **tolerance)


@examples(8)
@given(models())
def test_without_our_metadata_the_nodes_say_the_same(file, model) -> None:
    """Metadata are no part of the standard: stripped, the coefficients are the same up to rounding."""
    tn.save_nir(model, file, dt=1e-3)
    graph = nir.read(file)
    for node in graph.nodes.values():
        node.metadata = {}
    nir.write(file, graph)
    try:
        again = tn.load_nir(file, dt=1e-3)
    except tn.TclifError as error:  # a decay that is 1 in float64, say
        assert "outside (0, 1)" in str(error)
        return
    x = torch.rand(5, 2, model[0].in_features, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for ours, theirs in zip(trace(canonical(parse(model)), x), trace(canonical(parse(again)), x), strict=True):
        if not torch.equal(ours.spikes, theirs.spikes):
            return  # a potential at the threshold may fall either way
        torch.testing.assert_close(ours.input, theirs.input, rtol=1e-6, atol=1e-6)


@examples(8)
@given(models())
def test_alphabetical_order_is_the_order_of_execution(file, model) -> None:
    """In the file: every edge leads forward, but those that close a cycle, of the last step's values."""
    tn.save_nir(model, file)
    with h5py.File(file) as opened:
        check_order(opened["node"])


def check_order(group):
    names = sorted(name for name in group["nodes"] if name not in ("input", "output"))
    for source, target in group["edges"].asstr()[()]:
        forward = source == "input" or target == "output" or source < target
        late = source in {"f_reset_dendrite", "g_reset_soma", "h_back", "i_recurrent"}
        assert forward != late, (source, target)
    for name in names:
        if "nodes" in group["nodes"][name]:
            check_order(group["nodes"][name])


def test_more_than_ten_layers_keep_their_order(file) -> None:
    model = torch.nn.Sequential(*(m for _ in range(12) for m in (torch.nn.Linear(2, 2), tn.LIF(2))))
    tn.save_nir(model, file)
    check_same(model, tn.load_nir(file))
    assert [n for n in nir.read(file).nodes if "weight" in n] == [f"layer_{i:02}_a_weight" for i in range(12)]


def test_batch_normalisation_is_folded(file) -> None:
    norm = tn.BatchNorm(3).eval()
    with torch.no_grad():
        norm.running_mean.copy_(torch.tensor([0.1, 0.2, 0.3]))
        norm.running_var.copy_(torch.tensor([0.5, 1.0, 2.0]))
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), norm, tn.TCLIF(3))
    tn.save_nir(model, file)
    again = tn.load_nir(file)
    assert len(again) == 2
    weight = canonical(parse(model))[0].weight
    assert torch.equal(again[0].weight.double(), weight)


def test_a_claim_that_the_nodes_do_not_bear_out_is_not_believed(file) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), tn.TCLIF(3, vth=1.0))
    tn.save_nir(model, file)
    with h5py.File(file, "r+") as opened:
        opened["node/nodes/layer_0_b_neurons/metadata/tclif_neuro/vth"][()] = 7.0
        opened["node/nodes/layer_0_b_neurons/nodes/c_couple/scale"][...] = 0.25
    again = tn.load_nir(file)
    assert again[1].vth == 1.0
    assert torch.sigmoid(again[1].c2).item() == pytest.approx(0.25, rel=1e-6)


class Own(TwoCompartment):
    """A neuron of no kind of ours."""

    def coefficients(self, steps: int, start: int = 0) -> tuple[torch.Tensor, ...]:
        a = torch.full((1, 3), 0.75)
        return a, a, -a[0], a[0]


def test_a_neuron_of_no_kind_is_read_from_its_nodes(file) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), Own(3, vth=0.5), tn.Readout(3, 2))
    x = torch.rand(20, 4, 2) * 4
    tn.save_nir(model, file)
    again = tn.load_nir(file)
    assert torch.allclose(again(x), model(x)) and trace(model, x)[0].spikes.any()


def test_integers_are_written_approximately_and_the_difference_is_counted(file) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 8),
        tn.TCLIF(8),
        torch.nn.Linear(8, 6),
        tn.LIF(6),
        torch.nn.Linear(6, 6),
        tn.LIF(6, reset="zero", beta=0.8),
        tn.Readout(6, 3),
    )
    with torch.no_grad():
        for linear in (model[0], model[2], model[4]):
            linear.weight.mul_(4)
    x = torch.from_numpy((np.random.default_rng(0).random((60, 8, 4)) < 0.4) * 1.0)
    net = tn.quantize(model, x.float())
    with pytest.warns(tn.TclifWarning, match="NIR has no integers: .* places differ, of"):
        result = tn.save_nir(net, file, x=x)
    assert not result.exact
    assert result.spikes == sum(int(s.sum()) for s in tn.simulate(net, x.numpy(), record=True).spikes)
    assert result.spikes > 0
    assert result.differ <= result.spikes // 5
    assert not nir.read(file).nodes["layer_0_b_neurons"].metadata["tclif_neuro"]["exact"]
    again = tn.load_nir(file)
    assert [type(m).__name__ for m in again] == ["Linear", "TCLIF", "Linear", "LIF", "Linear", "LIF", "Readout"]


def test_a_zero_reset_is_left_out_of_the_file(file) -> None:
    tn.save_nir(torch.nn.Sequential(torch.nn.Linear(1, 2), tn.LIF(2, reset="zero")), file)
    with h5py.File(file) as opened:
        assert "v_reset" not in opened["node/nodes/layer_0_b_neurons"]
    assert nir.read(file).nodes["layer_0_b_neurons"].v_reset.tolist() == [0, 0]
