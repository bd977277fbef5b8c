"""PyTorch behind the engine interface: the numbers of onnxruntime, with batch norm folded."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketdet.benchmarks.engines import TorchEngine
from pocketdet.errors import EngineError
from pocketdet.models.build import build_one_stage
from pocketdet.models.fold_bn import fold_batch_norm
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.engines.base import GraphName
from pocketdet.runtime.engines.onnx_engine import OnnxEngine
from pocketdet.runtime.verification import compare_stages, golden_stages


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


def test_a_detector_passes_the_golden_test(bundle: Bundle, engine: TorchEngine) -> None:
    checks = compare_stages(golden_stages(bundle), Detector(bundle, engine=engine))
    assert all(check.ok for check in checks), [str(c) for c in checks if not c.ok]


def test_batch_norm_is_folded(small_model: ThunderNet) -> None:
    folded = fold_batch_norm(small_model)[0]
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in small_model.modules())
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())


@pytest.mark.parametrize("arch", ["lw-retinanet-v1-r50", "passd-mobilenet", "mimicdet-r50"])
def test_batch_norm_of_one_stage_detectors_is_folded(arch: str) -> None:
    model = build_one_stage(arch, 3, (64, 64)).for_inference()
    random = torch.Generator().manual_seed(1)
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.normal_(norm.running_mean, 0.0, 0.1, generator=random)
        torch.nn.init.uniform_(norm.running_var, 0.5, 1.5, generator=random)
    x = torch.randn(1, 3, 64, 64, generator=random)
    with torch.no_grad():
        expected = model(x)
        folded = fold_batch_norm(model)[0]
        found = folded(x)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    for name, value in expected.items():
        assert found[name].shape == value.shape
        assert float((found[name] - value).abs().max()) <= 1e-3 * float(value.abs().max())


def test_batch_norm_not_directly_after_one_convolution_is_not_folded() -> None:
    class Odd(torch.nn.Sequential):
        def __init__(self) -> None:
            conv, activation = torch.nn.Conv2d(3, 3, 1), torch.nn.ReLU(inplace=True)
            shared, norm = torch.nn.Conv2d(3, 3, 1), torch.nn.BatchNorm2d(3)
            super().__init__(conv, activation, torch.nn.BatchNorm2d(3), shared, norm, shared, norm)

    x = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    odd = Odd().eval()
    expected = odd(x)
    folded = fold_batch_norm(odd)[0]
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules()) == 2
    torch.testing.assert_close(folded(x), expected)


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
