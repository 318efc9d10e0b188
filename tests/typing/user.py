"""What a user writes, for mypy --strict: every type is known. `reveal_type` is what the test reads."""

import torch
from typing_extensions import reveal_type

import tclif_neuro as tn

hidden = tn.TCLIF(128, recurrent=True, vth=0.5)
model = torch.nn.Sequential(torch.nn.Linear(8, 128), hidden, tn.Readout(128, 10))
x = torch.rand(20, 4, 8)
reveal_type(hidden.vth)
reveal_type(hidden.step(torch.rand(4, 128)))
net = tn.quantize(model, x)
reveal_type(net)
run = tn.simulate(net, x.numpy())
reveal_type(run.predictions)
reveal_type(tn.report(model, net, x).agreement)
reveal_type(tn.functional.LIFState(x, x).spike)
reveal_type(tn.load_run("runs/digits"))
