"""Functions that a guarded child calls: Lava networks that fail in every way a user's can, and some that do not.

In a folder of its own, because Lava imports every module beside a process when it looks for its ProcessModels.
"""

import os
import signal
import time
from pathlib import Path

import numpy as np
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.process import Dense

from tclif_neuro.lava.guarding.runtime import run_lava
from tclif_neuro.lava.processes import Source

STEPS, WHEN = 1000, 7


class Unpicklable(Exception):
    def __init__(self, text, extra):
        super().__init__(text)
        self.extra = extra


class Troubled(AbstractProcess):
    """Passes spikes on until step `WHEN`, then does `what`."""

    def __init__(self, what, folder):
        super().__init__(what=what, folder=folder, name="troubled")
        self.a_in = InPort(shape=(3,))
        self.s_out = OutPort(shape=(3,))


@implements(proc=Troubled, protocol=LoihiProtocol)
@requires(CPU)
class PyTroubled(PyLoihiProcessModel):
    a_in = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self):
        spikes = self.a_in.recv()
        what = self.proc_params["what"]
        ill = what != "nothing" and self.time_step == WHEN
        if ill and what != "raise late":
            self.fail(what)
        self.s_out.send(spikes)
        if ill:
            self.fail(what)

    def fail(self, what):
        maps = Path("/proc/self/maps").read_text().splitlines()
        segments = {line.split()[-1] for line in maps if "/dev/shm/" in line}
        (self.proc_params["folder"] / "segments").write_text("\n".join(segments))
        if what.startswith("raise"):
            raise ValueError(f"the dendrite broke in step {self.time_step}")
        if what == "unpicklable":
            raise Unpicklable("neither here nor there", lambda: None)
        if what == "exit":
            os._exit(5)
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "hang":
            time.sleep(3600)


def run(what, folder):
    """source -> dense -> ill -> dense -> well -> dense -> back to the ill one: a ring, so that all wait for all."""
    source = Source(signal=np.ones((STEPS, 3), int), progress=folder, name="source")
    ill, well = Troubled(what, folder), Troubled("nothing", folder)
    for left, right in ((source, ill), (ill, well), (well, ill)):
        dense = Dense(weights=np.eye(3, dtype=int))
        left.s_out.connect(dense.s_in)
        dense.a_out.connect(right.a_in)
    run_lava(source, STEPS)


def raises(folder):
    run("raise", folder)


def raises_late(folder):
    run("raise late", folder)


def unpicklable(folder):
    run("unpicklable", folder)


def exits(folder):
    run("exit", folder)


def killed(folder):
    run("kill", folder)


def hangs(folder):
    run("hang", folder)


def does_not_build(folder):
    Dense(weights=np.zeros(3))


def deaf(folder):
    """Hangs, and does not hear that it should end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    run("hang", folder)


def child_killed(folder):
    """The child itself dies, as the kernel's out-of-memory killer would have it, with Lava running."""
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, 6)
    run("hang", folder)


def speaks(folder):
    """Not a fault: prints, and does its work."""
    print("one line")
    (folder / "done").touch()


def segfaults(folder):
    """Dies in C."""
    os.kill(os.getpid(), signal.SIGSEGV)


def jobs(folder):
    """Not a fault: many runs in one child, to pay for the import of Lava once."""
    from tclif_neuro.lava.guarding.progress import create_counter
    from tclif_neuro.lava.inference.job import run_job

    for job in sorted(folder.glob("job*")):
        create_counter(job)
        run_job(job)
