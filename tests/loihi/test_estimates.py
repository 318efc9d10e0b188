"""Operations are counted one by one, against a plain loop."""

import numpy as np

from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.loihi.estimates import count_operations, estimates
from tests.loihi.nets import lif, network, spikes, tclif


def test_synaptic_operations_are_spikes_that_meet_weights():
    rng = np.random.default_rng(8)
    net = network(tclif(rng, 5, 6, recurrent=True), lif(rng, 6, 3, readout=True))
    run = run_reference(net, spikes(rng, 20, 3, 5, rate=0.4), record=True)
    first, second = net.layers
    expected = 0
    for b in range(3):
        for t in range(20):
            expected += sum(np.count_nonzero(first.synapses.weight[:, m]) for m in range(5) if run.input[t, b, m])
            fired = [n for n in range(6) if run.spikes[0][t, b, n]]
            expected += sum(np.count_nonzero(second.synapses.weight[:, n]) for n in fired)
            expected += sum(np.count_nonzero(first.recurrent.weight[:, n]) for n in fired) if t < 19 else 0
    found = count_operations(net, run)
    assert found.synaptic * 3 == expected > 0 and found.updates == 20 * 9 and found.steps == 20
    time, energy = estimates(found, 2)
    assert energy.value == (found.synaptic * 23.6 + found.updates * 81) / 1e6
    assert time.value > 20 * 10e-3 and "Davies" in energy.limits[0].source
