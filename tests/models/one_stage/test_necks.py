import pytest
import torch

from pocketdet.models.necks import FeaturePyramid, TopDown


@pytest.mark.parametrize("sizes", [((16, 12), (8, 6), (4, 3)), ((13, 11), (7, 6), (4, 3))])
def test_each_level_gets_all_above_it(sizes):
    neck = TopDown((3, 4, 5), 6)
    maps = [torch.rand(2, c, *size) for c, size in zip((3, 4, 5), sizes, strict=True)]
    out = neck(maps)
    assert [tuple(x.shape) for x in out] == [(2, 6, *size) for size in sizes]
    above = neck.lateral[2](maps[2]).repeat_interleave(2, 2).repeat_interleave(2, 3)
    middle = neck.lateral[1](maps[1]) + above[..., : sizes[1][0], : sizes[1][1]]
    torch.testing.assert_close(out[1], neck.smooth[1](middle))


def test_the_coarsest_map_may_stay_as_it_is():
    neck = TopDown((3, 4), 6, smooth_top=False)
    maps = [torch.rand(1, 3, 4, 4), torch.rand(1, 4, 2, 2)]
    torch.testing.assert_close(neck(maps)[1], neck.lateral[1](maps[1]))
    assert len(neck.smooth) == 1


def test_two_more_levels():
    neck = FeaturePyramid((3, 4, 5), 6)
    maps = [torch.rand(1, c, s, s) for c, s in ((3, 25), (4, 13), (5, 7))]
    out = neck(maps)
    assert [x.shape[2] for x in out] == [25, 13, 7, 4, 2]
    torch.testing.assert_close(out[4], neck.p7(out[3].relu()))
