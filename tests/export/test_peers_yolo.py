"""YOLO files of other projects: the export command alone, then their own detections on 40 photographs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ending, command
from needs import SHARED_DATA
from peer_detections import PEERS, PHOTOS, decoded_in_the_file, differences, read_expected, run_bundle

__all__ = ["command"]

Command = Callable[..., Ending]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PEERS.is_dir(), reason=SHARED_DATA)]
# Random weights give scores of 0.0007 at most, in groups that differ by less than float32 sums in another
# order do. So nothing is suppressed, and the band at the threshold is as narrow as the groups.
PLAIN, END_TO_END, BAND = 5e-4, 6.63e-4, 1e-6


def exported(command: Command, model: Path, out: Path, *options: object) -> Path:
    ending = command("export", model, "--out", out, *options)
    assert (ending.code, ending.err) == (0, "")
    return out / f"{model.stem}.pocketdet"


def test_yolox_detects_what_its_own_demo_does(command: Command, tmp_path: Path) -> None:
    model = PEERS / "yolox_nano_416.onnx"
    expected, threshold, nms_iou = read_expected(model)
    bundle = exported(command, model, tmp_path)
    found = differences(expected, run_bundle(bundle, expected, threshold), threshold, nms_iou=nms_iou)
    assert (found.missing, found.extra) == (0, 0)
    assert found.expected > 100


@pytest.mark.parametrize(
    ("name", "threshold"),
    [
        ("ultralytics_yolov5n_random", PLAIN),
        ("ultralytics_yolov8n_random", PLAIN),
        ("ultralytics_yolov10n_end2end_random", END_TO_END),
        ("ultralytics_yolo26n_end2end_random", END_TO_END),
    ],
)
def test_ultralytics_boxes_are_those_that_the_file_decodes(
    command: Command, tmp_path: Path, name: str, threshold: float
) -> None:
    model = PEERS / f"{name}.onnx"
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[selection]\nscore_threshold = {threshold}\nnms = "none"\nmax_detections = 3000\n')
    bundle = exported(command, model, tmp_path, "--outputs", settings)
    photos = sorted(path.name for path in PHOTOS.iterdir())
    expected = decoded_in_the_file(model, photos, threshold)
    found = differences(expected, run_bundle(bundle, photos, threshold), threshold, BAND)
    assert (found.missing, found.extra) == (0, 0)
    assert found.expected > 40 * len(photos)
