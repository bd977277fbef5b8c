"""`pocketdet detect` on pictures, folders and videos."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from pocketdet.cli.main import app
from pocketdet.errors import BundleError, ImageError, UsageError

runner = CliRunner()


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (60, 90, 3), dtype=np.uint8))
    return path


def detect(*arguments: object) -> Any:
    return runner.invoke(app, ["detect", *map(str, arguments)], catch_exceptions=False)


def detect_json(*arguments: object) -> dict[str, Any]:
    result = detect(*arguments, "--json")
    assert result.exit_code == 0
    return dict(json.loads(result.stdout))


def test_a_picture(tiny_bundle_template: Path, tmp_path: Path) -> None:
    photo, out = picture(tmp_path / "photo.png"), tmp_path / "deep" / "out"
    result = detect(tiny_bundle_template, photo, "--out", out, "--score", 0.2)
    assert result.exit_code == 0
    for text in ("detections", "score", "preprocess", "features", "total", "fps"):
        assert text in result.stdout
    assert [p.name for p in out.iterdir()] == ["photo_boxes.jpg"]
    assert cv2.imread(str(out / "photo_boxes.jpg")).shape == (60, 90, 3)


def test_a_one_stage_bundle(tiny_one_stage_template: Path, tmp_path: Path) -> None:
    photo = picture(tmp_path / "photo.png")
    result = detect(tiny_one_stage_template, photo, "--out", tmp_path, "--score", 0.2)
    assert result.exit_code == 0
    for text in ("preprocess", "model", "boxes", "total", "fps"):
        assert text in result.stdout
    assert "post-processing" not in result.stdout  # boxes are all there is of it
    report = detect_json(tiny_one_stage_template, photo, "--no-save", "--score", 0.3, "--nms", "linear")
    assert list(report["milliseconds"]) == ["preprocess", "model", "boxes", "total"]
    assert len(report["frames"][0]["detections"]) > 0
    with pytest.raises(UsageError, match="rois=5: tiny-one-stage is a one-stage detector"):
        detect(tiny_one_stage_template, photo, "--rois", 5)


def test_json_agrees_with_the_detector(tiny_bundle_template: Path, tmp_path: Path) -> None:
    from pocketdet import Detector, DetectorOptions, read_image

    photo = picture(tmp_path / "photo.png")
    report = detect_json(tiny_bundle_template, photo, "--out", tmp_path / "out", "--score", 0.2)
    with Detector(tiny_bundle_template, DetectorOptions(score_threshold=0.2)) as detector:
        found = detector.detect(read_image(photo))
    assert len(found) > 0
    (frame,) = report["frames"]
    assert (frame["name"], frame["width"], frame["height"]) == ("photo", 90, 60)
    np.testing.assert_array_equal([d["box"] for d in frame["detections"]], found.boxes)
    assert [d["score"] for d in frame["detections"]] == [float(s) for s in found.scores]
    assert [d["name"] for d in frame["detections"]] == list(found.names)
    assert report["engine"] == "ncnn"
    assert report["precision"] == "fp32"
    assert set(report["milliseconds"]) == {*found.milliseconds, "total"}
    assert report["fps"] == pytest.approx(1000 / report["milliseconds"]["total"]["median"])


def test_a_folder_into_its_own_parent(tiny_bundle_template: Path, tmp_path: Path) -> None:
    for i in range(25):
        picture(tmp_path / "photos" / f"p{i:02d}.jpg", i)
    result = detect(tiny_bundle_template, tmp_path / "photos", "--out", tmp_path)
    assert result.exit_code == 0
    assert "in 25 pictures" in result.stdout
    assert "... and 5 more" in result.stdout
    assert len(list(tmp_path.glob("p*_boxes.jpg"))) == 25


def test_options_reach_the_detector(tiny_bundle_template: Path, tmp_path: Path) -> None:
    photo = picture(tmp_path / "photo.png")

    def count(*options: object) -> int:
        report = detect_json(tiny_bundle_template, photo, "--no-save", "--score", 0.05, *options)
        return len(report["frames"][0]["detections"])

    everything = count()
    assert 0 < count("--rois", 1) < everything
    assert count("--nms-iou", 0) < everything
    assert count("--nms", "gaussian") >= everything
    assert detect_json(tiny_bundle_template, photo, "--no-save", "--score", 1)["classes"] == {}
    assert detect_json(tiny_bundle_template, photo, "--no-save", "--threads", 2)["threads"] == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photo.png"]


def test_a_video(tiny_bundle_template: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "clip.avi", tmp_path / "out"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 64))
    for i in range(12):
        writer.write(np.full((64, 96, 3), 20 * i, np.uint8))
    writer.release()
    report = detect_json(tiny_bundle_template, path, "--out", out)
    assert len(report["frames"]) == 12
    assert report["files"] == [str(out / "clip_boxes.mp4")]
    assert [p.name for p in out.iterdir()] == ["clip_boxes.mp4"]
    capture = cv2.VideoCapture(str(out / "clip_boxes.mp4"))
    assert (capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)) == (12, 10)


def test_a_broken_video_leaves_nothing(tiny_bundle_template: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "clip.avi", tmp_path / "out"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 64))
    for _ in range(40):
        writer.write(np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match=r"clip\.avi"):
        detect(tiny_bundle_template, path, "--out", out)
    assert not out.exists() or not list(out.iterdir())


@pytest.mark.parametrize("total", [None, 9])
def test_ctrl_c_ends_a_camera_and_drops_an_unfinished_video(
    tiny_bundle_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int | None
) -> None:
    from pocketdet.runtime.sources import Frame

    def frames(source: str) -> Iterator[Frame]:
        for i in range(3):
            yield Frame(f"camera0_{i:06d}", np.full((64, 96, 3), 80 * i, np.uint8), i, total, True, 25.0)
        raise KeyboardInterrupt

    monkeypatch.setattr("pocketdet.runtime.sources.iter_source", frames)
    result = detect(tiny_bundle_template, "0", "--out", tmp_path)
    assert result.exit_code == (0 if total is None else 130)
    assert [p.name for p in tmp_path.iterdir()] == (["camera0_boxes.mp4"] if total is None else [])
    assert ("in 3 pictures" in result.stdout) == (total is None)


def test_a_window_ends_at_a_key(
    tiny_bundle_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(3):
        picture(tmp_path / "photos" / f"{i}.png", i)
    shown: list[tuple[int, ...]] = []
    keys = iter([ord("x"), ord("q")])
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image.shape))
    monkeypatch.setattr(cv2, "waitKey", lambda delay: next(keys))
    report = detect_json(tiny_bundle_template, tmp_path / "photos", "--show", "--no-save")
    assert shown == [(60, 90, 3), (60, 90, 3)]
    assert len(report["frames"]) == 2


def test_bad_input(tiny_bundle_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = picture(tmp_path / "photo.png")
    with pytest.raises(BundleError, match="no such bundle"):
        detect(tmp_path / "absent", photo)
    with pytest.raises(ImageError, match="no such picture"):
        detect(tiny_bundle_template, tmp_path / "absent.jpg")
    with pytest.raises(UsageError, match="score_threshold"):
        detect(tiny_bundle_template, photo, "--score", 7)
    with pytest.raises(UsageError, match="the folder cannot be made"):
        detect(tiny_bundle_template, photo, "--out", photo)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(UsageError, match="--show needs a screen"):
        detect(tiny_bundle_template, photo, "--show")


def test_onnxruntime_without_onnx_files(tiny_bundle_template: Path, tmp_path: Path) -> None:
    from pocketdet.errors import EngineError

    with pytest.raises(EngineError, match="carries no ONNX files"):
        detect(tiny_bundle_template, picture(tmp_path / "photo.png"), "--engine", "onnxruntime")
