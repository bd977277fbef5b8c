"""pocketdet-run on bundles of somebody's PyTorch modules."""

from pathlib import Path

import pytest
from native_runner import Runner
from user_detectors import SSD_DESCRIPTION, YOLO_DESCRIPTION, PlainSsd, PlainYolo

import pocketdet
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.verification import compare_stages, golden_stages


@pytest.mark.parametrize(
    ("make", "description"),
    [(PlainSsd, SSD_DESCRIPTION), (PlainYolo, YOLO_DESCRIPTION)],
    ids=["ssd", "yolo"],
)
def test_bundles_of_modules_are_verified(
    runner: Runner, make: type[PlainSsd | PlainYolo], description: str, tmp_path: Path
) -> None:
    (tmp_path / "d.toml").write_text(description, encoding="utf-8")
    bundle = pocketdet.export(make(), tmp_path, description=tmp_path / "d.toml").path
    document = runner.json("verify", bundle)
    assert document["ok"] is True
    with load_bundle(bundle) as loaded:
        checks = compare_stages(golden_stages(loaded), Detector(loaded, engine="ncnn"))
    assert [check["name"] for check in document["checks"]] == [check.name for check in checks]
