"""The binding refuses a bad argument with a ValueError that names it; the stub agrees with the module."""

import ast
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pocketdet.runtime
from pocketdet.runtime import _core

F = np.float32
BOXES = np.zeros((3, 4), F)
SCORES = np.zeros(3, F)
MAP = np.zeros((8, 2, 3), F)
SIZES = np.ones((2, 2), F)
IMAGE = np.zeros((4, 5, 3), np.uint8)
UNIT = (1.0, 1.0, 1.0, 1.0)


def propose(**changes: object) -> object:
    arguments = {"scores": MAP[:4], "deltas": MAP, "sizes": SIZES, "stride": 16.0, "image_size": (32, 48)}
    arguments |= {"pre_nms_top_n": 10, "post_nms_top_n": 5, "nms_iou": 0.7, "min_size": 1.0}
    return _core.propose(**(arguments | changes))


def detect(**changes: object) -> object:
    arguments = {"logits": np.zeros((3, 4), F), "deltas": BOXES, "rois": BOXES, "delta_std": UNIT}
    arguments |= {"image_size": (32, 48), "score_threshold": 0.1}
    return _core.detect(**(arguments | changes))


def preprocess(**changes: object) -> object:
    arguments = {"image": IMAGE, "format": "RGB", "size": (6, 7), "rule": "stretch", "channel_order": "RGB"}
    arguments |= {"pad": (0, 0, 0), "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    return _core.preprocess(**(arguments | changes))


def rows_in_one_place(rows: int, *row: int) -> NDArray[np.uint8]:
    """An array with so many rows, all of them the same memory: large, and of no weight."""
    return np.broadcast_to(np.arange(math.prod(row)).astype(np.uint8).reshape(row), (rows, *row))


def ps_roi_align(**changes: object) -> object:
    arguments = {"features": MAP, "rois": BOXES, "stride": 16.0, "pool_size": 2, "sampling_ratio": 2}
    return _core.ps_roi_align(**(arguments | changes))


NOT_BOXES = [
    [[0.0, 0.0, 1.0, 1.0]],
    "boxes",
    np.zeros((3, 4)),
    np.zeros((3, 4), np.float16),
    np.zeros((3, 4), np.dtype(">f4")),
    np.zeros((3, 4), np.int32),
    np.zeros((3, 4), object),
    np.zeros((3, 5), F),
    np.zeros(4, F),
    np.zeros((), F),
    np.zeros((3, 8), F)[:, ::2],
    np.zeros((4, 3), F).T,
    np.frombuffer(bytes(49), np.uint8)[1:].view(F).reshape(3, 4),
]


@pytest.mark.parametrize("value", NOT_BOXES, ids=lambda v: f"{type(v).__name__}-{getattr(v, 'dtype', '')}")
def test_an_invalid_box_array_is_named(value: object) -> None:
    with pytest.raises(ValueError, match=r"^b: expected a float32 array of shape \(N, 4\)"):
        _core.iou_matrix(BOXES, value)


REFUSED: list[tuple[str, Callable[[], object]]] = [
    ("scores", lambda: _core.nms(BOXES, np.zeros(2, F), 0.5)),
    ("iou_threshold", lambda: _core.nms(BOXES, SCORES, 1.5)),
    ("iou_threshold", lambda: _core.nms(BOXES, SCORES, float("nan"))),
    ("max_keep", lambda: _core.nms(BOXES, SCORES, 0.5, -1)),
    ("method", lambda: _core.soft_nms(BOXES, SCORES, "hard", 0.5, 0.5, 0.0)),
    ("sigma", lambda: _core.soft_nms(BOXES, SCORES, "linear", 0.5, 0.0, 0.0)),
    ("score_threshold", lambda: _core.soft_nms(BOXES, SCORES, "linear", 0.5, 0.5, -0.1)),
    ("deltas", lambda: _core.decode_boxes(BOXES, BOXES[:2], UNIT)),
    ("std", lambda: _core.decode_boxes(BOXES, BOXES, (1.0, 1.0, 0.0, 1.0))),
    ("clip", lambda: _core.decode_boxes(BOXES, BOXES, UNIT, (0, 5))),
    ("clip", lambda: _core.decode_boxes(BOXES, BOXES, UNIT, (5, 1 << 16))),
    ("grid", lambda: _core.make_anchors((0, 2), 16.0, SIZES)),
    ("grid cells x sizes", lambda: _core.make_anchors((30000, 30000), 16.0, SIZES)),
    ("stride", lambda: _core.make_anchors((2, 2), float("inf"), SIZES)),
    ("sizes", lambda: _core.make_anchors((2, 2), 16.0, np.ones((2, 3), F))),
    ("image", lambda: preprocess(image=IMAGE.astype(np.uint16))),
    ("image", lambda: preprocess(image=IMAGE[:, :, 0])),
    ("image", lambda: preprocess(image=IMAGE[:0])),
    ("image", lambda: preprocess(image=IMAGE[:, ::2])),
    ("image", lambda: preprocess(image=IMAGE[:, :, ::-1])),
    ("image", lambda: preprocess(format="RGBA")),
    ("image", lambda: preprocess(image=np.zeros((1, 1 << 16, 3), np.uint8))),
    ("image", lambda: preprocess(image=np.zeros((1 << 16, 1, 3), np.uint8))),
    ("image", lambda: preprocess(image=rows_in_one_place(16384, 16385, 3))),
    ("image", lambda: preprocess(image=rows_in_one_place(16385, 16384, 4), format="RGBA")),
    ("image", lambda: preprocess(image=rows_in_one_place(24579, 16384), format="NV21")),
    ("image", lambda: preprocess(image=np.zeros((4, 4), np.uint8), format="NV21")),
    ("image", lambda: preprocess(image=np.zeros((3, 5), np.uint8), format="NV21")),
    ("image", lambda: preprocess(image=np.zeros((0, 4), np.uint8), format="NV21")),
    ("format", lambda: preprocess(format="GREY")),
    ("rule", lambda: preprocess(rule="crop")),
    ("channel_order", lambda: preprocess(channel_order="RBG")),
    ("size", lambda: preprocess(size=(0, 4))),
    ("size", lambda: preprocess(size=(1 << 40, 4))),
    ("3 x height x width of size", lambda: preprocess(size=(65535, 65535))),
    ("pad", lambda: preprocess(pad=(0, 256, 0))),
    ("mean", lambda: preprocess(mean=(0.0, float("nan"), 0.0))),
    ("std", lambda: preprocess(std=(1.0, -1.0, 1.0))),
    ("source", lambda: _core.resize_geometry((0, 1), (4, 4), "stretch")),
    ("boxes", lambda: _core.to_original(BOXES[:, :2], (4, 4), (4, 4), "stretch")),
    ("scores", lambda: propose(scores=MAP)),
    ("deltas", lambda: propose(deltas=MAP[:, :, :2])),
    ("scores", lambda: propose(scores=MAP[:4].transpose(0, 2, 1))),
    ("anchors in sizes", lambda: propose(sizes=SIZES[:0])),
    ("stride", lambda: propose(stride=-16.0)),
    ("pre_nms_top_n", lambda: propose(pre_nms_top_n=0)),
    ("post_nms_top_n", lambda: propose(post_nms_top_n=1 << 40)),
    ("nms_iou", lambda: propose(nms_iou=-0.1)),
    ("min_size", lambda: propose(min_size=float("nan"))),
    ("features", lambda: ps_roi_align(features=MAP[:, :0])),
    ("features", lambda: ps_roi_align(pool_size=3)),
    ("pool_size", lambda: ps_roi_align(pool_size=0)),
    ("sampling_ratio", lambda: ps_roi_align(sampling_ratio=17)),
    ("rois", lambda: ps_roi_align(rois=BOXES.astype(np.float64))),
    ("logits", lambda: detect(logits=np.zeros((3, 1), F))),
    ("logits", lambda: detect(logits=np.zeros((2, 4), F))),
    ("logits", lambda: detect(logits=np.zeros((3, 8), F)[:, ::2])),
    ("deltas", lambda: detect(deltas=BOXES[:2])),
    ("delta_std", lambda: detect(delta_std=(0.1, 0.1, float("inf"), 0.2))),
    ("score_threshold", lambda: detect(score_threshold=2.0)),
    ("nms", lambda: detect(nms="soft")),
    ("nms_iou", lambda: detect(nms_iou=1.01)),
    ("max_detections", lambda: detect(max_detections=0)),
]


@pytest.mark.parametrize(("name", "call"), REFUSED, ids=[f"{i}-{n}" for i, (n, _) in enumerate(REFUSED)])
def test_an_invalid_argument_is_named(name: str, call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected .*, found "):
        call()


@pytest.mark.parametrize("sides", [(16384, 16384), (4096, 65535), (65535, 4096), (9000, 12000)])
@pytest.mark.parametrize("format", ["RGB", "BGRA", "NV21"])
def test_every_image_up_to_the_limit_is_resized(sides: tuple[int, int], format: str) -> None:
    assert max(sides) <= _core.MAX_IMAGE_SIDE
    assert sides[0] * sides[1] <= _core.MAX_IMAGE_PIXELS
    height, width = (side - side % 2 for side in sides)
    if format == "NV21":
        image = rows_in_one_place(height * 3 // 2, width)
        small = np.ascontiguousarray(image[:12])
    else:
        image = rows_in_one_place(height, width, len(format))
        small = np.ascontiguousarray(image[:8])
    # all rows are equal, so that fewer of them resize to the same
    found = _core.resize_image(image, format, (4, 50))
    np.testing.assert_array_equal(found, _core.resize_image(small, format, (4, 50)))


def test_wrong_types_are_type_errors() -> None:
    with pytest.raises(TypeError):
        preprocess(size="large")
    with pytest.raises(TypeError):
        preprocess(size=(4.5, 4))
    with pytest.raises(TypeError):
        detect(nms=None)


def test_valid_calls_pass() -> None:
    assert np.shape(preprocess()) == (3, 6, 7)
    assert np.shape(ps_roi_align()) == (3, 8)
    assert len(propose()) == 3
    assert len(detect()) == 4


def test_read_only_arrays_numpy_integers_and_lists_are_accepted() -> None:
    boxes = np.array([[0, 0, 4, 4], [1, 1, 5, 5]], F)
    boxes.setflags(write=False)
    assert _core.nms(boxes, np.array([0.5, 0.6], F), np.float32(0.9), np.int64(1)).tolist() == [1]
    assert _core.resize_geometry([4, 8], (np.int32(8), np.int64(8)), "letterbox") == (0, 2, 8, 4)


def test_cpu_features_are_names() -> None:
    features = _core.cpu_features()
    assert all(isinstance(name, str) and name for name in features)
    assert len(set(features)) == len(features)


Signature = tuple[list[str], list[object]]


def _parse(function: ast.stmt) -> Signature:
    assert isinstance(function, ast.FunctionDef)
    defaults = [ast.literal_eval(default) for default in function.args.defaults]
    return [argument.arg for argument in function.args.args], defaults


def _stub_signatures() -> dict[str, Signature]:
    stub = Path(pocketdet.runtime.__file__).with_name("_core.pyi")
    signatures = {}
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            signatures[node.name] = _parse(node)
        if isinstance(node, ast.ClassDef):
            methods = [m for m in node.body if isinstance(m, ast.FunctionDef)]
            signatures |= {f"{node.name}.{m.name}": _parse(m) for m in methods}
    return signatures


def _signature(function: Any) -> Signature:
    header, _, defaults = function.__nb_signature__[0]
    values = [tuple(v) if isinstance(v, list) else v for v in defaults or ()]
    # Defaults stand as backslash and index in the header.
    names, _ = _parse(ast.parse(re.sub(r"\\(\d+)", r"\1", header) + ": ...").body[0])
    return names, values


def _module_signatures() -> dict[str, Signature]:
    signatures = {}
    for name in (n for n in dir(_core) if not n.startswith("_")):
        member = getattr(_core, name)
        if isinstance(member, int):
            continue
        if isinstance(member, type):
            methods = {n: m for n, m in vars(member).items() if hasattr(m, "__nb_signature__")}
            signatures |= {f"{name}.{n}": _signature(m) for n, m in methods.items()}
        else:
            signatures[name] = _signature(member)
    return signatures


def test_the_stub_and_the_module_agree() -> None:
    assert _stub_signatures() == _module_signatures()
