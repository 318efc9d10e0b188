"""The plan of the house: which room may import what, read from the sources themselves."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from scripts import counts
from scripts.counts import module_name, modules_of

PACKAGE = counts.ROOT / "tclif_neuro"
SOURCES = counts.sources(PACKAGE)
FILES = counts.files(PACKAGE)
GROUND = {"compiled", "lanes", "dynamics", "errors", "files", "memory", "text", "arrays", "threads", "score"}


def room(name: str) -> str:
    """The room of a module, by its name below the package."""
    return name.split(".")[0]


def rooms() -> dict[str, set[str]]:
    """Each room, and the other rooms it imports."""
    graph: dict[str, set[str]] = {}
    for name, used in FILES.items():
        graph.setdefault(room(name), set()).update(map(room, used))
    return {name: used - {name} for name, used in graph.items()}


@cache
def allowed() -> dict[str, set[str]]:
    """CONTRIBUTING's table: each room, and the rooms that it may import besides the ground."""
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| `(\w+)(?:/|\.py)` \|.*\| ([^|]*) \|$", text, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", cell)) for name, cell in rows}


def test_the_table_of_rooms_names_every_room() -> None:
    assert {room(name) for name in FILES} - GROUND == set(allowed())


@pytest.mark.parametrize(("name", "used"), FILES.items(), ids=FILES)
def test_a_file_imports_only_what_its_room_may(name: str, used: set[str]) -> None:
    if room(name) == "cli":
        return
    may = GROUND if room(name) in GROUND else allowed()[room(name)] | GROUND | {room(name)}
    assert {room(other) for other in used} <= may


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_room_lava_imports_lava(source: Path) -> None:
    packages = {name.split(".")[0] for name in modules_of(source)}
    assert "lava" not in packages or room(module_name(source, PACKAGE)) == "lava"


@pytest.mark.parametrize("graph", [rooms(), FILES], ids=["rooms", "files"])
def test_nothing_is_imported_in_a_circle(graph: dict[str, set[str]]) -> None:
    assert counts.circle(graph) == []


@pytest.mark.parametrize("factors", [counts.SOMA, counts.TRANSPOSED], ids=["map", "transpose"])
def test_the_map_of_two_compartments_stands_in_dynamics_alone(factors: tuple[set[str], set[str]]) -> None:
    assert [place.split(":")[0] for place in counts.copies(PACKAGE, factors)] == ["dynamics.py"]


@pytest.mark.parametrize("kind", ["GeneralizedTCLIF", "CUBALIF"])
def test_a_kind_of_neuron_is_named_in_few_files(kind: str) -> None:
    assert len(counts.naming(PACKAGE, counts.KINDS[kind])) <= 5


def test_the_counts_of_the_house_are_those_of_the_page() -> None:
    page = (counts.ROOT / "CONTRIBUTING.md").read_text()
    rows = dict(re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE))
    today = {name: value.split(":")[0] for name, value in counts.counts(counts.ROOT).items()}
    held = {name for name in today if name.startswith(("copies", "files that name", "circles"))}
    assert {name: rows.get(name) for name in held} == {name: today[name] for name in held}


def test_every_path_of_the_page_is_there() -> None:
    page = (counts.ROOT / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"`([\w./]+(?:/|\.py))`", page)
    assert len(paths) > 50
    here = [*PACKAGE.rglob("*.py"), *PACKAGE.glob("**/*/")]
    missing = [
        path
        for path in paths
        if not (counts.ROOT / path).exists()
        and not any(f"/{found.relative_to(PACKAGE)}".endswith(f"/{path.rstrip('/')}") for found in here)
    ]
    assert missing == []


def test_the_hub_depends_on_numpy_alone() -> None:
    outside = {name.split(".")[0] for name in modules_of(PACKAGE / "network.py")} - sys.stdlib_module_names
    assert outside == {"numpy", "tclif_neuro"}
    assert rooms()["network"] == {"errors"}


def test_the_room_of_the_chip_knows_numpy_alone() -> None:
    sources = (PACKAGE / "loihi").glob("*.py")
    outside = {name.split(".")[0] for source in sources for name in modules_of(source)} - sys.stdlib_module_names
    assert outside == {"numpy", "tclif_neuro"}


@pytest.mark.parametrize("name", ["rule", "exact/reference", "engine/fit", "run"])
def test_the_on_chip_rule_knows_the_integers_alone(name: str) -> None:
    place = PACKAGE / "onchip" / name
    sources = place.glob("*.py") if place.is_dir() else [place.with_suffix(".py")]
    used = {module for source in sources for module in modules_of(source) if module.startswith("tclif_neuro.")}
    assert {module.split(".")[1] for module in used} <= {"compiled", "dynamics", "errors", "fixed", "network", "onchip"}


def test_the_core_runs_without_loading_lava() -> None:
    code = """
import sys, tclif_neuro as tn
for name in set(tn.__all__) - {"lava"}:
    getattr(tn, name)
print([name for name in sys.modules if name.split(".")[0] == "lava"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=400)
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
    done = subprocess.run([sys.executable, "-c", code, str(net)], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "4 []"


def test_reading_a_recipes_task_needs_no_torch() -> None:
    code = "import sys, tclif_neuro.data.spec, tclif_neuro.data.load; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=400)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_that_could_hold_a_program_is_read_or_written(source: Path) -> None:
    text = source.read_text()
    allowed = {"pickle"} if source.name == "compiled.py" else set()  # numba's own cache, as trusted as the package
    packages = {name.split(".")[0] for name in modules_of(source)}
    assert not (packages - allowed) & {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    assert not re.search(r"torch\.(load|save)\b|torch\.jit|allow_pickle=True", text)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_docstring_names_a_thing_or_says_what_to_do(source: Path) -> None:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    texts = [
        ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, kinds)
    ]
    assert [text for text in texts if re.match(r"(What|Where|Whether|How)\b", text)] == []
