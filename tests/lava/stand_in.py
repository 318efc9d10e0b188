"""A stand-in for lava-loihi that only *declares* its two base classes and two models: it can be chosen, not run.

Run as a program: has `StrictHwCfg` choose between the models of Lava's own base classes, prints what it chose.
"""

import json
import sys
import types


def declare():
    """The modules that lava-nc looks for, before it is imported."""
    from lava.magma.core.model.model import AbstractProcessModel

    for kind, name in (("c", "CLoihiProcessModel"), ("nc", "AbstractNcProcessModel")):
        package, module = (types.ModuleType(f"lava.magma.core.model.{kind}{end}") for end in ("", ".model"))
        base = type(name, (AbstractProcessModel,), {"run": lambda self: None})
        setattr(module, name, base)
        sys.modules |= {package.__name__: package, module.__name__: module}
    return sys.modules["lava.magma.core.model.nc.model"].AbstractNcProcessModel


def main():
    Nc = declare()
    from lava.magma.core.resources import Loihi2NeuroCore
    from lava.proc.dense.models import PyDenseModelBitAcc
    from lava.proc.dense.process import Dense
    from lava.proc.lif.models import PyLifModelBitAcc
    from lava.proc.lif.process import LIF

    from tclif_neuro.lava.hardware.select import PlacementError, StrictHwCfg
    from tclif_neuro.lava.processes.source import PySource, Source

    class NcLIF(Nc):
        implements_process, required_resources, tags = LIF, [Loihi2NeuroCore], []

    class NcDense(Nc):
        implements_process, required_resources, tags = Dense, [Loihi2NeuroCore], []

    import numpy as np

    from tclif_neuro.lava.guarding.guard import ActorFailure
    from tclif_neuro.lava.hardware.microcode import PORTS, VARS, faults_of, load_ncmodel
    from tclif_neuro.lava.processes.tclif import TCLIF, PyTCLIFFixed
    from tclif_neuro.network import TCLIFNeuron

    class NcTCLIF(Nc):
        implements_process, required_resources, tags = TCLIF, [Loihi2NeuroCore], []

    for name in (*PORTS, *VARS):
        setattr(NcTCLIF, name, None)
    sys.modules["users_microcode"] = types.SimpleNamespace(NcTCLIF=NcTCLIF, NcDense=NcDense)

    config = StrictHwCfg(on_host=(Source,))
    lif, dense = LIF(shape=(2,)), Dense(weights=np.eye(2))
    source = Source(signal=np.zeros((1, 2), int))
    chosen = [
        config.select(lif, [PyLifModelBitAcc, NcLIF]).__name__,
        config.select(dense, [NcDense, PyDenseModelBitAcc]).__name__,
        config.select(source, [PySource]).__name__,
    ]
    try:
        config.select(lif, [PyLifModelBitAcc])
        refused = ""
    except PlacementError as error:
        refused = str(error)
    named = {TCLIF: load_ncmodel("users_microcode:NcTCLIF")}
    microcode = StrictHwCfg(on_host=(Source,), exception_proc_model_map=named)
    row, one = np.ones((1, 1), int), np.ones(1, int)
    neuron = TCLIFNeuron(a1=row, a2=row, b1=-one, b2=one, vth_mant=9, gamma_mant=4)
    chosen.append(microcode.select(TCLIF(shape=(2,), neuron=neuron), [PyTCLIFFixed]).__name__)
    try:
        load_ncmodel("users_microcode:NcDense")
        faults = ""
    except ActorFailure as error:
        faults = str(error)
    assert list(faults_of(NcTCLIF)) == []
    record = [(c.process, c.model, c.on_host) for c in config.record]
    print(json.dumps({"chosen": chosen, "refused": refused, "record": record, "faults": faults}))


if __name__ == "__main__":
    main()
