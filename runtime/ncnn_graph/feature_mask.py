"""ncnn's feature mask, parameter 31 of any layer: what the layer may not use although the engine does.

A layer without half-precision storage must be given float32, and ncnn does not see to it: `convert_layout`
(src/net.cpp) decides by the options after masking, so a blob of halves from the layer before reaches a kernel
that reads twice as many bytes as there are. Stock ncnn then reads out of bounds; seen on ARMv8.2. What widens
the blob is a layer that has no 16-bit kernels and changes nothing: Dropout with its scale of 1. On ARM it has
no kernel for halves, so ncnn widens its input; where nothing is narrow it does nothing.
"""

from collections.abc import Mapping

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
    if layer is None or layer.type == "Input":
        return True
    lacking = feature_mask(layer) & without
    return lacking == without or (without == NO_FP16_STORAGE and layer.type == WIDENS and not lacking)


def check_feature_masks(graph: Graph) -> None:
    """Raises GraphError for a mask that no ncnn has, and for a layer that could be given halves as floats."""
    made: Mapping[str, Layer] = graph.producers()
    for layer in graph.layers:
        mask = feature_mask(layer)
        if not 0 <= mask <= 255:
            raise layer.error(f"the feature mask must be 0..255, found {mask}")
        for bit, kind in ((NO_FP16_STORAGE, "halves"), (NO_BF16_STORAGE, "bfloat16")):
            for blob in layer.inputs if mask & bit else ():
                if not gives_fp32(made.get(blob), bit):
                    raise layer.error(
                        f"its feature mask {mask} forbids {kind} and its input {blob!r} may hold them, which "
                        "ncnn reads out of bounds"
                    )
