#!/usr/bin/env python3
"""Which changes of a normative file do the tests not notice? Every line is changed in every way below, one at a time.

    .venv/bin/python scripts/mutate.py                               all normative files
    .venv/bin/python scripts/mutate.py tclif_neuro/fixed/step.py     one of them
    .venv/bin/python scripts/mutate.py --judge                       without what compiles: minutes

First the judge runs, with the NumPy executors, in a fork of this process that was given the mutant's code. What
survives runs the quick tests of its room in a copy of the tree, where kernels compile anew.
Prints a table, and the survivors. Exits with 1 where one survives that `EQUIVALENT` does not name, with the reason why
it changes no result. Standard library alone.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.machinery
import importlib.util
import inspect
import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SLOW_TO_IMPORT = "numpy", "numba", "torch", "pytest", "hypothesis", "pydantic"  # so once, before the first fork
CPU_SECONDS = 60, 900  # for the judge, for the room: a mutant that needs more is found
PATIENCE = 20  # times as long by the clock, on a busy machine
JUDGE = {
    "fixed": ["tests.judge.test_neurons", "tests.fixed.test_program"],
    "onchip": ["tests.judge.test_learning", "tests.onchip.test_reference", "tests.onchip.test_setup"],
}
ROOM = {
    "fixed": ["tests/judge/test_neurons.py", "tests/fixed", "tests/test_dynamics.py"],
    "onchip": ["tests/judge/test_learning.py", "tests/onchip"],
}

# "function: before -> after": why no result changes.
ONE = "coefficients that are shared: the first is the last"
WRITTEN = "each row is written before it is read"
LEARNS = "what does not learn is asked for nothing"
CHOICES = (
    ("variant", ("exact", "native", "prefiltered")),
    ("rounding", ("stochastic", "nearest")),
    ("feedback", ("symmetric", "random")),
)
COEFFICIENTS = "a1", "a2", "b1", "b2"
EQUIVALENT: dict[str, str] = {
    **{
        f"__post_init__: {before} -> {after}": "a set"
        for names in (("exact", "native", "prefiltered"), ("stochastic", "nearest"), ("symmetric", "random"))
        for before, after in itertools.permutations([str(order) for order in itertools.permutations(names)], 2)
    },
    **{
        f"__post_init__: {CHOICES} -> {after}": "each is checked, in whatever order"
        for after in map(str, itertools.permutations(CHOICES))
    },
    **{
        f"_check_neuron: {COEFFICIENTS} -> {after}": "each is checked, in whatever order"
        for after in map(str, itertools.permutations(COEFFICIENTS))
    },
    "feedback_weights: bits(key(self.seed, FEEDBACK, layer, 0), synapse)"
    " -> bits(synapse, key(self.seed, FEEDBACK, layer, 0))": "exclusive or",
    "int32: x + 2 ** 31 -> x - 2 ** 31": "the two are 2^32 apart",
    "lif: int32(mul(v, v_decay) + wrapped + bias)"
    " -> mul(v, v_decay) + wrapped + bias": "a current near 2^31 has lost 2^24 before",
    "__post_init__: np.asarray(self.target) -> self.target": "`atleast_1d` makes an array itself",
    "count: int(np.count_nonzero(hits)) -> np.count_nonzero(hits)": "NumPy counts in Python's integers",
    "count: int(np.count_nonzero(of)) -> np.count_nonzero(of)": "NumPy counts in Python's integers",
    "_count: (self.losses, found) -> (found, self.losses)": "a sum",
    "_check_engine: (None, len(self.net.layers) + 1) -> (len(self.net.layers) + 1, None)": "a set",
    "_check_layers: strict=True -> strict=False": "the lengths were compared before",
    "shifted: exponent >= 0 -> exponent > 0": "by nothing, both ways are one",
    "shifted: exponent >= 0 -> exponent >= 1": "by nothing, both ways are one",
    "of: np.array([DECAY_ONE - neuron.v_decay], np.int64) -> [DECAY_ONE - neuron.v_decay]": "read by its index",
    "of: (:, 0) -> (:, -1)": ONE,
    "of: neuron.b1[0] -> neuron.b1[-1]": ONE,
    "of: neuron.b2[0] -> neuron.b2[-1]": ONE,
    "of: int(neuron.b1[0]) -> neuron.b1[0]": "an integer either way",
    "of: int(neuron.b2[0]) -> neuron.b2[0]": "an integer either way",
    "__init__: self.start() -> pass": "a sample begins with it",
    "__init__: self.start() -> self": "a sample begins with it",
    "__init__: setup.delay(matrix.layer) + 2 -> setup.delay(matrix.layer) + 3": "more room than is needed",
    "__init__: setup.delay(layer) + 1 -> setup.delay(layer) + 2": "more room than is needed",
    "start: np.zeros((self.depth, inputs), np.int64) -> np.ones((self.depth, inputs), np.int64)": WRITTEN,
    "__init__: np.zeros((self.depth, described.size), np.int64)"
    " -> np.ones((self.depth, described.size), np.int64)": WRITTEN,
    "remember: rule.surrogate(before, self.neuron.vth, self.rule.surrogate_shift, self.limit)"
    " -> rule.surrogate(self.neuron.vth, before, self.rule.surrogate_shift, self.limit)": "a distance",
    "post: rule.posted(self.psi[step % self.depth], signal, self.rule.signal_shift, self.limit)"
    " -> rule.posted(signal, self.psi[step % self.depth], self.rule.signal_shift, self.limit)": "a product",
    "_update: bits(key(setup.seed, self.matrix.number, sample, step), self.synapse)"
    " -> bits(self.synapse, key(setup.seed, self.matrix.number, sample, step))": "exclusive or",
    "__init__: Coefficients.of(setup.net.layers[matrix.layer]) if self.rule else None"
    " -> Coefficients.of(setup.net.layers[matrix.layer])": LEARNS,
    "start: self.weight.shape if self.rule else (0, 0) -> self.weight.shape": LEARNS,
    "start: (0, 0) -> (1, 0)": LEARNS,
    "start: (0, 0) -> (0, 1)": LEARNS,
    "start: (0, 0) -> (-1, 0)": LEARNS,
    "start: (0, 0) -> (0, -1)": LEARNS,
    "remember: self.rule and self.coefficients -> self.rule or self.coefficients": "both are there, or neither",
    "remember: self.rule and self.coefficients -> self.rule": "both are there, or neither",
    "remember: self.rule and self.coefficients -> self.coefficients": "both are there, or neither",
    "_update: self.rule.rate_shift if self.rule else 0 -> self.rule.rate_shift": LEARNS,
    "_update: self.rule.rate_shift if self.rule else 0 -> self.rule.rate_shift if self.rule else 1": LEARNS,
    "_update: self.rule.rate_shift if self.rule else 0 -> self.rule.rate_shift if self.rule else -1": LEARNS,
}

SWAPPED: dict[type, list[type]] = {
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Add],
    ast.Mod: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.MatMult: [],
    ast.Div: [ast.Mult],
    ast.LShift: [ast.RShift],
    ast.RShift: [ast.LShift],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
    ast.BitXor: [ast.BitAnd],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
}
COMMUTE = {"mul", "maximum", "minimum", "max", "min"}  # their arguments may change places
RENAMED = {"maximum": "minimum", "minimum": "maximum", "zeros": "ones", "any": "all", "all": "any"}


def mutated(node: ast.AST) -> Iterator[ast.AST]:
    """Every other node that may stand in the place of `node`."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1))
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.BinOp):
        yield from (ast.BinOp(node.left, op(), node.right) for op in SWAPPED[type(node.op)])
        yield from (node.right,) if _is_times_one(node) else (node.left, node.right)
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        yield node.operand
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            for other in SWAPPED[type(op)]:
                yield ast.Compare(node.left, [*node.ops[:i], other(), *node.ops[i + 1 :]], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield from (ast.BoolOp(op(), node.values) for op in SWAPPED[type(node.op)])
        yield from node.values
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, (ast.If, ast.While)):
        yield type(node)(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.AugAssign):
        yield from (ast.AugAssign(node.target, op(), node.value) for op in SWAPPED[type(node.op)])
        yield from (ast.Assign([node.target], node.value, lineno=0), ast.Pass())
    elif isinstance(node, ast.Expr) or (isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Name)):
        yield ast.Pass()
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load):
        yield from (ast.Tuple(order, node.ctx) for order in _neighbours_swapped(node.elts))
    elif isinstance(node, ast.Call):
        yield from _calls(node)


def _is_times_one(node: ast.BinOp) -> bool:
    """Times 1 turns a boolean into a number, and those count alike."""
    return isinstance(node.op, ast.Mult) and isinstance(node.right, ast.Constant) and node.right.value == 1


def _neighbours_swapped(items: list) -> Iterator[list]:
    for i in range(len(items) - 1):
        if ast.dump(items[i]) != ast.dump(items[i + 1]):
            yield [*items[:i], items[i + 1], items[i], *items[i + 2 :]]


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    """A function's arguments swapped, its other one called, nothing done to its argument."""
    if ast.unparse(node.func).split(".")[-1] not in COMMUTE:
        yield from (ast.Call(node.func, order, node.keywords) for order in _neighbours_swapped(node.args))
    yield from (argument for argument in node.args if not isinstance(argument, (ast.Starred, ast.Constant)))
    if isinstance(node.func, ast.Attribute) and node.func.attr in RENAMED:
        yield ast.Call(ast.Attribute(node.func.value, RENAMED[node.func.attr], ast.Load()), node.args, node.keywords)
    if isinstance(node.func, ast.Attribute) and not node.args:
        yield node.func.value


# What is said to people and to mypy is not what is computed; a default is the caller's to give.
SILENT = (ast.Raise, ast.Assert, ast.Import, ast.ImportFrom, ast.JoinedStr, ast.AnnAssign)


def places(node: ast.AST, scope: str = "module") -> Iterator[tuple[ast.AST, str, int | None, ast.AST, str]]:
    """(parent, field, index, node, the function that it is in) of everything below `node` that computes something."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        scope = node.name
    for name, value in ast.iter_fields(node):
        if name in ("returns", "annotation", "decorator_list", "args") and not isinstance(node, ast.Call):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or isinstance(child, SILENT) or _is_silent(child):
                continue
            yield node, name, index, child, scope
            yield from places(child, scope)


def _is_silent(node: ast.AST) -> bool:
    """A docstring, or the name of a type."""
    if isinstance(node, ast.Subscript):
        return ast.unparse(node.value) in ("Literal", "dict", "tuple", "npt.NDArray")
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@dataclass(frozen=True)
class Mutant:
    """One changed file: where, what became of what, and the whole source."""

    line: int
    change: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of `source`. A constant is shown with what it stands in."""
    tree = ast.parse(source)
    for parent, name, index, node, scope in list(places(tree)):
        around = isinstance(node, ast.Constant) and isinstance(parent, (ast.expr, ast.keyword))
        before = _short(parent if around else node)
        for other in mutated(node):
            siblings = getattr(parent, name)
            replaced = other if index is None else [*siblings[:index], other, *siblings[index + 1 :]]
            setattr(parent, name, replaced)
            text = ast.unparse(ast.fix_missing_locations(copy.deepcopy(tree)))
            after = _short(parent if around else other)
            setattr(parent, name, siblings)
            yield Mutant(getattr(node, "lineno", 0), f"{scope}: {before} -> {after}", text)


def _short(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).split("\n")[0]


def passes(work: Callable[[], bool], seconds: int, output: Path) -> bool:
    """Whether `work`, in a fork of this process and within `seconds` of a processor, is True."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        _work(work, output)
    end = time.monotonic() + PATIENCE * seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _work(work: Callable[[], bool], output: Path) -> None:
    """Do it in a group of its own, what it prints kept in `output`, and end this process."""
    status = 70
    try:
        os.setsid()
        sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        status = int(not work())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


class Mutated(importlib.machinery.SourceFileLoader):
    """Loads one module from a source that is not in its file."""

    def __init__(self, path: Path, source: str) -> None:
        super().__init__(".".join(path.with_suffix("").parts), str(ROOT / path))
        self.source = source

    def find_spec(self, name: str, *_: Any) -> Any:
        """What `sys.meta_path` asks."""
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def get_code(self, _: str) -> Any:
        """The code of the other source."""
        return compile(self.source, self.path, "exec")


def import_anew(path: Path, source: str) -> None:
    """Forget everything imported from this tree; when it is imported again, `path` has `source`."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tclif_neuro", "tests")]:
        del sys.modules[name]
    sys.meta_path.insert(0, Mutated(path, source))


def judged(room: str) -> bool:
    """Run the quick tests of the judge's modules that need nothing compiled, nothing random and no fixture."""
    for name in JUDGE[room]:
        for test in [test for key, test in vars(importlib.import_module(name)).items() if key.startswith("test_")]:
            if not hasattr(test, "hypothesis"):
                for arguments in _parametrized(test):
                    test(**arguments)
    return True


def _parametrized(test: Any) -> Iterator[dict[str, Any]]:
    """The arguments of every case of `test`; of executors the first alone. None where it asks for a fixture."""
    choices = []
    for mark in getattr(test, "pytestmark", []):
        names, values = mark.args
        names = [n.strip() for n in names.split(",")] if isinstance(names, str) else names
        rows = [value if len(names) > 1 else (value,) for value in values]
        choices.append([dict(zip(names, row, strict=True)) for row in (rows[:1] if "execute" in names else rows)])
    cases = [{k: v for choice in chosen for k, v in choice.items()} for chosen in itertools.product(*choices)]
    yield from (case for case in cases if case.keys() == inspect.signature(test).parameters.keys())


def survives_judge(path: Path, source: str, room: str) -> bool:
    """Whether the judge's quick tests pass with `source` in the place of `path`."""
    import_anew(path, source)
    return judged(room)


def roomed(tree: Path, room: str) -> bool:
    """Run the room's quick tests in `tree`, in a process of their own."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", *ROOM[room]]
    return subprocess.run(command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}).returncode == 0


def room_of(path: Path) -> str:
    """Whose tests are asked: the integer neurons', or those of learning on the chip."""
    return "onchip" if "onchip" in path.parts else "fixed"


def examine(path: Path, tree: Path, judge_alone: bool) -> dict[str, int]:
    """Run every mutant of `path`; returns how many ended how. Those that the judge does not find are printed."""
    room, source, output = room_of(path), (ROOT / path).read_text(), tree / "output.txt"
    ends: dict[str, int] = {"mutants": 0, "judge": 0, "room": 0, "equivalent": 0, "survive": 0}
    for mutant in mutants(source):
        ends["mutants"] += 1
        if not passes(partial(survives_judge, path, mutant.source, room), CPU_SECONDS[0], output):
            ends["judge"] += 1
            continue
        end = "equivalent" if mutant.change in EQUIVALENT else "survive"
        if end == "survive" and not judge_alone:
            (tree / path).write_text(mutant.source)
            end = "survive" if passes(partial(roomed, tree, room), CPU_SECONDS[1], output) else "room"
            (tree / path).write_text(source)
        ends[end] += 1
        if end != "equivalent":
            print(f"{path}:{mutant.line} {mutant.change}: {end}", flush=True)
    return ends


def main() -> int:
    """Examine the files named on the command line."""
    parser = argparse.ArgumentParser(description="Which changes of a normative file do the tests not notice?")
    parser.add_argument("files", nargs="*", type=Path, default=NORMATIVE, help="default: all normative files")
    parser.add_argument("--judge", action="store_true", help="only the judge, with the NumPy executors")
    chosen = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "CI": "1"}
    sys.path.insert(0, str(ROOT))
    for name in SLOW_TO_IMPORT:
        importlib.import_module(name)
    rows, left = [], 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        for name in ("tclif_neuro", "tests"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", tree)
        os.environ["NUMBA_CACHE_DIR"] = str(Path(folder) / "numba")
        for path in chosen.files:
            unchanged = ast.unparse(ast.parse((ROOT / path).read_text()))
            work = partial(survives_judge, path, unchanged, room_of(path))
            if not passes(work, CPU_SECONDS[1], tree / "output.txt"):
                print(f"The unchanged {path} fails:\n{(tree / 'output.txt').read_text()}", file=sys.stderr)
                return 2
        for path in chosen.files:
            ends = examine(path, tree, chosen.judge)
            rows.append(f"| `{path}` | " + " | ".join(map(str, ends.values())) + " |")
            left += ends["survive"]
    print("\n| file | mutants | found by the judge | by the room | equivalent | survive |\n|---|---|---|---|---|---|")
    print("\n".join(rows))
    return int(left > 0)


NORMATIVE = [
    Path("tclif_neuro/dynamics.py"),
    Path("tclif_neuro/fixed/step.py"),
    *sorted(path.relative_to(ROOT) for path in (ROOT / "tclif_neuro" / "onchip" / "rule").glob("[!_]*.py")),
]

if __name__ == "__main__":
    sys.exit(main())
