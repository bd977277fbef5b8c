"""The whole of `quantize` on small graphs: what it promises, chooses, reports and refuses."""

import copy

import ncnn
import numpy as np
import pytest
from graph_builder import Builder
from pydantic import ValidationError

from pocketdet.errors import EngineError, GraphError, UsageError
from pocketdet.export.align_graph import MAX_DIFFERENCE_INT8
from pocketdet.export.compare_graphs import compare_graphs
from pocketdet.export.passes.channel_alignment import align_channels
from pocketdet.export.passes.channel_alignment.cost import WIDEN_EVERYTHING
from pocketdet.export.quantization import QuantizeSettings, Table, apply_table, quantize
from pocketdet.export.quantization.table import fingerprint
from pocketdet.runtime.ncnn_graph import encode, read_graph, to_param_text, validate, write_graph

SHAPE = (3, 16, 16)


def small_net(seed=0):
    b = Builder()
    x = b.conv(b.input(*SHAPE), 12, 3, 2, _9=1)
    x = b.shuffle_down(x, 10)
    x = b.shuffle_block(x)
    y = b.conv(b.conv(x, 14, _9=1), 5)
    b.add("Sigmoid", b.conv(x, 7))
    assert b.shapes[y]
    return b, b.graph(seed)


def random_items(count=40, seed=0, shape=SHAPE, name="in0"):
    rng = np.random.default_rng(seed)
    return [{name: rng.normal(size=shape).astype(np.float32)} for _ in range(count)]


@pytest.fixture(scope="module")
def made():
    b, graph = small_net()
    return b, graph, quantize(graph, b.inputs, random_items())


def exists(name):
    return ncnn.layer_to_index(name) >= 0


def test_the_graph_is_sound_and_close(made, tmp_path):
    b, _, found = made
    assert max(found.report.errors.values()) < 0.05
    write_graph(found.graph, tmp_path / "a.param", tmp_path / "a.bin")
    validate(read_graph(tmp_path / "a.param", tmp_path / "a.bin"), b.inputs, exists)
    int8 = [x for x in found.graph.layers if x.type == "Convolution"]
    assert {x.weights["weight"].storage for x in int8} == {"int8"}


def test_the_given_graph_is_never_changed():
    b, graph = small_net()
    before = copy.deepcopy(graph)
    quantize(graph, b.inputs, random_items(10), QuantizeSettings(equalise=True))
    assert to_param_text(graph) == to_param_text(before)
    assert fingerprint(graph) == fingerprint(before)


def test_the_report_adds_up(made):
    b, graph, found = made
    report = found.report
    shapes = validate(graph, b.inputs, exists)
    assert sum(layer.macs for layer in report.layers) == shapes.macs
    dense = sum(layer.macs for layer in report.layers if layer.type == "Convolution")
    assert report.share == pytest.approx(dense / shapes.macs)
    assert all(layer.why for layer in report.layers if not layer.int8)
    assert all(layer.sqnr_db > 20 for layer in report.layers if layer.int8)
    assert sum(v.name.endswith("ranges") and v.chosen for v in report.variants) == 1
    assert report.sizes.fp32 > report.sizes.fp16 > report.sizes.int8
    assert report.sizes.int8 == sum(w.nbytes for x in found.graph.layers for w in x.weights.values())
    assert report.summary() in report.lines()
    assert report.steps[0].output_error == max(report.errors.values())


def test_what_is_chosen_has_the_smallest_error(made):
    report = made[2].report
    ranges = [v for v in report.variants if v.name.endswith("ranges")]
    assert min(ranges, key=lambda v: v.worst).chosen
    chosen = [v.worst for v in report.variants if v.chosen]
    assert chosen == sorted(chosen, reverse=True)
    assert chosen[-1] == max(report.errors.values())


def test_the_same_items_give_the_same_table_bit_for_bit(made):
    b, graph, found = made
    again = quantize(copy.deepcopy(graph), b.inputs, iter(random_items()))
    assert again.table.to_json() == found.table.to_json()


def test_a_table_gives_the_graph_back(made):
    _, graph, found = made
    table = Table.model_validate_json(found.table.to_json())
    assert table == found.table
    again = apply_table(graph, table)
    assert fingerprint(again) == fingerprint(found.graph)


def test_the_table_of_another_graph_is_refused(made):
    _, other = small_net(seed=1)
    with pytest.raises(UsageError, match="another graph"):
        apply_table(other, made[2].table)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"format"', '"formal"', "formal"),
        ('"method": "', '"method": "x', "method"),
        ('"items": ', '"items": -', "items"),
        ('"input_scale": ', '"input_scale": 1e32, "x": ', "input_scale"),
        ("{", "[", "JSON"),
    ],
)
def test_damaged_tables_are_refused(made, before, after, message):
    text = made[2].table.to_json().replace(before, after)
    with pytest.raises(ValidationError, match=message):
        Table.model_validate_json(text)


def test_tables_that_do_not_fit_the_layers_are_refused(made):
    _, graph, found = made
    layers = found.table.layers
    first = layers[0]
    wrong = first.model_copy(update={"weight_scales": first.weight_scales[:-1]})
    with pytest.raises(GraphError, match="weight scales"):
        apply_table(graph, found.table.model_copy(update={"layers": [wrong, *layers[1:]]}))
    wrong = first.model_copy(update={"type": "Gemm", "input_scale": None})
    with pytest.raises(GraphError, match="the Gemm 'convolution_0'"):
        apply_table(graph, found.table.model_copy(update={"layers": [wrong, *layers[1:]]}))
    wrong = first.model_copy(update={"name": "nobody"})
    with pytest.raises(GraphError, match="nobody"):
        apply_table(graph, found.table.model_copy(update={"layers": [wrong, *layers[1:]]}))


def test_tables_that_equalise_something_else_are_refused(made):
    b, graph, _ = made
    table = quantize(graph, b.inputs, random_items(10), QuantizeSettings(equalise=True)).table
    first = table.equalised[0]
    for change, message in (
        ({"maker": "split_b0"}, "no convolution"),
        ({"readers": ["sigmoid_9"]}, "no convolution"),
        ({"factors": [*first.factors, 1.0]}, "factors"),
        ({"readers": [first.maker]}, "reads what it makes"),
        ({"maker": first.readers[0], "readers": ["convolution_0"]}, "factors"),
    ):
        wrong = first.model_copy(update=change)
        with pytest.raises(GraphError, match=message):
            apply_table(graph, table.model_copy(update={"equalised": [wrong]}))


def test_a_limit_leaves_layers_in_fp32_until_it_holds(made):
    b, graph, plain = made
    limit = 0.5 * max(plain.report.errors.values())
    found = quantize(graph, b.inputs, random_items(), QuantizeSettings(max_output_error=limit))
    assert max(found.report.errors.values()) <= limit
    assert 0 < found.report.share < plain.report.share
    assert any("limit" in layer.why for layer in found.report.layers)
    assert not found.report.steps[0].holds


def test_a_limit_of_a_metric_is_kept(made):
    b, graph, _ = made

    def metric(candidate):
        return float(sum(x.int_param(8, 0) != 0 for x in candidate.layers if x.type == "Convolution"))

    found = quantize(graph, b.inputs, random_items(), QuantizeSettings(max_metric=3.0), metric=metric)
    assert metric(found.graph) == found.report.metric == 3.0


def test_a_metric_and_its_limit_are_given_together(made):
    b, graph, _ = made
    with pytest.raises(UsageError, match="belong together"):
        quantize(graph, b.inputs, random_items(), QuantizeSettings(max_metric=1.0))
    with pytest.raises(UsageError, match="belong together"):
        quantize(graph, b.inputs, random_items(), metric=lambda candidate: 0.0)


def test_a_limit_that_int8_cannot_hold_leaves_fp32(made):
    b, graph, _ = made
    found = quantize(graph, b.inputs, random_items(), QuantizeSettings(max_output_error=0.0, equalise=False))
    assert found.report.share == 0
    assert fingerprint(found.graph) == fingerprint(graph)


def test_layers_that_are_asked_for_stay(made):
    b, graph, _ = made
    names = ("convolution_0", "convolutiondepthwise_1")
    found = quantize(graph, b.inputs, random_items(10), QuantizeSettings(exclude=names))
    why = {layer.name: layer.why for layer in found.report.layers}
    assert [why[name] for name in names] == ["it was asked for"] * 2
    assert found.graph.layer("convolution_0").weights["weight"].storage == "fp32"
    with pytest.raises(UsageError, match="'nobody'"):
        quantize(graph, b.inputs, random_items(10), QuantizeSettings(exclude=("nobody",)))


def test_layers_that_are_predicted_to_be_slower_stay(made):
    b, graph, _ = made
    slower = ("convolution_0", "convolutiondepthwise_1")
    settings = QuantizeSettings(slower=slower, equalise=False)
    report = quantize(graph, b.inputs, random_items(10), settings).report
    why = {layer.name: layer.why for layer in report.layers}
    assert why["convolution_0"].startswith("predicted to be slower in int8 on ARM")
    assert why["convolutiondepthwise_1"] == "depthwise convolutions cost accuracy in int8"
    assert any("1 of " in line and "predicted to be slower in int8" in line for line in report.kept_lines())
    with pytest.raises(UsageError, match="'nobody'"):
        quantize(graph, b.inputs, random_items(10), QuantizeSettings(slower=("nobody",)))
    every = tuple(layer.name for layer in graph.layers)
    with pytest.raises(GraphError, match="no layer can be quantised.*predicted to be slower"):
        quantize(graph, b.inputs, random_items(10), QuantizeSettings(slower=every))


def test_depthwise_layers_on_request(made):
    b, graph, _ = made
    found = quantize(graph, b.inputs, random_items(), QuantizeSettings(depthwise=True))
    assert found.report.share == 1.0
    assert max(found.report.errors.values()) < 0.1


@pytest.mark.parametrize("lanes", [8, 16])
@pytest.mark.parametrize("depthwise", [False, True])
def test_before_lane_alignment_or_after_it(lanes, depthwise):
    b, graph = small_net(3)
    settings = QuantizeSettings(depthwise=depthwise)
    before = quantize(graph, b.inputs, random_items(), settings)
    aligned = align_channels(before.graph, b.inputs, lanes, rates=WIDEN_EVERYTHING)
    assert aligned.report.changed
    validate(aligned.graph, b.inputs, exists)
    # ncnn's packed int8 depthwise kernel is approximate on x86
    tolerance = MAX_DIFFERENCE_INT8 if depthwise else 1e-5
    for difference in compare_graphs(before.graph, aligned.graph, b.inputs, trials=1):
        assert difference.relative <= tolerance, str(difference)
    wide = align_channels(graph, b.inputs, lanes, rates=WIDEN_EVERYTHING).graph
    after = quantize(wide, b.inputs, random_items(), settings)
    assert max(after.report.errors.values()) < 0.1
    scales = [x.weights["weight_scales"].data for x in after.graph.layers if "weight_scales" in x.weights]
    assert all(np.isfinite(s).all() and (s > 0).all() for s in scales)


def test_a_matrix_with_any_number_of_rows():
    b = Builder()
    x = b.add("Gemm", b.input(8, 20), {5: 1, 6: 1, 8: 30, 9: 20, 10: 4})
    b.add("Gemm", b.add("ReLU", x), {5: 1, 6: 1, 8: 6, 9: 30, 10: 4})
    graph = b.graph()
    items = [random_items(1, seed, (1 + seed % 5, 20))[0] for seed in range(40)]
    found = quantize(graph, b.inputs, items)
    assert found.report.share == 1.0
    assert max(found.report.errors.values()) < 0.03
    assert len([v for v in found.report.variants if v.name.endswith("ranges")]) == 1


def test_rows_that_do_not_fit_the_graph_are_refused():
    """ncnn would read what is not there."""
    b = Builder()
    b.linear(b.add("Flatten", b.input(3, 8)), 4)
    graph = b.graph()
    assert quantize(graph, b.inputs, random_items(5, shape=(3, 8))).report.share == 1
    with pytest.raises(GraphError, match="take 24 values"):
        quantize(graph, b.inputs, random_items(5, shape=(4, 8)))


def test_an_input_that_is_always_zero_is_left_alone():
    b = Builder()
    b.conv(b.conv(b.input(*SHAPE), 4, _9=1), 5)
    graph = b.graph()
    first = graph.layers[1]
    first.weights["weight"] = encode(np.zeros((4, 3, 1, 1), np.float32), "fp32")
    first.weights["bias"] = first.weights["bias"].with_values(np.full(4, -1, np.float32))
    found = quantize(graph, b.inputs, random_items())
    by_name = {layer.name: layer for layer in found.report.layers}
    assert "zero for every calibration item" in by_name["convolution_1"].why
    assert by_name["convolution_0"].int8
    assert max(found.report.errors.values()) < 1e-6


def test_layers_without_int8_are_named():
    b = Builder()
    x = b.conv(b.input(*SHAPE), 6, 3)
    b.add("Deconvolution", x, {0: 4, 1: 2, 3: 2, 6: 96})
    found = quantize(b.graph(), b.inputs, random_items())
    assert [x.why for x in found.report.layers] == ["", "ncnn has no int8 for Deconvolution"]


def test_few_items_are_warned_of():
    b, graph = small_net()
    assert not quantize(graph, b.inputs, random_items(32)).report.warnings
    assert "only 10" in quantize(graph, b.inputs, random_items(10)).report.warnings[0]
    assert len(quantize(graph, b.inputs, random_items(1)).report.warnings) == 2


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "found none"),
        (random_items(3, shape=(3, 16, 15)), "item 0.*shape.*16, 15"),
        (random_items(3, shape=(1, 3, 16, 16)), "item 0.*shape"),
        ([{"in0": np.zeros(SHAPE, np.float64)}], "float32, found float64"),
        ([{"in0": np.zeros(SHAPE, np.uint8)}], "float32, found uint8"),
        ([{"in0": [[1.0]]}], "float32, found list"),
        ([*random_items(2), {"in0": np.full(SHAPE, np.nan, np.float32)}], "item 2.*NaN or infinity"),
        ([{"image": np.zeros(SHAPE, np.float32)}], "expected the inputs"),
    ],
)
def test_items_that_do_not_fit_are_refused_by_name(items, message):
    b, graph = small_net()
    with pytest.raises(UsageError, match=message):
        quantize(graph, b.inputs, items)


def test_graphs_that_cannot_be_quantised_are_refused():
    b = Builder()
    b.add("Sigmoid", b.input(*SHAPE))
    with pytest.raises(GraphError, match="no layer can be quantised"):
        quantize(b.graph(), b.inputs, random_items())
    b, graph = small_net()
    made = quantize(graph, b.inputs, random_items(5))
    with pytest.raises(GraphError, match="int8 already"):
        quantize(made.graph, b.inputs, random_items(5))


def test_a_graph_that_overflows_is_refused():
    b = Builder()
    x = b.conv(b.input(*SHAPE), 4)
    b.conv(b.conv(x, 4), 4)
    graph = b.graph()
    for layer in graph.layers[1:]:
        weight = layer.weights["weight"]
        layer.weights["weight"] = encode(np.full_like(weight.values(), 3e37), "fp32")
    with pytest.raises(EngineError, match="NaN or infinity"):
        quantize(graph, b.inputs, random_items())


@pytest.mark.parametrize(
    "bad",
    [
        {"method": "median"},
        {"max_output_error": -0.1},
        {"max_output_error": float("nan")},
        {"max_metric": float("inf")},
        {"held_out": 0},
        {"method": "kl"},
    ],
)
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        QuantizeSettings(**bad)
