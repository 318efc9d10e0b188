"""Counts of the house: how often the map of two compartments stands in the library, what a kind of neuron touches, ...

    python -m scripts.counts                  # of this tree
    python -m scripts.counts OLD/             # of another one, to compare

Everything is read from the sources; nothing is imported. CONTRIBUTING has the table.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Container, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "tclif_neuro"
SHORT = 50  # lines
# Of a kind: its class, the section of its keys, its `type` in a recipe and, if it has its own, in a .net file.
KINDS = {
    "RelaxedTCLIF": {"RelaxedTCLIF", "RelaxedSection", "relaxed"},
    "AdaptiveTCLIF": {"AdaptiveTCLIF", "AdaptiveSection", "adaptive", "ATCLIF"},
    "GeneralizedTCLIF": {"GeneralizedTCLIF", "GeneralizedSection", "generalized"},
    "CUBALIF": {"CUBALIF", "CUBALIFSection", "cubalif"},
}
# The factors of the two states in a line of the map; in a trace of e-prop b1 and a2 hold the way through the reset.
B1, A2 = {"b1", "couple"}, {"a2", "decay"}
SOMA, TRANSPOSED = (A2, {"b2"}), (B1, A2)


def sources(package: Path) -> list[Path]:
    """Its files, sorted."""
    return sorted(package.rglob("*.py"))


@cache
def tree_of(source: Path) -> ast.Module:
    """A file, parsed once."""
    return ast.parse(source.read_text())


def imported(node: ast.AST) -> set[str]:
    """The modules that running it imports, also late, inside functions; not those for type checkers alone."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return set().union(*map(imported, node.orelse))
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        return {f"{node.module}.{alias.name}" for alias in node.names}
    return set().union(*map(imported, ast.iter_child_nodes(node)))


@cache
def modules_of(source: Path) -> set[str]:
    """The modules that a file imports."""
    return imported(tree_of(source))


def module_name(source: Path, package: Path) -> str:
    """A file's name as a module below the package."""
    return ".".join(source.relative_to(package).with_suffix("").parts).removesuffix(".__init__")


@cache
def files(package: Path) -> dict[str, set[str]]:
    """Each file of the package but its `__init__`, and the others it imports, by their names below the package."""
    names = {module_name(source, package): source for source in sources(package) if source != package / "__init__.py"}
    graph: dict[str, set[str]] = {}
    for name, source in names.items():
        used = {module.removeprefix(f"{NAME}.") for module in modules_of(source) if module.startswith(f"{NAME}.")}
        graph[name] = {owner for module in used if (owner := _owner(module, names)) and owner != name}
    return graph


def _owner(module: str, names: Container[str]) -> str:
    """The file that `module`, a file or a name in one, comes from."""
    while module and module not in names:
        module = module.rpartition(".")[0]
    return module


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The files of one circle of imports, the first again at its end; empty: there is none."""
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def circles(graph: dict[str, set[str]]) -> int:
    """The circles found when each is cut where it closes."""
    graph, found = {name: set(used) for name, used in graph.items()}, 0
    while names := circle(graph):
        graph[names[1]].discard(names[0])
        found += 1
    return found


def copies(package: Path, factors: tuple[set[str], set[str]]) -> list[str]:
    """Where a sum of two products by one of each of `factors` stands: file:line."""
    return [
        f"{source.relative_to(package)}:{node.lineno}"
        for source in sources(package)
        for node in _sums(tree_of(source))
        if _has(node, *factors)
    ]


def _sums(node: ast.AST, within: bool = False) -> Iterator[ast.expr]:
    """The sums in it, each with all of its terms."""
    is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
    if is_sum and not within and isinstance(node, ast.expr):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _sums(child, is_sum)


def _terms(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        return _terms(node.left) + _terms(node.right)
    return [node]


def _names(node: ast.AST) -> set[str]:
    return {
        x.id if isinstance(x, ast.Name) else x.attr for x in ast.walk(node) if isinstance(x, ast.Name | ast.Attribute)
    }


def _has(node: ast.expr, one: set[str], other: set[str]) -> bool:
    """Tell whether it has two products, `x * k` or `mul(x, k)`, one by a name of `one` and one by a name of `other`."""
    products = [
        _names(term)
        for term in _terms(node)
        if isinstance(term, ast.Call) or (isinstance(term, ast.BinOp) and isinstance(term.op, ast.Mult))
    ]
    return any(a & one and b & other for a in products for b in products if a is not b)


def naming(package: Path, words: set[str]) -> list[str]:
    """The files whose code has one of `words`, as a name or as a text of its own; docstrings and messages apart."""
    return [str(source.relative_to(package)) for source in sources(package) if _words(source) & words]


@cache
def _words(source: Path) -> set[str]:
    tree = tree_of(source)
    texts = {x.value for x in ast.walk(tree) if isinstance(x, ast.Constant) and isinstance(x.value, str)}
    classes = {x.name for x in ast.walk(tree) if isinstance(x, ast.ClassDef)}
    taken = {alias.name for x in ast.walk(tree) if isinstance(x, ast.ImportFrom) for alias in x.names}
    return _names(tree) | texts | classes | taken


def short(package: Path) -> list[str]:
    """The files of fewer than 50 lines, `__init__` and `__main__` apart."""
    return [
        str(source.relative_to(package))
        for source in sources(package)
        if not source.stem.startswith("__") and len(source.read_text().splitlines()) < SHORT
    ]


def words(root: Path) -> int:
    """The rows of the glossary."""
    page = root / "docs" / "glossary.md"
    rows = re.findall(r"^\| (?!word |---)", page.read_text(), re.MULTILINE) if page.exists() else []
    return len(rows)


def counts(root: Path) -> dict[str, str]:
    """Each count by its name, and where what is counted stands if that is short."""
    package = root / NAME
    soma, back = copies(package, SOMA), copies(package, TRANSPOSED)
    kinds = {kind: naming(package, names) for kind, names in KINDS.items()}
    everything = [source for source in sources(package) if not source.stem.startswith("__")]
    return {
        "copies of the map": f"{len(soma)}: {', '.join(soma)}",
        "copies of its transpose": f"{len(back)}: {', '.join(back)}",
        **{f"files that name {kind}": f"{len(found)}: {', '.join(found)}" for kind, found in kinds.items()},
        "circles of imports": str(circles(files(package))),
        f"files under {SHORT} lines": f"{len(short(package))} of {len(everything)}",
        "words of the glossary": str(words(root)),
    }


def main() -> None:
    """Print the counts of a tree."""
    parser = argparse.ArgumentParser(description="Counts of the house.")
    parser.add_argument("tree", nargs="?", type=Path, default=ROOT, help="the root of a checkout (this one)")
    for name, value in counts(parser.parse_args().tree.resolve()).items():
        print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
