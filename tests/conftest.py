"""What every test runs under: the threads, the hypothesis profile, and when tests of Lava are skipped."""

import importlib.util
import os
import signal

if "PYTEST_XDIST_WORKER" in os.environ:  # a worker a core: before torch and numba are imported, which read these once
    for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(_name, "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait asleep leave the cores to others

import pytest
from hypothesis import HealthCheck, settings

from tests.examples import examples
from tests.seeds import OFFSET

# A shell lets what it starts in the background ignore Ctrl-C, and every child inherits that; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: the first example of a test may compile with numba. Slowness of the machine is not a failure of the code.
settings.register_profile("dev", examples(), deadline=None)
settings.register_profile(
    "ci", examples(), deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

HAS_LAVA = importlib.util.find_spec("lava") is not None and importlib.util.find_spec("lava.magma") is not None
REQUIRE_LAVA = os.environ.get("TCLIF_REQUIRE_LAVA") == "1"


# Tests of the room that imports Lava cannot even be collected without it.
collect_ignore = [] if HAS_LAVA else ["lava"]


@pytest.fixture(scope="session")
def seed() -> int:
    """What a test that trains adds to its own seeds: 0, or TCLIF_TEST_SEED."""
    return OFFSET


def pytest_configure(config: pytest.Config) -> None:
    """Fail at once where TCLIF_REQUIRE_LAVA=1 promises Lava and it is not installed."""
    if REQUIRE_LAVA and not HAS_LAVA:
        raise pytest.UsageError("TCLIF_REQUIRE_LAVA=1, but Lava is not installed: run `make setup`")


def pytest_sessionstart() -> None:
    """Where nothing is compiled yet, workers would all compile the same at the same time."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        from tests.compiled import compile_share

        compile_share(int(os.environ["PYTEST_XDIST_WORKER"][2:]), int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))


def pytest_report_header() -> str:
    """Say whether Lava is there."""
    return (
        f"lava: {'installed' if HAS_LAVA else 'not installed (tests/lava is left out, tests marked lava are skipped)'}"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `lava` where Lava is not installed."""
    skip = pytest.mark.skip(reason="Lava is not installed: it needs the extra `lava` and Python 3.10")
    for item in items:
        if item.get_closest_marker("lava") and not HAS_LAVA:
            item.add_marker(skip)
