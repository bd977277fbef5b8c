"""OpenVINO behind the engine interface: the numbers of onnxruntime, in fp32 and with one thread."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pocketdet.benchmarks import engines
from pocketdet.benchmarks.engines import OpenVinoEngine
from pocketdet.cli.bench_cases import onnx_cases
from pocketdet.errors import EngineError
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.engines.onnx_engine import OnnxEngine


@pytest.fixture(scope="module")
def bundle(small_bundle: Path) -> Iterator[Bundle]:
    with load_bundle(small_bundle) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> OpenVinoEngine:
    return OpenVinoEngine(bundle.manifest.graphs.by_name(), bundle.path)


def features_input(seed: int) -> dict[str, np.ndarray]:
    return {"image": np.random.default_rng(seed).normal(size=(3, 96, 64)).astype(np.float32)}


def test_it_agrees_with_onnxruntime(bundle: Bundle, engine: OpenVinoEngine) -> None:
    other = OnnxEngine(bundle.manifest.graphs.by_name(), bundle.path)
    image = features_input(0)
    expected, found = other.run("features", image), engine.run("features", image)
    assert set(found) == {"rpn_scores", "rpn_deltas", "sam"}
    for role, value in expected.items():
        assert found[role].shape == value.shape
        np.testing.assert_allclose(found[role], value, rtol=0, atol=1e-4 * np.abs(value).max())
    for rows in (200, 1, 37):
        rois = {"roi_features": np.random.default_rng(rows).normal(size=(rows, 245)).astype(np.float32)}
        value = other.run("head", rois)["class_logits_and_deltas"]
        head = engine.run("head", rois)["class_logits_and_deltas"]
        assert head.shape == (rows, 3 + 1 + 4)
        np.testing.assert_allclose(head, value, rtol=0, atol=1e-4 * np.abs(value).max())


def test_results_are_copies_and_calls_are_thread_safe(engine: OpenVinoEngine) -> None:
    inputs = [features_input(seed) for seed in range(6)]
    alone = [engine.run("features", image)["sam"] for image in inputs]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda image: engine.run("features", image)["sam"], inputs))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(alone[0], alone[1])


def test_bad_input_is_refused(engine: OpenVinoEngine) -> None:
    with pytest.raises(EngineError, match="needs an input 'image'"):
        engine.run("features", {})
    with pytest.raises(EngineError, match="expected shape"):
        engine.run("features", {"image": np.zeros((3, 8, 8), np.float32)})


def test_a_bundle_without_onnx_is_refused(bundle: Bundle) -> None:
    slim = {k: s.model_copy(update={"onnx": None}) for k, s in bundle.manifest.graphs.by_name().items()}
    with pytest.raises(EngineError, match="export it without --slim"):
        OpenVinoEngine(slim, bundle.path)


def test_a_damaged_file_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(EngineError, match="openvino refuses"):
        OpenVinoEngine(bundle.manifest.graphs.by_name(), lambda name: tmp_path / "bad.onnx")


def test_an_engine_that_refuses_a_graph_is_excluded_with_its_message(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("No conversion rule found\n for operations: DeformConv-19")

    monkeypatch.setattr(engines, "_core", lambda: SimpleNamespace(read_model=refuse, compile_model=refuse))
    cases, (left_out,) = onnx_cases(bundle)
    assert [case.name for case in cases] == ["onnxruntime"]
    assert left_out.name == "openvino"
    assert left_out.reason == (
        "openvino refuses reference/features.onnx: No conversion rule found for operations: DeformConv-19"
    )


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("INFERENCE_PRECISION_HINT", "bf16", "INFERENCE_PRECISION_HINT = .*bf"),
        ("INFERENCE_NUM_THREADS", 2, "INFERENCE_NUM_THREADS = 2, expected 1"),
        ("NUM_STREAMS", 2, "NUM_STREAMS = 2, expected 1"),
    ],
)
def test_settings_are_read_back(key: str, value: object, words: str) -> None:
    from openvino import Type

    settings = {"INFERENCE_PRECISION_HINT": Type.f32, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}

    class Compiled:
        def get_property(self, name: object) -> object:
            return settings[name() if callable(name) else name]

    engines._check_settings(Compiled())
    settings[key] = Type.bf16 if value == "bf16" else value
    with pytest.raises(EngineError, match=words):
        engines._check_settings(Compiled())


SIGNALLED = """
import faulthandler, gc, os, signal, sys
from pathlib import Path
from pocketdet.benchmarks.engines import OpenVinoEngine
from pocketdet.runtime.bundle import load_bundle

faulthandler.enable()  # signals get a stack of their own, which every thread has one of
with load_bundle(Path(sys.argv[1])) as bundle:
    graphs = bundle.manifest.graphs.by_name()
    first, second = OpenVinoEngine(graphs, bundle.path), OpenVinoEngine(graphs, bundle.path)
    del first
    gc.collect()
    del second
    gc.collect()
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print("alive")
"""


def test_a_signal_after_two_engines_does_not_crash(small_bundle: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SIGNALLED, str(small_bundle)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "alive\n"), ended.stderr
