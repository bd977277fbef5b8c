"""What makes the offsets of deformable convolutions is found, and nothing else."""

import pytest

from pocketdet.export.precision.plan import offset_layers
from pocketdet.runtime.ncnn_graph import read_param

PASSD = """7767517
13 17
Input x 0 1 x
Convolution trunk 1 1 x t 0=8 1=3 4=1 6=216
Split s 1 3 t t1 t2 t3
Convolution propose 1 1 t1 d 0=4 1=3 4=1 6=288
Split sd 1 3 d d1 d2 propose_0
TanH tanh 1 1 d1 e1
UnaryOp exp 1 1 d2 e2 0=7
Concat cat 2 1 e1 e2 e
Convolution linear 1 1 e f 0=36 1=1 6=288
Slice cut 1 2 f f1 f2 -23300=2,18,18
DeformableConv2D a 2 1 t2 f1 g1 0=4 1=3 4=1 6=288
DeformableConv2D b 2 1 t3 f2 g2 0=4 1=3 4=1 6=288
Concat out 2 1 g1 g2 attend_0
"""
MIMIC = """7767517
8 9
Input x 0 1 x
Convolution trunk 1 1 x t 0=8 1=3 4=1 6=216 9=1
Split s 1 2 t t1 t2
Convolution deltas 1 1 t1 d 0=4 1=1 6=32
Convolution one 1 1 d o 0=6 1=1 6=24 9=1
Convolution two 1 1 o f 0=18 1=1 6=108
DeformableConv2D a 2 1 t2 f g 0=4 1=3 4=1 6=288
ReLU r 1 1 g out
"""
PLAIN = """7767517
5 6
Input x 0 1 x
Split s 1 2 x x1 x2
Convolution offsets 1 1 x1 f 0=18 1=3 4=1 6=486
DeformableConv2D a 2 1 x2 f g 0=4 1=3 4=1 6=108
ReLU r 1 1 g out
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PASSD, ("tanh", "exp", "cat", "linear", "cut")),
        (MIMIC, ("deltas", "one", "two")),
        (PLAIN, ("offsets",)),
        ("7767517\n2 2\nInput x 0 1 x\nReLU r 1 1 x y\n", ()),
    ],
    ids=["passd", "mimicdet", "plain", "none"],
)
def test_the_layers_between_a_wide_convolution_and_the_offsets(text: str, expected: tuple[str, ...]) -> None:
    assert offset_layers(read_param(text)) == expected
