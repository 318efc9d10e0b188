"""A trained network, converted: it classifies as before."""

import pytest

from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.quantization import quantize, report


@pytest.mark.slow
@pytest.mark.trains
def test_a_trained_network_classifies_as_before(trained, digits) -> None:
    (x, _), (x_test, y_test) = digits
    net = quantize(trained, x[:, :256], classes=[str(d) for d in range(10)])
    loss = report(trained, net, x_test, y_test)
    assert loss.float_accuracy > 0.6
    assert loss.agreement > 0.9  # of single answers, which bounds what accuracy can lose, however the weights fell out
    assert all(layer.saturations == 0 and layer.weight.error < 0.06 for layer in loss.layers)
    assert loss.layers[0].spikes_differ < 0.1


@pytest.mark.slow
@pytest.mark.trains
def test_both_executors_run_what_was_converted(trained, digits) -> None:
    x = digits[1][0][:, :20].numpy()
    net = quantize(trained, digits[0][0][:, :256])
    assert (run_reference(net, x).logits == simulate(net, x).logits).all()
