"""Trace a detector to a `torch.fx` graph, for folding and for the comparison of layers."""

import operator
from collections.abc import Iterator

from torch import fx, nn

from pocketdet.errors import ExportError
from pocketdet.models.ops.deform_conv import DeformConv2d


class _Parts(fx.Proxy):
    """The result of `chunk`: a tuple with the requested number of tensors."""

    def __len__(self) -> int:
        count = self.node.args[1]
        assert isinstance(count, int)
        return count

    def __iter__(self) -> Iterator[fx.Proxy]:
        cut = self.tracer.create_proxy
        return iter([cut("call_function", operator.getitem, (self, i), {}) for i in range(len(self))])


class _Tracer(fx.Tracer):
    """Keeps deformable convolutions as one node, and makes the result of `chunk` iterable."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, DeformConv2d) or super().is_leaf_module(m, module_qualified_name)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        if node.target == "chunk" and len(node.args) > 1 and isinstance(node.args[1], int):
            return _Parts(node, self)
        return super().proxy(node)


def trace(model: nn.Module) -> fx.Graph:
    """The `torch.fx` graph of `model`. Raises `ExportError` if its control flow depends on data."""
    try:
        return _Tracer().trace(model)
    except (fx.proxy.TraceError, TypeError) as error:
        raise ExportError(
            f"{type(model).__name__} cannot be traced: {error}. Remove control flow that depends on tensors."
        ) from error
