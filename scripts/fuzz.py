"""Break what a user may bring, and see that the answer is one line.

    python scripts/fuzz.py [--inputs 10000] [--seed 0]

Good files are made first; then each input is a good one with something changed: bytes, records, types, keys, values,
words. Every input goes to the function behind its command, under the command line's own sorting of errors, in a child
process with a deadline; a share of the command lines is run as processes of their own. Prints a table and ends with 1
if anything died of a signal, hung, or ended with another status than 0, 1, 2 and 130, or an error had more than one
line.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

KINDS = {  # shares of all inputs
    "data (.npz)": 0.38,
    "checkpoint of training": 0.22,
    "checkpoint of on-chip learning": 0.08,
    "recipe of training": 0.17,
    "recipe of on-chip learning": 0.1,
    "command line": 0.045,
    "command line, own process": 0.005,
}
ALLOWED = {0, 1, 2, 130}
DEADLINE = 120.0  # seconds for one input
RECIPE = """
[task]
name = "{data}"
[[model.layers]]
type = "tclif"
size = 6
recurrent = true
[[model.layers]]
type = "adaptive"
size = 5
schedule = {{ form = "survival", k = 2.0, theta = 5.0 }}
[training]
epochs = 1
batch_size = 16
"""
LEARN = {
    "task": {"name": "cue", "silence": 3, "train": 12, "test": 6},
    "network": {"hidden": 4, "recurrent": True},
    "learning": {"passes": 1, "test_every": 6, "checkpoint_every": 6},
}
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**40, -0.0, 0.5, 1e308, -1e-320, float("nan"), float("inf"),
    "", "x", "\x1b[2J", "\u202e", "\n", "x" * 5000, "../../etc/passwd", "/dev/zero", "a\0b", [], {}, [[]], [0, 1],
    {"a": 1}, [[[[[[1]]]]]],
]  # fmt: skip


class Inputs:
    """Good files in a folder, and broken ones made of them; input `number` is the same each time."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.data, self.run, self.learn = folder / "good.npz", folder / "run", folder / "learn"
        self.recipe, self.net = folder / "good.toml", folder / "good.net"

    def make(self) -> None:
        """The good ones."""
        from tclif_neuro.cli.commands.export import ExportOptions, export_run
        from tclif_neuro.learning import load_recipe, train
        from tclif_neuro.onchip.tasks.recipe_file import parse_learn_recipe
        from tclif_neuro.onchip.tasks.run_task import run_task

        rng = np.random.default_rng(self.seed)
        y = np.arange(60) % 3
        x = rng.random((60, 5, 4)) < 0.2 + 0.6 * (np.arange(4) == y[:, None, None])
        np.savez_compressed(self.data, x=x.astype(np.float32), y=y)
        self.recipe.write_text(RECIPE.format(data=self.data))
        train(load_recipe(self.recipe), self.run)
        export_run(self.run, self.net, ExportOptions(samples=4))
        run_task(parse_learn_recipe(LEARN), self.learn)

    def call(self, kind: str, number: int) -> Callable[[], Any]:
        """What is to be called with input `number` of a kind; its file is in the folder."""
        rng = random.Random(f"{self.seed}/{kind}/{number}")
        path = self.folder / "broken"
        if kind == "data (.npz)":
            path.write_bytes(broken_archive(self.data.read_bytes(), rng))
            return lambda: _samples(path)
        if kind == "checkpoint of training":
            path.write_bytes(broken_archive((self.run / "checkpoint.npz").read_bytes(), rng))
            return lambda: _trained(path)
        if kind == "checkpoint of on-chip learning":
            (self.folder / "again").mkdir(exist_ok=True)
            (self.folder / "again/checkpoint.npz").write_bytes(
                broken_archive((self.learn / "checkpoint.npz").read_bytes(), rng)
            )
            return lambda: _learnt(self.folder / "again")
        if kind == "recipe of training":
            path.write_bytes(broken_toml(_toml(RECIPE.format(data="good.npz")), rng))
            return lambda: _recipe(path)
        if kind == "recipe of on-chip learning":
            path.write_bytes(broken_toml(LEARN, rng))
            return lambda: _learn_recipe(path)
        words = self.words(rng)
        return (lambda: process(words)) if kind.endswith("process") else (lambda: command(words))

    def words(self, rng: random.Random) -> list[str]:
        """A command line, most of it right."""
        lines = [
            ["run", self.net, "--data", self.data, "--samples", "2"],
            ["run", self.net, "--data", self.data, "--backend", "reference", "--batch", "3", "--json"],
            ["inspect", self.net],
            ["compare", self.net, "--data", self.data, "--samples", "2", "--no-lava"],
            ["plot", self.net, "--data", self.data, "--sample", "1", "-o", self.folder / "p.png", "--neurons", "0,1"],
            ["export", self.run, "-o", self.folder / "e.net", "--samples", "2"],
            ["train", self.recipe, "-o", self.run],
            ["learn", self.recipe, "-o", self.learn],
        ]
        words = [str(word) for word in rng.choice(lines)]
        strange = ["", "-1", "0", "99999999999999999999", "nan", "1e400", "²", "--", "-", "--json", "-x", "/dev/null"]
        strange += ["/dev/zero", str(self.folder), "absent.npz", "x" * 3000, "\x1b[2J", "a\nb", "\u202e", "--samples"]
        strange += ["--help", str(self.data), str(self.net), "--task", "--seed", "\udcff", "0,1,,2", "1.5"]
        for _ in range(rng.randint(1, 2)):
            at = rng.randrange(len(words))
            kept = rng.choice([words[at : at + 1], []])
            words[at : at + 1] = [*kept, *rng.choice([[rng.choice(strange)], []])]
            words = words or ["run"]
        return [word.replace("\0", "") for word in words]


def _samples(path: Path) -> None:
    from tclif_neuro.data import load_samples

    load_samples(path, inputs=4, classes=3)


def _trained(path: Path) -> None:
    from tclif_neuro.learning import load_trained

    load_trained(path)


def _learnt(folder: Path) -> None:
    from tclif_neuro.onchip.tasks.recipe_file import parse_learn_recipe
    from tclif_neuro.onchip.tasks.run_task import run_task

    run_task(parse_learn_recipe(LEARN), folder)


def _recipe(path: Path) -> None:
    from tclif_neuro.learning import load_recipe

    load_recipe(path)


def _learn_recipe(path: Path) -> None:
    from tclif_neuro.onchip.tasks.recipe_file import load_learn_recipe

    load_learn_recipe(path)


def command(words: list[str]) -> int:
    """In this process."""
    from tclif_neuro.cli.app import app

    return int(app(words, standalone_mode=False) or 0)


def process(words: list[str]) -> int:
    """In a process of its own; what it says on standard error is this one's."""
    code = "from tclif_neuro.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, timeout=DEADLINE)
    sys.stderr.write(done.stderr.decode(errors="replace"))
    return done.returncode


def _toml(text: str) -> dict[str, Any]:
    from tclif_neuro.data.toml import parse_toml
    from tclif_neuro.errors import TclifError

    return parse_toml(text, "here", TclifError)


def broken_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bits flipped, parts cut, doubled, inserted."""
    broken = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(len(broken) or 1)
        how = rng.randrange(5)
        if how == 0 and broken:
            broken[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            del broken[at : at + rng.choice([1, 10, 10**6])]
        elif how == 2:
            broken[at:at] = broken[at : at + rng.choice([1, 10, 100])]
        elif how == 3:
            broken[at : at + 4] = rng.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"PK\1\2"])
        else:
            broken[at:at] = rng.randbytes(rng.choice([1, 10]))
    return bytes(broken)


def broken_archive(data: bytes, rng: random.Random) -> bytes:
    """The bytes broken, or a record's, its header's, its values, its JSON's, with sums that are right again."""
    if rng.random() < 0.4:
        return broken_bytes(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(records))
    how = rng.randrange(6)
    if "facts.npy" in records and how < 3:
        text = str(np.load(io.BytesIO(records["facts.npy"]), allow_pickle=False))
        text = json.dumps(changed(json.loads(text), rng)) if how else broken_bytes(text.encode(), rng).decode("latin-1")
        name, records["facts.npy"] = "facts.npy", _npy(np.array(text))
    elif how == 3:
        records[name] = broken_bytes(records[name], rng)
    elif how == 4:
        records[name] = _npy(_strange_array(rng))
    else:
        records[rng.choice(["x.npy", "new.npy", "a/b.npy", "x.txt", "y.npy"])] = records.pop(name)
    out = io.BytesIO()
    with zipfile.ZipFile(
        out, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
    ) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return out.getvalue()


def _strange_array(rng: random.Random) -> Any:
    dtype = rng.choice(["f2", "f4", ">f8", "c8", "i1", ">i8", "u8", "?", "U3", "S2", "O", "M8[s]", "V4"])
    shape = rng.choice([(), (0,), (1,), (3,), (60,), (60, 5, 4), (2, 0, 4), (1,) * 12])
    array = np.zeros(shape, dtype)
    if array.dtype.kind == "f" and array.size:
        array.flat[0] = rng.choice([np.nan, np.inf, 3.0])
    return array


def _npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)  # objects too: the reader must not take them
    return out.getvalue()


def changed(data: Any, rng: random.Random) -> Any:
    """Nested containers with one value or key another."""
    if rng.random() < 0.15 or not isinstance(data, dict | list) or not data:
        odd = rng.choice(ODD)
        return [[[odd]]] * 40 if rng.random() < 0.02 else odd
    if isinstance(data, list):
        at = rng.randrange(len(data))
        return [changed(item, rng) if i == at else item for i, item in enumerate(data)]
    key, how = rng.choice(list(data)), rng.random()
    if how < 0.1:
        return {k: v for k, v in data.items() if k != key}
    if how < 0.2:
        return {(k + rng.choice(["x", "\x1b[2J", ""]) if k == key else k): v for k, v in data.items()}
    return {k: changed(v, rng) if k == key else v for k, v in data.items()}


def broken_toml(data: dict[str, Any], rng: random.Random) -> bytes:
    """A recipe with a value or key another, or its bytes broken."""
    tables = changed(data, rng) if rng.random() < 0.7 else data
    text = "\n".join(f"{json.dumps(k)} = {_inline(v)}" for k, v in tables.items()) if isinstance(tables, dict) else "1"
    coded = text.encode("utf-8", "surrogatepass")
    return coded if tables is not data else broken_bytes(coded, rng)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return "''" if value is None else json.dumps(value).replace("\x7f", "\\u007f")


def work(folder: Path, seed: int, kind: str, start: int, stop: int) -> None:
    """In a child: inputs `start` to `stop` of a kind, a line of JSON for each on standard output."""
    from tclif_neuro.cli.status import status_of

    inputs, out = Inputs(folder, seed), sys.stdout
    for number in range(start, stop):
        print(json.dumps({"begin": number}), file=out, flush=True)
        said, begin, fault = io.StringIO(), time.monotonic(), ""
        call = inputs.call(kind, number)
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            try:
                status = status_of(call)
            except BaseException as error:
                status = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 70
                fault = traceback.format_exc(limit=-4) if status not in ALLOWED else ""
        errors = [line for line in said.getvalue().splitlines() if line.startswith("error: ")]
        if status == 2 and (len(errors) != 1 or "\x1b" in errors[0] or len(errors[0]) > 1100):
            status, fault = 70, f"no single clean line: {said.getvalue()[:300]!r}"
        line = {"end": number, "status": status, "seconds": time.monotonic() - begin, "fault": fault}
        print(json.dumps(line), file=out, flush=True)


def run_kind(folder: Path, seed: int, kind: str, count: int) -> tuple[Counter[str], float, list[str]]:
    """All inputs of a kind; a child that dies or hangs costs one input, and another goes on behind it."""
    import select

    found: Counter[str] = Counter()
    slowest, faults, number = 0.0, [], 0
    while number < count:
        arguments = ["--work", kind, "--folder", str(folder), "--seed", str(seed), "--range", str(number), str(count)]
        command_line = [sys.executable, __file__, *arguments]
        child = subprocess.Popen(command_line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert child.stdout is not None
        hung = False
        while True:
            ready, _, _ = select.select([child.stdout], [], [], DEADLINE + 30)
            hung = not ready
            line = child.stdout.readline() if ready else ""
            if not line:
                break
            told = json.loads(line)
            if "end" in told:
                number = told["end"] + 1
                found[str(told["status"])] += 1
                slowest = max(slowest, told["seconds"])
                faults += [f"{kind} {told['end']}: {told['fault']}"] if told["fault"] else []
        child.kill()
        code = child.wait()
        if number < count:
            found["hang" if hung else "signal"] += 1
            faults.append(f"{kind} {number}: {'hangs' if hung else f'ended by {code}'}")
            number += 1
    return found, slowest, faults


def main() -> int:
    """Make the good files, break them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--range", type=int, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if args.work:
        work(args.folder, args.seed, args.work, *args.range)
        return 0
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="tclif-fuzz-") as name:
        os.chdir(name)
        Inputs(Path(name), args.seed).make()
        print("| input | tried | used | refused | status 1 | other status | signals | hangs | slowest |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
        for kind, share in KINDS.items():
            count = max(1, round(share * args.inputs))
            found, slowest, faults = run_kind(Path(name), args.seed, kind, count)
            other = sum(n for status, n in found.items() if status not in ("0", "1", "2", "130", "signal", "hang"))
            wrong += other + found["signal"] + found["hang"]
            cells = (kind, count, found["0"], found["2"], found["1"], other, found["signal"], found["hang"])
            print("| " + " | ".join(map(str, cells)) + f" | {slowest:.2f} s |", flush=True)
            for fault in faults[:20]:
                print(fault, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
