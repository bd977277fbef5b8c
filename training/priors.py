"""The priors of a training size, and a detector's maps put in their order."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketdet.models.ops.default_boxes import default_boxes
from pocketdet.spec.one_stage import OneStageSpec


@dataclass(frozen=True)
class Priors:
    """Of all levels, P in all: boxes (P, 4) in pixels of an input (height, width), strides (P,).

    `counts` are the priors of each level.
    """

    boxes: Tensor
    strides: Tensor
    counts: tuple[int, ...]
    size: tuple[int, int]


def make_priors(spec: OneStageSpec) -> Priors:
    """All priors of a description, level by level."""
    levels = spec.levels
    return Priors(
        torch.cat([default_boxes(x.grid, x.stride, x.priors, x.offset) for x in levels]),
        torch.cat([torch.full((x.count,), float(x.stride)) for x in levels]),
        tuple(x.count for x in levels),
        spec.input_size,
    )


def by_prior(x: Tensor, priors: int) -> Tensor:
    """A map (N, A * E, h, w) with the A priors of a cell outermost -> (N, h * w * A, E)."""
    n, channels, h, w = x.shape
    grouped = x.reshape(n, priors, channels // priors, h, w)
    return grouped.permute(0, 3, 4, 1, 2).reshape(n, -1, channels // priors)


def all_levels(maps: Mapping[str, Tensor], prefix: str, priors: int) -> Tensor:
    """The maps whose name begins with `prefix`, in their order, as (N, P, E), float32 or better."""
    found = [by_prior(x, priors) for name, x in maps.items() if name.startswith(prefix)]
    values = torch.cat(found, dim=1)
    return values.to(torch.promote_types(values.dtype, torch.float32))
