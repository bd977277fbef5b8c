"""Each step of channel alignment on worked examples, and compared with ncnn."""

import numpy as np
import pytest
from graph_builder import Builder
from hypothesis import given
from hypothesis import strategies as st

from pocketdet.errors import UsageError
from pocketdet.export.compare_graphs import load_net, run_net
from pocketdet.export.passes.channel_alignment import align_channels
from pocketdet.export.passes.channel_alignment.channel_map import ChannelMap, shuffle_order
from pocketdet.export.passes.channel_alignment.cost import (
    WIDEN_EVERYTHING,
    X86,
    crop_cost,
    layer_cost,
    packed_lanes,
)
from pocketdet.export.passes.channel_alignment.padding import ANY, ZERO, binary_range, propagate_unary
from pocketdet.export.passes.channel_alignment.placement import channel_order, is_original_order, match_lanes
from pocketdet.export.passes.channel_alignment.rewrite import reorder, set_shape_hints, set_slice
from pocketdet.export.passes.channel_alignment.roles import Interval, slice_intervals
from pocketdet.export.passes.channel_alignment.widen import aligned_intervals
from pocketdet.runtime.ncnn_graph import Graph, Layer, encode


@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize(("channels", "groups"), [(12, 2), (12, 3), (15, 5), (8, 8), (7, 1)])
def test_shuffle_order_equals_ncnn(channels: int, groups: int, reverse: int, tmp_path) -> None:
    layers = [
        Layer("Input", "x", [], ["x"]),
        Layer("ShuffleChannel", "y", ["x"], ["y"], {0: groups, 1: reverse}),
    ]
    values = np.arange(channels, dtype=np.float32).reshape(channels, 1, 1)
    found = run_net(load_net(Graph(layers), tmp_path, "shuffle"), {"x": values}, ["y"])["y"]
    assert found.reshape(-1).tolist() == shuffle_order(channels, groups, bool(reverse)).tolist()


def test_intervals_of_slice_and_crop() -> None:
    shapes = [(3, 4, 4), (7, 4, 4)]
    assert slice_intervals(Layer("Slice", "s"), (10, 4, 4), shapes) == [Interval(0, 3), Interval(3, 10)]
    crop = Layer("Crop", "c", params={9: (-4,), 10: (10,), 11: (0,)})
    assert slice_intervals(crop, (10, 4, 4), [(4, 4, 4)]) == [Interval(6, 10)]
    of_pixels = Layer("Crop", "c", params={9: (1, 1), 10: (3, 3), 11: (1, 2)})
    assert slice_intervals(of_pixels, (10, 4, 4), [(10, 2, 2)]) == [Interval(0, 10)]


def test_equal_parts_stay_equal_and_others_are_cut_at_whole_lanes() -> None:
    halves = [Interval(0, 30), Interval(30, 60)]
    assert aligned_intervals(halves, ChannelMap.identity(0, 60, 0), ChannelMap.identity(0, 64, 0), 8) == [
        Interval(0, 32),
        Interval(32, 64),
    ]
    joined, wide = (
        ChannelMap.concat([ChannelMap.identity(0, 5, 0), ChannelMap.identity(1, 7, 1)]),
        ChannelMap.concat([ChannelMap.identity(0, 8, 0), ChannelMap.identity(1, 8, 1)]),
    )
    parts = [Interval(0, 5), Interval(5, 12)]
    assert aligned_intervals(parts, joined, wide, 8) == [Interval(0, 8), Interval(8, 16)]


def test_matching_moves_other_channels() -> None:
    """The first channel could take either lane, the second only one: the first takes the other."""
    assert match_lanes([(1,), (1, 2)], [(1, 2), (1, 3)]).tolist() == [1, 0]
    assert match_lanes([(1,), (1, 2), (1, 2)], [(1, 2), (1, 3)]) is None
    assert match_lanes([(5,)], [(4,), ()]) is None


@given(st.permutations(range(6)), st.integers(0, 5))
def test_channel_order_inverts_a_placement(places: list[int], extra: int) -> None:
    """Channel k lies in lane places[k] of the aligned tensor; the other lanes are -1."""
    lanes = np.array(places[:4])
    channels = np.full(6 + extra, -1)
    channels[lanes] = np.arange(4)
    order = channel_order(ChannelMap.identity(0, 4, 9), ChannelMap.identity(0, 6 + extra, 9), {0: channels})
    assert order.tolist() == channels.tolist()
    assert is_original_order(order, 4) == (order.tolist() == [0, 1, 2, 3])


def test_channel_order_of_a_repeated_value() -> None:
    """Of a value that lies at two positions, the first matches the first and the second the second."""
    narrow, wide = (
        ChannelMap.concat([ChannelMap.identity(0, 1, 0)] * 2),
        ChannelMap.concat([ChannelMap.identity(0, 1, 0)] * 3),
    )
    assert channel_order(narrow, wide, {0: np.array([0])}).tolist() == [0, 1, -1]


@pytest.mark.parametrize(
    ("layer", "source", "expected"),
    [
        (Layer("ReLU", "a"), ZERO, (-1.0, 1.0)),
        (Layer("Sigmoid", "a"), ANY, (0.0, 1.0)),
        (Layer("Convolution", "a", params={9: 4}), ANY, (0.5, 0.5)),
        (Layer("ConvolutionDepthWise", "a", params={9: 3, 10: (-1.0, -0.25)}), ANY, (-0.25, -0.25)),
        (Layer("UnaryOp", "a", params={0: 7}), ZERO, (1.0, 1.0)),  # exp
        (Layer("UnaryOp", "a", params={0: 7}), ANY, None),
        (Layer("UnaryOp", "a", params={0: 8}), ZERO, None),  # log
        (Layer("UnaryOp", "a", params={0: 15}), ZERO, None),  # reciprocal
        (Layer("BinaryOp", "a", params={0: 3, 1: 1, 2: 0.0}), ZERO, None),  # / 0
        (Layer("BinaryOp", "a", params={0: 8, 1: 1, 2: 2.0}), ZERO, None),  # 2 / x
        (
            Layer("BinaryOp", "a", params={0: 2, 1: 1, 2: 1e6}),
            (0.0, 1.0),
            None,
        ),  # more than half precision has
        (Layer("Reduction", "a", params={0: 6}), (0.0, 1.0), None),  # product
        (Layer("LRN", "a"), ZERO, None),
    ],
)
def test_range_of_padding_behind_a_layer(layer: Layer, source: tuple[float, float], expected: object) -> None:
    assert propagate_unary(layer, source, pixels=4) == expected


@given(
    st.sampled_from([0, 1, 2, 3, 4, 5, 7, 8]),
    *[st.tuples(st.floats(-50, 50), st.floats(-50, 50)).map(sorted) for _ in range(2)],
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_binary_range_contains_every_result(
    operation: int, a: list[float], b: list[float], s: float, t: float
) -> None:
    bounds = binary_range(operation, (a[0], a[1]), (b[0], b[1]))
    x, y = (low + share * (high - low) for (low, high), share in ((a, s), (b, t)))
    if bounds is None:
        assert operation in (3, 8)  # a divisor that may be zero
        return
    plain = {0: lambda: x + y, 1: lambda: x - y, 2: lambda: x * y, 3: lambda: x / y, 4: lambda: max(x, y)}
    more = {5: lambda: min(x, y), 7: lambda: y - x, 8: lambda: y / x}
    slack = 1e-9 * (1 + max(map(abs, bounds)))
    assert bounds[0] - slack <= (plain | more)[operation]() <= bounds[1] + slack


@pytest.mark.parametrize(
    ("kind", "params", "reason"),
    [
        ("UnaryOp", {0: 8}, "zeros may become infinite or NaN in UnaryOp 'unaryop_1'"),
        ("BinaryOp", {0: 8, 1: 1, 2: 2.0}, "zeros may become infinite or NaN in BinaryOp 'binaryop_1'"),
    ],
)
def test_exclusion_reason_names_the_layer(kind: str, params: dict[int, object], reason: str) -> None:
    b = Builder()
    b.conv(b.depthwise(b.add(kind, b.conv(b.input(3, 6, 6), 13), params), 5), 8)
    refused = align_channels(b.graph(), b.inputs, 8, rates=WIDEN_EVERYTHING).report.refused
    assert reason in {item.reason for item in refused}


@pytest.mark.parametrize(
    ("kind", "params"),
    [("Softmax", {0: 0, 1: 1}), ("Reduction", {0: 0, 1: 0, 3: (0,), 4: 1, 5: 1}), ("Permute", {0: 3})],
)
def test_padding_is_cropped_before_a_layer_that_mixes_channels(kind: str, params: dict[int, object]) -> None:
    b = Builder()
    b.add(kind, b.depthwise(b.conv(b.input(3, 6, 6), 13), 5), params)
    aligned = align_channels(b.graph(), b.inputs, 8, rates=WIDEN_EVERYTHING)
    assert (aligned.report.widened[0].lanes, aligned.report.crops) == (16, 1)
    assert [layer.type for layer in aligned.graph.layers][-2:] == ["Crop", kind]


def test_slice_keeps_equal_shares_and_writes_other_sizes() -> None:
    shares = Layer("Slice", "s", params={0: (-233, -233)})
    set_slice(shares, [Interval(0, 32), Interval(32, 64)], 64)
    assert shares.params[0] == (-233, -233)
    set_slice(shares, [Interval(0, 16), Interval(16, 64)], 64)
    assert shares.params[0] == (16, 48)
    points = Layer("Slice", "s", params={2: (5,)})
    set_slice(points, [Interval(0, 8), Interval(8, 16)], 16)
    assert points.params[2] == (8,)


def test_shape_hints_are_updated_or_removed() -> None:
    layer = Layer("ReLU", "r", ["a"], ["b"], {30: (3, 4, 5, 30)})
    set_shape_hints(layer, {"b": (32, 5, 4)})
    assert layer.params[30] == (3, 4, 5, 32)
    layer.params[30] = (3, 4, 5)
    set_shape_hints(layer, {"b": (32, 5, 4)})
    assert 30 not in layer.params


@pytest.mark.parametrize("storage", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("axis", [0, 1])
def test_reordered_weights_keep_their_bits(storage: str, axis: int) -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 1, 1)).astype(np.float32)
    weight = encode(values, storage)
    order = np.array([2, -1, 0, 1, -1])
    moved = reorder(weight, axis, order)
    assert moved.storage == storage
    real = np.flatnonzero(order >= 0)
    assert np.array_equal(moved.data.take(real, axis), weight.data.take(order[real], axis))
    assert not moved.data.take(np.flatnonzero(order < 0), axis).any()


def test_packed_lanes() -> None:
    assert [packed_lanes(n, 8) for n in (30, 60, 64, 245, 248)] == [1, 4, 8, 1, 8]
    assert [packed_lanes(n, 16) for n in (60, 120, 128)] == [4, 8, 16]


def test_layer_costs() -> None:
    shape = (30, 4, 4)
    depthwise = Layer("ConvolutionDepthWise", "d", params={0: 30, 1: 5, 7: 30})
    assert layer_cost(depthwise, [shape], [shape], 8, X86) == pytest.approx(30 * 16 * 25 * X86.depthwise[1])
    dense = Layer("Convolution", "c", params={0: 8, 1: 1})
    expected = 30 * 8 * 16 * X86.dense[1][8]
    assert layer_cost(dense, [shape], [(8, 4, 4)], 8, X86) == pytest.approx(expected)
    assert crop_cost(shape, X86) == pytest.approx(480 * X86.move_mixed)


def test_unknown_lane_counts_raise() -> None:
    with pytest.raises(UsageError, match=r"lanes must be one of \(4, 8, 16\), found 3"):
        align_channels(Graph(), {}, 3)
