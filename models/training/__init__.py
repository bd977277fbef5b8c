"""Deprecated name of `pocketdet.training`, for `python -m pocketdet.models.training.MODULE` in a checkout."""

import sys
from pathlib import Path

__path__.append(str(Path(__file__).resolve().parents[2] / "training"))
sys.stderr.write("pocketdet.models.training is now pocketdet.training; the old name is deprecated\n")
