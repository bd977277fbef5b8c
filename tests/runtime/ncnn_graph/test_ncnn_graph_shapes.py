"""Inferred shapes against those that ncnn really makes, layer type by layer type and for whole models."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from pocketdet.errors import GraphError
from pocketdet.runtime.ncnn_graph import (
    LAYER_TYPES,
    count_macs,
    infer_shapes,
    read_graph,
    read_param,
    validate,
)

_spec = importlib.util.spec_from_file_location("random_layers", Path(__file__).with_name("random_layers.py"))
random_layers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(random_layers)

TRIALS = 60
TYPES_WITH_RULE = sorted(set(LAYER_TYPES) - {"Input", "MemoryData"})
FEW_FIT = {"Crop": 8, "MatMul": 8, "DeformableConv2D": 10}


def test_every_rule_has_a_random_generator():
    assert sorted(random_layers.GENERATORS) == TYPES_WITH_RULE


@pytest.mark.parametrize("kind", TYPES_WITH_RULE)
def test_a_layer_takes_and_gives_as_many_blobs_as_its_type(kind):
    (least_in, most_in), (least_out, most_out) = LAYER_TYPES[kind].inputs, LAYER_TYPES[kind].outputs
    for inputs, outputs, what, found in (
        (least_in - 1, least_out, "input", least_in - 1),
        (most_in + 1, least_out, "input", most_in + 1),
        (least_in, least_out - 1, "output", least_out - 1),
        (least_in, most_out + 1, "output", most_out + 1),
    ):
        graph, shapes, _ = random_layers.single_layer(kind, {}, [(4, 4, 4)] * inputs, outputs)
        with pytest.raises(GraphError, match=f"takes .* {what} blobs, found {found}$"):
            infer_shapes(graph, shapes)


@pytest.mark.parametrize("kind", sorted(random_layers.GENERATORS))
def test_shapes_of_random_layers_are_those_of_ncnn(kind, fill, run_ncnn, layer_exists):
    """What the rule accepts must load, run and have the inferred shape; the rest must be refused with
    GraphError.
    """
    rng = np.random.default_rng(TYPES_WITH_RULE.index(kind))
    accepted = 0
    for trial in range(TRIALS):
        params, shapes, outputs = random_layers.GENERATORS[kind](rng, kind)
        graph, inputs, tops = random_layers.single_layer(kind, params, shapes, outputs)
        try:
            expected = infer_shapes(graph, inputs)
            fill(graph, trial, "int8" if params.get(8) and trial % 2 else "fp32")
            validate(graph, inputs, layer_exists)
        except GraphError as refusal:
            assert "layer" in str(refusal)
            continue
        accepted += 1
        answer = run_ncnn(graph, inputs, tops)
        assert answer.get("shapes") == {top: expected[top] for top in tops}, (params, shapes, answer)
    assert accepted >= FEW_FIT.get(kind, TRIALS // 4)


def test_every_blob_of_a_converted_model(converted, run_ncnn, layer_exists):
    inputs = {"in0": (3, 48, 48)}
    shapes = dict(validate(converted.read(), inputs, layer_exists, outputs=["out0", "out1", "out2"]).shapes)
    del shapes["in0"]
    assert run_ncnn.run(converted.param, converted.bin, inputs, shapes)["shapes"] == shapes
    with pytest.raises(GraphError, match=r"Reshape .* cannot reshape \(14, 4, 4\) to \(14, 9\)"):
        validate(converted.read(), {"in0": (3, 64, 64)}, layer_exists)


def test_every_blob_of_a_model_of_others(shared_data, run_ncnn, layer_exists):
    paths = [shared_data / "peers" / f"FastestDet.{suffix}" for suffix in ("param", "bin")]
    for size in (352, 224):
        inputs = {"input.1": (3, size, size)}
        shapes = dict(validate(read_graph(*paths), inputs, layer_exists, outputs=["758"]).shapes)
        del shapes["input.1"]
        assert run_ncnn.run(*paths, inputs, shapes)["shapes"] == shapes
    assert shapes["758"] == (85, 14, 14)


PUBLISHED_MACS = {
    "mobilenet": 569e6,
    "resnet50": 3.8e9,
    "vgg16": 15.5e9,
    "shufflenet_v2": 146e6,
}


@pytest.mark.parametrize("name", sorted(PUBLISHED_MACS))
def test_macs_of_published_models(name, shared_data):
    """The papers of these models give multiply-accumulates at 224x224, rounded."""
    graph = read_graph(shared_data / "devices" / "benchmark_params" / f"{name}.param")
    costs = count_macs(graph, infer_shapes(graph, {graph.input_names()[0]: (3, 224, 224)}))
    assert sum(cost.macs for cost in costs) == pytest.approx(PUBLISHED_MACS[name], rel=0.02)


def test_all_benchmark_structures_get_shapes_as_far_as_known(shared_data):
    whole = []
    for path in sorted((shared_data / "devices" / "benchmark_params").rglob("*.param")):
        graph = read_graph(path)
        given = {} if path.parent.name == "llm" else {graph.input_names()[0]: (3, 224, 224)}
        if path.stem in ("nanodet_m", "vision_transformer", "blazeface"):
            given = {}
        shapes = infer_shapes(graph, given, partial=True)
        assert {cost.name for cost in count_macs(graph, shapes)} == {layer.name for layer in graph.layers}
        if all(name in shapes for name in graph.output_names()):
            whole.append(path.stem)
    assert len(whole) >= 26


COSTED = """7767517
8 8
Input in 0 1 in 0=10 1=6 2=4
Convolution conv 1 1 in a 0=8 1=3 3=2 4=1 5=1 6=288
ConvolutionDepthWise dw 1 1 a b 0=8 1=5 4=2 5=1 6=200 7=8
Deconvolution up 1 1 b c 0=3 1=2 3=2 6=96
ReLU relu 1 1 c d
Pooling pool 1 1 d e 0=1 4=1
InnerProduct fc 1 1 e f 0=7 1=1 2=21
ExpandDims rows 1 1 f g -23303=1,0
"""


def test_costs_by_hand():
    graph = read_param(COSTED)
    costs = {cost.name: cost for cost in count_macs(graph, infer_shapes(graph))}
    assert costs["conv"].output == (8, 3, 5)
    assert [costs[name].macs for name in ("conv", "dw", "up", "relu", "pool", "fc")] == [
        288 * 15, 200 * 15, 96 * 15, 0, 0, 21,
    ]  # fmt: skip
    assert [costs[name].parameters for name in ("conv", "dw", "up", "fc")] == [296, 208, 96, 28]
    assert costs["conv"].weight_bytes is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "Convolution x 1 1 in y 0=8 1=3 6=216",
            "its weights take 3 channels and its input 'in' is (4, 6, 10)",
        ),
        ("Convolution x 1 1 in y 0=8 1=7 6=1568", "a window of extent 7 does not fit 6"),
        ("Convolution x 1 1 in y 0=8 1=3 4=-1 6=288", "must be 0..16384, found (-1, -1, -1, -1)"),
        ("Convolution x 1 1 in y 0=8 1=3 3=0 6=288", "the stride must be"),
        ("Convolution x 1 1 in y 0=8 1=3 3=16385 4=9 6=288", "the stride must be 1..16384, found 16385"),
        ("Convolution x 1 1 in y 0=8 1=1 2=65536 6=32", "the dilation must be 1..16384, found 65536"),
        ("ConvolutionDepthWise x 1 1 in y 0=4 1=1 2=16385 6=4 7=4", "the dilation must be 1..16384"),
        ("Deconvolution x 1 1 in y 0=8 1=1 12=16385 6=32", "the dilation must be 1..16384"),
        ("Convolution x 1 1 in y 0=8 1=1 4=16385 6=32", "pads (top, bottom, left, right) must be 0..16384"),
        ("Convolution x 1 1 in y 0=8 1=3 6=288 9=2", "needs 1 values in parameter 10"),
        ("ConvolutionDepthWise x 1 1 in y 0=4 1=3 6=36 7=3", "do not fit 4 output channels"),
        ("Slice x 1 2 in y z -23300=2,1,2", "must be positive and sum to 4"),
        ("Slice x 1 2 in y z -23300=2,2,2 1=3", "an axis of 3 dimensions must be -3..2"),
        ("Slice x 1 2 in y z -23300=1,2", "has 1 sizes for 2 outputs"),
        ("ShuffleChannel x 1 1 in y 0=3", "cannot shuffle 4 channels in 3 groups"),
        ("Reshape x 1 1 in y 0=7 1=-1", "cannot reshape (4, 6, 10)"),
        ("Reshape x 1 1 in y 0=3 1=3 2=4", "cannot reshape (4, 6, 10) to (4, 3, 3)"),
        ("Permute x 1 1 in y 0=6", "the order must be 0..5"),
        ("Reduction x 1 1 in y 1=0 -23303=1,-4 5=1", "an axis of 3 dimensions must be -3..2, found -4"),
        ("BatchNorm x 1 1 in y 0=5", "has values for 5 channels"),
        ("Scale x 2 1 in in2 y 0=-233 1=1", "without bias"),
        ("InnerProduct x 1 1 in y 0=2 2=200", "its weights take 100 values"),
        ("Crop x 1 1 in y -23309=1,0 -23310=1,2", "do not belong together"),
        ("Padding x 1 1 in y 2=10 4=2", "a pad must be 0..9"),
        ("Interp x 1 1 in y 0=1 1=1e30 2=1.0", "the scales must be positive and sane"),
        ("BinaryOp x 2 1 in in2 y 0=0", "cannot broadcast (4, 6, 10) with (9,)"),
        ("Concat x 2 1 in in2 y", "cannot join"),
        ("Pooling x 1 1 in y 0=0 1=3 2=0", "kernel and stride must be"),
        ("Convolution x 2 1 in in2 y 0=8 1=3 6=288 19=1", "takes 1 input blobs, found 2"),
        ("LSTM x 1 1 in y 0=8", "has no shape rule"),
        ("ReLU x 1 1 q y", "reads the blob 'q', which no earlier layer makes"),
        ("Reshape x 1 1 in y 0=1.5", "parameter 0 must be an integer, found 1.5"),
    ],
)
def test_what_ncnn_would_read_out_of_bounds_is_refused(line, message):
    text = f"7767517\n3 4\nInput in 0 1 in 0=10 1=6 2=4\nInput in2 0 1 in2 0=9\n{line}\n"
    with pytest.raises(GraphError) as refusal:
        infer_shapes(read_param(text, "m.param"))
    assert message in str(refusal.value)
    assert str(refusal.value).startswith("m.param line 5: ")
