"""Bundles, checkpoints and descriptions that earlier versions wrote load, and give the detections of then."""

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Ending
from safetensors.numpy import load, save_file

from pocketdet.models.checkpoint import load_detector
from pocketdet.runtime.detector import Detections, Detector
from pocketdet.runtime.images import read_image
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.verification import replay

DATA = Path(__file__).parent / "data"


def unpacked(name: str, folder: Path, manifest: str | None = None) -> Path:
    """The bundle in the zip file `name`, with its own manifest or an earlier one."""
    with zipfile.ZipFile(DATA / name) as archive:
        archive.extractall(folder)
    if manifest:
        (folder / "manifest.json").write_bytes((DATA / manifest).read_bytes())
    return folder


def assert_same_detections(found: Detections, file: str) -> None:
    """Equal to those stored, in their order; another processor rounds the networks' outputs otherwise."""
    expected = json.loads((DATA / file).read_text())
    count = len(expected["names"])
    assert list(found.names[:count]) == expected["names"]
    np.testing.assert_allclose(found.scores[:count], expected["scores"], atol=1e-3)
    np.testing.assert_allclose(found.boxes[:count], expected["boxes"], atol=0.1)


@pytest.mark.parametrize("manifest", ["manifest-schema-1.json", "manifest-schema-2.json", None])
def test_two_stage_bundles_of_every_schema(manifest: str | None, tmp_path: Path) -> None:
    bundle = unpacked("two-stage.zip", tmp_path, manifest)
    assert replay(bundle).ok
    with Detector(bundle, DetectorOptions(score_threshold=0.0), engine="ncnn") as detector:
        assert_same_detections(detector.detect(read_image(bundle / "golden" / "image.png")), "two-stage.json")


def test_a_one_stage_bundle_of_schema_3(tmp_path: Path) -> None:
    bundle = unpacked("one-stage.zip", tmp_path)
    written = json.loads((bundle / "manifest.json").read_text())
    assert written["schema_version"] == 3
    assert written["decode"]["codings"][0]["form"] == "centre"
    assert replay(bundle).ok
    with Detector(bundle, engine="ncnn") as detector:
        assert_same_detections(detector.detect(read_image(bundle / "golden" / "image.png")), "one-stage.json")


@pytest.mark.parametrize("kind", [True, False], ids=["with its kind", "from before there were two kinds"])
def test_checkpoints(kind: bool, tmp_path: Path) -> None:
    content = gzip.decompress((DATA / "checkpoint.safetensors.gz").read_bytes())
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata = {k: v for k, v in header["__metadata__"].items() if kind or k != "detector"}
    tensors = load(content)
    save_file(tensors, tmp_path / "weights.safetensors", metadata)
    loaded = load_detector(tmp_path / "weights.safetensors").state_dict()
    assert loaded.keys() == tensors.keys()
    assert all(np.array_equal(loaded[name].numpy(), tensors[name]) for name in tensors)


def test_a_description_in_earlier_words(command: Callable[..., Ending], tmp_path: Path) -> None:
    words = ("export", DATA / "foreign.onnx", "--outputs", DATA / "foreign.toml", "--out", tmp_path)
    ending = command(*words, "--name", "foreign")
    assert ending.code == 0, ending.err
    bundle = tmp_path / "foreign.pocketdet"
    with Detector(bundle, engine="ncnn") as detector:
        assert_same_detections(detector.detect(read_image(bundle / "golden" / "image.png")), "one-stage.json")
