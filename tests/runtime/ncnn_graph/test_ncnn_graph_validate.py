"""Untrusted graphs: what passes runs in ncnn without a crash, what does not is refused in one sentence."""

import gc
import re
import time

import numpy as np
import pytest
from corrupt_graphs import corrupt_and_run

from pocketdet.errors import GraphError
from pocketdet.runtime.ncnn_graph import (
    Graph,
    Layer,
    Limits,
    encode,
    infer_shapes,
    read_param,
    validate,
    write_graph,
)

BASE = """7767517
14 16
Input                    in0                      0 1 in0
Convolution              conv                     1 1 in0 a 0=8 1=3 3=2 4=1 5=1 6=216 9=2 -23310=1,1.0e-01
Split                    split                    1 2 a b c
Slice                    slice                    1 2 b d e -23300=2,-233,-233
ConvolutionDepthWise     dw                       1 1 d f 0=4 1=5 4=2 5=1 6=100 7=4
Concat                   cat                      2 1 f e g
ShuffleChannel           shuffle                  1 1 g h 0=2
Eltwise                  add                      2 1 h c i 0=1 -23301=2,1.0,0.5
Pooling                  pool                     1 1 i j 0=1 1=2 2=2
Interp                   up                       1 1 j k 0=2 1=2.0 2=2.0
Permute                  permute                  1 1 k l 0=3
Reshape                  reshape                  1 1 l m 0=8 1=-1
InnerProduct             fc                       1 1 m n 0=5 1=1 2=40
Softmax                  softmax                  1 1 n out0 0=1 1=1
"""
INPUTS = {"in0": (3, 16, 16)}


def _refused(text, message, layer_exists, fill, inputs=None, **options):
    graph = fill(read_param(text, "m.param"))
    if "declares" not in message:
        graph.header = None
    with pytest.raises(GraphError, match=re.escape(message)):
        validate(graph, inputs or INPUTS, layer_exists, **options)


def test_a_sound_graph_passes_with_its_costs(fill, layer_exists, run_ncnn):
    graph = fill(read_param(BASE))
    valid = validate(graph, INPUTS, layer_exists, outputs=["out0"])
    assert valid.shapes["out0"] == (64, 5)
    assert valid.macs == 216 * 64 + 100 * 64 + 64 * 40
    assert valid.parameters == 216 + 8 + 100 + 4 + 40 + 5
    for light in (True, False):
        answer = run_ncnn(graph, INPUTS, ["out0"], light=light)
        assert answer["shapes"] == {"out0": (64, 5)}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("14 16", "14 17", "declares 14 layers and 17 blobs, the file has 14 and 16"),
        (
            "ShuffleChannel           shuffle",
            "ShuffleChannel           cat",
            "has the name of an earlier layer",
        ),
        ("1 2 b d e", "1 2 b d d", "makes the blob 'd' a second time"),
        ("1 1 j k", "1 1 i k", "reads the blob 'i', which 'pool' reads already; a Split is needed"),
        ("2 1 f e g", "2 1 f zz g", "reads the blob 'zz', which no earlier layer makes"),
        ("Softmax  ", "Flip  ", "the layer type Flip is not supported by the checks"),
        ("shuffle                  1 1 g h 0=2", "shuffle 1 1 g h 0=2 5=1", "parameter 5 is not one that"),
        ("1 1 n out0", "1 0 n", "has no output"),
        ("0=1 1=1\n", "0=1 1=1 31=-1\n", "the feature mask must be 0..255"),
        ("0=1 1=1\n", "0=1 1=1 -23330=4,2,5,63,1\n", "its shape hint says (63, 5) and 'out0' is (64, 5)"),
        ("0=1 1=1\n", "0=1 1=1 -23330=3,2,5,64\n", "3 shape hints do not fit 1 outputs"),
        ("0=1 1=2 2=2", "0=1 1=2 2=2 3=1.5", "parameter 3 must be an integer, found 1.5"),
        ("0=8 1=-1", "0=7 1=-1", "Reshape 'reshape': cannot reshape (8, 8, 8)"),
    ],
)
def test_faults_are_named(old, new, message, layer_exists, fill):
    assert old in BASE
    _refused(BASE.replace(old, new, 1), message, layer_exists, fill)


def test_the_ncnn_at_hand_must_have_the_layer_type(fill):
    with pytest.raises(GraphError, match="Softmax 'softmax': the installed ncnn has no layer type Softmax"):
        validate(fill(read_param(BASE)), INPUTS, lambda name: name != "Softmax")


def test_inner_blobs_may_be_read(fill, layer_exists):
    assert validate(fill(read_param(BASE)), INPUTS, layer_exists, outputs=["out0"], inner=["m"]).peak_bytes


def test_true_hints_pass(fill, layer_exists):
    text = BASE.replace("0=1 1=1\n", "0=1 1=1 -23330=4,2,5,64,1 31=1\n").replace(
        "0=2\n", "0=2 -23330=5,3,8,8,1,8\n"
    )
    assert validate(fill(read_param(text)), INPUTS, layer_exists).macs


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ({"in1": (3, 16, 16)}, {}, "its inputs are ['in0'] and shapes are given for ['in1']"),
        ({"in0": (3, 0, 16)}, {}, "empty or too large"),
        ({"in0": (3, 2**14, 2**14)}, {}, "too large"),
        (INPUTS, {"outputs": ["nope"]}, "has no blob 'nope', its outputs are ['out0']"),
        (INPUTS, {"limits": Limits(layers=13)}, "14 layers and 16 blobs, allowed are 1..13"),
        (INPUTS, {"outputs": ["m"]}, "'fc': reads the blob 'm', which is an output of the graph; a Split is"),
        (INPUTS, {"inner": ["nope"]}, "has no blob 'nope', its outputs are ['out0']"),
        (INPUTS, {"limits": Limits(blobs=15)}, "14 layers and 16 blobs, allowed are 1..20000 and 1..15"),
        (INPUTS, {"limits": Limits(depth=5)}, "Concat 'cat': is 6 layers away from an input, allowed are 5"),
        (
            INPUTS,
            {"limits": Limits(elements_per_blob=500)},
            "larger than allowed: 768 elements, allowed are 500",
        ),
        (
            INPUTS,
            {"limits": Limits(elements_in_all=3000)},
            "larger than allowed: 3072 elements in all, allowed are 3000",
        ),
        (INPUTS, {"limits": Limits(memory_bytes=5000)}, "'conv': at this layer blobs and workspace need"),
        (INPUTS, {"limits": Limits(weight_bytes=5000)}, "the weights may need 21728 bytes once loaded"),
        (INPUTS, {"limits": Limits(macs=1000)}, "multiply-accumulates are more than the 1000 allowed"),
    ],
)
def test_inputs_outputs_and_limits(inputs, options, message, layer_exists, fill):
    _refused(BASE, message, layer_exists, fill, inputs, **options)


@pytest.mark.parametrize("storage", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_name_their_layer(storage, value, layer_exists, fill):
    graph = fill(read_param(BASE), storage=storage)
    values = graph.layer("dw").weights["weight"].values().copy()
    values[3, 0, 2, 2] = value
    graph.layer("dw").weights["weight"] = encode(values, storage)
    with pytest.raises(GraphError, match="ConvolutionDepthWise 'dw': its weight holds NaN or infinity"):
        validate(graph, INPUTS, layer_exists)


def test_int8_weights_need_their_scales(layer_exists, fill, run_ncnn):
    with pytest.raises(
        GraphError, match="'conv': its weight is int8 and its parameters announce no int8 scales"
    ):
        validate(fill(read_param(BASE), storage="int8"), INPUTS, layer_exists)
    text = BASE.replace("9=2", "8=2 9=2").replace("7=4", "7=4 8=1").replace("2=40", "2=40 8=2")
    for storage in ("int8", "fp32"):
        graph = fill(read_param(text), storage=storage)
        valid = validate(graph, INPUTS, layer_exists)
        assert run_ncnn(graph, INPUTS, ["out0"])["shapes"] == {"out0": valid.shapes["out0"]}


def test_int8_blobs_reach_only_int8_layers(layer_exists, fill, run_ncnn):
    text = (
        "7767517\n3 3\nInput in0 0 1 in0\nConvolution a 1 1 in0 x 0=8 1=1 6=24 8=102\n"
        "Convolution b 1 1 x out0 0=4 1=1 6=32 8=2\n"
    )
    graph = fill(read_param(text), storage="int8")
    assert validate(graph, INPUTS, layer_exists)
    assert run_ncnn(graph, INPUTS, ["out0"])["shapes"] == {"out0": (4, 16, 16)}
    for old, new in (
        ("6=32 8=2", "6=32"),
        ("Convolution b 1 1 x out0 0=4 1=1 6=32 8=2", "ReLU b 1 1 x out0"),
    ):
        with pytest.raises(GraphError, match="reads 'x', which 'a' makes as int8"):
            validate(fill(read_param(text.replace(old, new))), INPUTS, layer_exists)
    with pytest.raises(GraphError, match="the output 'out0' would be int8"):
        validate(fill(read_param(text.replace("6=32 8=2", "6=32 8=101"))), INPUTS, layer_exists)


OUT_OF_BOUNDS = {
    "a blob read twice": "ReLU a 1 1 in0 a\nPermute p 1 1 a b\nReLU r 1 1 a c\nConcat z 2 1 b c out0\n",
    "an input that nothing feeds": "Input other 0 1 x\nConcat c 2 1 in0 x out0\n",
    "more outputs than inputs": "Noop n 1 2 in0 out0 y\n",
    "a permute beyond its dimensions": "Reshape r 1 1 in0 a 0=16 1=48\nPermute p 1 1 a out0 0=5\n",
    "an axis far below zero": "Reduction r 1 1 in0 out0 1=0 -23303=1,-4 5=1\n",
    "too few input channels": "Convolution c 1 1 in0 out0 0=8 1=3 6=1152\n",
    "too many inputs for a fully connected layer": "InnerProduct i 1 1 in0 out0 0=4 2=400000\n",
    "a reshape in place to a larger plane": "Reshape r 1 1 in0 out0 0=4096 1=4096 2=3\n",
    "a scale by a second input with bias": "MemoryData m 0 1 x 0=3\nScale s 2 1 in0 x out0 0=-233 1=1\n",
    "a crop outside": "Crop c 1 1 in0 out0 -23309=1,100000 -23310=1,2000000 -23311=1,1\n",
    "a slice beyond the end": "Slice s 1 2 in0 out0 y -23300=2,1,4000000\n",
    "a reflection wider than the image": "Padding p 1 1 in0 out0 2=100000 4=2\n",
    "an adaptive pooling beyond 32 bits": "Reshape r 1 1 in0 a 0=768 1=1 2=1\n"
    "Pooling p 1 1 a out0 7=1 8=8388608 18=1\n",
    "a vector that a convolution pads": "Flatten f 1 1 in0 a\n"
    "Convolution c 1 1 a out0 0=1 1=1 6=768 4=16384\n",
    "a vector in an int8 convolution": "Flatten f 1 1 in0 a\nConvolution c 1 1 a out0 0=1 1=1 6=768 8=1\n",
    "a layer for each of many groups": "Reshape r 1 1 in0 a 0=1 1=1 2=768\n"
    "Interp u 1 1 a b 0=1 3=1 4=16\nReshape s 1 1 b c 0=1 1=1 2=12288\n"
    "ConvolutionDepthWise d 1 1 c out0 0=12288 1=1 6=12288 7=12288\n",
    "a normalisation over too many channels": "BatchNorm b 1 1 in0 out0 0=2\n",
}


@pytest.mark.parametrize("name", sorted(OUT_OF_BOUNDS))
def test_what_ncnn_crashes_on_or_reads_out_of_bounds_is_refused(name, layer_exists, fill):
    graph = fill(read_param("7767517\n1 1\nInput in0 0 1 in0\n" + OUT_OF_BOUNDS[name]))
    graph.header = None
    with pytest.raises(GraphError):
        validate(graph, INPUTS, layer_exists)


def test_corrupted_graphs_are_refused_or_run(tmp_path, fill, run_ncnn, layer_exists):
    write_graph(fill(read_param(BASE)), tmp_path / "base.param", tmp_path / "base.bin")
    pair = (tmp_path / "base.param", tmp_path / "base.bin")
    refused, ran = corrupt_and_run(*pair, INPUTS, tmp_path, run_ncnn, layer_exists, 500, seed=1)
    assert refused > 200
    assert ran > 20


def test_corrupted_converted_graphs_are_refused_or_run(converted, tmp_path, run_ncnn, layer_exists):
    refused, ran = corrupt_and_run(
        converted.param, converted.bin, converted.inputs, tmp_path, run_ncnn, layer_exists, 200, seed=2
    )
    assert refused > 80
    assert ran > 8


def test_a_corrupted_model_of_others_is_refused_or_runs(shared_data, tmp_path, run_ncnn, layer_exists):
    pair = [shared_data / "peers" / f"FastestDet.{suffix}" for suffix in ("param", "bin")]
    refused, ran = corrupt_and_run(
        *pair, {"input.1": (3, 64, 64)}, tmp_path, run_ncnn, layer_exists, 200, seed=3
    )
    assert refused > 80
    assert ran > 8


def test_a_long_chain_takes_linear_time_and_no_recursion(layer_exists):
    def chain(count):
        layers = [Layer("Input", "in0", [], ["b0"])]
        layers += [Layer("ReLU", f"relu{i}", [f"b{i}"], [f"b{i + 1}"]) for i in range(count)]
        begin = time.process_time()
        validate(Graph(layers), {"b0": (8, 4, 4)}, layer_exists, limits=Limits(depth=count + 1))
        return time.process_time() - begin

    gc.disable()  # it would walk over whatever the tests before have left
    try:
        short, long = (min(chain(count) for _ in range(3)) for count in (2_400, 19_200))
    finally:
        gc.enable()
    assert long < 24 * short  # 8 if linear, 64 if quadratic


def test_absurd_sizes_are_refused_before_anything_is_allocated(fill, layer_exists):
    graph = read_param("7767517\n2 2\nInput in 0 1 in\nMemoryData m 0 1 x 0=65536 1=65536 2=65536\n")
    with pytest.raises(GraphError, match="empty or too large"):
        infer_shapes(graph, {"in": (1,)})
