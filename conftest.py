"""For every test, the notebooks included."""

from __future__ import annotations

import os

os.environ["TQDM_DISABLE"] = "1"  # a bar shows on slow machines only
