"""What stock silicon could run of each variant of on-chip learning."""

from dataclasses import replace

import pytest

from tclif_neuro.onchip.silicon import check_learning
from tests.onchip.engine_setups import setup_of


@pytest.mark.parametrize(
    ("variant", "feedback", "synapses", "back", "filters"),
    [
        ("exact", "random", "nothing", "stock", False),
        ("exact", "symmetric", "nothing", "host", False),
        ("native", "random", "stock", "stock", False),
        ("prefiltered", "random", "stock", "stock", True),
    ],
)
def test_the_engine_learns_and_neurons_need_microcode(variant, feedback, synapses, back, filters):
    parts = {p.name: p for p in check_learning(replace(setup_of(variant), feedback=feedback))}
    assert parts["synapses that learn"].verdict == synapses and parts["feedback"].verdict == back
    assert parts["hidden neurons"].verdict == parts["readout's errors"].verdict == "microcode"
    assert ("input filters" in parts) == filters and all(p.why for p in parts.values())
