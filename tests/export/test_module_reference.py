"""Any PyTorch module: exported, compared with an independent decoder, and named layer by layer."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damage import damaged_copy, weighted_layers
from torch import Tensor, nn
from user_detectors import (
    SIDE,
    SSD_DESCRIPTION,
    YOLO_DESCRIPTION,
    Arrays,
    PlainDetections,
    PlainSsd,
    PlainYolo,
    block_images,
    decode_ssd,
    decode_yolo,
    raw_outputs,
)

import pocketdet
from pocketdet.errors import ExportError, UsageError
from pocketdet.export import ExportOptions, ExportResult, verify
from pocketdet.export.precision import LayerChoice
from pocketdet.export.reference.description import read_description
from pocketdet.export.reference.factory import reference_from_module
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.parity import TOLERANCES, match_detections


@dataclass(frozen=True)
class Case:
    """A module, its description, an independent decoder, mean and std, and layers of it."""

    make: Callable[[], nn.Module]
    description: str
    decode: Callable[[Arrays], PlainDetections]
    scale: tuple[float, float]
    block: str
    damaged: str


CASES = {
    "ssd": Case(PlainSsd, SSD_DESCRIPTION, decode_ssd, (127.5, 127.5), "backbone.1", "backbone.2.2"),
    "yolo": Case(PlainYolo, YOLO_DESCRIPTION, decode_yolo, (0.0, 255.0), "stage.1.cv2", "detect.1"),
}


@dataclass(frozen=True)
class Exported:
    """A case with its bundle."""

    case: Case
    module: nn.Module
    result: ExportResult
    lines: list[str]


@pytest.fixture(scope="module", params=sorted(CASES))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    case = CASES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "d.toml").write_text(case.description, encoding="utf-8")
    module, lines = case.make().train(), list[str]()
    result = pocketdet.export(
        module,
        str(folder),
        description=str(folder / "d.toml"),
        example=torch.rand(1, 3, SIDE, SIDE),
        log=lines.append,
    )
    assert module.training
    return Exported(case, module.eval(), result, lines)


def test_detections_are_those_of_an_independent_decoder(exported: Exported) -> None:
    with Detector(exported.result.path, engine="ncnn") as detector:
        for image in block_images():
            found = detector.detect(image)
            expected = exported.case.decode(raw_outputs(exported.module, image, *exported.case.scale))
            assert len(expected) > 3
            labels, scores, boxes = (np.array(values) for values in zip(*expected, strict=True))
            # scores that are almost equal come in another order on another processor
            values = {"labels": labels, "scores": scores, "boxes": np.clip(boxes, 0, SIDE)}
            matched, _ = match_detections(
                values, found, replace(TOLERANCES["fp32"], box_pixels=0.02, score=1e-4)
            )
            assert len(matched) == len(expected) == len(found)
            np.testing.assert_allclose(found.scores, scores, atol=1e-4)


def test_batch_norm_is_folded_with_a_report_and_checked(exported: Exported) -> None:
    folds = {fold.batch_norm: fold.into for fold in exported.result.folds.folds}
    norms = [n for n, m in exported.module.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert sorted(folds) == sorted(norms)
    assert not exported.result.folds.refusals
    assert f"-[✓] folded {exported.case.block}.1 into {exported.case.block}.0" in exported.lines
    assert [check for check in exported.result.checks if check.name.startswith("fold")]
    assert not [line for line in exported.lines if line.startswith("-[!]")]


def test_layers_have_the_names_of_the_module_without_its_code(exported: Exported) -> None:
    report = verify(exported.result.path, layers=True)
    assert report.ok
    rows = [row for row in report.layers if row.layer_type != "Input"]
    assert all(row.check for row in rows if row.source)
    names = dict(exported.module.named_modules())
    sources = {str(row.source).split(":")[0].split("#")[0] for row in rows if row.source}
    assert sources - names.keys() <= {"cat", "add"}  # functions of the module itself
    # a convolution may be one ncnn layer with the activation behind it
    fused = {name.removesuffix(".2") + ".0" for name in sources}
    assert {n for n, m in names.items() if isinstance(m, nn.Conv2d)} <= sources | fused


def test_a_damaged_layer_is_named_by_the_name_in_the_module(exported: Exported, tmp_path: Path) -> None:
    named = []
    for number, name in enumerate(weighted_layers(exported.result.path, "model")):
        bad = damaged_copy(exported.result.path, tmp_path / f"bad{number}", "model", name)
        found = verify(bad, layers=True).first_layer
        if found is None:  # a weight for a channel that is always zero
            continue
        assert found.layer == name
        exported.module.get_submodule(str(found.source))
        named.append(found.source)
        shutil.rmtree(bad)
    assert exported.case.damaged in named


@pytest.mark.slow
def test_half_precision_is_proved_against_rounded_weights(tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text(SSD_DESCRIPTION, encoding="utf-8")
    choice = LayerChoice("backbone.*", "fp32")
    options = ExportOptions(precision="fp16", name="half", layers=(choice,))
    result = pocketdet.export(PlainSsd(), tmp_path, options, description=tmp_path / "d.toml")
    assert result.manifest.layout.weight_storage == "fp16"
    in_fp32 = set(result.manifest.layout.fp32_modules)
    assert {"backbone.0.0", "backbone.1.0", "backbone.2.0"} <= in_fp32
    assert "extra.0" not in in_fp32
    assert verify(result.path, layers=True).ok


class Nested(nn.Module):
    """Returns outputs of several forms, some of which nothing describes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 21, 8, 8)
        self.names: list[str] = []

    def forward(self, x: Tensor) -> dict[str, object]:
        y = self.conv(x)
        n, _, h, w = y.shape
        return {"heads": [y.view(n, 3, 7, h, w).permute(0, 1, 3, 4, 2)], "pooled": y.mean((2, 3)), "n": n}


NESTED = """
input_size = [32, 64]
class_names = ["a", "b"]
[[levels]]
stride = 8
output = "heads.0"
anchors = [[8, 8], [16, 16], [32, 32]]
boxes = { first = 0, anchor_channels = 7 }
objectness = { first = 4, anchor_channels = 7 }
classes = { first = 5, anchor_channels = 7 }
[scores]
objectness_power = 1
"""


def described(folder: Path, text: str) -> Path:
    path = folder / "d.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_nested_outputs_have_names_and_five_axes_become_a_map(tmp_path: Path) -> None:
    description = read_description(described(tmp_path, NESTED))
    module = Nested()
    reference = reference_from_module(module, description)
    image = np.random.default_rng(0).normal(size=(3, 32, 64)).astype(np.float32)
    with torch.no_grad():
        expected = module.conv(torch.from_numpy(image)[None])[0].numpy()
    np.testing.assert_allclose(reference.raw(image)["heads.0"], expected, rtol=1e-5, atol=1e-5)
    assert reference.notes == ("outputs that the description does not name were dropped: pooled",)
    assert not reference.warnings


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("yolo.onnx", "str; the command pocketdet export reads files of weights and ONNX files: yolo.onnx"),
        (Path("w.pt"), "Path; the command pocketdet export reads .*: w.pt"),
        (Nested, "the class Nested; give an instance of it"),
        ({"conv.weight": torch.zeros(1)}, "dict; make the module and give it these weights"),
        (nn.Identity().forward, "method"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_module_is_named(model: Any, found: str, tmp_path: Path) -> None:
    for description in (None, described(tmp_path, NESTED)):
        with pytest.raises(UsageError, match=f"^expected a torch.nn.Module, found .*{found}"):
            pocketdet.export(model, tmp_path, description=description)
    with pytest.raises(UsageError, match="^options: expected ExportOptions, found PosixPath"):
        pocketdet.export(Nested(), tmp_path, tmp_path / "d.toml")


@pytest.mark.parametrize("compiler", [torch.jit.script, pytest.param(torch.compile, marks=pytest.mark.slow)])
def test_compiled_modules_are_refused(compiler: Any, tmp_path: Path) -> None:
    compiled = compiler(nn.Conv2d(3, 3, 1))
    with pytest.raises(UsageError, match="is the result of a compiler: give the torch.nn.Module"):
        pocketdet.export(compiled, tmp_path, description=described(tmp_path, NESTED))


def test_what_cannot_be_exported_is_one_sentence(tmp_path: Path) -> None:
    description = described(tmp_path, NESTED)
    with pytest.raises(UsageError, match="Nested is no detector of pocketdet: give description="):
        pocketdet.export(Nested(), tmp_path)
    with pytest.raises(UsageError, match=r"the example is \(1, 3, 64, 64\) and the description says"):
        pocketdet.export(Nested(), tmp_path, description=description, example=torch.zeros(1, 3, 64, 64))
    with pytest.raises(ExportError, match=r"PlainSsd cannot run an input of \(1, 3, 32, 64\): expected"):
        pocketdet.export(PlainSsd(), tmp_path, description=description)
    with pytest.raises(UsageError, match=r"Identity has no output 'heads\.0': it returns output0 \(1, 3,"):
        pocketdet.export(nn.Identity(), tmp_path, description=description)
    described(tmp_path, NESTED.replace("heads.0", "head"))
    with pytest.raises(UsageError, match=r"no output 'head': it returns heads\.0 \(1, 3, 4, 8, 7\), pooled"):
        pocketdet.export(Nested(), tmp_path, description=description)
    described(tmp_path, NESTED.replace("stride = 8", "stride = 16"))
    with pytest.raises(UsageError, match=r"Nested: output 'heads\.0' is"):
        pocketdet.export(Nested(), tmp_path, description=description)
