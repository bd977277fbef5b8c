"""`pocketdet detect` on images, folders and videos."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_line import Ending, command
from typer.testing import CliRunner
from videos import lengthen, write_video

from pocketdet.cli.main import app
from pocketdet.errors import BundleError, ImageError, UsageError

__all__ = ["command"]

runner = CliRunner()


def write_photo(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (60, 90, 3), dtype=np.uint8))
    return path


def detect(*arguments: object) -> Any:
    return runner.invoke(app, ["detect", *map(str, arguments)], catch_exceptions=False)


def detect_json(*arguments: object) -> dict[str, Any]:
    result = detect(*arguments, "--json")
    assert result.exit_code == 0
    return dict(json.loads(result.stdout))


def test_one_image_is_annotated(tiny_bundle_template: Path, tmp_path: Path) -> None:
    photo, out = write_photo(tmp_path / "photo.png"), tmp_path / "deep" / "out"
    result = detect(tiny_bundle_template, photo, "--out", out, "--score", 0.2)
    assert result.exit_code == 0
    for text in ("detections", "score", "preprocess", "features", "total", "pocketdet bench measures fps"):
        assert text in result.stdout
    assert [p.name for p in out.iterdir()] == ["photo_boxes.jpg"]
    assert cv2.imread(str(out / "photo_boxes.jpg")).shape == (60, 90, 3)


def test_a_one_stage_bundle_detects(tiny_one_stage_template: Path, tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "photo.png")
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

    photo = write_photo(tmp_path / "photo.png")
    report = detect_json(tiny_bundle_template, photo, "--out", tmp_path / "out", "--score", 0.2)
    with Detector(tiny_bundle_template, DetectorOptions(score_threshold=0.2)) as detector:
        found = detector.detect(read_image(photo))
    assert len(found) > 0
    (frame,) = report["frames"]
    assert (frame["name"], frame["width"], frame["height"]) == ("photo", 90, 60)
    np.testing.assert_array_equal([d["box"] for d in frame["detections"]], found.boxes)
    assert [d["score"] for d in frame["detections"]] == [float(s) for s in found.scores]
    assert [d["name"] for d in frame["detections"]] == list(found.names)
    assert report["engine"] == detector.engine_name
    assert report["precision"] == "fp32"
    assert set(report["milliseconds"]) == {*found.milliseconds, "total"}
    assert report["fps"] == pytest.approx(1000 / report["milliseconds"]["total"]["median"])


def test_an_emulated_processor_has_no_fps(
    tiny_bundle_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketdet.benchmarks.stage_times.is_emulated", lambda: True)
    for name in ("a.png", "b.png"):
        write_photo(tmp_path / "photos" / name)
    printed = detect(tiny_bundle_template, tmp_path / "photos", "--no-save").stdout
    assert " fps" not in printed
    assert "emulated processor: these times say nothing about a device" in printed
    assert detect_json(tiny_bundle_template, tmp_path / "photos", "--no-save")["fps"] is None


def test_output_may_be_the_parent_of_the_source_folder(tiny_bundle_template: Path, tmp_path: Path) -> None:
    for i in range(25):
        write_photo(tmp_path / "photos" / f"p{i:02d}.jpg", i)
    result = detect(tiny_bundle_template, tmp_path / "photos", "--out", tmp_path)
    assert result.exit_code == 0
    assert "in 25 images" in result.stdout
    assert "... and 5 more" in result.stdout
    assert len(list(tmp_path.glob("p*_boxes.jpg"))) == 25


def test_options_reach_the_detector(tiny_bundle_template: Path, tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "photo.png")

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


def test_a_video_is_annotated(tiny_bundle_template: Path, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("name", ["clip.avi", "clip.txt"])
def test_a_video_without_a_frame_leaves_nothing(
    tiny_bundle_template: Path, tmp_path: Path, name: str
) -> None:
    path, out = write_video(tmp_path / name, 40, ".avi"), tmp_path / "out"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ImageError, match=name):
        detect(tiny_bundle_template, path, "--out", out)
    assert not out.exists() or not list(out.iterdir())


def frames_in(video: Path) -> int:
    capture, count = cv2.VideoCapture(str(video)), 0
    while capture.read()[0]:
        count += 1
    return count


def test_a_sound_video_with_fewer_frames_than_estimated_is_kept(
    command: Callable[..., Ending], tiny_bundle_template: Path, tmp_path: Path
) -> None:
    path, out = write_video(tmp_path / "clip.webm", 12), tmp_path / "out"
    lengthen(path, 2)
    ending = command("detect", tiny_bundle_template, path, "--out", out)
    assert ending.code == 0
    assert "warning: " in ending.err
    assert "12 frames could be read, its header estimates 24" in ending.err
    assert frames_in(out / "clip_boxes.mp4") == 12
    ending = command("detect", tiny_bundle_template, path, "--out", out, "--json")
    report = json.loads(ending.out)
    assert (ending.code, len(report["frames"]), report["failures"]) == (0, 12, [])
    assert [w["file"] for w in report["warnings"]] == [str(path)]


def test_a_video_that_is_cut_off_keeps_its_frames_and_fails(
    command: Callable[..., Ending], tiny_bundle_template: Path, tmp_path: Path
) -> None:
    path, out = write_video(tmp_path / "clip.avi", 40), tmp_path / "out"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    ending = command("detect", tiny_bundle_template, path, "--out", out, "--json")
    report = json.loads(ending.out)
    assert ending.code == 1
    assert 0 < len(report["frames"]) == frames_in(out / "clip_boxes.mp4") < 40
    (failure,) = report["failures"]
    assert failure["file"] == str(path)
    assert "the file is cut off" in failure["message"]
    assert report["warnings"] == []


def test_a_folder_with_damaged_files_is_processed_and_exits_1(
    command: Callable[..., Ending], tiny_bundle_template: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    for name in ("b.jpg", "d.png"):
        write_photo(folder / name)
    (folder / "a.jpg").write_bytes(b"\xff\xd8 damaged")
    (folder / "c.jpg").write_bytes((folder / "b.jpg").read_bytes()[:200])
    words = ("detect", tiny_bundle_template, folder, "--out", out)
    ending = command(*words)
    assert ending.code == 1
    assert "in 2 images" in ending.out
    assert "2 could not be read" in ending.err
    assert ending.err.splitlines()[-1] == f"error: {folder}: 2 files could not be read completely"
    for name in ("a.jpg", "c.jpg"):
        assert name in ending.err
        assert name not in ending.out
    assert sorted(p.name for p in out.iterdir()) == ["b_boxes.jpg", "d_boxes.jpg"]
    ending = command(*words, "--json")
    report = json.loads(ending.out)
    assert ending.code == 1
    assert [f["name"] for f in report["frames"]] == ["b", "d"]
    assert [f["file"] for f in report["failures"]] == [str(folder / n) for n in ("a.jpg", "c.jpg")]
    assert report["milliseconds"]["total"]["median"] > 0


def test_a_folder_without_readable_images(
    command: Callable[..., Ending], tiny_bundle_template: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"damaged")
    for words in ((), ("--json",)):
        ending = command(
            "detect", tiny_bundle_template, tmp_path / "photos", "--out", tmp_path / "out", *words
        )
        assert ending.code == 1
    report = json.loads(ending.out)
    assert (report["frames"], len(report["failures"]), report["files"]) == ([], 1, [])


def test_score_overrides_the_threshold_of_the_bundle(tiny_bundle_template: Path, tmp_path: Path) -> None:
    from pocketdet import Detector, read_image

    photo = write_photo(tmp_path / "photo.png")
    with Detector(tiny_bundle_template) as detector:
        own, found = detector.score_threshold, detector.detect(read_image(photo))
    report = detect_json(tiny_bundle_template, photo, "--no-save")
    assert report["score_threshold"] == own
    scores = [d["score"] for d in report["frames"][0]["detections"]]
    assert scores == [float(s) for s in found.scores]
    middle = float(np.median(scores))
    report = detect_json(tiny_bundle_template, photo, "--no-save", "--score", middle)
    assert report["score_threshold"] == middle
    assert 0 < len(report["frames"][0]["detections"]) < len(scores)
    ending = detect(tiny_bundle_template, photo, "--no-save")
    assert f"scores above {own:g} (the bundle's threshold)" in ending.stdout


@pytest.mark.parametrize(
    ("size", "suffix"), [((3, 65_500), "jpg"), ((3, 65_501), "png"), ((65_535, 2), "png")]
)
def test_images_too_long_for_a_jpeg_become_png(
    tiny_bundle_template: Path, tmp_path: Path, size: tuple[int, int], suffix: str
) -> None:
    cv2.imwrite(str(tmp_path / "long.png"), np.zeros((*size, 3), np.uint8))
    report = detect_json(tiny_bundle_template, tmp_path / "long.png", "--out", tmp_path / "out")
    (written,) = report["files"]
    assert Path(written).name == f"long_boxes.{suffix}"
    assert cv2.imread(written).shape[:2] == size


def test_an_image_beyond_the_limit_is_one_sentence(
    command: Callable[..., Ending], tiny_bundle_template: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "long.png"), np.zeros((1, 65_536, 3), np.uint8))
    ending = command("detect", tiny_bundle_template, tmp_path / "long.png")
    assert (ending.code, ending.out) == (2, "")
    assert ending.err.strip() == (
        f"error: {tmp_path / 'long.png'}: expected at most 65535 pixels a side and 268435456 in all, "
        "found 65536 x 1; scale it down first"
    )


def test_frames_of_a_new_size_are_scaled(
    tiny_bundle_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pocketdet.runtime.sources import Frame

    def frames(source: str, report: object) -> Iterator[Frame]:
        for i, size in enumerate([(64, 96), (32, 48), (128, 64)]):
            yield Frame(f"clip_{i:06d}", np.full((*size, 3), 80 * i, np.uint8), i, 3, True, 25.0)

    monkeypatch.setattr("pocketdet.runtime.sources.iter_source", frames)
    assert detect(tiny_bundle_template, "0", "--out", tmp_path).exit_code == 0
    capture = cv2.VideoCapture(str(tmp_path / "camera0_boxes.mp4"))
    assert [capture.read()[1].shape for _ in range(3)] == [(64, 96, 3)] * 3


@pytest.mark.parametrize("total", [None, 9])
def test_ctrl_c_ends_a_camera_and_drops_an_unfinished_video(
    tiny_bundle_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int | None
) -> None:
    from pocketdet.runtime.sources import Frame

    def frames(source: str, report: object) -> Iterator[Frame]:
        for i in range(3):
            yield Frame(f"camera0_{i:06d}", np.full((64, 96, 3), 80 * i, np.uint8), i, total, True, 25.0)
        raise KeyboardInterrupt

    monkeypatch.setattr("pocketdet.runtime.sources.iter_source", frames)
    result = detect(tiny_bundle_template, "0", "--out", tmp_path)
    assert result.exit_code == (0 if total is None else 130)
    assert [p.name for p in tmp_path.iterdir()] == (["camera0_boxes.mp4"] if total is None else [])
    assert ("in 3 images" in result.stdout) == (total is None)


def test_a_window_ends_at_a_key(
    tiny_bundle_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(3):
        write_photo(tmp_path / "photos" / f"{i}.png", i)
    shown: list[tuple[int, ...]] = []
    keys = iter([ord("x"), ord("q")])
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image.shape))
    monkeypatch.setattr(cv2, "waitKey", lambda delay: next(keys))
    report = detect_json(tiny_bundle_template, tmp_path / "photos", "--show", "--no-save")
    assert shown == [(60, 90, 3), (60, 90, 3)]
    assert len(report["frames"]) == 2


def test_invalid_input_is_one_sentence(
    tiny_bundle_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = write_photo(tmp_path / "photo.png")
    with pytest.raises(BundleError, match="no such bundle"):
        detect(tmp_path / "absent", photo)
    with pytest.raises(ImageError, match="no such image"):
        detect(tiny_bundle_template, tmp_path / "absent.jpg")
    with pytest.raises(UsageError, match="score_threshold"):
        detect(tiny_bundle_template, photo, "--score", 7)
    with pytest.raises(UsageError, match="the folder cannot be made"):
        detect(tiny_bundle_template, photo, "--out", photo)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(UsageError, match="--show needs a screen"):
        detect(tiny_bundle_template, photo, "--show")


def test_onnxruntime_requires_onnx_files(tiny_bundle_template: Path, tmp_path: Path) -> None:
    from pocketdet.errors import EngineError

    with pytest.raises(EngineError, match="has no ONNX files"):
        detect(tiny_bundle_template, write_photo(tmp_path / "photo.png"), "--engine", "onnxruntime")
