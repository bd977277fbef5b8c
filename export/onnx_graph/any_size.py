"""Whether a graph runs at any size of its input, whatever size the file declares."""

import onnx

from pocketdet.export.onnx_graph.graph import GraphIndex, attributes_of

# operators whose result at a place depends on a neighbourhood of fixed size only
_CONVOLUTIONS = frozenset(("AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "MaxPool"))
_BY_ELEMENT = frozenset(("Add", "Clip", "Constant", "Div", "HardSigmoid", "HardSwish", "Identity"))
_BY_ELEMENT |= frozenset(("Exp", "LeakyRelu", "Mul", "PRelu", "Relu", "Sigmoid", "Sub", "Tanh"))
_CHANNEL_AXIS = 1


def runs_at_any_size(model: onnx.ModelProto) -> bool:
    """Whether a graph is fully convolutional: no operator and no constant depends on the size of the input.

    Such files may declare a size, and a batch, at which nobody runs them.
    """
    index = GraphIndex(model.graph)
    return all(_is_local(index, node) for node in model.graph.node)


def _is_local(index: GraphIndex, node: onnx.NodeProto) -> bool:
    if node.op_type in _CONVOLUTIONS:
        return True
    if node.op_type == "Concat":
        return bool(attributes_of(node).get("axis") == _CHANNEL_AXIS)
    if node.op_type not in _BY_ELEMENT:
        return False
    constants = [value for name in node.input if (value := index.constant(name)) is not None]
    return all(value.ndim < 3 or max(value.shape[-2:]) == 1 for value in constants if value.size > 1)
