"""A one-stage bundle small enough to make by hand: 32x32 input, two levels, one of maps and one of rows.

Its golden is complete and of PyTorch: the layers written once more with torch, and the reference decode.
"""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from reference_deform_conv import deform_conv2d
from tiny_bundle import GOLDEN, blob, common_fields, graph, weights_file, write_manifest
from torch import Tensor
from torch.nn.functional import conv2d

from pocketdet.models.config import Preprocessing, ResizeRule
from pocketdet.models.ops.one_stage_decode import one_stage_decode
from pocketdet.models.ops.resize import normalise, resize_image, to_original
from pocketdet.runtime.bundle import write_golden
from pocketdet.runtime.parity import StageValues
from pocketdet.runtime.verification import image_rows
from pocketdet.spec.one_stage import CxcywhCoding, Level, OneStageSpec, OutputField, Scores, Selection

MODEL = """7767517
14 17
Input                image     0 1 in0 0=32 1=32 2=3
Convolution          stem      1 1 in0 c1 0=8 1=3 3=4 4=1 5=1 6=216 9=1
Split                fan       1 3 c1 c1a c1b c1c
Convolution          offsets   1 1 c1a o1 0=18 1=1 5=1 6=144
DeformableConv2D     deform    2 1 c1b o1 d1 0=8 1=3 4=1 5=1 6=576
BinaryOp             add       2 1 d1 c1c a1 0=0
TanH                 squash    1 1 a1 a2
Split                fan2      1 2 a2 a2a a2b
Convolution          maps      1 1 a2a out0 0=14 1=1 3=2 5=1 6=112
Pooling              pool      1 1 a2b p1 0=1 1=2 2=2 5=1
Convolution          down      1 1 p1 p2 0=7 1=3 3=2 4=1 5=1 6=504
Sigmoid              sigmoid   1 1 p2 p3
Reshape              flat      1 1 p3 r1 0=4 1=7
Permute              rows      1 1 r1 out1 0=1
"""
WEIGHTS = ((216, 8), (144, 18), (576, 8), (112, 14), (504, 7))


def _level(grid: int, anchors: tuple[tuple[float, float], ...], output: str, rows: bool) -> Level:
    """Four coordinates, objectness and two classes of each anchor, one after the other."""

    def slot(first: int) -> OutputField:
        return (
            OutputField(output, "rows", first)
            if rows
            else OutputField(output, first=first, anchor_channels=7)
        )

    return Level((grid, grid), 32 // grid, anchors, slot(5), (slot(0),), slot(4))


SPEC = OneStageSpec(
    input_size=(32, 32),
    num_classes=2,
    levels=(
        _level(4, ((12.0, 10.0), (20.0, 28.0)), "maps", rows=False),
        _level(2, ((24.0, 24.0),), "rows", rows=True),
    ),
    codings=(CxcywhCoding(),),
    scores=Scores(objectness_power=1.0),
    selection=Selection(score_threshold=0.2, top_n=30),
)


# the same network read in the ways that only schema version 4 describes
LAYOUTS = OneStageSpec(
    input_size=(32, 32),
    num_classes=2,
    levels=(
        Level(
            (4, 4),
            (8.0, 7.5),
            ((12.0, 10.0), (20.0, 28.0)),
            classes=OutputField("maps", first=12),  # of both anchors
            boxes=(OutputField("maps", anchor_channels=2),),
            objectness=OutputField("maps", first=8, anchor_channels=1),
            sizes=(OutputField("maps", first=4, anchor_channels=2),),
        ),
        Level(
            (2, 1),
            (32.0, 16.0),
            ((24.0, 24.0), (9.5, 14.0)),
            classes=OutputField("rows", "rows", 5, cell_step=1, anchor_step=2),  # anchors outermost
            boxes=(OutputField("rows", "rows", 0, cell_step=1, anchor_step=2),),
            objectness=OutputField("rows", "rows", 4, cell_step=1, anchor_step=2),
        ),
    ),
    codings=(CxcywhCoding(multiplier=(1.0, 1.0, 2.0, 2.0), size_activation="square"),),
    scores=Scores(objectness_power=1.0),
    selection=Selection(score_threshold=0.2, top_n=30),
)


def _network(x: Tensor, data: bytes) -> dict[str, Tensor]:
    """What the graph gives for a normalised input (3, h, w), by role."""
    values, at, layers = np.frombuffer(data, "<f4"), 0, []
    for weights, bias in WEIGHTS:
        at += 1  # a flag before the weights: fp32
        filters = torch.tensor(values[at : at + weights])
        layers.append((filters, torch.tensor(values[at + weights : at + weights + bias])))
        at += weights + bias
    (stem, b0), (offsets, b1), (deform, b2), (maps, b3), (down, b4) = layers
    c1 = conv2d(x[None], stem.view(8, 3, 3, 3), b0, stride=4, padding=1).relu()
    o1 = conv2d(c1, offsets.view(18, 8, 1, 1), b1)
    a2 = (deform_conv2d(c1, o1, deform.view(8, 8, 3, 3), b2, padding=1) + c1).tanh()
    pooled = torch.nn.functional.avg_pool2d(a2, 2)
    rows = conv2d(pooled, down.view(7, 8, 3, 3), b4, stride=2, padding=1).sigmoid()
    return {"maps": conv2d(a2, maps.view(14, 8, 1, 1), b3, stride=2)[0], "rows": rows[0].reshape(7, -1).T}


@torch.no_grad()
def _golden(image: np.ndarray, weights: bytes, spec: OneStageSpec, resize: ResizeRule) -> StageValues:
    """Every stage by PyTorch; mean, std and pad are the defaults, as in the manifest."""
    pre, size = Preprocessing(), spec.input_size
    resized = resize_image(torch.tensor(image), size, resize, "RGB", pre.pad)
    normalised = normalise(resized, pre.mean, pre.std)
    outputs = _network(normalised, weights)
    found = one_stage_decode(spec, outputs)
    boxes = to_original(found.boxes, (image.shape[0], image.shape[1]), size, resize)
    return {
        "image": image,
        "image_rows": image_rows(image),
        "resized": resized.numpy(),
        "normalised": normalised.numpy(),
        **{f"outputs.{role}": value.numpy() for role, value in outputs.items()},
        "boxes": boxes.numpy(),
        "scores": found.scores.numpy(),
        "labels": found.labels.numpy().astype(np.int32),
    }


def make_tiny_one_stage(
    folder: Path, spec: OneStageSpec = SPEC, resize: ResizeRule = "letterbox", name: str = "tiny-one-stage"
) -> Path:
    """Write the bundle as a new folder; `spec` is for square inputs."""
    rng, side = np.random.default_rng(11), spec.input_size[0]
    folder.mkdir()
    weights = weights_file(WEIGHTS, rng)
    model = MODEL.replace("0=32 1=32", f"0={side} 1={side}").replace("0=4 1=7", f"0={(side // 16) ** 2} 1=7")
    (folder / "model.ncnn.param").write_text(model)
    (folder / "model.ncnn.bin").write_bytes(weights)
    image = rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)
    write_golden(folder, GOLDEN, _golden(image, weights, spec, resize))
    outputs = [blob("out0", "maps", 14, side // 8, side // 8), blob("out1", "rows", (side // 16) ** 2, 7)]
    common = common_fields(name, folder)
    fields = {
        "detector": "one-stage",
        "input": {"height": side, "width": side},
        "graphs": {"model": graph("model", [blob("in0", "image", 3, side, side)], outputs)},
        "preprocessing": {**common["preprocessing"], "resize": resize},
        "decode": dataclasses.asdict(spec),
    }
    write_manifest(folder, name, fields)
    return folder


def at_side(spec: OneStageSpec, side: int) -> OneStageSpec:
    """The same description for inputs of `side` pixels."""
    times = side // 32
    levels = tuple(
        dataclasses.replace(level, grid=(times * level.grid[0], times * level.grid[1]))
        for level in spec.levels
    )
    return dataclasses.replace(spec, input_size=(side, side), levels=levels)


def make_tiny_layouts(folder: Path) -> Path:
    """Write the bundle with the fields of `LAYOUTS` and images in the top left corner."""
    return make_tiny_one_stage(folder, LAYOUTS, "letterbox_top_left", "tiny-layouts")


@pytest.fixture(scope="session")
def tiny_one_stage_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny one-stage bundle for the whole session. Read it, never change it."""
    return make_tiny_one_stage(tmp_path_factory.mktemp("bundle") / "tiny-one-stage.pocketdet")


@pytest.fixture
def tiny_one_stage(tiny_one_stage_template: Path, tmp_path: Path) -> Path:
    """A fresh copy of the tiny one-stage bundle for a test to change."""
    return Path(shutil.copytree(tiny_one_stage_template, tmp_path / "tiny-one-stage.pocketdet"))
