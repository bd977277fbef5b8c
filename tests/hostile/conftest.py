"""What the tests of hostile copies share; the modules of this folder are imported by their names."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE))

from verdicts import Limits, NativeLoader  # noqa: E402


@pytest.fixture(scope="session")
def native() -> NativeLoader:
    """pocketdet-run as `make native` builds it."""
    path = Path(
        os.environ.get("POCKETDET_RUN") or HERE.parents[1] / "build" / "native-host" / "pocketdet-run"
    )
    if not path.exists():
        pytest.skip(f"{path} is not built: make native")
    return NativeLoader((str(path),), Limits())
