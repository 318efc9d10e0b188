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

    from tclif_neuro.lava.hardware.strict import PlacementError, StrictHwCfg
    from tclif_neuro.lava.processes.source import PySource, Source

    class NcLIF(Nc):
        implements_process, required_resources, tags = LIF, [Loihi2NeuroCore], []

    class NcDense(Nc):
        implements_process, required_resources, tags = Dense, [Loihi2NeuroCore], []

    import numpy as np

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
    record = [(c.process, c.model, c.on_host) for c in config.record]
    print(json.dumps({"chosen": chosen, "refused": refused, "record": record}))


if __name__ == "__main__":
    main()
