"""Every image becomes uint8 RGB, or an ImageError that says why not."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pocketdet.errors import ImageError
from pocketdet.runtime import _core, images
from pocketdet.runtime.image_header import READ_SUFFIXES, declared_size, format_of, is_animated
from pocketdet.runtime.images import as_rgb, read_image, write_image

FORMATS = [".png", ".jpg", ".bmp", ".webp", ".tiff"]
ONLY_READ = [".gif", ".avif", ".jp2", ".ppm", ".pgm", ".pam", ".ras"]


def encoded(suffix: str, image: NDArray[Any], *options: int) -> bytes:
    return cv2.imencode(suffix, image, options)[1].tobytes()


def smooth(height: int = 20, width: int = 31) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 2 % 256], axis=2).astype(np.uint8)


def saved(folder: Path, suffix: str, data: bytes) -> Path:
    path = folder / f"image{suffix}"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
def test_lossless_formats_come_back_as_rgb(tmp_path: Path, suffix: str) -> None:
    rgb = smooth()
    path = saved(tmp_path, suffix, encoded(suffix, rgb[..., ::-1]))
    np.testing.assert_array_equal(read_image(path), rgb)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_come_back_close(tmp_path: Path, suffix: str) -> None:
    rgb = smooth(64, 96)
    path = saved(tmp_path, suffix, encoded(suffix, rgb[..., ::-1]))
    assert np.abs(read_image(str(path)).astype(int) - rgb).mean() < 8


@pytest.mark.parametrize("suffix", ONLY_READ)
def test_other_formats_that_opencv_reads(tmp_path: Path, suffix: str) -> None:
    rgb = smooth(40, 64) // 64 * 80  # few enough colours for a GIF
    if suffix == ".pgm":
        rgb = np.repeat(rgb[..., :1], 3, axis=2)
    data = encoded(suffix, rgb[..., 0] if suffix == ".pgm" else rgb[..., ::-1])
    assert declared_size(data) == (64, 40)
    assert suffix in READ_SUFFIXES
    for name in (suffix, ".txt", ".jpg", ""):  # the content decides
        found = read_image(saved(tmp_path, name, data))
        assert np.abs(found.astype(int) - rgb).mean() < 16


@pytest.mark.parametrize("suffix", [".hdr", ".pfm"])
def test_formats_of_floats_are_refused_by_name(tmp_path: Path, suffix: str) -> None:
    data = encoded(suffix, np.ones((4, 5, 3), np.float32))
    with pytest.raises(
        ImageError, match=r"(HDR|PFM) images cannot be decoded; convert it to JPEG or PNG first"
    ):
        read_image(saved(tmp_path, suffix, data))


def iso_file(brand: bytes) -> bytes:
    return struct.pack(">I4s4sI", 24, b"ftyp", brand, 0) + brand + b"mif1" + bytes(60)


@pytest.mark.parametrize(("brand", "name"), [(b"heic", "HEIC"), (b"avif", "AVIF"), (b"isom", None)])
def test_brands_of_iso_files(tmp_path: Path, brand: bytes, name: str | None) -> None:
    assert format_of(iso_file(brand)) == name
    with pytest.raises(
        ImageError, match="HEIC images cannot be decoded" if name == "HEIC" else "expected a JPEG"
    ):
        read_image(saved(tmp_path, ".jpg", iso_file(brand)))


def animation(suffix: str, frames: int) -> bytes:
    moving = cv2.Animation()
    moving.frames = [np.roll(smooth(), 3 * i, axis=1) for i in range(frames)]
    moving.durations = [100] * frames
    return cv2.imencodeanimation(suffix, moving)[1].tobytes()


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_animations_are_not_single_images(suffix: str) -> None:
    moving = animation(suffix, 3)
    assert is_animated(moving)
    assert not is_animated(encoded(suffix, smooth()))
    for size in range(0, len(moving), 7):
        is_animated(moving[:size])  # never more than an answer


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_is_rounded_to_8(tmp_path: Path, suffix: str, channels: int) -> None:
    rng = np.random.default_rng(channels)
    deep = rng.integers(0, 65536, (9, 7, channels), dtype=np.uint16)
    deep[0, :4] = [[0], [65535], [128], [129]]
    rgb = read_image(saved(tmp_path, suffix, encoded(suffix, deep)))
    colours = np.repeat(deep, 3, axis=2) if channels == 1 else deep[..., [2, 1, 0]]
    np.testing.assert_array_equal(rgb, np.round(colours / 257).astype(np.uint8))
    assert rgb[0, :4, 0].tolist() == [0, 255, 0, 1]


def test_grey_and_alpha(tmp_path: Path) -> None:
    grey = smooth()[..., 0]
    np.testing.assert_array_equal(
        read_image(saved(tmp_path, ".png", encoded(".png", grey))), np.repeat(grey[..., None], 3, axis=2)
    )
    bgra = np.random.default_rng(0).integers(0, 256, (8, 9, 4), dtype=np.uint8)
    np.testing.assert_array_equal(
        read_image(saved(tmp_path, ".png", encoded(".png", bgra))), bgra[..., 2::-1]
    )


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, 3), (3, 2), (8, 1)])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, turns: int) -> None:
    jpeg = encoded(".jpg", smooth(40, 64), cv2.IMWRITE_JPEG_QUALITY, 100)
    plain = read_image(saved(tmp_path, ".jpg", jpeg))
    tiff = struct.pack("<2sHI H HHII I", b"II", 42, 8, 1, 0x112, 3, 1, orientation, 0)
    exif = b"Exif\0\0" + tiff
    turned = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    np.testing.assert_array_equal(read_image(saved(tmp_path, ".jpg", turned)), np.rot90(plain, turns))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.3, 0.7, 0.95])
def test_truncated_files(tmp_path: Path, suffix: str, keep: float) -> None:
    data = encoded(suffix, smooth(100, 120))
    with pytest.raises(ImageError, match=r"image\.\w+: .*(empty|damaged)"):
        read_image(saved(tmp_path, suffix, data[: int(len(data) * keep)]))


@pytest.mark.parametrize("length", [1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])
@pytest.mark.parametrize("chunk", [b"IHDR", b"IDAT", b"IEND"])
def test_a_png_chunk_longer_than_the_file_is_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: bytes, length: int
) -> None:
    data = bytearray(encoded(".png", smooth(20, 30)))
    at = data.index(chunk) - 4
    data[at : at + 4] = struct.pack(">I", length)
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(ImageError, match="damaged or truncated"):
        read_image(saved(tmp_path, ".png", bytes(data)))


@pytest.mark.parametrize(
    "data", [b"GIF8", b"text, not an image", b"\xff\xd8\xff", b"BM", b"RIFF", b"P6 is a text", b"P7 332\n"]
)
def test_other_files_are_rejected(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ImageError, match="expected a JPEG, PNG, .* image, found another or a damaged file"):
        read_image(saved(tmp_path, ".jpg", data))


def test_float_images_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, ".tiff", encoded(".tiff", np.ones((4, 5, 3), np.float32)))
    with pytest.raises(ImageError, match="expected 8- or 16-bit samples, found float32"):
        read_image(path)


HEADERS: dict[str, Callable[[int, int], bytes]] = {
    "png": lambda w, h: b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", w, h),
    "jpeg": lambda w, h: b"\xff\xd8\xff\xc0" + struct.pack(">HBHH", 17, 8, h, w),
    "bmp": lambda w, h: b"BM" + struct.pack("<III", 100, 0, 54) + struct.pack("<Iii", 40, w, -h),
    "tiff": lambda w, h: struct.pack("<2sHIHHHIIHHII", b"II", 42, 8, 2, 256, 4, 1, w, 257, 4, 1, h),
    "bigtiff": lambda w, h: (
        struct.pack(">2sHHHQQ", b"MM", 43, 8, 0, 16, 2)
        + struct.pack(">HHQII", 256, 4, 1, w, 0)
        + struct.pack(">HHQII", 257, 4, 1, h, 0)
    ),
    "gif": lambda w, h: b"GIF89a" + struct.pack("<HH", w, h),
    "ppm": lambda w, h: f"P6\n# 5 5\n{w} {h}\n255\n".encode(),
    "pam": lambda w, h: f"P7\nWIDTH {w}\nHEIGHT {h}\nDEPTH 3\nMAXVAL 255\nENDHDR\n".encode(),
    "ras": lambda w, h: struct.pack(">III", 0x59A66A95, w, h),
    "j2k": lambda w, h: struct.pack(">IHHIIII", 0xFF4FFF51, 47, 0, w, h, 0, 0),
    "jp2": lambda w, h: (
        b"\0\0\0\x0cjP  \r\n\x87\n" + struct.pack(">I4sIHHIIII", 0, b"jp2c", 0xFF4FFF51, 47, 0, w, h, 0, 0)
    ),
    "avif": lambda w, h: iso_file(b"avif") + struct.pack(">I4sIII", 20, b"ispe", 0, w, h),
}
TWO_BYTES = {"jpeg", "gif"}  # for a side
LIMIT = (_core.MAX_IMAGE_SIDE, _core.MAX_IMAGE_PIXELS)


TOO_LARGE = [(65_536, 1), (1, 65_536), (16_385, 16_384), (65_535, 4097), (65_535, 65_535), (0, 5), (5, 0)]


@pytest.mark.parametrize(
    ("kind", "width", "height"),
    [(k, *size) for k in HEADERS for size in TOO_LARGE if k not in TWO_BYTES or max(size) < 65_536],
)
def test_too_large_sizes_are_rejected_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, width: int, height: int
) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)
    path = saved(tmp_path, f".{kind}", HEADERS[kind](width, height) + bytes(100))
    with pytest.raises(ImageError, match=f"found {width} x {height}") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(1, 1), (65_535, 4096), (4096, 65_535), (16_384, 16_384), (16_320, 12_240)])
@pytest.mark.parametrize("kind", HEADERS)
def test_every_size_up_to_the_limit_reaches_the_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, size: tuple[int, int]
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: seen.append(len(data)))
    path = saved(tmp_path, f".{kind}", HEADERS[kind](*size) + bytes(100))
    too_long_for_libjpeg = kind == "jpeg" and max(size) > 65_500
    with pytest.raises(ImageError, match="at most 65500" if too_long_for_libjpeg else "damaged or truncated"):
        read_image(path)
    assert bool(seen) != too_long_for_libjpeg


def test_the_limits_are_those_of_the_core() -> None:
    assert (images.MAX_SIDE, images.MAX_PIXELS) == LIMIT == (65_535, 1 << 28)


def test_max_pixels_lowers_the_limit(tmp_path: Path) -> None:
    path = saved(tmp_path, ".png", encoded(".png", smooth(20, 30)))
    assert read_image(path, max_pixels=600).shape == (20, 30, 3)
    with pytest.raises(
        ImageError, match="65535 pixels a side and 599 in all, found 30 x 20; scale it down first"
    ):
        read_image(path, max_pixels=599)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_large_images_are_converted_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, channels: int
) -> None:
    values = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (37, 5, channels)).astype(dtype)
    path = saved(tmp_path, ".png", encoded(".png", values))
    whole = read_image(path), as_rgb(values)
    monkeypatch.setattr(images, "_BLOCK", 12)
    for one, other in zip(whole, (read_image(path), as_rgb(values)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_missing_files_folders_and_enormous_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="No such file"):
        read_image(tmp_path / "absent.jpg")
    with pytest.raises(ImageError, match="Is a directory"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="cannot be read"):
        read_image("nul\0byte.png")
    monkeypatch.setattr("pocketdet.runtime.images.MAX_IMAGE_BYTES", 100)
    with pytest.raises(ImageError, match="at most 100 bytes"):
        read_image(saved(tmp_path, ".png", encoded(".png", smooth())))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 500), (257, 2)])
def test_declared_size(suffix: str, height: int, width: int) -> None:
    assert declared_size(encoded(suffix, smooth(height, width))) == (width, height)


def test_declared_size_of_lossless_webp() -> None:
    data = encoded(".webp", smooth(33, 44), cv2.IMWRITE_WEBP_QUALITY, 101)
    assert declared_size(data) == (44, 33)


@settings(max_examples=300)
@given(
    start=st.sampled_from(
        [
            b"",
            b"RIFF",
            b"BM",
            b"P6 1",
            b"P7\n",
            *(make(5, 5)[:length] for make in HEADERS.values() for length in (2, 12, 99)),
        ]
    ),
    rest=st.binary(max_size=60),
)
def test_declared_size_of_anything(start: bytes, rest: bytes) -> None:
    size = declared_size(start + rest)
    assert size is None or (len(size) == 2 and min(size) >= 0)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2"])
def test_arrays_are_converted_to_rgb(shape: tuple[int, ...], dtype: str) -> None:
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    rgb = as_rgb(array)
    eight = array if dtype == "uint8" else np.round(array / 257).astype(np.uint8)
    channels = np.atleast_3d(eight)[..., :3]
    np.testing.assert_array_equal(rgb, np.broadcast_to(channels, (*shape[:2], 3)))
    assert rgb.flags.c_contiguous


def test_a_valid_array_is_not_copied() -> None:
    image = smooth()
    assert np.shares_memory(as_rgb(image), image)
    assert as_rgb(image[:, ::-1]).flags.c_contiguous


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((4, 4, 3), np.float32), r"found float32; scale it to 0..255"),
        (np.zeros((4, 4, 3), np.int64), "found int64"),
        (np.zeros((4, 4, 3), bool), "found bool"),
        (np.zeros((3, 40, 50), np.uint8), r"found \(3, 40, 50\); move the channels last"),
        (np.zeros((1, 40, 50, 3), np.uint8), "without a batch axis"),
        (np.zeros((4, 4, 2), np.uint8), r"found \(4, 4, 2\)"),
        (np.zeros(4, np.uint8), r"found \(4,\)"),
        (np.zeros((0, 4, 3), np.uint8), "expected an image with pixels, found 4 x 0"),
        (np.zeros((4, 0), np.uint8), "expected an image with pixels, found 0 x 4"),
        (np.broadcast_to(np.uint8(0), (16_385, 16_384, 3)), "found 16384 x 16385"),
        (np.broadcast_to(np.uint8(0), (1, 65_536)), "found 65536 x 1"),
        (np.broadcast_to(np.uint16(0), (65_536, 1, 4)), "found 1 x 65536"),
        ([[1, 2], [3, 4]], "found list"),
        (None, "found NoneType"),
    ],
)
def test_invalid_arrays_are_rejected(array: Any, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence):
        as_rgb(array)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".bmp", ".webp", ".tif"])
def test_write_image_round_trip(tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"out{suffix}"
    write_image(path, smooth(60, 80)[:, ::-1])
    assert np.abs(read_image(path).astype(int) - smooth(60, 80)[:, ::-1]).mean() < 8
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert capfd.readouterr().err == ""  # OpenCV warns of settings that a format does not have


def test_unwritable_images_are_image_errors(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="expected a name that ends in"):
        write_image(tmp_path / "out.xyz", smooth())
    for suffix, width in ((".jpg", 65_501), (".webp", 16_384)):
        with pytest.raises(ImageError, match=f"{width} x 1 pixels do not fit this format; choose .png"):
            write_image(tmp_path / f"out{suffix}", np.zeros((1, width, 3), np.uint8))
    with pytest.raises(ImageError, match="cannot be written: No such file"):
        write_image(tmp_path / "absent" / "out.png", smooth())
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(ImageError, match="cannot be written"):
        write_image(tmp_path / "taken.png", smooth())
    assert [p.name for p in tmp_path.iterdir()] == ["taken.png"]
