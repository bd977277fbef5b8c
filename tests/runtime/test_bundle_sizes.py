"""Several input sizes in one bundle: each is a bundle of its own, and what does not fit is refused."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_bundle import make_tiny_bundle
from tiny_one_stage import SPEC, at_side, make_tiny_one_stage
from tiny_sizes import join_sides, make_tiny_two_stage_sizes

from pocketdet.errors import BundleError, ExportError, GraphError, UsageError
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.bundle.manifest import parse_sizes
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.verification import replay

IMAGE = np.random.default_rng(3).integers(0, 256, (50, 70, 3), dtype=np.uint8)
Record = dict[str, Any]


def read(folder: Path) -> Record:
    return dict(json.loads((folder / "manifest.json").read_text()))


def refusal(document: object) -> str:
    with pytest.raises(BundleError) as caught:
        parse_sizes(json.dumps(document).encode(), "m")
    return str(caught.value)


@pytest.mark.parametrize("side", [32, 64])
def test_each_size_detects_as_a_bundle_of_its_own(
    tiny_sizes_template: Path, tmp_path: Path, side: int
) -> None:
    alone = make_tiny_one_stage(tmp_path / "alone", at_side(SPEC, side))
    with Detector(tiny_sizes_template, size=side) as ours, Detector(alone) as theirs:
        found, expected = ours.detect(IMAGE), theirs.detect(IMAGE)
        assert str(ours.bundle.manifest.input) == f"{side}x{side}"
        assert ours.bundle.manifest.decode == theirs.bundle.manifest.decode  # type: ignore[attr-defined]
    assert len(found) > 0
    assert np.array_equal(found.boxes, expected.boxes)
    assert np.array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("side", [32, 64])
def test_two_stages_detect_as_a_bundle_of_their_own(tmp_path: Path, side: int) -> None:
    joined = make_tiny_two_stage_sizes(tmp_path / "joined")
    alone = make_tiny_bundle(tmp_path / "alone", side)
    with Detector(joined, size=(side, side)) as ours, Detector(alone) as theirs:
        found, expected = ours.detect(IMAGE), theirs.detect(IMAGE)
    assert len(found) > 0
    assert np.array_equal(found.boxes, expected.boxes)
    with load_bundle(joined, side) as bundle:
        weights = {name: spec.bin for name, spec in bundle.manifest.graphs.by_name().items()}
    assert weights == {"features": "features.ncnn.bin", "head": "head.ncnn.bin"}
    assert sorted(p.name for p in (joined / "64x64").iterdir()) == ["features.ncnn.param"]


def test_the_first_size_is_the_default(tiny_sizes_template: Path) -> None:
    with load_bundle(tiny_sizes_template) as bundle, load_bundle(tiny_sizes_template, 32) as first:
        assert [str(size) for size in bundle.sizes] == ["32x32", "64x64"]
        assert bundle.manifest == first.manifest
        assert bundle.digest == first.digest


def test_a_size_that_is_not_there(tiny_sizes_template: Path, tiny_one_stage_template: Path) -> None:
    with pytest.raises(UsageError, match="input size 48x64: expected a size of this bundle: 32x32, 64x64"):
        load_bundle(tiny_sizes_template, (48, 64))
    with pytest.raises(UsageError, match="input size 64x64: expected a size of this bundle: 32x32$"):
        Detector(tiny_one_stage_template, size=64)
    with (
        load_bundle(tiny_sizes_template) as bundle,
        pytest.raises(UsageError, match="size=64: .* was loaded at 32x32; load it with"),
    ):
        Detector(bundle, size=64)
    for value in ("64", 64.0, True, (64,), (64, 64, 64)):
        with pytest.raises(UsageError, match="expected a side in pixels or"):
            Detector(tiny_sizes_template, size=value)  # type: ignore[arg-type]


def test_a_pickled_detector_keeps_its_size(tiny_sizes_template: Path) -> None:
    with Detector(tiny_sizes_template, size=64) as detector, pickle.loads(pickle.dumps(detector)) as again:
        assert again.bundle.manifest == detector.bundle.manifest


def test_every_size_is_verified(tiny_sizes: Path, rehash: Callable[[Path], None]) -> None:
    assert [image.image for image in replay(tiny_sizes).images] == ["golden", "golden at 64x64"]
    assert [image.image for image in replay(tiny_sizes, 64).images] == ["golden at 64x64"]
    assert replay(tiny_sizes).ok
    stages = tiny_sizes / "64x64/golden/stages.safetensors"
    data = bytearray(stages.read_bytes())
    data[-100:] = bytes(100)
    stages.write_bytes(bytes(data))
    rehash(tiny_sizes)
    assert replay(tiny_sizes, 32).ok
    assert "golden at 64x64" in str(replay(tiny_sizes).first_stage)


def test_a_graph_of_another_size_is_refused(tiny_sizes: Path, rehash: Callable[[Path], None]) -> None:
    param = tiny_sizes / "64x64/model.ncnn.param"
    param.write_text((tiny_sizes / "model.ncnn.param").read_text())
    rehash(tiny_sizes)
    load_bundle(tiny_sizes).close()
    with pytest.raises(GraphError, match="Reshape 'flat': cannot reshape"):
        replay(tiny_sizes)


def test_files_of_all_sizes_are_hashed(tiny_sizes: Path) -> None:
    (tiny_sizes / "64x64/model.ncnn.param").unlink()
    with pytest.raises(BundleError, match=r"64x64/model\.ncnn\.param: the file is missing"):
        load_bundle(tiny_sizes, 32)


def remove(field: str) -> Callable[[Record], None]:
    return lambda document: document["sizes"][0].pop(field)


def put(value: object, *path: str) -> Callable[[Record], None]:
    def change(document: Record) -> None:
        place = document["sizes"][0]
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value

    return change


def replace(value: object) -> Callable[[Record], None]:
    return lambda document: document.update(sizes=value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (replace(None), "m: field 'sizes': expected a list of at most 7 further input sizes, found None"),
        (replace({}), "m: field 'sizes': expected a list of at most 7 further input sizes, found {}"),
        (lambda d: d["sizes"].extend(d["sizes"] * 7), "further input sizes, found 8 of them"),
        (replace([320]), "m: sizes[0]: expected a JSON object, found 320"),
        (lambda d: d["sizes"].append(d["sizes"][0]), "m: sizes[1]: input size 64x64 is given twice"),
        (
            lambda d: replace([{name: d[name] for name in d["sizes"][0]}])(d),
            "m: sizes[0]: input size 32x32 is given twice",
        ),
        (remove("decode"), "m: sizes[0]: field 'decode' is missing"),
        (remove("golden"), "m: sizes[0]: field 'golden' is missing"),
        (put("two-stage", "detector"), "m: sizes[0]: field 'detector' is unknown in schema version 5"),
        (put([], "sizes"), "m: sizes[0]: field 'sizes' is unknown in schema version 5"),
        (put(0, "input", "height"), "m: sizes[0]: field 'input.height'"),
        (put(4097, "input", "width"), "m: sizes[0]: field 'input.width'"),
        (put(32, "input", "width"), "m: sizes[0]: graph 'model': expected one input 'image' (3, 64, 32)"),
        (put("x.png", "golden", "image"), "m: sizes[0]: 'x.png' is used but not listed under files"),
        (put("x.bin", "graphs", "model", "bin"), "m: sizes[0]: 'x.bin' is used but not listed under files"),
        (lambda d: d.update(schema_version=4), "m: field 'sizes' is unknown in schema version 4"),
        (lambda d: d.update(schema_version=7), "m: schema_version 7 needs a newer pocketdet"),
    ],
)
def test_wrong_sizes_are_named(
    tiny_sizes_template: Path, change: Callable[[Record], None], sentence: str
) -> None:
    document = read(tiny_sizes_template)
    change(document)
    assert sentence in refusal(document)


def test_version_5_without_further_sizes(tiny_one_stage_template: Path) -> None:
    document = read(tiny_one_stage_template)
    assert document["schema_version"] == 4
    expected = parse_sizes(json.dumps(document).encode(), "m")
    for sizes in ({}, {"sizes": []}):
        newer = {**document, **sizes, "schema_version": 5}
        assert parse_sizes(json.dumps(newer).encode(), "m") == expected


def test_sizes_of_different_detectors_are_not_joined(tmp_path: Path) -> None:
    def make(path: Path, side: int) -> Path:
        bundle = make_tiny_one_stage(path, at_side(SPEC, side))
        document = read(bundle)
        document["class_names"] = ["bolt", f"nut {side}"]
        (bundle / "manifest.json").write_text(json.dumps(document))
        return bundle

    with pytest.raises(ExportError, match="at 64x64 differs from 32x32 in 'class_names'"):
        join_sides(tmp_path / "joined", make)
