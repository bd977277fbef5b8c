"""PyTorch behind the engine interface: the numbers of onnxruntime, with batch norm folded."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketdet.benchmarks.torch_engine import TorchEngine
from pocketdet.errors import EngineError
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.engines.base import GraphName
from pocketdet.runtime.engines.onnx_engine import OnnxEngine
from pocketdet.runtime.stages import compare_stages, golden_stages


@pytest.fixture(scope="module")
def bundle(small_bundle: Path) -> Iterator[Bundle]:
    with load_bundle(small_bundle) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> TorchEngine:
    return TorchEngine(bundle)


@pytest.mark.parametrize(
    ("graph", "role", "shape"),
    [
        ("features", "image", (3, 96, 64)),
        ("head", "roi_features", (1, 245)),
        ("head", "roi_features", (37, 245)),
    ],
)
def test_it_agrees_with_onnxruntime(
    bundle: Bundle, engine: TorchEngine, graph: GraphName, role: str, shape: tuple[int, ...]
) -> None:
    other = OnnxEngine(bundle.manifest.graphs.by_name(), bundle.path)
    inputs = {role: np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)}
    expected, found = other.run(graph, inputs), engine.run(graph, inputs)
    assert list(found) == [o.role for o in bundle.manifest.graphs.by_name()[graph].outputs]
    for name, value in expected.items():
        assert (found[name].shape, found[name].dtype) == (value.shape, value.dtype)
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-4 * np.abs(value).max())


def test_a_detector_with_it_replays_golden(bundle: Bundle, engine: TorchEngine) -> None:
    checks = compare_stages(golden_stages(bundle), Detector(bundle, engine=engine))
    assert all(check.ok for check in checks), [str(c) for c in checks if not c.ok]


def test_batch_norm_is_folded(engine: TorchEngine) -> None:
    modules = [m for network in engine._networks.values() for m in network.modules()]
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in modules)
    assert any(isinstance(m, torch.nn.Conv2d) for m in modules)


def test_bad_input_is_refused(bundle: Bundle, engine: TorchEngine) -> None:
    with pytest.raises(EngineError, match="expected shape"):
        engine.run("features", {"image": np.zeros((3, 8, 8), np.float32)})
    with pytest.raises(EngineError, match="--device cuda:99: torch cannot use it here: "):
        TorchEngine(bundle, "cuda:99")
    with pytest.raises(EngineError, match="--device abacus: torch cannot use it here: "):
        TorchEngine(bundle, "abacus")


def test_a_slim_bundle_is_refused(bundle: Bundle) -> None:
    manifest = bundle.manifest.model_copy(update={"reference_weights": None})
    with pytest.raises(EngineError, match="no PyTorch weights: export it without --slim"):
        TorchEngine(dataclasses.replace(bundle, manifest=manifest))
