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
reveal_type(tn.CUBALIF(128, alpha=0.8).coefficients(1))
run = tn.run(net, x.numpy(), record=True)
reveal_type(run.layers[0].soma)
reveal_type(tn.load("digits.net").layers)
reveal_type(run.predictions)
reveal_type(tn.report(model, net, x).agreement)
reveal_type(tn.functional.LIFState(x, x).spike)
reveal_type(tn.load_run("runs/digits"))
reveal_type(tn.losses.ce_membrane)
reveal_type(tn.data.load_task("digits-rows").train)
setup = tn.onchip.calibrate(net, x.numpy(), [0, 1, 2, 3])
reveal_type(tn.onchip.learn(setup, x.numpy(), [0, 1, 2, 3]).setup)
