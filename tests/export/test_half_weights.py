"""Half-precision storage: what PyTorch rounds is what the ncnn file holds."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketdet.errors import ExportError
from pocketdet.export import ExportOptions, export_detector, verify
from pocketdet.export.half_weights import round_to_half
from pocketdet.models.fold_bn import fold_batch_norm
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.ncnn_graph import read_graph
from pocketdet.runtime.verification import TOLERANCES, tolerances_for


@pytest.fixture(scope="module")
def half_bundle(small_model: ThunderNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = ExportOptions(name="half", precision="fp16")
    return export_detector(small_model, tmp_path_factory.mktemp("half"), options).path


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1 + 2**-11, 1.0),
        (1 + 3 * 2**-11, 1 + 2**-9),
        (2.0**-14, 2.0**-14),
        (2.0**-15, 0.0),
        (-65504.0, -65504.0),
    ],
)
def test_rounding_by_hand(value: float, expected: float) -> None:
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(layer.weight, value)
    torch.nn.init.constant_(layer.bias, 0.1)
    rounded = round_to_half(layer)
    assert rounded.weight.item() == expected
    assert rounded.bias.item() == layer.bias.item()
    assert layer.weight.item() == np.float32(value)


def test_a_weight_beyond_the_range_is_named(small_model: ThunderNet) -> None:
    model = copy.deepcopy(small_model)
    with torch.no_grad():
        model.rpn.scores.weight[0, 0] = 7e4
    with pytest.raises(ExportError, match=r"'rpn\.scores\.weight' exceeds 65504"):
        round_to_half(model)


def test_the_file_holds_what_pytorch_rounded(small_model: ThunderNet, half_bundle: Path) -> None:
    rounded = round_to_half(fold_batch_norm(small_model)[0])
    expected = sorted(
        tuple(np.sort(m.weight.detach().numpy().ravel())[[0, -1]])
        for m in rounded.backbone.modules()
        if isinstance(m, torch.nn.Conv2d)
    )
    graph = read_graph(half_bundle / "features.ncnn.param", half_bundle / "features.ncnn.bin")
    weights = [layer.weights["weight"] for layer in graph.layers if "weight" in layer.weights]
    assert {w.storage for w in weights} == {"fp16"}
    found = {tuple(np.sort(w.values().ravel())[[0, -1]]) for w in weights}
    assert set(expected) <= found


def test_a_half_precision_bundle_is_compared_by_the_limits_of_fp32(half_bundle: Path) -> None:
    with Detector(half_bundle, engine="ncnn") as detector:
        assert tolerances_for(detector) == TOLERANCES["fp32"]
    assert verify(half_bundle, layers=True).ok


@pytest.mark.slow
def test_the_cost_of_rounding_is_told(small_model: ThunderNet, tmp_path: Path) -> None:
    lines: list[str] = []
    export_detector(small_model, tmp_path, ExportOptions(precision="fp16"), log=lines.append)
    assert sum(line.startswith("-[i] fp16 weights change ") for line in lines) == 3
