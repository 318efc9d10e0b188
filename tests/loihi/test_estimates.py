"""Operations are counted one by one, against a plain loop."""

import numpy as np
import pytest

from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.loihi.estimates import count_operations, estimates
from tests.loihi.nets import lif, network, spikes, tclif


@pytest.mark.parametrize("lengths", [None, [20, 7, 1]])
def test_synaptic_operations_are_spikes_that_meet_weights(lengths):
    rng = np.random.default_rng(8)
    net = network(tclif(rng, 5, 6, recurrent=True), lif(rng, 6, 3, readout=True))
    run = run_reference(net, spikes(rng, 20, 3, 5, rate=0.4), lengths=lengths, record=True)
    first, second = net.layers
    expected, ends = 0, lengths or [20] * 3
    for b in range(3):
        for t in range(ends[b]):
            expected += sum(np.count_nonzero(first.synapses.weight[:, m]) for m in range(5) if run.input[t, b, m])
            fired = [n for n in range(6) if run.spikes[0][t, b, n]]
            expected += sum(np.count_nonzero(second.synapses.weight[:, n]) for n in fired)
            expected += sum(np.count_nonzero(first.recurrent.weight[:, n]) for n in fired) if t < ends[b] - 1 else 0
    found, steps = count_operations(net, run), sum(ends) / 3
    assert found.synaptic * 3 == pytest.approx(expected) and expected > 0
    assert found.updates == pytest.approx(steps * 9) and found.steps == pytest.approx(steps)
    time, energy = estimates(found, 2)
    assert energy.value == (found.synaptic * 23.6 + found.updates * 81) / 1e6
    assert time.value > steps * 10e-3 and "Davies" in energy.limits[0].source
