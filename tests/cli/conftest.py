"""Fixtures of the command line tests that need neither torch nor the exporter."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from tiny_bundle import rehash, tiny_bundle, tiny_bundle_template

__all__ = ["rehash", "tiny_bundle", "tiny_bundle_template"]
