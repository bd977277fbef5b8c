"""ncnn's feature mask, parameter 31 of any layer: what the layer may not use although the engine does.

A layer without half-precision storage must be given float32, and ncnn does not see to it; why, and what does,
is in `runtime/native/graph/feature_mask.h`.
"""

from pocketdet.runtime import _core
from pocketdet.runtime.ncnn_graph.model import Graph, Layer

FEATURE_MASK = 31

# get_masked_option in src/net.cpp
NO_FP16_ARITHMETIC, NO_FP16_STORAGE, NO_BF16_STORAGE, NO_MATRIX_PRODUCT = 1, 2, 4, 32
IN_FP32 = NO_FP16_ARITHMETIC | NO_FP16_STORAGE
WIDENS = "Dropout"


def feature_mask(layer: Layer) -> int:
    """The bits of a layer, 0 for none. Raises GraphError for a value that is no integer."""
    return layer.int_param(FEATURE_MASK, 0)


def kept_in_fp32(graph: Graph) -> list[str]:
    """Names of the layers that compute in fp32 where the engine uses half precision, in order."""
    return [layer.name for layer in graph.layers if feature_mask(layer) & IN_FP32 == IN_FP32]


def gives_fp32(layer: Layer | None, without: int) -> bool:
    """Whether what `layer` makes is float32 for a reader that lacks the storage bits in `without`.

    `None` stands for the caller, who feeds float32. A layer that lacks them too computes in float32 from
    float32. Dropout stands between halves and float32, but on x86 it has a kernel for bfloat16.
    """
    return _core.gives_fp32(layer, without)


def check_feature_masks(graph: Graph) -> None:
    """Raises GraphError for a mask that no ncnn has, and for a layer that could be given halves as floats."""
    _core.check_feature_masks(graph)
