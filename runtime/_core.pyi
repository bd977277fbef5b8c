"""The C++ core of pocketdet: everything around the network, as docs/reference/definitions.md defines it.

Arrays are numpy, float32 unless named otherwise. Boxes are (x1, y1, x2, y2) pixels, sizes (height, width).
A bad argument raises ValueError, an object of the wrong kind in place of a number or text TypeError.
All functions are pure, release the GIL and may run in several threads.
"""

from collections.abc import Callable, Collection
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime.ncnn_graph.model import Graph, Layer, ParamValue
from pocketdet.runtime.ncnn_graph.validate import Limits
from pocketdet.runtime.ncnn_graph.weight import Storage
from pocketdet.spec.one_stage import OneStageSpec

_Floats: TypeAlias = NDArray[np.float32]
_Bytes: TypeAlias = NDArray[np.uint8]
_Indices: TypeAlias = NDArray[np.int32]
_Size: TypeAlias = tuple[int, int]
_PixelFormat: TypeAlias = Literal["RGB", "BGR", "RGBA", "BGRA", "NV21"]
_ResizeRule: TypeAlias = Literal["stretch", "letterbox", "letterbox_top_left"]
_ChannelOrder: TypeAlias = Literal["RGB", "BGR"]
_SoftNmsMethod: TypeAlias = Literal["linear", "gaussian"]
_NmsMethod: TypeAlias = Literal["hard", "linear", "gaussian"]
_Shape: TypeAlias = tuple[int, ...]
# type, name, inputs, outputs, params, text, origin
_LayerFields: TypeAlias = tuple[str, str, list[str], list[str], dict[int, ParamValue], str, str]
# role, shape, storage, tag, place of the table or -1, place of the data, its bytes, its bytes with padding
_WeightFields: TypeAlias = tuple[str, _Shape, Storage, int, int, int, int, int]
_Costs: TypeAlias = list[tuple[int | None, int]]

MAX_IMAGE_SIDE: int
MAX_IMAGE_PIXELS: int

def cpu_features() -> list[str]: ...
def fma_peak(runs: int = 20) -> tuple[float, str]: ...
def make_anchors(grid: _Size, stride: float, sizes: _Floats) -> _Floats: ...
def decode_boxes(
    reference: _Floats, deltas: _Floats, std: tuple[float, float, float, float], clip: _Size | None = None
) -> _Floats: ...
def iou_matrix(a: _Floats, b: _Floats) -> _Floats: ...
def resize_image(
    image: _Bytes,
    format: _PixelFormat,
    size: _Size,
    rule: _ResizeRule = "stretch",
    channel_order: _ChannelOrder = "RGB",
    pad: tuple[int, int, int] = (0, 0, 0),
) -> _Bytes: ...
def preprocess(
    image: _Bytes,
    format: _PixelFormat,
    size: _Size,
    rule: _ResizeRule,
    channel_order: _ChannelOrder,
    pad: tuple[int, int, int],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> _Floats: ...
def resize_geometry(source: _Size, size: _Size, rule: _ResizeRule) -> tuple[int, int, int, int]: ...
def to_original(boxes: _Floats, source: _Size, size: _Size, rule: _ResizeRule) -> _Floats: ...
def nms(boxes: _Floats, scores: _Floats, iou_threshold: float, max_keep: int = 0) -> _Indices: ...
def soft_nms(
    boxes: _Floats,
    scores: _Floats,
    method: _SoftNmsMethod,
    iou_threshold: float,
    sigma: float,
    score_threshold: float,
) -> tuple[_Indices, _Floats]: ...
def propose(
    scores: _Floats,
    deltas: _Floats,
    sizes: _Floats,
    stride: float,
    image_size: _Size,
    pre_nms_top_n: int,
    post_nms_top_n: int,
    nms_iou: float,
    min_size: float,
) -> tuple[_Floats, _Indices, _Floats]: ...
def ps_roi_align(
    features: _Floats, rois: _Floats, stride: float, pool_size: int, sampling_ratio: int
) -> _Floats: ...
def detect(
    logits: _Floats,
    deltas: _Floats,
    rois: _Floats,
    delta_std: tuple[float, float, float, float],
    image_size: _Size,
    score_threshold: float,
    nms: _NmsMethod = "hard",
    nms_iou: float = 0.5,
    sigma: float = 0.5,
    max_detections: int = 100,
    per_class: bool = True,
) -> tuple[_Floats, _Floats, _Indices, _Indices]: ...
def graph_layer_types() -> list[tuple[str, dict[str, int], tuple[int, int], tuple[int, int]]]: ...
def graph_limits() -> dict[str, int]: ...
def read_param(text: str, source: str) -> tuple[tuple[str, int, int, int, int], list[_LayerFields], str]: ...
def read_param_line(text: str, origin: str) -> tuple[_LayerFields, dict[int, str]]: ...
def weight_slots(layer: Layer) -> list[tuple[str, _Shape, bool]]: ...
def has_known_weights(layer_type: str) -> bool: ...
def read_weights(layers: Collection[Layer], data: memoryview, source: str) -> list[list[_WeightFields]]: ...
def infer_shapes(graph: Graph, inputs: dict[str, _Shape], partial: bool) -> dict[str, _Shape]: ...
def count_costs(graph: Graph, shapes: dict[str, _Shape]) -> _Costs: ...
def check_graph(
    graph: Graph,
    inputs: dict[str, _Shape],
    layer_exists: Callable[[str], bool],
    outputs: Collection[str],
    inner: Collection[str],
    limits: Limits,
) -> tuple[dict[str, _Shape], _Costs, int]: ...
def check_weights(graph: Graph) -> None: ...
def check_feature_masks(graph: Graph) -> None: ...
def check_no_int8(graph: Graph) -> None: ...
def has_unprintable(text: str) -> bool: ...
def gives_fp32(layer: Layer | None, without: int) -> bool: ...

class OneStageDecoder:
    def __init__(self, spec: OneStageSpec) -> None: ...
    def decode(self, outputs: dict[str, _Floats]) -> tuple[_Floats, _Floats, _Indices, _Indices]: ...
