"""The plan of the house: which room may import what, read from the sources themselves."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "tclif_neuro"
SOURCES = sorted(PACKAGE.rglob("*.py"))


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


def modules_of(source: Path) -> set[str]:
    return imported(ast.parse(source.read_text()))


def room(source: Path) -> str:
    return source.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms() -> dict[str, set[str]]:
    """Each room, and the other rooms it imports."""
    graph: dict[str, set[str]] = {room(source): set() for source in SOURCES if source != PACKAGE / "__init__.py"}
    for source in SOURCES:
        used = {name.split(".")[1] for name in modules_of(source) if name.startswith("tclif_neuro.")}
        if room(source) in graph:
            graph[room(source)] |= (used & graph.keys()) - {room(source)}
    return graph


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_room_lava_imports_lava(source: Path) -> None:
    packages = {name.split(".")[0] for name in modules_of(source)}
    assert "lava" not in packages or room(source) == "lava"


def test_rooms_import_each_other_in_no_circle() -> None:
    try:
        order = list(TopologicalSorter(rooms()).static_order())
    except CycleError as error:
        pytest.fail(f"rooms in a circle: {' <- '.join(error.args[1])}")
    assert order.index("network") < order.index("fixed") < order.index("cli")


def test_the_hub_depends_on_numpy_alone() -> None:
    outside = {name.split(".")[0] for name in modules_of(PACKAGE / "network.py")} - sys.stdlib_module_names
    assert outside == {"numpy", "tclif_neuro"}
    assert rooms()["network"] == {"errors"}


@pytest.mark.parametrize("name", ["rule", "exact/reference", "engine/fit", "run"])
def test_the_on_chip_rule_knows_the_integers_alone(name: str) -> None:
    place = PACKAGE / "onchip" / name
    sources = place.glob("*.py") if place.is_dir() else [place.with_suffix(".py")]
    used = {module for source in sources for module in modules_of(source) if module.startswith("tclif_neuro.")}
    assert {module.split(".")[1] for module in used} <= {"errors", "fixed", "network", "onchip"}


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("neurons", {"errors", "threads", "memory"}), ("memory", set()), ("threads", {"errors"}), ("errors", set())],
)
def test_the_lowest_rooms_know_only_what_is_below(name: str, allowed: set[str]) -> None:
    assert rooms()[name] <= allowed


def test_the_core_runs_without_loading_lava() -> None:
    code = """
import sys, tclif_neuro as tn
for name in set(tn.__all__) - {"lava"}:
    getattr(tn, name)
print([name for name in sys.modules if name.split(".")[0] == "lava"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_has_outgrown_its_room(source: Path) -> None:
    assert len(source.read_text().splitlines()) <= 400


def test_running_a_network_loads_neither_torch_nor_the_training() -> None:
    """`tclif run` on the simulator: integers need neither, and importing them takes most of a second."""
    code = """
import sys
from pathlib import Path
from tclif_neuro.cli.commands.run import run_file
from tclif_neuro.cli.commands.samples import Choice
result = run_file(Path(sys.argv[1]), Choice(limit=4), backend="simulator")
print(result.samples, [name for name in sys.modules if name.split(".")[0] == "torch" or ".learning" in name])
"""
    net = PACKAGE.parent / "models" / "digits-rows.net"
    done = subprocess.run([sys.executable, "-c", code, str(net)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "4 []"


def test_reading_a_recipes_task_needs_no_torch() -> None:
    code = "import sys, tclif_neuro.data.spec, tclif_neuro.data.load; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr
