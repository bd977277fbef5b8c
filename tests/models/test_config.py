"""What a configuration refuses, whoever builds it."""

import math
from collections.abc import Callable

import pytest

from pocketdet.errors import UsageError
from pocketdet.models.config import (
    Anchors,
    DetectorConfig,
    Postprocessing,
    Preprocessing,
    Proposals,
    RoIHead,
)

ARCH = "thundernet-snet49"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Preprocessing(channel_order="GBR"), "channel_order is 'GBR': expected one of RGB, BGR"),
        (lambda: Preprocessing(resize="crop"), "resize is 'crop'"),
        (lambda: Preprocessing(std=(1.0, 0.0, 1.0)), "std has the value 0.0"),
        (lambda: Preprocessing(mean=(math.nan, 0.0, 0.0)), "mean has the value nan"),
        (lambda: Preprocessing(pad=(0, 256, 0)), "pad has the value 256: expected 0 to 255"),
        (lambda: Anchors(stride=0), "stride has the value 0"),
        (lambda: Anchors(scales=()), "scales has 0 entries: expected 1 to 16"),
        (lambda: Anchors(ratios=(1.0, -1.0)), "ratios has the value -1.0"),
        (lambda: Proposals(pre_nms_top_n=0), "pre_nms_top_n has the value 0"),
        (lambda: Proposals(nms_iou=1.5), "nms_iou has the value 1.5: expected 0 to 1"),
        (lambda: RoIHead(pool_size=1_000_000), "pool_size has the value 1000000"),
        (lambda: RoIHead(delta_std=(0.1, 0.1, math.inf, 0.2)), "delta_std has the value inf"),
        (lambda: Postprocessing(nms="soft"), "nms is 'soft': expected one of none, hard, linear"),
        (lambda: Postprocessing(sigma=0.0), "sigma has the value 0.0"),
        (
            lambda: DetectorConfig(ARCH, ("bolt",), postprocessing=Postprocessing(nms="none")),
            "postprocessing.nms is 'none': expected one of hard, linear, gaussian",
        ),
        (lambda: DetectorConfig(ARCH, ()), "class_names has 0 entries"),
        (lambda: DetectorConfig(ARCH, ("bolt", "")), "class name '' has 0 characters"),
        (lambda: DetectorConfig(ARCH, ("bolt",), (32, 8192)), "input_size has the value 8192"),
    ],
)
def test_a_value_out_of_range_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert message in str(caught.value)
