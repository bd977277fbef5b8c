"""Deprecated name of `pocketdet.datasets.scenes`, for `python -m pocketdet.models.scenes` in a checkout."""

import sys
from pathlib import Path

__path__ = [str(Path(__file__).resolve().parents[2] / "datasets" / "scenes")]
sys.stderr.write("pocketdet.models.scenes is now pocketdet.datasets.scenes; the old name is deprecated\n")
