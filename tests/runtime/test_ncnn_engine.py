"""Arrays that come out of ncnn: whose memory they hold, and for how long."""

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.bundle.schema import GraphSpec, TensorSpec
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine

Maps = dict[str, NDArray[np.float32]]


@pytest.fixture
def engine(small_bundle: Path) -> NcnnEngine:
    return _engine(small_bundle)


def _engine(path: Path) -> NcnnEngine:
    with load_bundle(path) as bundle:
        return NcnnEngine(bundle.manifest.graphs.by_name(), bundle.path)


def _image(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-2, 2, (3, 96, 64)).astype(np.float32)


def _same(found: Maps, expected: Maps) -> None:
    assert found.keys() == expected.keys()
    for role, values in expected.items():
        np.testing.assert_array_equal(found[role], values, strict=True)


def test_results_outlive_the_engine_and_later_frames(small_bundle: Path) -> None:
    engine = _engine(small_bundle)
    kept = engine.run("features", {"image": _image(0)})
    expected = {role: values.copy() for role, values in kept.items()}
    for seed in range(1, 9):
        engine.run("features", {"image": _image(seed)})
    _same(kept, expected)
    del engine
    gc.collect()
    other = _engine(small_bundle)
    for seed in range(1, 9):
        other.run("features", {"image": _image(seed)})
    _same(kept, expected)


def test_results_are_plain_float32_arrays_that_may_be_changed(engine: NcnnEngine) -> None:
    first = engine.run("features", {"image": _image(0)})
    expected = {role: values.copy() for role, values in first.items()}
    for values in first.values():
        assert type(values) is np.ndarray
        assert (values.dtype, values.flags.writeable) == (np.float32, True)
        values[:] = 7.0
    _same(engine.run("features", {"image": _image(0)}), expected)


def test_a_passed_through_input_is_copied(engine: NcnnEngine) -> None:
    image = _image(0)
    blob = engine._graphs["features"].inputs[0].blob
    found = engine.run_blobs("features", {"image": image}, [blob])[blob]
    np.testing.assert_array_equal(found, image)
    assert not np.may_share_memory(found, image)


def test_results_of_threads_are_independent(engine: NcnnEngine) -> None:
    expected = [
        {role: values.copy() for role, values in engine.run("features", {"image": _image(seed)}).items()}
        for seed in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda seed: engine.run("features", {"image": _image(seed % 8)}), range(64)))
    for seed, maps in enumerate(found):
        _same(maps, expected[seed % 8])


@pytest.mark.parametrize(
    "lines",
    [
        ["ReLU r 1 1 x y"],
        ["Split s 1 2 x a y", "ReLU r 1 1 a b"],
        ["Split s 1 2 x a b", "ReLU r 1 1 a c", "BinaryOp p 2 1 b c y"],
        ["Reshape s 1 1 x a 0=-1", "ReLU r 1 1 a y"],
    ],
)
def test_an_in_place_first_layer_does_not_change_the_input_array(lines: list[str], tmp_path: Path) -> None:
    layers = ["Input x 0 1 x", *lines]
    blobs = {blob for line in layers for blob in line.split()[4:] if "=" not in blob}
    text = "\n".join(["7767517", f"{len(layers)} {len(blobs)}", *layers])
    (tmp_path / "g.param").write_text(text + "\n")
    (tmp_path / "g.bin").write_bytes(b"")
    tensor = {
        "x": TensorSpec(blob="x", role="x", shape=(3, 4)),
        "y": TensorSpec(blob="y", role="y", shape=(3, 4)),
    }
    spec = GraphSpec(param="g.param", bin="g.bin", inputs=(tensor["x"],), outputs=(tensor["y"],))
    engine = NcnnEngine({"features": spec}, tmp_path.joinpath)
    image = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    before = image.copy()
    found = engine.run("features", {"x": image})["y"]
    assert found.size == image.size
    assert not np.may_share_memory(found, image)
    np.testing.assert_array_equal(image, before)
