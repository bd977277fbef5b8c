"""Multiplying before sampling gives what `deform_conv2d` gives, and the same gradients."""

import pytest
import torch
from reference_deform_conv import deform_conv2d

from pocketdet.models.ops.deform_conv import DeformConv2d, deform_products

# images, channels in and out, kernel, (height, width), spread of the offsets in cells
GRID = [
    (1, 3, 2, 1, (4, 5), 1.0),
    (2, 7, 4, 3, (5, 8), 0.3),
    (2, 16, 36, 3, (12, 9), 4.0),
    (1, 8, 8, 5, (7, 6), 2.0),
    (3, 4, 5, 3, (1, 1), 1.0),
]


@pytest.mark.parametrize(("n", "channels", "out", "kernel", "size", "spread"), GRID)
def test_equal_to_the_reference(
    n: int, channels: int, out: int, kernel: int, size: tuple[int, int], spread: float
) -> None:
    generator = torch.Generator().manual_seed(3)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, weight, bias = drawn(n, channels, *size), drawn(out, channels, kernel, kernel), drawn(out)
    offset = spread * drawn(n, 2 * kernel * kernel, *size)
    offset[:, 0, 0, 0] = torch.nan
    offset[:, -1, -1, -1] = torch.inf
    offset[:, 0, -1, -1] = -1e30
    arguments = [t.requires_grad_() for t in (x, offset, weight, bias)]
    found, expected = deform_products(*arguments), deform_conv2d(*arguments, padding=kernel // 2)
    torch.testing.assert_close(found, expected)
    towards = drawn(*found.shape)
    ours, theirs = (torch.autograd.grad((y * towards).sum(), arguments) for y in (found, expected))
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other)


def test_the_layer_is_computed_so() -> None:
    layer, generator = DeformConv2d(6, 5, 3), torch.Generator().manual_seed(1)
    x, offset = torch.randn(2, 6, 7, 9, generator=generator), torch.randn(2, 18, 7, 9, generator=generator)
    expected = deform_conv2d(x, offset, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x, offset), expected, rtol=1e-5, atol=1e-5)


def test_places_keep_their_fractions_under_autocast() -> None:
    generator = torch.Generator().manual_seed(2)

    def drawn(*shape: int) -> torch.Tensor:  # what bfloat16 holds exactly
        return torch.randn(*shape, generator=generator).bfloat16()

    x, weight, bias = drawn(5, 4, 40, 30).float(), drawn(3, 4, 3, 3).float(), drawn(3).float()
    offset = drawn(5, 18, 40, 30)
    expected = deform_conv2d(x, offset.float(), weight, bias, padding=1)
    with torch.autocast("cpu", torch.bfloat16):
        found = deform_products(x, offset, weight, bias)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.05)
