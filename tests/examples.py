"""How many examples the property tests draw: as many as each says, or a share of them (`make quick`)."""

import os
from typing import Any

from hypothesis import settings

SHARE = float(os.environ.get("TCLIF_TEST_EXAMPLES", "1"))
MOST = 100  # of a test that says nothing


def examples(most: int = MOST, **others: Any) -> Any:
    """For `@given`: `most` examples, at least 3; others: of hypothesis's `settings`."""
    return settings(max_examples=max(min(3, most), round(SHARE * most)), **others)
