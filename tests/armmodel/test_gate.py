"""Modelled cycles do not grow unnoticed: `gate.json` has those of the trained detector, at a small input."""

import json
from pathlib import Path

import pytest

from pocketdet.armmodel.cores import CORES
from pocketdet.armmodel.instrument import find_instrument
from pocketdet.armmodel.modelled import model
from pocketdet.armmodel.subject import BundleSubject
from pocketdet.errors import UsageError
from pocketdet.runtime.bundle import load_bundle

GATE = Path(__file__).parent / "gate.json"
GROWTH = 0.02


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_cycles_have_not_grown(trained_bundle: Path, precision: str) -> None:
    try:
        instrument = find_instrument()
    except UsageError as error:
        pytest.skip(str(error))
    with load_bundle(trained_bundle) as bundle:
        (modelled,) = model(BundleSubject(bundle, precision), [CORES["cortex-a76"]], instrument)
    name = f"thundernet-snet49-fod at 96x96, {precision}, cortex-a76"
    allowed = json.loads(GATE.read_text(encoding="utf-8"))[name]
    cycles = round(modelled.total.cycles)
    assert cycles <= (1 + GROWTH) * allowed, f"{name}: if {cycles} is meant, write it into {GATE}"
