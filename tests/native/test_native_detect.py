"""pocketdet-run on this machine gives the detections and checks that the Python runtime gives."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from native_runner import Runner, assert_same_checks, by_python, raw_pixels, read_ppm
from same_detections import difference, found_in

from pocketdet.errors import ImageError
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.images import read_image
from pocketdet.runtime.pipeline import TWO_STAGE_STAGES as STAGES
from pocketdet.runtime.verification import compare_stages, golden_stages


@pytest.mark.parametrize("arch", ["small", "thundernet-snet49"])
def test_detections_are_those_of_python(
    runner: Runner,
    arch: str,
    small_bundle: Path,
    bundle_of: Callable[[str], Path],
    image_files: list[Path],
) -> None:
    bundle = small_bundle if arch == "small" else bundle_of(arch)
    golden = bundle / "golden" / "image.png"
    document = runner.json("detect", bundle, golden, *image_files)
    python = by_python(bundle, [read_image(golden), *map(read_ppm, image_files)])
    differs = difference(python, found_in(document), pixels=1e-3, score=1e-5)
    assert differs.lost == 0, differs
    assert differs.total > 200
    with load_bundle(bundle) as loaded:
        assert document["bundle"]["digest"] == loaded.digest
        names = loaded.manifest.class_names
    for image in document["images"]:
        assert tuple(image["milliseconds"]) == STAGES
        assert all(d["name"] == names[d["label"]] for d in image["detections"])


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--score-threshold", "0.3"], {"score_threshold": 0.3}),
        (["--nms", "hard", "--nms-iou", "0.3"], {"nms": "hard", "nms_iou": 0.3}),
        (["--nms=linear"], {"nms": "linear"}),
        (["--rois", "7"], {"rois": 7}),
        (["--max-detections", "3"], {"max_detections": 3}),
        (["--precision", "fp16"], {"precision": "fp16"}),
        (["--ncnn-layers"], {}),
    ],
)
def test_options_mean_the_same(
    runner: Runner, small_bundle: Path, image_files: list[Path], words: list[str], options: dict[str, Any]
) -> None:
    files = image_files[:6]
    found = found_in(runner.json("detect", small_bundle, *files, *words))
    python = by_python(small_bundle, list(map(read_ppm, files)), **options)
    assert difference(python, found, pixels=1e-3, score=1e-5).lost == 0
    assert sum(len(f.scores) for f in found) > 0


def test_suppression_across_classes(runner: Runner, tiny_bundle: Path, image_files: list[Path]) -> None:
    images = list(map(read_ppm, image_files))
    per_class = by_python(tiny_bundle, images)
    manifest = tiny_bundle / "manifest.json"
    document = json.loads(manifest.read_text("utf-8"))
    document |= {"schema_version": 6}
    document["postprocessing"] |= {"per_class": False}
    manifest.write_text(json.dumps(document), encoding="utf-8")
    found = found_in(runner.json("detect", tiny_bundle, *image_files))
    python = by_python(tiny_bundle, images)
    assert difference(python, found, pixels=1e-3, score=1e-5).lost == 0
    assert 0 < sum(len(f.scores) for f in found) < sum(len(f.scores) for f in per_class)


def test_letterboxed_bundle(runner: Runner, tiny_bundle: Path, image_files: list[Path]) -> None:
    found = found_in(runner.json("detect", tiny_bundle, *image_files))
    python = by_python(tiny_bundle, list(map(read_ppm, image_files)))
    assert difference(python, found, pixels=1e-3, score=1e-5).lost == 0


@pytest.mark.parametrize("layout", ["rgb", "bgr", "rgba", "bgra"])
def test_raw_pixels(
    runner: Runner, small_bundle: Path, image_files: list[Path], tmp_path: Path, layout: str
) -> None:
    image = read_ppm(image_files[0])
    height, width, _ = image.shape
    raw = tmp_path / "raw"
    raw.write_bytes(raw_pixels(image, layout))
    words = ["--raw", f"{width}x{height}", "--format", layout]
    found = found_in(runner.json("detect", small_bundle, raw, *words))
    expected = found_in(runner.json("detect", small_bundle, image_files[0]))
    assert len(expected[0].scores) > 0
    np.testing.assert_array_equal(found[0].boxes, expected[0].boxes)


def test_camera_frames(runner: Runner, small_bundle: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    luma = rng.integers(0, 256, (48, 64), dtype=np.uint8)
    grey = np.full((24, 64), 128, np.uint8)
    (tmp_path / "nv21").write_bytes(luma.tobytes() + grey.tobytes())
    words = ["--raw", "64x48", "--format", "nv21"]
    found = found_in(runner.json("detect", small_bundle, tmp_path / "nv21", *words))
    python = by_python(small_bundle, [np.repeat(luma[..., None], 3, axis=2)])
    assert len(python[0].scores) > 0
    assert difference(python, found, pixels=1e-3, score=1e-5).lost == 0


def test_images_that_cannot_be_read_are_listed(
    runner: Runner, small_bundle: Path, image_files: list[Path], tmp_path: Path
) -> None:
    broken, absent = tmp_path / "broken.ppm", tmp_path / "absent.png"
    broken.write_bytes(image_files[0].read_bytes()[:-1])
    done = runner.run("detect", small_bundle, image_files[0], broken, absent, image_files[1])
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert [image["image"] for image in document["images"]] == [str(p) for p in image_files[:2]]
    assert [failure["image"] for failure in document["failures"]] == [str(broken), str(absent)]
    assert done.stderr.decode().splitlines() == [failure["message"] for failure in document["failures"]]
    assert runner.json("detect", small_bundle, *image_files[:2])["failures"] == []


@pytest.mark.parametrize("size", [(65_536, 1), (1, 65_536), (16_385, 16_384)])
def test_images_beyond_the_limits_are_refused_as_python_refuses_them(
    runner: Runner, small_bundle: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "large.ppm"
    path.write_bytes(f"P6\n{size[0]} {size[1]}\n255\n".encode() + bytes(30))
    said = runner.error("detect", small_bundle, path)
    with pytest.raises(ImageError) as caught:
        read_image(path)
    end = f"in all, found {size[0]} x {size[1]}; scale it down first"
    assert said.endswith(end)
    assert str(caught.value).endswith(end)


@pytest.mark.parametrize("size", [(65_535, 2), (2, 65_535)])
def test_the_longest_sides(runner: Runner, small_bundle: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "long.png"
    cv2.imwrite(str(path), np.random.default_rng(2).integers(0, 256, (*size[::-1], 3), np.uint8))
    found = found_in(runner.json("detect", small_bundle, path))
    assert difference(by_python(small_bundle, [read_image(path)]), found, pixels=0.1, score=1e-5).lost == 0


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_golden_is_replayed_as_python_replays_it(runner: Runner, small_bundle: Path, precision: str) -> None:
    document = runner.json("verify", small_bundle, "--precision", precision)
    with load_bundle(small_bundle) as bundle:
        checks = compare_stages(golden_stages(bundle), Detector(bundle, engine="ncnn"))
    assert_same_checks(document, checks)


def test_a_wrong_answer_is_exit_code_1(
    runner: Runner, small_bundle: Path, tmp_path: Path, rehash: Callable[[Path], None]
) -> None:
    bundle = Path(shutil.copytree(small_bundle, tmp_path / "wrong.pocketdet"))
    weights = bundle / "head.ncnn.bin"
    data = bytearray(weights.read_bytes())
    data[2000:2004] = np.float32(40).tobytes()
    weights.write_bytes(data)
    rehash(bundle)
    done = runner.run("verify", bundle)
    assert done.returncode == 1
    assert b"'head' is out of tolerance" in done.stderr
    assert b'"ok":false' in done.stdout
