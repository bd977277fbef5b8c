"""Store the weights of convolutions and matrix products of an ncnn graph as IEEE half floats.

pnnx could do it (`fp16=1`), but it rounds in its own way and also rounds Gemm's biases. Done here, the stored
values are those of `round_to_half`, bit for bit, and PyTorch with the same rounding is an exact reference.
"""

from collections.abc import Collection

from pocketdet.runtime.ncnn_graph import Graph, encode

_ROLES = ("weight", "b")  # of Convolution and its kin; of Gemm


def store_half(graph: Graph, leave: Collection[str] = ()) -> int:
    """Re-encode in place every fp32 weight; biases and anything already encoded stay, and so do the layers in
    `leave`. Returns how many.
    """
    count = 0
    for layer in graph.layers:
        if layer.name in leave:
            continue
        for role, weight in layer.weights.items():
            if role in _ROLES and weight.storage == "fp32":
                layer.weights[role] = encode(weight.values(), "fp16")
                count += 1
    return count
