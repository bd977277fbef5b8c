"""Modelled cycles do not grow unnoticed: `gate.json` has those of five detectors at small inputs.

A change that is meant is written into the file: the message of the failed test has the line.
"""

import json
from pathlib import Path

import pytest
from needs import SHARED_DATA
from shared_exports import made_once

from pocketdet.armmodel.cores import CORES
from pocketdet.armmodel.detectors import BACKBONES, make_bundle, standard_frame_files
from pocketdet.armmodel.instrument import Instrument, find_instrument
from pocketdet.armmodel.modelled import model
from pocketdet.armmodel.subject import BundleSubject
from pocketdet.armmodel.table9 import PRECISIONS
from pocketdet.errors import UsageError
from pocketdet.export.exporter import export_reference
from pocketdet.export.options import ExportOptions
from pocketdet.export.reference.description import read_description
from pocketdet.export.reference.factory import reference_from_onnx
from pocketdet.runtime.bundle import load_bundle

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
GATE = Path(__file__).parent / "gate.json"
FASTESTDET = ROOT.parent / "shared" / "data" / "peers" / "FastestDet.onnx"
GROWTH = 0.02
SIZES = dict.fromkeys(BACKBONES, (96, 96)) | {"passd-mobilenet": (128, 128), "FastestDet": (352, 352)}
ROIS = 20


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    try:
        return find_instrument()
    except UsageError as error:
        pytest.skip(str(error))


def fastestdet_bundle(folder: Path, *, int8: bool) -> Path:
    description = read_description(ROOT / "docs" / "own_model" / "fastestdet.toml")
    frames = tuple(standard_frame_files(folder))
    options = ExportOptions(precision="int8", calibration=frames) if int8 else ExportOptions()
    return export_reference(reference_from_onnx(FASTESTDET, description), folder, options).path


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("arch", SIZES)
def test_cycles_have_not_grown(
    arch: str, precision: str, instrument: Instrument, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if arch == "FastestDet" and not FASTESTDET.is_file():
        pytest.skip(SHARED_DATA)
    int8 = precision == "int8"

    def make(folder: Path) -> Path:
        if arch == "FastestDet":
            return fastestdet_bundle(folder, int8=int8)
        return make_bundle(arch, folder, int8=int8, size=SIZES[arch])

    path = made_once(tmp_path_factory, f"gate-{arch}{'-int8' if int8 else ''}", make)
    rois = ROIS if arch in BACKBONES else None
    with load_bundle(path) as bundle:
        subject = BundleSubject(bundle, "fp32" if precision == "fp32" else "fp16", rois=rois)
        (modelled,) = model(subject, [CORES["cortex-a76"]], instrument)
    name = f"{arch} at {'x'.join(map(str, SIZES[arch]))}, {precision}, cortex-a76"
    cycles, allowed = round(modelled.total.cycles), json.loads(GATE.read_text(encoding="utf-8")).get(name, 0)
    assert cycles <= (1 + GROWTH) * allowed, f'if it is meant, write into {GATE}: "{name}": {cycles}'
