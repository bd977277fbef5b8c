"""Text and weights: byte-identical round trips, edits, and refusals that name the place."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocketdet.errors import GraphError
from pocketdet.runtime.ncnn_graph import (
    Graph,
    Layer,
    Weight,
    encode,
    read_graph,
    read_param,
    to_param_text,
    weight_slots,
    write_graph,
)

SMALL = """7767517
4 5
Input                    in0                      0 1 in0 0=8 1=8 2=3
Split                    split                    1 2 in0 a b
Convolution  conv   1 1 a c 0=4 1=3 5=1 6=108 9=2 -23310=1,1.000000e-01
Interp                   up                       1 1 b d 0=2 1=5.000000e-01 2=0.5
"""


def _fields(graph):
    return [(layer.type, layer.name, layer.inputs, layer.outputs, layer.params) for layer in graph.layers]


def test_every_benchmark_param_round_trips(shared_data):
    paths = sorted(shared_data.rglob("*.param"))
    assert len(paths) > 45
    for path in paths:
        text = path.read_bytes().decode()
        graph = read_param(text, path.name)
        assert to_param_text(graph) == text
        rewritten = Graph([Layer(*fields) for fields in _fields(graph)])
        assert _fields(read_param(to_param_text(rewritten))) == _fields(graph)


def test_a_trained_model_of_others_round_trips(shared_data, tmp_path):
    source = shared_data / "peers"
    graph = read_graph(source / "FastestDet.param", source / "FastestDet.bin")
    assert {weight.storage for layer in graph.layers for weight in layer.weights.values()} == {"fp16", "raw"}
    write_graph(graph, tmp_path / "x.param", tmp_path / "x.bin")
    for suffix in ("param", "bin"):
        assert (tmp_path / f"x.{suffix}").read_bytes() == (source / f"FastestDet.{suffix}").read_bytes()


def test_a_converted_model_round_trips(converted, tmp_path):
    graph = converted.read()
    storages = {weight.storage for layer in graph.layers for weight in layer.weights.values()}
    assert storages == {"raw", converted.storage}
    write_graph(graph, tmp_path / "x.param", tmp_path / "x.bin")
    assert (tmp_path / "x.param").read_bytes() == converted.param.read_bytes()
    assert (tmp_path / "x.bin").read_bytes() == converted.bin.read_bytes()
    assert (
        sum(w.nbytes for layer in graph.layers for w in layer.weights.values())
        == converted.bin.stat().st_size
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.bin", "x.param"]


def test_line_ends_and_blank_lines_survive():
    for text in (
        SMALL,
        SMALL.replace("\n", "\r\n"),
        SMALL.rstrip(),
        "\n" + SMALL.replace("Split", "\n\nSplit", 1),
        SMALL + "\n \n",
    ):
        assert to_param_text(read_param(text)) == text


def test_an_edit_changes_its_line_and_nothing_else():
    graph = read_param(SMALL)
    graph.layer("conv").params[0] = 8
    graph.layer("conv").params[6] = 216
    expected = SMALL.replace(
        "Convolution  conv   1 1 a c 0=4 1=3 5=1 6=108",
        "Convolution              conv                     1 1 a c 0=8 1=3 5=1 6=216",
    )
    assert to_param_text(graph) == expected


def test_the_counts_follow_the_layers():
    graph = read_param(SMALL.rstrip())
    graph.layers.append(Layer("ReLU", "relu", ["c"], ["e"], {0: 0.25}))
    lines = to_param_text(graph).splitlines()
    assert lines[1] == "5 6"
    assert lines[-1].split() == ["ReLU", "relu", "1", "1", "c", "e", "0=2.50000000e-01"]


def test_layers_after_the_declared_count_are_kept_and_refused_with_weights(tmp_path):
    text = SMALL.replace("4 5", "3 4")
    assert to_param_text(read_param(text)) == text
    (tmp_path / "x.param").write_text(text)
    (tmp_path / "x.bin").write_bytes(b"")
    with pytest.raises(GraphError, match="declares 3 layers and 4 blobs, the file has 4 and 5"):
        read_graph(tmp_path / "x.param", tmp_path / "x.bin")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ("0=1 1=2.5 2=-3", {0: 1, 1: 2.5, 2: -3}),
        ("-23303=2,1,-233 4=7,8 5=9,", {3: (1, -233), 4: (7, 8), 5: (9,)}),
        ("-23303=2,1.5,2e1 4=1.5,2", {3: (1.5, 20.0), 4: (1.5, 2.0)}),
        ('0=name 1="two words" 2=+4', {0: "name", 1: "two words", 2: 4}),
        ("1=.5 2=1. 3=1E3", {1: 0.5, 2: 1.0, 3: 1000.0}),
    ],
)
def test_parameters(params, expected):
    text = f"7767517\n1 1\nInput in 0 1 in {params}\n"
    layer = read_param(text).layers[0]
    assert layer.params == expected
    assert [type(value) for value in layer.params.values()] == [type(value) for value in expected.values()]
    fresh = Graph([Layer("Input", "in", [], ["in"], layer.params)])
    assert read_param(to_param_text(fresh)).layers[0].params == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("7767517", "7767516", "x line 1: expected the ncnn magic"),
        ("4 5", "4", "x line 2: expected the counts"),
        ("4 5", "5 5", "declares 5 layers and the file has 4"),
        ("4 5", "4 0", "counts must be"),
        ("0=8 1=8", "0=8 0=8", "line 3: Input 'in0': parameter 0 is given twice"),
        ("1 2 in0 a b", "1 3 in0 a b", "line 4: 4 blob names are declared and 3 are there"),
        ("1 2 in0 a b", "x 2 in0 a b", "line 4: expected 'type name"),
        ("0=4 1=3", "-23300=0 0=4", "parameter 0 is given twice"),
        ("0=4 1=3", "0=4x 1=3", "parameter 0: '4x' is not a number"),
        ("0=4 1=3", "0=99999999999 1=3", "does not fit 32 bits"),
        ("0=4 1=3", "44=4 1=3", "parameter id 44 is outside"),
        ("0=4 1=3", "0:4 1=3", "cannot read a parameter at '0:4"),
        ("=1,1.000000e-01", "=2,1.000000e-01", "says '2' elements and has 1"),
        ("=1,1.000000e-01", "=2,1.0,3", "mixes ints and floats"),
        ("2=0.5", "2=1e99", "beyond the range"),
        ("2=0.5", "2=nan\x00", "line 6: a control character"),
        ("d 0=2", f"{'d' * 300} 0=2", "longer than 255 bytes"),
    ],
)
def test_malformed_text_is_refused_with_its_place(old, new, message):
    with pytest.raises(GraphError, match=re.escape(message)):
        read_param(SMALL.replace(old, new, 1), "x")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text())
def test_any_text_is_a_graph_or_a_graph_error(text):
    for candidate in (text, "7767517\n1 1\n" + text):
        try:
            graph = read_param(candidate)
        except GraphError:
            continue
        assert to_param_text(graph) == candidate


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_any_mutation_of_a_param_is_a_graph_or_a_graph_error(data):
    text = SMALL
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(text) - 1))
        length = data.draw(st.integers(0, 6))
        insert = data.draw(st.text(alphabet='01239=-.,e" \nabXinf+\t\r', max_size=6))
        text = text[:position] + insert + text[position + length :] + " "
    try:
        graph = read_param(text)
    except GraphError:
        return
    assert to_param_text(graph) == text


@settings(max_examples=200, deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_are_written_without_loss(value):
    graph = Graph([Layer("Input", "in", [], ["in"], {1: value, 2: (value, 1.0)})])
    read = read_param(to_param_text(graph)).layers[0].params
    assert np.float32(read[1]) == np.float32(value)
    assert np.float32(read[2][0]) == np.float32(value)


@pytest.mark.parametrize(
    "layer",
    [
        Layer("two words", "x", [], ["x"]),
        Layer("Input", "", [], ["x"]),
        Layer("Input", "x", [], ["x\n"]),
        Layer("Input", "x", [], ["x"], {0: 2**31}),
        Layer("Input", "x", [], ["x"], {0: float("nan")}),
        Layer("Input", "x", [], ["x"], {0: 'a"b'}),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(layer):
    with pytest.raises(GraphError, match="cannot be written|does not fit"):
        to_param_text(Graph([layer]))


WEIGHTED = """7767517
13 13
Input        in     0 1 in
Convolution  conv   1 1 in a 0=4 1=3 11=2 5=1 6=72 8=102
ConvolutionDepthWise dw 1 1 a b 0=4 1=3 5=1 6=36 7=4 8=1
Deconvolution up    1 1 b c 0=5 1=2 6=80
BatchNorm    bn     1 1 c d 0=5
Scale        scale  1 1 d e 0=5 1=1
PReLU        prelu  1 1 e f 0=5
GroupNorm    gn     1 1 f g 0=1 1=5
LayerNorm    ln     1 1 g h 0=7
Gemm         gemm   1 1 h i 3=1 5=1 6=1 8=3 9=7 10=4
InnerProduct fc     1 1 i j 0=3 1=1 2=9 8=2
MemoryData   memory 0 1 k 0=3 1=2 21=0
DeformableConv2D dcn 2 1 j k2 0=1 1=1 6=3
"""


def test_weight_slots_follow_the_order_and_shape_of_ncnn():
    graph = read_param(WEIGHTED.replace("13 13", "13 15").replace("j k2", "j k k2"))
    slots = {layer.name: [(slot.role, slot.shape) for slot in weight_slots(layer)] for layer in graph.layers}
    assert slots["conv"][:2] == [("weight", (4, 3, 2, 3)), ("bias", (4,))]
    assert slots["conv"][2:] == [("weight_scales", (4,)), ("input_scale", (1,)), ("output_scale", (1,))]
    assert slots["dw"] == [
        ("weight", (4, 1, 3, 3)),
        ("bias", (4,)),
        ("weight_scales", (4,)),
        ("input_scale", (1,)),
    ]
    assert slots["up"] == [("weight", (5, 4, 2, 2))]
    assert slots["gemm"] == [("b", (3, 7)), ("c", (1, 3))]
    assert slots["fc"][2:] == [("weight_scales", (3,)), ("input_scale", (1,))]
    assert slots["memory"] == [("data", (2, 3))]


@pytest.mark.parametrize("storage", ["fp32", "fp32_scaled", "fp16", "bf16", "int8"])
def test_every_storage_round_trips_and_can_be_edited(storage, fill, tmp_path):
    graph = fill(read_param(WEIGHTED.replace("j k2", "j k k2")), storage=storage)
    write_graph(graph, tmp_path / "a.param", tmp_path / "a.bin")
    again = read_graph(tmp_path / "a.param", tmp_path / "a.bin")
    write_graph(again, tmp_path / "b.param", tmp_path / "b.bin")
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()
    for old, new in zip(graph.layers, again.layers, strict=True):
        for role, weight in old.weights.items():
            assert new.weights[role].storage == weight.storage
            np.testing.assert_array_equal(new.weights[role].values(), weight.values())
    weight = again.layer("conv").weights["weight"]
    again.layer("conv").weights["weight"] = weight.with_values(weight.values()[::-1])
    write_graph(again, tmp_path / "c.param", tmp_path / "c.bin")
    final = read_graph(tmp_path / "c.param", tmp_path / "c.bin").layer("conv").weights["weight"]
    np.testing.assert_array_equal(final.values(), weight.values()[::-1])


def test_table_weights_and_padding_bytes_survive(tmp_path):
    text = "7767517\n2 2\nInput in 0 1 in\nInnerProduct fc 1 1 in out 0=3 2=3\n"
    table = np.linspace(-1, 1, 256, dtype="<f4")
    data = b"\x07\0\0\0" + table.tobytes() + bytes([0, 255, 9]) + b"\x55"
    (tmp_path / "t.param").write_text(text)
    (tmp_path / "t.bin").write_bytes(data)
    graph = read_graph(tmp_path / "t.param", tmp_path / "t.bin")
    weight = graph.layer("fc").weights["weight"]
    assert weight.storage == "table256"
    np.testing.assert_array_equal(weight.values(), table[[0, 255, 9]].reshape(3, 1))
    write_graph(graph, tmp_path / "u.param", tmp_path / "u.bin")
    assert (tmp_path / "u.bin").read_bytes() == data
    assert weight.with_values(weight.values()).storage == "fp32"


def test_bfloat16_rounds_to_nearest_even():
    values = np.array([1.0, 1.00390625, 1.01171875, -3.14159], np.float32)
    np.testing.assert_array_equal(
        encode(values, "bf16").values(), np.array([1.0, 1.0, 1.015625, -3.140625], np.float32)
    )


def test_float16_overflow_and_wrong_types_are_refused():
    with pytest.raises(GraphError, match="beyond the range of float16"):
        encode(np.array([1e6], np.float32), "fp16")
    with pytest.raises(GraphError, match="int8 storage needs int8"):
        encode(np.array([1.0], np.float32), "int8")
    with pytest.raises(GraphError, match="fp16 weights need"):
        Weight(np.zeros(3, np.float32), "fp16")


def test_a_bin_of_the_wrong_length_names_the_layer(converted, tmp_path):
    data = converted.bin.read_bytes()
    for change, message in (
        (data[:-4], "ends early"),
        (data + b"\0\0\0\0", "do the .param and .bin belong together"),
    ):
        (tmp_path / "x.bin").write_bytes(change)
        with pytest.raises(GraphError, match=message):
            read_graph(converted.param, tmp_path / "x.bin")
    (tmp_path / "x.param").write_text(converted.param.read_text().replace("6=378", "6=2147483642"))
    with pytest.raises(GraphError, match="do not fit 14 output channels"):
        read_graph(tmp_path / "x.param", converted.bin)


def test_unknown_weights_are_read_as_structure_only(tmp_path):
    text = "7767517\n2 2\nInput in 0 1 in\nLSTM rnn 1 1 in out 0=3 1=36\n"
    (tmp_path / "x.param").write_text(text)
    (tmp_path / "x.bin").write_bytes(bytes(400))
    assert to_param_text(read_graph(tmp_path / "x.param")) == text
    with pytest.raises(
        GraphError, match="line 4: LSTM 'rnn': the weight layout of layer type LSTM is not known"
    ):
        read_graph(tmp_path / "x.param", tmp_path / "x.bin")
    with pytest.raises(GraphError, match="read without weights"):
        write_graph(read_graph(tmp_path / "x.param"), tmp_path / "y.param", tmp_path / "y.bin")


def test_weights_that_do_not_fit_are_not_written(converted, tmp_path):
    graph = converted.read()
    layer = next(layer for layer in graph.layers if layer.type == "Convolution")
    weight = layer.weights["weight"]
    layer.weights["weight"] = weight.with_values(weight.values()[1:])
    with pytest.raises(GraphError, match="its parameters want weight of shape"):
        write_graph(graph, tmp_path / "x.param", tmp_path / "x.bin")
    layer.weights["weight"] = encode(weight.values(), "raw")
    with pytest.raises(GraphError, match="needs a tagged storage"):
        write_graph(graph, tmp_path / "x.param", tmp_path / "x.bin")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_followed_when_a_graph_is_written(converted, tmp_path):
    (tmp_path / "link.param").symlink_to(tmp_path / "x.param")
    (tmp_path / "x.param").write_text("before")
    write_graph(converted.read(), tmp_path / "link.param", tmp_path / "x.bin")
    assert (tmp_path / "link.param").is_symlink()
    assert read_graph(tmp_path / "x.param", tmp_path / "x.bin").layers
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.param", "x.bin", "x.param"]


def test_files_that_cannot_be_read_or_written(converted, tmp_path):
    with pytest.raises(GraphError, match="cannot be read"):
        read_graph(tmp_path / "missing.param")
    (tmp_path / "x.param").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GraphError, match="not a text file"):
        read_graph(tmp_path / "x.param")
    with pytest.raises(GraphError, match="cannot be written"):
        write_graph(converted.read(), tmp_path / "no" / "x.param", tmp_path / "no" / "x.bin")
