"""Detectors as somebody else writes them in PyTorch, their descriptions, and decoders that share no code."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

SIDE = 96
CLASSES = ("bolt", "nut", "washer")
Arrays = dict[str, NDArray[np.float32]]
PlainDetections = list[tuple[int, float, NDArray[np.float64]]]  # label, score, box


class ConvBlock(nn.Sequential):
    """Convolution, batch norm and an activation."""

    def __init__(self, before: int, after: int, stride: int, activation: nn.Module) -> None:
        super().__init__(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), activation
        )


class SsdHead(nn.Module):
    """Maps to rows (1, cells * anchors, values), as torchvision's heads do."""

    def __init__(self, channels: list[int], anchors: int, values: int) -> None:
        super().__init__()
        self.module_list = nn.ModuleList(nn.Conv2d(c, anchors * values, 3, 1, 1) for c in channels)
        self.values = values

    def forward(self, maps: list[Tensor]) -> Tensor:
        rows = []
        for convolution, x in zip(self.module_list, maps, strict=True):
            y = convolution(x)
            n, _, h, w = y.shape
            rows.append(y.view(n, -1, self.values, h, w).permute(0, 3, 4, 1, 2).reshape(n, -1, self.values))
        return torch.cat(rows, 1)


class PlainSsd(nn.Module):
    """Two levels, three anchors, softmax with background; it looks at the size of its input."""

    anchors = ((16.0, 16.0), (24.0, 12.0), (12.0, 24.0))
    strides = (8, 16)

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            ConvBlock(3, 16, 2, nn.ReLU()), ConvBlock(16, 24, 2, nn.ReLU6()), ConvBlock(24, 32, 2, nn.ReLU())
        )
        self.extra = ConvBlock(32, 32, 2, nn.ReLU())
        self.classification_head = SsdHead([32, 32], len(self.anchors), 1 + len(CLASSES))
        self.regression_head = SsdHead([32, 32], len(self.anchors), 4)
        _randomise(self, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        if images.shape[-2:] != (SIDE, SIDE):
            raise ValueError(f"expected images of {SIDE}x{SIDE}, found {tuple(images.shape)}")
        first = self.backbone(images)
        maps = [first, self.extra(first)]
        return {"bbox_regression": self.regression_head(maps), "cls_logits": self.classification_head(maps)}


class Bottleneck(nn.Module):
    """Two convolutions with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cv1 = ConvBlock(channels, channels, 1, nn.SiLU())
        self.cv2 = ConvBlock(channels, channels, 1, nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.cv2(self.cv1(x))


class PlainYolo(nn.Module):
    """Two levels joined by upsampling; maps of 2 anchors of 4 box values, objectness and the classes."""

    strides = (8, 16)
    anchors = (((10.0, 14.0), (24.0, 18.0)), ((40.0, 36.0), (30.0, 60.0)))

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBlock(3, 16, 2, nn.SiLU()), ConvBlock(16, 24, 2, nn.SiLU()))
        self.stage = nn.Sequential(ConvBlock(24, 32, 2, nn.SiLU()), Bottleneck(32))
        self.down = ConvBlock(32, 48, 2, nn.SiLU())
        self.up = nn.Upsample(scale_factor=2.0)
        self.merge = ConvBlock(80, 32, 1, nn.SiLU())
        outputs = 2 * (5 + len(CLASSES))
        self.detect = nn.ModuleList([nn.Conv2d(32, outputs, 1), nn.Conv2d(48, outputs, 1)])
        _randomise(self, 2)

    def forward(self, x: Tensor) -> list[Tensor]:
        small = self.stage(self.stem(x))
        large = self.down(small)
        small = self.merge(torch.cat([small, self.up(large)], 1))
        return [self.detect[0](small), self.detect[1](large)]


@torch.no_grad()
def _randomise(module: nn.Module, seed: int) -> None:
    """Statistics of batch norm that folding must not lose, and layers that keep the scale of their input."""
    generator = torch.Generator().manual_seed(seed)
    for inner in module.modules():
        if isinstance(inner, nn.Conv2d):
            fan = inner.weight[0].numel()
            inner.weight.normal_(0, (2 / fan) ** 0.5, generator=generator)
            if inner.bias is not None:
                inner.bias.normal_(0, 0.3, generator=generator)
        if isinstance(inner, nn.BatchNorm2d) and inner.running_mean is not None:
            assert inner.running_var is not None
            inner.running_mean.normal_(0, 0.2, generator=generator)
            inner.running_var.uniform_(0.5, 1.5, generator=generator)
            inner.weight.uniform_(0.8, 1.3, generator=generator)
            inner.bias.normal_(0, 0.2, generator=generator)


SSD_DESCRIPTION = f"""
input_size = [{SIDE}, {SIDE}]
class_names = ["bolt", "nut", "washer"]

[preprocessing]
mean = [127.5, 127.5, 127.5]
std = [127.5, 127.5, 127.5]

[[levels]]
stride = 8
layout = "rows"
output = "bbox_regression"
anchors = [[16, 16], [24, 12], [12, 24]]
boxes = 0
classes = {{ first = 0, output = "cls_logits" }}

[[levels]]
stride = 16
layout = "rows"
output = "bbox_regression"
anchors = [[16, 16], [24, 12], [12, 24]]
boxes = 0
classes = {{ first = 0, output = "cls_logits" }}

[[codings]]
encoding = "cxcywh"
multiplier = [0.1, 0.1, 0.2, 0.2]

[scores]
activation = "softmax"
background = "first"

[selection]
score_threshold = 0.45
nms_iou = 0.45
clip = false
"""

YOLO_DESCRIPTION = f"""
input_size = [{SIDE}, {SIDE}]
class_names = ["bolt", "nut", "washer"]

[preprocessing]
mean = [0, 0, 0]
std = [255, 255, 255]

[[levels]]
stride = 8
output = "output0"
anchors = [[10, 14], [24, 18]]
boxes = {{ first = 0, anchor_channels = 8 }}
objectness = {{ first = 4, anchor_channels = 8 }}
classes = {{ first = 5, anchor_channels = 8 }}

[[levels]]
stride = 16
output = "output1"
anchors = [[40, 36], [30, 60]]
boxes = {{ first = 0, anchor_channels = 8 }}
objectness = {{ first = 4, anchor_channels = 8 }}
classes = {{ first = 5, anchor_channels = 8 }}

[[codings]]
encoding = "cxcywh"
centre_activation = "sigmoid"
centre_gain = 2
centre_shift = -1
centre_unit = "stride"
size_activation = "sigmoid_squared"

[scores]
objectness_power = 1

[selection]
score_threshold = 0.4
nms_iou = 0.45
best_class_only = true
clip = false
"""


def block_images() -> list[NDArray[np.uint8]]:
    """RGB images of the size of the input, so that nothing is resized."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (3, 12, 12, 3), np.uint8)
    return [np.ascontiguousarray(image.repeat(8, 0).repeat(8, 1)) for image in coarse]


@torch.no_grad()
def raw_outputs(module: nn.Module, image: NDArray[np.uint8], mean: float, std: float) -> Arrays:
    """What a module in eval mode returns for an image, by name and without a batch axis."""
    tensor = torch.from_numpy((image.astype(np.float32) - mean) / std).permute(2, 0, 1)[None]
    found = module(tensor)
    named = found if isinstance(found, dict) else {f"output{i}": value for i, value in enumerate(found)}
    return {name: value[0].numpy() for name, value in named.items()}


def decode_ssd(outputs: Arrays) -> PlainDetections:
    """Detections of `PlainSsd`, anchor by anchor as the SSD paper writes them."""
    found: PlainDetections = []
    row = 0
    for stride in PlainSsd.strides:
        cells = SIDE // stride
        for y in range(cells):
            for x in range(cells):
                for width, height in PlainSsd.anchors:
                    logits = outputs["cls_logits"][row].astype(np.float64)
                    dx, dy, dw, dh = outputs["bbox_regression"][row].astype(np.float64) / (10, 10, 5, 5)
                    row += 1
                    scores = np.exp(logits - logits.max())
                    scores /= scores.sum()
                    cx, cy = (x + 0.5) * stride + dx * width, (y + 0.5) * stride + dy * height
                    box = _box(cx, cy, width * np.exp(dw), height * np.exp(dh))
                    found += [(c, float(s), box) for c, s in enumerate(scores[1:]) if s > 0.45]
    return _suppressed(found, 0.45)


def decode_yolo(outputs: Arrays) -> PlainDetections:
    """Detections of `PlainYolo`, by the formulas of YOLOv5: its anchors are sizes in pixels."""
    found: PlainDetections = []
    levels = zip(("output0", "output1"), PlainYolo.strides, PlainYolo.anchors, strict=True)
    for name, stride, anchors in levels:
        values = 1 / (1 + np.exp(-outputs[name].astype(np.float64)))
        values = values.reshape(len(anchors), 5 + len(CLASSES), *values.shape[1:])
        for anchor, (width, height) in enumerate(anchors):
            for y in range(values.shape[2]):
                for x in range(values.shape[3]):
                    tx, ty, tw, th, objectness, *classes = values[anchor, :, y, x]
                    label = int(np.argmax(classes))
                    score = float(objectness * classes[label])
                    cx, cy = (2 * tx - 0.5 + x) * stride, (2 * ty - 0.5 + y) * stride
                    box = _box(cx, cy, (2 * tw) ** 2 * width, (2 * th) ** 2 * height)
                    found += [(label, score, box)] if score > 0.4 else []
    return _suppressed(found, 0.45)


def _box(cx: float, cy: float, width: float, height: float) -> NDArray[np.float64]:
    return np.array([cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2])


def _suppressed(found: PlainDetections, limit: float) -> PlainDetections:
    kept: PlainDetections = []
    for label, score, box in sorted(found, key=lambda one: -one[1]):
        if all(other != label or _iou(box, larger) <= limit for other, _, larger in kept):
            kept.append((label, score, box))
    return kept[:100]


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return float(both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both))
