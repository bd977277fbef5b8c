"""PSRoI align against a loop over RoIs, bins and samples, and as an operator one can train through."""

import math

import pytest
import torch
from torch import Tensor

from pocketdet.models.ops import ps_roi_align


def bilinear(plane: Tensor, y: float, x: float) -> float:
    """One sample, by the page: 0 beyond one cell outside, clamped within."""
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0

    def neighbours(at: float, size: int) -> list[tuple[int, float]]:
        at = max(at, 0.0)
        low = math.floor(at)
        if low >= size - 1:
            return [(size - 1, 1.0)]
        return [(low, 1 - (at - low)), (low + 1, at - low)]

    rows, columns = neighbours(y, height), neighbours(x, width)
    return sum(float(plane[i, j]) * wi * wj for i, wi in rows for j, wj in columns)


def plain_ps_roi_align(features: Tensor, rois: Tensor, image: Tensor, stride: int, p: int, n: int) -> Tensor:
    out = torch.zeros(len(rois), features.shape[1], dtype=features.dtype)
    for r, roi in enumerate(rois.tolist()):
        if not all(map(math.isfinite, roi)):
            continue
        x1, y1, x2, y2 = (v / stride - 0.5 for v in roi)
        for channel in range(features.shape[1]):
            i, j = channel // p % p, channel % p
            plane = features[int(image[r]), channel]
            bin_h, bin_w = (y2 - y1) / p, (x2 - x1) / p
            samples = [
                bilinear(
                    plane, y1 + i * bin_h + (ky + 0.5) * bin_h / n, x1 + j * bin_w + (kx + 0.5) * bin_w / n
                )
                for ky in range(n)
                for kx in range(n)
            ]
            out[r, channel] = sum(samples) / n**2
    return out


def make_features(images: int, channels: int, grid: tuple[int, int], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, channels, *grid, generator=generator, dtype=torch.float64)


def odd_rois(height: int, width: int) -> Tensor:
    """Inside, the whole map, partly and wholly outside, without area, inverted, tiny, huge."""
    h, w = float(height), float(width)
    rows = [(3.0, 5.0, 30.0, 25.0), (0.0, 0.0, w, h), (-20.0, -9.0, w / 2, h + 30), (w, h, 2 * w, 2 * h)]
    rows += [(-90.0, 2.0, -50.0, h), (7.0, 7.0, 7.0, 7.0), (0.0, 4.0, w, 4.0), (w, h, 0.0, 0.0)]
    rows += [
        (9.0, 9.0, 9.01, 9.02),
        (-1e5, -1e5, 1e5, 1e5),
        (-16.0, -16.0, 0.0, 0.0),
        (w - 8, h - 8, w + 8, h + 8),
    ]
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("grid", [(1, 1), (1, 6), (5, 4), (3, 7)])
@pytest.mark.parametrize(("alpha", "p", "n"), [(1, 1, 1), (2, 2, 3), (3, 3, 2), (1, 7, 2)])
def test_against_loops(grid: tuple[int, int], alpha: int, p: int, n: int) -> None:
    features = make_features(2, alpha * p * p, grid)
    rois = odd_rois(16 * grid[0], 16 * grid[1])
    image = torch.arange(len(rois)) % 2
    found = ps_roi_align(features, rois, image, 16, p, n)
    torch.testing.assert_close(found, plain_ps_roi_align(features, rois, image, 16, p, n), rtol=0, atol=1e-9)


@pytest.mark.parametrize("stride", [4, 8, 32])
def test_stride_scales_the_rois(stride: int) -> None:
    features, rois = make_features(1, 8, (5, 6)), torch.tensor([[0.3, 0.7, 4.1, 3.9]], dtype=torch.float64)
    image = torch.zeros(1, dtype=torch.int64)
    expected = ps_roi_align(features, rois, image, 1, 2, 2)
    torch.testing.assert_close(ps_roi_align(features, rois * stride, image, stride, 2, 2), expected)


def test_each_bin_reads_its_own_channel() -> None:
    alpha, p = 5, 7
    values = torch.arange(alpha * p * p, dtype=torch.float32)
    features = values[None, :, None, None].expand(1, -1, 20, 20)
    found = ps_roi_align(
        features, torch.tensor([[32.0, 32, 256, 288]]), torch.zeros(1, dtype=torch.int64), 16, p, 2
    )
    assert found.shape == (1, 245)
    torch.testing.assert_close(found[0], values)


def test_a_ramp_is_read_at_the_centres_of_the_bins() -> None:
    ramp = torch.arange(10.0)[None, None, None, :].expand(1, 4, 10, 10)  # value = column
    found = ps_roi_align(
        ramp, torch.tensor([[32.0, 32, 96, 96]]), torch.zeros(1, dtype=torch.int64), 16, 2, 2
    )
    # columns 2 to 6 in cell edges are 1.5 to 5.5 in cell centres: bins are centred at 2.5 and 4.5
    assert found[0].tolist() == pytest.approx([2.5, 4.5, 2.5, 4.5])


def test_batch_index_picks_the_image() -> None:
    features = torch.stack([torch.full((4, 3, 3), float(n)) for n in range(3)])
    rois = torch.tensor([[8.0, 8, 40, 40]]).repeat(4, 1)
    found = ps_roi_align(features, rois, torch.tensor([2, 0, 1, 2]), 16, 2, 2)
    assert found[:, 0].tolist() == [2, 0, 1, 2]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("column", range(4))
def test_a_roi_that_is_not_finite_gives_zeros_and_spares_the_others(bad: float, column: int) -> None:
    features = make_features(1, 4, (4, 4))
    rois = torch.tensor([[8.0, 8, 40, 40]] * 3, dtype=torch.float64)
    rois[1, column] = bad
    found = ps_roi_align(features, rois, torch.zeros(3, dtype=torch.int64), 16, 2, 2)
    assert found[1].tolist() == [0] * 4
    assert torch.equal(found[0], found[2])
    assert found[0].abs().min() > 0


def test_no_rois() -> None:
    found = ps_roi_align(
        make_features(1, 8, (4, 4)), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), 16, 2, 2
    )
    assert found.shape == (0, 8)


def test_gradient_with_respect_to_the_features() -> None:
    features = make_features(2, 8, (3, 4)).requires_grad_()
    rois = odd_rois(48, 64)[:7]
    image = torch.arange(7) % 2
    assert torch.autograd.gradcheck(lambda f: ps_roi_align(f, rois, image, 16, 2, 2), (features,))


def test_the_gradient_lands_on_the_cells_that_are_read() -> None:
    features = torch.ones(2, 4, 8, 8, requires_grad=True)
    rois, image = torch.tensor([[32.0, 48, 64, 80]]), torch.tensor([1])  # columns 2, 3 and rows 3, 4
    ps_roi_align(features, rois, image, 16, 2, 2).sum().backward()
    assert features.grad is not None
    touched = features.grad[1].sum(dim=0).nonzero()
    assert features.grad[0].abs().sum() == 0
    # the outermost samples lie a quarter of a cell inside the RoI: they also read the neighbours
    assert touched[:, 0].unique().tolist() == [2, 3, 4, 5]
    assert touched[:, 1].unique().tolist() == [1, 2, 3, 4]
    assert features.grad.sum().item() == pytest.approx(4)  # each bin is a mean


def test_the_operator_works_on_the_device_of_its_input() -> None:
    rois = torch.zeros(3, 4, device="meta")
    image = torch.zeros(3, dtype=torch.int64, device="meta")
    found = ps_roi_align(torch.zeros(1, 245, 4, 4, device="meta"), rois, image, 16, 7, 2)
    assert (found.device.type, found.shape) == ("meta", (3, 245))


def test_samples_outside_read_nothing_even_of_a_map_that_is_not_finite() -> None:
    features = torch.full((1, 4, 3, 3), math.inf)
    outside = torch.tensor([[100.0, 0, 140, 40], [math.nan, 0, 10, 10]])
    found = ps_roi_align(features, outside, torch.zeros(2, dtype=torch.int64), 16, 2, 2)
    assert found.tolist() == [[0] * 4] * 2
