"""Mobile and face detectors of other projects: the export command alone finds what their demos find."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Ending, command
from needs import SHARED_DATA
from peer_detections import PEERS, differences, read_expected, run_bundle

from pocketdet.export.families import recognise
from pocketdet.export.onnx_graph.summary import summarise
from pocketdet.export.reference.description import read_description
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.bundle.one_stage import OneStageManifest

__all__ = ["command"]

FASTESTDET = PEERS.parent / "peers" / "FastestDet.onnx"
OURS = Path(__file__).parents[3] / "docs" / "own_model" / "fastestdet.toml"


# file, the family that is named, detections that must be found
FILES = [
    ("nanodet_m_320_rank2", "NanoDet", 190),
    ("picodet_s_320_paddle", "PicoDet", 220),
    ("yolo_fastestv2_352_rank2", "Yolo-FastestV2", 130),
    ("ultraface_rfb_240x320", "UltraFace", 50),
    ("ultraface_rfb_240x320_raw", "UltraFace", 50),
    ("yunet_dynamic", "YuNet", 50),
    ("blazeface_128_nhwc", "BlazeFace", 8),
]


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.is_dir(), reason=SHARED_DATA)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(("name", "family", "least"), FILES)
def test_the_bundle_detects_what_the_demo_does(
    command: Callable[..., Ending], tmp_path: Path, name: str, family: str, least: int, precision: str
) -> None:
    model = PEERS / f"{name}.onnx"
    expected, threshold, nms_iou = read_expected(model)
    ending = command("export", model, "--out", tmp_path, "--slim", "--precision", precision)
    assert (ending.code, ending.err) == (0, "")
    assert f"recognised: {family}" in ending.out
    bundle = tmp_path / f"{name}.pocketdet"
    with load_bundle(bundle) as loaded:
        assert isinstance(loaded.manifest, OneStageManifest)
        selection = loaded.manifest.decode.selection
    assert (selection.score_threshold, selection.nms_iou) == (threshold, nms_iou)
    found = differences(expected, run_bundle(bundle, expected, threshold), threshold, nms_iou=nms_iou)
    rounded = found.expected // 50 if precision == "fp16" else 0  # by weights of half precision
    assert found.missing + found.extra <= rounded
    assert found.matched >= least


@pytest.mark.skipif(not FASTESTDET.is_file(), reason=SHARED_DATA)
def test_fastestdet_is_described_as_by_hand() -> None:
    found = recognise(summarise(FASTESTDET))
    by_hand = read_description(OURS)
    assert found.family.name == "fastestdet"
    assert found.match.description.spec() == by_hand.spec()
    assert found.match.description.class_names == by_hand.class_names
    pad = by_hand.preprocessing.pad  # not used: the image is stretched
    assert replace(found.match.description.preprocessing, pad=pad) == by_hand.preprocessing
