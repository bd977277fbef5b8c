"""What each layer does to the channels along the first axis of its blobs, judged by type, parameters and
shapes.

copy     outputs hold what the input holds
join     Concat along the channels
cut      Slice along the channels, or Crop of a range of them: every output is an interval of input 0
shuffle  ShuffleChannel
pass     every channel of input 0 becomes `repeat` channels of each output, alone and in order
tie      element-wise over several inputs: channel k meets channel k
make     the weights mix the channels of input 0 freely and make new ones: any order in, any order out
source   a constant whose channels can be stored in any order
opaque   anything else: its inputs must arrive as they were, its outputs are taken as they come

What is not understood is opaque, so nothing can go wrong silently.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pocketdet.export.passes.lanes.intervals import Interval
from pocketdet.runtime.ncnn_graph import Layer, Shape

Kind = Literal["copy", "join", "cut", "shuffle", "pass", "tie", "make", "source", "opaque"]


@dataclass(frozen=True)
class Role:
    """A layer's role. `main` is the input that is passed on; `fixed` are inputs that must arrive as they
    were.

    `weighted` says that the layer has weights per channel. `axes_merged` is the number of values of a channel
    that lie in a row at input 0 of a `make` layer (an InnerProduct reads (c, h, w) as c * h * w values).
    """

    kind: Kind
    main: int = 0
    fixed: tuple[int, ...] = ()
    intervals: tuple[Interval, ...] = ()
    repeat: int = 1
    weighted: bool = False
    axes_merged: int = 1


@dataclass(frozen=True)
class Site:
    """A layer with the shapes of its blobs."""

    layer: Layer
    inputs: Sequence[Shape]
    outputs: Sequence[Shape]
    opaque: Role = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "opaque", opaque(self.layer))


def opaque(layer: Layer) -> Role:
    """The role of a layer that is not understood."""
    return Role("opaque", fixed=tuple(range(len(layer.inputs))))
