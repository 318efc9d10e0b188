"""The claim of the house: trained networks on real data, the same bits in the reference, the simulator and Lava."""

import pytest
import torch

import tclif_neuro as tn
from tclif_neuro.compare.runs import compare_runs
from tclif_neuro.data import load_task


def trained(task, seed: int, *, recurrent: bool, reset: str) -> torch.nn.Sequential:
    """A TC-LIF and a LIF layer, trained until they clearly do something (this is no benchmark)."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(8, 48),
        tn.TCLIF(48, recurrent=recurrent, reset=reset),
        torch.nn.Linear(48, 32),
        tn.LIF(32, recurrent=recurrent, reset="zero"),
        tn.Readout(32, 10),
    )
    x, y = torch.from_numpy(task.x_train).transpose(0, 1), torch.from_numpy(task.y_train)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(120):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    return model


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.lava
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("reset", ["delayed", "immediate"])
def test_all_test_samples_in_every_executor(recurrent, reset, seed):
    task = load_task("digits-rows")
    model = trained(task, seed, recurrent=recurrent, reset=reset)
    net = tn.quantize(model, torch.from_numpy(task.x_train[:200]).transpose(0, 1))
    x = task.x_test.swapaxes(0, 1)
    reference = tn.run(net, x, "reference", record=True)
    assert (reference.predictions == task.y_test).mean() > 0.5, "ten classes: chance is 0.1"
    for backend in ("simulator", "lava"):
        run = tn.run(net, x, backend, record=True)
        assert compare_runs(net, reference, run, names=("reference", backend)).first is None
