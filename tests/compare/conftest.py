"""The network and the run that the tests of `show` draw, too."""

from tests.show.conftest import net, run, x

__all__ = ["net", "run", "x"]
