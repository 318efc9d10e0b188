"""What tests that train add to their seeds, so that `make portable` can ask whether they hold with others."""

import os

OFFSET = int(os.environ.get("TCLIF_TEST_SEED", "0"))
