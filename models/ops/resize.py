"""Integer bilinear resize and normalisation: docs/reference/definitions.md, "Resize" and "Normalise"."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pocketdet.models.config import ChannelOrder, ResizeRule

_ONE = 1 << 11  # fixed-point one, 11 fractional bits


@dataclass(frozen=True)
class Placement:
    """Where the resized image lies in the network input: corner (x0, y0), size (width, height)."""

    x0: int
    y0: int
    width: int
    height: int


def resize_geometry(source: tuple[int, int], size: tuple[int, int], rule: ResizeRule) -> Placement:
    """Where an image of `source` (height, width) lands in an input of `size` (height, width)."""
    (h, w), (height, width) = source, size
    if rule == "stretch":
        return Placement(0, 0, width, height)
    if w * height >= h * width:
        nw, nh = width, max(1, (2 * h * width + w) // (2 * w))
    else:
        nw, nh = max(1, (2 * w * height + h) // (2 * h)), height
    if rule == "letterbox_top_left":
        return Placement(0, 0, nw, nh)
    return Placement((width - nw) // 2, (height - nh) // 2, nw, nh)


def _axis(source: int, target: int) -> tuple[Tensor, Tensor, Tensor]:
    """Left and right neighbour and the fraction of the right one, per target pixel of one axis."""
    d = torch.arange(target, dtype=torch.int64)
    at = torch.div((2 * d + 1) * source * _ONE - target * _ONE + target, 2 * target, rounding_mode="floor")
    index = at >> 11
    return index.clamp(0, source - 1), (index + 1).clamp(0, source - 1), at & (_ONE - 1)


def resize_bilinear(image: Tensor, size: tuple[int, int]) -> Tensor:
    """uint8 (H, W, C) -> uint8 (h, w, C), integer arithmetic throughout."""
    top, bottom, fy = _axis(image.shape[0], size[0])
    left, right, fx = _axis(image.shape[1], size[1])
    fy, fx = fy[:, None, None], fx[None, :, None]

    def row(index: Tensor) -> Tensor:
        lines = image[index]
        return (_ONE - fx) * lines[:, left].to(torch.int64) + fx * lines[:, right].to(torch.int64)

    upper, lower = row(top), row(bottom)
    mixed = (_ONE - fy) * upper + fy * lower
    return ((mixed + (1 << 21)) >> 22).to(torch.uint8)


def resize_image(
    image: Tensor,
    size: tuple[int, int],
    rule: ResizeRule,
    channel_order: ChannelOrder,
    pad: tuple[int, int, int],
) -> Tensor:
    """RGB uint8 (H, W, 3) -> uint8 (h, w, 3) in the network's channel order."""
    place = resize_geometry((image.shape[0], image.shape[1]), size, rule)
    canvas = torch.tensor(pad, dtype=torch.uint8).repeat(*size, 1)
    ordered = image if channel_order == "RGB" else image.flip(2)
    inner = resize_bilinear(ordered, (place.height, place.width))
    canvas[place.y0 : place.y0 + place.height, place.x0 : place.x0 + place.width] = inner
    return canvas


def normalise(image: Tensor, mean: tuple[float, float, float], std: tuple[float, float, float]) -> Tensor:
    """uint8 (h, w, 3) -> float32 (3, h, w)."""
    values = (image.float() - torch.tensor(mean)) / torch.tensor(std)
    return values.permute(2, 0, 1).contiguous()


def nv21_to_rgb(frame: Tensor) -> Tensor:
    """NV21 uint8 (H * 3 / 2, W) -> RGB uint8 (H, W, 3), full-range BT.601."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    y = frame[:height].to(torch.int64)
    vu = frame[height:].reshape(height // 2, width // 2, 2).to(torch.int64) - 128
    v, u = (c.repeat_interleave(2, 0).repeat_interleave(2, 1) for c in (vu[..., 0], vu[..., 1]))
    red = y + ((91881 * v + 32768) >> 16)
    green = y - ((22554 * u + 46802 * v + 32768) >> 16)
    blue = y + ((116130 * u + 32768) >> 16)
    return torch.stack([red, green, blue], dim=2).clamp(0, 255).to(torch.uint8)


def to_original(boxes: Tensor, source: tuple[int, int], size: tuple[int, int], rule: ResizeRule) -> Tensor:
    """Boxes (N, 4) in network pixels -> pixels of the original image (height, width), clipped to it."""
    (h, w), place = source, resize_geometry(source, size, rule)
    x_scale = torch.tensor(float(w)) / torch.tensor(float(place.width))
    y_scale = torch.tensor(float(h)) / torch.tensor(float(place.height))
    x = ((boxes[:, 0::2] - place.x0) * x_scale).clamp(0, w)
    y = ((boxes[:, 1::2] - place.y0) * y_scale).clamp(0, h)
    return torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], dim=1)
