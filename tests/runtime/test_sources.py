"""Frames from images, folders, videos and cameras: what a file is follows from its content."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from videos import CONTAINERS, lengthen, write_animation, write_video

from pocketdet.errors import ImageError
from pocketdet.runtime.sources import Frame, Problem, iter_source, missing_bytes


def write(path: Path, value: int = 0, suffix: str = "") -> Path:
    """An image, in the format of `suffix` or else its own."""
    data = cv2.imencode(suffix or path.suffix, np.full((48, 64, 3), value, np.uint8))[1]
    path.write_bytes(data.tobytes())
    return path


def read(source: Path) -> tuple[list[Frame], list[Problem]]:
    problems: list[Problem] = []
    return list(iter_source(source, problems.append)), problems


def test_one_image(tmp_path: Path) -> None:
    (frame,) = iter_source(write(tmp_path / "a.png", 9))
    assert (frame.name, frame.index, frame.total, frame.image.shape) == ("a", 0, 1, (48, 64, 3))
    assert (frame.image == 9).all()


@pytest.mark.parametrize("suffix", [".png", ".gif", ".webp", ".bmp", ".tiff", ".avif", ".jp2", ".ppm"])
@pytest.mark.parametrize("name", ["a", "a.txt", "a.mp4", "a.jpg", "a 1%03d.x"])
def test_an_image_is_recognised_under_any_name(tmp_path: Path, suffix: str, name: str) -> None:
    (frame,) = iter_source(write(tmp_path / name, 9, suffix))
    assert (frame.image.shape, frame.moving) == ((48, 64, 3), False)


def test_a_folder_in_order_without_other_files(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "c.BMP", "b.jpg"):
        write(tmp_path / name)
    write(tmp_path / "d", suffix=".png")
    write(tmp_path / ".hidden.png")
    (tmp_path / "._a.jpg").write_bytes(b"\0\5\x16\7 of a Mac")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    write_video(tmp_path / "clip.avi", 2)
    problems: list[Problem] = []
    frames = list(iter_source(str(tmp_path), problems.append))
    assert [f.name for f in frames] == ["a.jpg", "b.jpg", "b.png", "c.BMP", "d"]
    (left_out,) = problems
    assert not left_out.lost
    assert left_out.message == f"{tmp_path}: 2 files are not images, not read: clip.avi, notes.txt"
    assert [(f.index, f.total) for f in frames] == [(i, 5) for i in range(5)]


def test_a_broken_image_in_a_folder_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"broken")
    frames = iter_source(tmp_path)
    assert next(frames).name == "a"
    with pytest.raises(ImageError, match=r"b\.png"):
        next(frames)


def test_unreadable_images_of_a_folder_are_reported_and_skipped(tmp_path: Path) -> None:
    whole = write(tmp_path / "c.png").read_bytes()
    write(tmp_path / "e.jpg")
    broken = {
        "a.jpg": b"",
        "b": whole[:50],
        "d.gif": b"GIF89a" + bytes(50),
        "f.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "g.png": b"text",
    }
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
    frames, problems = read(tmp_path)
    assert [(f.name, f.index, f.total) for f in frames] == [("c", 2, 7), ("e", 4, 7)]
    assert [(Path(p.file).name, p.lost) for p in problems] == [(name, True) for name in sorted(broken)]
    for problem in problems:
        assert problem.message.startswith(f"{problem.file}: ")
        assert "\n" not in problem.message


def test_a_folder_without_readable_images(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"broken")
    frames, problems = read(tmp_path)
    assert (len(frames), len(problems)) == (0, 1)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_video_of_any_container_under_any_name(tmp_path: Path, suffix: str) -> None:
    for name in (f"clip{suffix}", "clip", "clip.txt", "clip.jpg", "clip7.png"):
        path = write_video(tmp_path / name, 20, suffix)
        frames, problems = read(path)
        assert problems == []
        assert [f.name for f in frames[:2]] == [f"{path.stem}_000000", f"{path.stem}_000001"]
        assert [(f.index, f.moving, f.rate) for f in frames] == [(i, True, 10.0) for i in range(20)]
    reds = [f.image[..., 0].mean() for f in frames]
    assert np.abs(np.asarray(reds) - 12 * np.arange(20)).max() < 16
    assert max(f.image[..., 2].mean() for f in frames) < 16


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_an_animation_is_a_video(tmp_path: Path, suffix: str) -> None:
    frames, problems = read(write_animation(tmp_path / f"moving{suffix}", 5))
    assert [(f.index, f.moving) for f in frames] == [(i, True) for i in range(5)]
    assert problems == []
    (frame,) = iter_source(write_animation(tmp_path / f"still{suffix}", 1))
    assert not frame.moving


@pytest.mark.parametrize("suffix", [".webm", ".mkv"])
def test_fewer_frames_than_estimated_are_a_warning(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"dropped{suffix}", 20)
    lengthen(path, 2)
    frames, (problem,) = read(path)
    assert len(frames) == 20
    assert (problem.file, problem.lost) == (str(path), False)
    assert "20 frames could be read, its header estimates 40" in problem.message
    with pytest.warns(UserWarning, match="20 frames could be read"):
        assert len(list(iter_source(path))) == 20


@pytest.mark.parametrize("suffix", [".avi", ".webm", ".mkv"])
def test_a_video_that_is_cut_off_is_reported_after_its_frames(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"cut{suffix}", 40)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    frames, (problem,) = read(path)
    assert 0 < len(frames) < 40
    assert problem.lost
    assert f"{len(frames)} frames could be read" in problem.message
    with pytest.raises(ImageError, match="the file is cut off"):
        list(iter_source(path))


def test_files_that_are_neither_image_nor_video(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.avi", 4)
    # ANSI art and playlists are videos to FFmpeg, by their names or as they lead to one
    contents = {
        "notes.txt": b"hello\n" * 99,
        "art.nfo": b"\x1b[31mhello\n" * 99,
        "list.ffconcat": b"ffconcat version 1.0\nfile clip.avi\n",
        "list.mp4": b"#EXTM3U\n#EXTINF:5,\nclip.avi\n#EXT-X-ENDLIST\n",
        "noise.avi": np.random.default_rng(0).bytes(5000),
        "zip.jpg": b"PK\3\4" + bytes(500),
        "head.mp4": video.read_bytes()[:40],
    }
    for name, data in contents.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ImageError, match=r"expected an image \(.*\) or a video, found neither") as caught:
            iter_source(path)
        assert "\n" not in str(caught.value)
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(ImageError, match=r"empty\.mp4: expected an image, found an empty file"):
        iter_source(tmp_path / "empty.mp4")


def boxes(*sizes: int) -> bytes:
    return b"".join(struct.pack(">I4s", size, b"ftyp") + bytes(max(0, size - 8)) for size in sizes)


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (boxes(24, 8, 100), 0),
        (boxes(24, 100)[:-30], 30),
        (boxes(24) + struct.pack(">I4sQ", 1, b"mdat", 1 << 40), (1 << 40) - 16),
        (boxes(24) + struct.pack(">I4s", 0, b"mdat"), 0),
        (boxes(24) + b"\0\0\0\0junk", 0),
        (b"RIFF" + struct.pack("<I", 92) + b"AVI " + bytes(88), 0),
        (b"RIFF" + struct.pack("<I", 95) + b"AVI " + bytes(88), 3),
        (b"RIFF" + bytes(4) + b"AVI ", 0),  # of a recording that still runs
        (b"\x1a\x45\xdf\xa3\x81\0\x18\x53\x80\x67\x8a" + bytes(10), 0),
        (b"\x1a\x45\xdf\xa3\x81\0\x18\x53\x80\x67\x8a" + bytes(7), 3),
        (b"\x1a\x45\xdf\xa3\x81\0\x18\x53\x80\x67\xff" + bytes(7), 0),  # of an unknown size
        (b"\x47" + bytes(187), 0),
    ],
)
def test_missing_bytes_of_truncated_videos(tmp_path: Path, data: bytes, missing: int) -> None:
    path = tmp_path / "video"
    path.write_bytes(data)
    assert missing_bytes(path) == missing


@given(
    start=st.sampled_from(
        [b"RIFF", b"RIFF\1\1\1\1AVI ", b"\x1a\x45\xdf\xa3", b"\0\0\0\x18ftyp", b"\0\0\0\1moov"]
    ),
    rest=st.binary(max_size=60),
)
def test_missing_bytes_of_arbitrary_data(
    tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any video"
    path.write_bytes(start + rest)
    assert missing_bytes(path) >= 0


@pytest.mark.parametrize("source", ["absent.jpg", "absent/", "nul\0", "x" * 5000])
def test_missing_sources_are_image_errors(source: str) -> None:
    with pytest.raises(ImageError, match=r"no such image, folder or video|not a usable path"):
        iter_source(source)


@pytest.mark.parametrize("camera", ["97", 97, -1, "99999999999999999999", 256])
def test_missing_cameras_are_image_errors(camera: str | int) -> None:
    with pytest.raises(ImageError, match="camera"):
        iter_source(camera)


def test_an_empty_folder_is_an_image_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ImageError, match="expected images"):
        iter_source(tmp_path)
