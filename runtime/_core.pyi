"""The C++ core of pocketdet: everything around the network, as docs/DEFINITIONS.md defines it.

Arrays are numpy, float32 unless named otherwise. Boxes are (x1, y1, x2, y2) pixels, sizes (height, width).
A bad argument raises ValueError, an object of the wrong kind in place of a number or text TypeError. All functions
are pure, release the GIL and may run in several threads.
"""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Bytes: TypeAlias = NDArray[np.uint8]
Indices: TypeAlias = NDArray[np.int32]
Size: TypeAlias = tuple[int, int]
PixelFormat: TypeAlias = Literal["RGB", "BGR", "RGBA", "BGRA", "NV21"]
ResizeRule: TypeAlias = Literal["stretch", "letterbox"]
ChannelOrder: TypeAlias = Literal["RGB", "BGR"]
SoftNmsMethod: TypeAlias = Literal["linear", "gaussian"]
NmsMethod: TypeAlias = Literal["hard", "linear", "gaussian"]

def cpu_features() -> list[str]: ...
def make_anchors(grid: Size, stride: float, sizes: Floats) -> Floats: ...
def decode_boxes(
    reference: Floats, deltas: Floats, std: tuple[float, float, float, float], clip: Size | None = None
) -> Floats: ...
def iou_matrix(a: Floats, b: Floats) -> Floats: ...
def resize_image(
    image: Bytes,
    format: PixelFormat,
    size: Size,
    rule: ResizeRule = "stretch",
    channel_order: ChannelOrder = "RGB",
    pad: tuple[int, int, int] = (0, 0, 0),
) -> Bytes: ...
def preprocess(
    image: Bytes,
    format: PixelFormat,
    size: Size,
    rule: ResizeRule,
    channel_order: ChannelOrder,
    pad: tuple[int, int, int],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> Floats: ...
def resize_geometry(source: Size, size: Size, rule: ResizeRule) -> tuple[int, int, int, int]: ...
def to_original(boxes: Floats, source: Size, size: Size, rule: ResizeRule) -> Floats: ...
def nms(boxes: Floats, scores: Floats, iou_threshold: float, max_keep: int = 0) -> Indices: ...
def soft_nms(
    boxes: Floats,
    scores: Floats,
    method: SoftNmsMethod,
    iou_threshold: float,
    sigma: float,
    score_threshold: float,
) -> tuple[Indices, Floats]: ...
def propose(
    scores: Floats,
    deltas: Floats,
    sizes: Floats,
    stride: float,
    image_size: Size,
    pre_nms_top_n: int,
    post_nms_top_n: int,
    nms_iou: float,
    min_size: float,
) -> tuple[Floats, Indices, Floats]: ...
def psroi_align(
    features: Floats, rois: Floats, stride: float, pool_size: int, sampling_ratio: int
) -> Floats: ...
def detect(
    logits: Floats,
    deltas: Floats,
    rois: Floats,
    delta_std: tuple[float, float, float, float],
    image_size: Size,
    score_threshold: float,
    nms: NmsMethod = "hard",
    nms_iou: float = 0.5,
    sigma: float = 0.5,
    max_detections: int = 100,
) -> tuple[Floats, Floats, Indices, Indices]: ...
