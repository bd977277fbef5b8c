"""What is known of the layers of a network before it runs: shapes, MACs, arithmetic, modules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pocketdet.armmodel.cores import Core
from pocketdet.armmodel.frame import execution_order
from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape, count_macs, feature_mask, infer_shapes
from pocketdet.runtime.ncnn_graph.feature_mask import NO_FP16_ARITHMETIC

Kind = Literal["fp32", "fp16", "int8"]
_INT8_TERM = {"Convolution": 8, "ConvolutionDepthWise": 8, "InnerProduct": 8, "Gemm": 18}
"""The parameter of ncnn that says that a layer computes in int8."""


@dataclass(frozen=True)
class LayerFacts:
    """One layer.

    Attributes:
        name: ncnn's name of it.
        type: ncnn's type, such as "Convolution".
        module: The PyTorch module whose values its first output has, "" if that is not known.
        output: Shape of its first output, None if that is not known.
        macs: Multiply-accumulates, 0 if they are not known.
        kind: The arithmetic of its products.
    """

    name: str
    type: str
    module: str
    output: Shape | None
    macs: int
    kind: Kind

    def limit(self, core: Core) -> float:
        """The fewest cycles that the products take on the SIMD units of a core."""
        return self.macs / (core.macs_per_instruction(self.kind) * core.fma_pipes)


def layers_in_order(
    graph: Graph,
    inputs: Mapping[str, Shape],
    outputs: Sequence[str],
    modules: Mapping[str, str],
    *,
    half: bool,
) -> list[LayerFacts]:
    """Describe the layers in the order in which ncnn runs them.

    Args:
        graph: The network.
        inputs: Shapes of its inputs.
        outputs: The blobs that are extracted, in this order.
        modules: PyTorch module by blob.
        half: Whether ncnn computes in half precision unless a layer forbids it.

    Returns:
        The layers that run.
    """
    shapes = infer_shapes(graph, inputs, partial=True)
    macs = {cost.name: cost.macs or 0 for cost in count_macs(graph, shapes)}
    return [
        LayerFacts(
            layer.name,
            layer.type,
            modules.get(layer.outputs[0], "") if layer.outputs else "",
            shapes.get(layer.outputs[0]) if layer.outputs else None,
            macs[layer.name],
            kind_of(layer, half=half),
        )
        for layer in execution_order(graph, outputs)
    ]


def kind_of(layer: Layer, *, half: bool) -> Kind:
    """The arithmetic of a layer's products."""
    if layer.type in _INT8_TERM and layer.int_param(_INT8_TERM[layer.type], 0):
        return "int8"
    return "fp16" if half and not feature_mask(layer) & NO_FP16_ARITHMETIC else "fp32"
