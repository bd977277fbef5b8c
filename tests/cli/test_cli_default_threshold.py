"""One default score threshold everywhere: the bundle's."""

import inspect
import json
import re
from pathlib import Path

import cv2
import needs
import numpy as np
import pytest
from native_runner import Runner

from pocketdet.cli.main import app
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.images import read_image
from pocketdet.runtime.options import DetectorOptions

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "build" / "native-host" / "pocketdet-run"
SETTINGS = "app/src/main/java/io/pocketdet/app/Settings.java"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.random.default_rng(5).integers(0, 256, (30, 40, 3), np.uint8))
    return path


@pytest.fixture(params=["tiny_bundle", "tiny_one_stage"])
def bundle(request: pytest.FixtureRequest, photo: Path) -> Path:
    """A bundle whose threshold is in the middle of the scores of `photo`."""
    path: Path = request.getfixturevalue(request.param)
    with Detector(path) as detector:
        scores = detector.detect(read_image(photo)).scores
    manifest = path / "manifest.json"
    document = json.loads(manifest.read_text("utf-8"))
    selection = document["decode"]["selection"] if "decode" in document else document["postprocessing"]
    selection["score_threshold"] = round(float(np.median(scores)), 4)
    manifest.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_python_and_its_options(bundle: Path, photo: Path) -> None:
    assert DetectorOptions().score_threshold is None
    with Detector(bundle) as detector, Detector(bundle, score_threshold=0) as unlimited:
        found, everything = detector.detect(read_image(photo)), unlimited.detect(read_image(photo))
        assert 0 < len(found) < len(everything)
        assert (found.scores > detector.score_threshold).all()


def test_no_command_has_another() -> None:
    """Every option that is a score threshold is the bundle's by default."""
    found = {
        info.callback.__name__: parameter.default
        for info in app.registered_commands
        if info.callback is not None
        for name, parameter in inspect.signature(info.callback).parameters.items()
        if name == "score"
    }
    assert {"detect", "demo", "val"} <= set(found)
    assert set(found.values()) == {None}


def test_the_program_in_cpp(bundle: Path, photo: Path) -> None:
    if not RUNNER.exists():
        pytest.skip(needs.NATIVE)
    with Detector(bundle) as detector:
        found = detector.detect(read_image(photo))
    (image,) = Runner((str(RUNNER),)).json("detect", bundle, photo)["images"]
    assert [one["score"] for one in image["detections"]] == pytest.approx(found.scores.tolist(), abs=1e-5)


def test_the_app_shows_what_the_detector_finds() -> None:
    """Its detector has the bundle's threshold; the score from which boxes are shown is 0 until it is set."""
    text = (ROOT / "android_demo" / SETTINGS).read_text("utf-8")
    (first,) = re.findall(r'getFloat\("leastScore", ([\d.]+)f?\)', text)
    assert float(first) == 0
