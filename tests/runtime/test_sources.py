"""Frames from pictures, folders, videos and cameras."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pocketdet.errors import ImageError
from pocketdet.runtime.sources import iter_source


def write(path: Path, value: int = 0) -> Path:
    cv2.imwrite(str(path), np.full((6, 8, 3), value, np.uint8))
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    assert writer.isOpened()
    for i in range(20):
        frame = np.zeros((48, 64, 3), np.uint8)
        frame[..., 2] = 12 * i  # red in OpenCV's order
        writer.write(frame)
    writer.release()
    return path


def test_one_picture(tmp_path: Path) -> None:
    (frame,) = iter_source(write(tmp_path / "a.png", 9))
    assert (frame.name, frame.index, frame.total, frame.image.shape) == ("a", 0, 1, (6, 8, 3))
    assert (frame.image == 9).all()


def test_a_folder_in_order_without_other_files(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "c.BMP", "b.jpg"):
        write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    frames = list(iter_source(str(tmp_path)))
    assert [f.name for f in frames] == ["a.jpg", "b.jpg", "b.png", "c.BMP"]
    assert [(f.index, f.total) for f in frames] == [(i, 4) for i in range(4)]


def test_a_broken_picture_in_a_folder_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"broken")
    frames = iter_source(tmp_path)
    assert next(frames).name == "a"
    with pytest.raises(ImageError, match=r"b\.png"):
        next(frames)


def test_a_video_as_rgb(video: Path) -> None:
    frames = list(iter_source(video))
    assert [f.name for f in frames[:2]] == ["clip_000000", "clip_000001"]
    assert [(f.index, f.total) for f in frames] == [(i, 20) for i in range(20)]
    assert {f.rate for f in frames} == {10.0}
    reds = [f.image[..., 0].mean() for f in frames]
    assert np.abs(np.asarray(reds) - 12 * np.arange(20)).max() < 4
    assert max(f.image[..., 2].mean() for f in frames) < 8


def test_broken_videos(video: Path, tmp_path: Path) -> None:
    data = video.read_bytes()
    for name, content in (
        ("empty.mp4", b""),
        ("noise.avi", b"noise" * 100),
        ("cut.avi", data[: len(data) // 2]),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ImageError, match=name):
            list(iter_source(path))


@pytest.mark.parametrize("source", ["absent.jpg", "absent/", "nul\0", "x" * 5000])
def test_sources_that_do_not_exist(source: str) -> None:
    with pytest.raises(ImageError, match=r"no such picture, folder or video|not a usable path"):
        iter_source(source)


@pytest.mark.parametrize("camera", ["97", 97, -1, "99999999999999999999", 256])
def test_cameras_that_do_not_exist(camera: str | int) -> None:
    with pytest.raises(ImageError, match="camera"):
        iter_source(camera)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="expected pictures"):
        iter_source(tmp_path)
