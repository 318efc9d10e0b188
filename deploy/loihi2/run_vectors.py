"""Run a file of conformance vectors and write what came out; needs lava-nc, numpy, scipy and h5py, nothing else.

    python run_vectors.py vectors.h5 -o result.h5                      # Lava on this CPU
    python run_vectors.py vectors.h5 -o result.h5 --backend loihi2     # a board; needs Intel's lava-loihi

Each vector runs in a process of its own, under a deadline. The result holds the vectors, what was sent or the error,
versions, the chip's generation and the date; no user, host or path. Send it back, or look at it yourself:
`tclif conformance verify result.h5`.

--backend cpu is tested with every change. --backend loihi2 was never run by its authors, who have no board: it
follows the public interfaces of lava-nc 0.10.0.
"""

import argparse
import contextlib
import datetime
import importlib
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import h5py
import numpy as np

ONCE = 2**31 - 1  # a reset interval that no run reaches
COEFFICIENTS = ("a1", "a2", "b1", "b2", "vth_mant", "gamma_mant", "bias_mant", "bias_exp")
VARS = ("dendrite", "soma", "fired", *COEFFICIENTS)


def missing(backend):
    """What the backend lacks, one line each."""
    wanted = {"lava.magma": "lava-nc: pip install lava-nc"}
    if backend == "loihi2":
        inrc = "Intel's lava-loihi, for members of its INRC only"
        wanted |= {"lava.utils.loihi2_profiler": inrc, "lava.magma.core.model.nc": inrc, "nxcore": inrc}
    lines = []
    for module, origin in wanted.items():
        try:
            found = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            found = False
        if not found:
            lines.append(f"missing: {module} ({origin})")
    if backend == "loihi2" and not (os.environ.get("SLURM") or os.environ.get("NXSDKHOST")):
        lines.append("missing: a board; set SLURM=1 and PARTITION or BOARD, or NOSLURM=1 and NXSDKHOST (README.md)")
    return lines


def unusable(path, out):
    """Why there is nothing to run in the file `path`, or no place for `out`; "" if all is well."""
    if not out.parent.is_dir() or out.is_dir():
        return f"{out}: no result can be written there"
    try:
        with h5py.File(path) as file:
            return "" if file.get("vector") else f"{path}: holds no conformance vectors"
    except OSError as error:
        return f"{path}: cannot be read: {error}"


def define_tclif():
    """TC-LIF as a Lava process, with a model in NumPy's integers, put among this file's names for Lava to find.

        UD <- sat(UD a1 + US b1 + act);  US <- sat(US a2 + UD b2);  S = US >= vth

    with products over 4096 rounded towards zero, and a spike that takes gamma off UD and vth off US: "delayed", from
    the sums of the next step; "immediate", at the end of its own. act: 64 a_in + bias_mant 2^bias_exp.
    """
    from lava.magma.core.decorator import implements, requires, tag
    from lava.magma.core.model.py.model import PyLoihiProcessModel
    from lava.magma.core.model.py.ports import PyInPort, PyOutPort
    from lava.magma.core.model.py.type import LavaPyType
    from lava.magma.core.process.ports.ports import InPort, OutPort
    from lava.magma.core.process.process import AbstractProcess
    from lava.magma.core.process.variable import Var
    from lava.magma.core.resources import CPU
    from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

    class TCLIF(AbstractProcess):
        def __init__(self, shape, reset, reset_interval, reset_offset, **variables):
            super().__init__(shape=shape, reset=reset, reset_interval=reset_interval, reset_offset=reset_offset)
            self.a_in, self.s_out = InPort(shape=shape), OutPort(shape=shape)
            for name in ("dendrite", "soma", "fired"):
                setattr(self, name, Var(shape=shape, init=0))
            for name, value in variables.items():
                setattr(self, name, Var(shape=value.shape, init=value))

    def mul(x, k):
        return np.sign(x * k) * (np.abs(x * k) >> 12)

    def sat(x):
        return np.clip(x, 1 - 2**23, 2**23 - 1)

    @implements(proc=TCLIF, protocol=LoihiProtocol)
    @requires(CPU)
    @tag("fixed_pt")
    class PyTCLIF(PyLoihiProcessModel):
        a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
        s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
        for name in VARS:
            locals()[name] = LavaPyType(np.ndarray, np.int64)
        del name

        def run_spk(self):
            now, late = self.time_step - 1, self.proc_params["reset"] == "delayed"
            if self.proc_params["reset_offset"]:
                now = (self.time_step - self.proc_params["reset_offset"]) % self.proc_params["reset_interval"]
                if now == 0:
                    self.dendrite, self.soma, self.fired = (0 * x for x in (self.dendrite, self.soma, self.fired))
            row, gamma, vth = min(now, len(self.a1) - 1), self.gamma_mant * 64, self.vth_mant * 64
            act = self.a_in.recv() * 64 + (self.bias_mant << self.bias_exp)
            wide = mul(self.dendrite, self.a1[row]) + mul(self.soma, self.b1) + act
            self.dendrite = sat(wide - late * gamma * self.fired)
            wide = mul(self.soma, self.a2[row]) + mul(self.dendrite, self.b2)
            self.soma = sat(wide - late * vth * self.fired)
            self.fired = (self.soma >= vth).astype(np.int64)
            if not late:
                self.dendrite = sat(self.dendrite - gamma * self.fired)
                self.soma = self.soma - vth * self.fired
            self.s_out.send(self.fired)

    globals().update(TCLIF=TCLIF, PyTCLIF=PyTCLIF)
    return TCLIF


def make_tclif(node, arrays):
    """A population of TC-LIF, of the graph's entry `node`."""
    neuron, shape = node["neuron"], (node["size"],)
    variables = {name: arrays[neuron[name]] for name in ("a1", "a2", "b1", "b2")}
    variables |= {name: np.array([neuron[name]]) for name in ("vth_mant", "gamma_mant")}
    bias = arrays[node["bias"]] if "bias" in node else np.zeros(shape, np.int32)
    variables |= {"bias_mant": bias, "bias_exp": np.full(shape, node["bias_exp"])}
    clock = {"reset_interval": ONCE, "reset_offset": node["reset_step"]}
    return define_tclif()(shape=shape, reset=neuron["reset"], **clock, **variables)


def build(graph, arrays, x, steps, observe, backend):
    """The graph as Lava's processes, connected, with a source and a sink; returns both."""
    from lava.proc.dense.process import Dense
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source
    from lava.proc.lif.process import LIF, LIFReset
    from lava.proc.sdn.process import Sigma
    from lava.proc.sparse.process import Sparse
    from scipy.sparse import csr_matrix

    played = np.zeros((x.shape[1], steps), np.int32)
    played[:, : len(x)] = x.T
    source = Source(data=played)
    outputs, inputs = {}, {}
    for node in graph["nodes"]:
        name, shape = node["name"], (node["size"],)
        if node["kind"] == "source":
            outputs[name] = to_chip(source.s_out, shape, graph, name) if backend == "loihi2" else source.s_out
            continue
        if node["kind"] == "sigma":
            made = Sigma(shape=shape)
        elif node["kind"] == "tclif":
            made = make_tclif(node, arrays)
        else:
            bias = arrays[node["bias"]] if "bias" in node else 0
            lif = dict(shape=shape, du=node["du"], dv=node["dv"], vth=node["vth"], bias_mant=bias)
            lif["bias_exp"] = node["bias_exp"]
            reset = node["reset_step"]
            made = LIFReset(**lif, reset_interval=ONCE, reset_offset=reset) if reset else LIF(**lif)
        outputs[name], inputs[name] = made.s_out, made.a_in
    for edge in graph["edges"]:
        weight = arrays[edge["weight"]]
        how = {"weight_exp": edge["exponent"], "num_message_bits": edge["message_bits"]}
        one_to_one = weight.ndim == 1
        made = Sparse(weights=csr_matrix(np.diag(weight)), **how) if one_to_one else Dense(weights=weight, **how)
        outputs[edge["source"]].connect(made.s_in)
        for target in edge["targets"]:
            made.a_out.connect(inputs[target])
    shape = next((node["size"],) for node in graph["nodes"] if node["name"] == observe)
    sink = Sink(shape=shape, buffer=steps)
    (from_chip(outputs[observe], shape) if backend == "loihi2" else outputs[observe]).connect(sink.a_in)
    return source, sink


def to_chip(port, shape, graph, name):
    """The adapter that brings the input onto the chip; its port there. Untested: needs a board."""
    from lava.proc.embedded_io.spike import PyToNxAdapter

    bits = max(edge["message_bits"] for edge in graph["edges"] if edge["source"] == name)
    adapter = PyToNxAdapter(shape=shape, num_message_bits=bits)
    port.connect(adapter.inp)
    return adapter.out


def from_chip(port, shape):
    """The adapter that brings the output back; its port here. Untested: needs a board."""
    from lava.proc.embedded_io.spike import NxToPyAdapter

    adapter = NxToPyAdapter(shape=shape, num_message_bits=32)
    port.connect(adapter.inp)
    return adapter.out


def run_one(path, name, out, backend, ncmodel):
    """Run the vector `name` of the file `path`, and write what was sent, [steps, N]."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg

    with h5py.File(path) as file:
        group = file["vector"][name]
        arrays = {key: member[()] for key, member in group.items() if isinstance(member, h5py.Dataset)}
    graph, observe = json.loads(bytes(arrays["graph"]).decode()), bytes(arrays["observe"]).decode()
    steps = int(arrays["steps"])
    source, sink = build(graph, arrays, arrays["input"], steps, observe, backend)
    config = Loihi2SimCfg(select_tag="fixed_pt")
    if backend == "loihi2":
        config = Loihi2HwCfg(exception_proc_model_map=chosen(graph, ncmodel))
    source.run(condition=RunSteps(num_steps=steps), run_cfg=config)
    got = sink.data.get().T.astype(np.int32)
    source.stop()
    np.save(out, got, allow_pickle=False)


def chosen(graph, ncmodel):
    """The microcode "package.module:Class" for TC-LIF, where the graph has any; else it would run on the host."""
    if all(node["kind"] != "tclif" for node in graph["nodes"]):
        return {}
    if not ncmodel:
        raise SystemExit("no microcode of TC-LIF: --ncmodel package.module:Class")
    module, _, name = ncmodel.partition(":")
    return {globals()["TCLIF"]: getattr(importlib.import_module(module), name)}


def run_apart(path, name, backend, seconds, ncmodel):
    """Run a vector in a process of its own: what was sent and "", or None and why not."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "got.npy"
        command = [sys.executable, str(Path(__file__).resolve()), str(path), "--child", name, "-o", str(out)]
        child = subprocess.Popen(
            [*command, "--backend", backend, "--ncmodel", ncmodel],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            said, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            said = b""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if out.exists():
            return np.load(out, allow_pickle=False), ""
    lines = said.decode(errors="replace").strip().splitlines()
    return None, lines[-1] if lines else f"not done within {seconds:g} s"


def installed(package):
    """A package's version, "" if it is not installed."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""


def run_all(path, out, backend, seconds, ncmodel=""):
    """Run every vector of `path` and write the result to `out`; how many gave an error."""
    with h5py.File(path) as file:
        names = sorted(file["vector"])
    answers = {}
    for number, name in enumerate(names, 1):
        answers[name] = run_apart(path, name, backend, seconds, ncmodel)
        print(f"{number} of {len(names)} {name}: {answers[name][1] or 'ran'}", flush=True)
    facts = {
        "backend": backend,
        "versions": ", ".join(filter(None, [installed("lava-nc"), installed("lava-loihi"), installed("numpy")])),
        "chip": os.environ.get("LOIHI_GEN", "") if backend == "loihi2" else platform.machine(),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }
    unfinished = f"{out}.unfinished"
    shutil.copyfile(path, unfinished)
    with h5py.File(unfinished, "r+") as file:
        for name, (got, error) in answers.items():
            key, data = ("got", got) if got is not None else ("error", np.bytes_(ascii(error)))
            file["vector"][name].create_dataset(key, data=data)
        for key, text in facts.items():
            file.create_dataset(f"result/{key}", data=np.bytes_(text))
    os.replace(unfinished, out)
    return sum(got is None for got, _ in answers.values())


def main():
    """Parse and run; status 0 done, 1 some vectors gave an error, 2 something is missing or unusable."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--backend", choices=("cpu", "loihi2"), default="cpu")
    parser.add_argument("--ncmodel", default="", help="your microcode of TC-LIF, package.module:Class (loihi2)")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds per vector (120)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_one(options.vectors, options.child, options.out, options.backend, options.ncmodel)
        sys.stdout.flush()
        os._exit(0)  # Lava's clean-up at exit can wait for ever
    lacking = missing(options.backend)
    if lacking:
        print("\n".join(lacking), file=sys.stderr)
        sys.exit(2)
    fault = unusable(options.vectors, options.out)
    if fault:
        print(f"error: {fault}", file=sys.stderr)
        sys.exit(2)
    try:
        errors = run_all(options.vectors, options.out, options.backend, options.timeout, options.ncmodel)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
