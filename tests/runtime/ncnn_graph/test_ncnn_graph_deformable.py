"""Deformable convolutions of untrusted graphs, beside all else that PASSD and MimicDet are made of."""

import re

import pytest
from corrupt_graphs import corrupt_and_run

from pocketdet.errors import GraphError
from pocketdet.runtime.ncnn_graph import read_graph, read_param, validate, write_graph

INPUTS = {"in0": (3, 16, 16)}
DEFORMABLE = """7767517
13 16
Input                    in0                      0 1 in0
Convolution              conv                     1 1 in0 a 0=8 1=3 3=2 4=1 5=1 6=216
Split                    split                    1 3 a b c d
Convolution              propose                  1 1 b e 0=4 1=1 5=1 6=32
Split                    split2                   1 2 e f g
TanH                     tanh                     1 1 f h
Clip                     clip                     1 1 g i 0=-3.0e38 1=4.1
UnaryOp                  exp                      1 1 i j 0=7
Concat                   cat                      2 1 h j k 0=0
Convolution              linear                   1 1 k l 0=18 1=1 5=1 6=144
Convolution              gate                     1 1 d m 0=9 1=1 5=1 6=72 9=4
DeformableConv2D deformable 3 1 c l m n 0=5 1=3 11=3 2=1 12=1 3=1 13=1 4=1 14=1 5=1 6=360
Reduction                length                   1 1 n out0 0=2 1=0 -23303=1,0 4=1 5=1
"""


def test_corrupted_deformable_convolutions_are_refused_or_run(tmp_path, fill, run_ncnn, layer_exists):
    pair = (tmp_path / "base.param", tmp_path / "base.bin")
    write_graph(fill(read_param(DEFORMABLE)), *pair)
    assert validate(read_graph(*pair), INPUTS, layer_exists).shapes["out0"] == (1, 8, 8)
    refused, ran = corrupt_and_run(*pair, INPUTS, tmp_path, run_ncnn, layer_exists, 400, seed=4)
    assert refused > 150
    assert ran > 20


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3 1 c l m n", "2 1 c m n", "offset and mask must be [(18, 8, 8)], found [(9, 8, 8)]"),
        ("3 1 c l m n", "1 1 c n", "takes 2..3 input blobs, found 1"),
        ("4=1 14=1", "4=-1 14=1", "must be 0..16384"),
        ("3=1 13=1", "3=0 13=1", "the stride must be 1.."),
        ("2=1 12=1", "2=10000 12=1", "does not fit"),
        ("2=1 12=1", "2=2147483647 12=1", "the dilation must be 1.."),
        ("1=3 11=3 2", "1=0 11=3 2", "do not fit 5 output channels, kernel (3, 0)"),
        ("6=360", "6=361", "361 weights do not fit"),
        ("6=360", "6=315", "its weights take 7 channels"),
        ("5=1 6=360", "5=1 6=360 9=7", "the fused activation must be 0..6"),
        ("5=1 6=360", "5=1 6=360 8=1", "parameter 8 is not one that DeformableConv2D has"),
    ],
)
def test_hostile_deformable_convolutions_are_refused(old, new, message, layer_exists, fill):
    assert old in DEFORMABLE
    text = DEFORMABLE.replace(old, new)
    with pytest.raises(GraphError, match=re.escape(message)):
        validate(_filled(text, fill), INPUTS, layer_exists)


def _filled(text, fill):
    graph = fill(read_param(text, "m.param"))
    graph.header = None
    return graph
