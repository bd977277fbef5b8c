"""Trace a model to a `torch.fx` graph, for folding and for the comparison of layers, and run that graph.

`graph_module` traces symbolically. A model whose control flow depends on shapes or values cannot be traced
that way; with an example of its input, `torch.export` records the operators that it runs on it. An operator
that is all that a module of `torch.nn` does becomes a call of that module again, so both graphs name the same
modules.
"""

import operator
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

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


def graph_module(model: nn.Module, example: Tensor | None = None) -> fx.GraphModule:
    """The graph of a model, which shares its modules.

    Args:
        model: any module in eval mode.
        example: an input; with it, a model that cannot be traced symbolically is recorded.

    Raises:
        ExportError: if the model cannot be traced, or `torch.export` refuses it.
    """
    try:
        return fx.GraphModule(model, _Tracer().trace(model))
    except Exception as error:  # whatever the model's own code raises for a proxy
        if example is not None:
            return _recorded(model, example)
        raise ExportError(
            f"{type(model).__name__} cannot be traced: {error}. Remove control flow that depends on tensors."
        ) from error


def _recorded(model: nn.Module, example: Tensor) -> fx.GraphModule:
    """The graph that `torch.export` records for an example."""
    try:
        flat = torch.export.export(model, (example,), strict=False).module(check_guards=False)
    except Exception as error:  # torch.export raises many types, all about the model
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ExportError(f"torch.export cannot record {type(model).__name__}: {first.strip()}") from error
    assert isinstance(flat, fx.GraphModule)
    calls: defaultdict[str, list[fx.Node]] = defaultdict(list)
    for node in flat.graph.nodes:
        if stack := node.meta.get("nn_module_stack"):
            # repeated calls of one module differ in the key only
            calls[next(reversed(stack))].append(node)
    for nodes in calls.values():
        _restore_call(flat, model, nodes)
    flat.graph.lint()
    flat.recompile()
    return flat


def _restore_call(flat: fx.GraphModule, model: nn.Module, nodes: list[fx.Node]) -> None:
    """Replace the only operator of a module of `torch.nn` by a call of the module."""
    node = nodes[0]
    path = _module_path(node)
    module = model.get_submodule(path)
    own = type(module).__module__.startswith("torch.nn.") and not list(module.children())
    if not path or len(nodes) > 1 or not own or not isinstance(node.args[0], fx.Node):
        return
    flat.add_submodule(path, module)
    with flat.graph.inserting_before(node):
        call = flat.graph.call_module(path, (node.args[0],))
    call.meta = dict(node.meta)
    node.replace_all_uses_with(call)
    flat.graph.erase_node(node)


def _module_path(node: fx.Node) -> str:
    path = next(reversed(node.meta["nn_module_stack"].values()))[0]
    assert isinstance(path, str)
    return path


@dataclass(frozen=True)
class Value:
    """One value of one run.

    Attributes:
        source: Path of the module that computes it, followed by the function's name if it is not the module's
            own output.
        array: The value, float32.
    """

    source: str
    array: NDArray[np.float32]


def capture(model: nn.Module, example: Tensor) -> list[Value]:
    """Run a model and return each intermediate value in the order of execution.

    Args:
        model: The model, which torch.fx or torch.export must be able to trace.
        example: Its input, (N, C, H, W) for an image.

    Returns:
        The values. If a source computes several, "#2", "#3", ... is appended from the second on.
    """
    recorder = _Recorder(graph_module(model, example))
    with torch.no_grad():
        recorder.run(example)
    return recorder.values


class _Recorder(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.values: list[Value] = []
        self._seen: Counter[str] = Counter()

    def run_node(self, n: fx.Node) -> object:
        result = super().run_node(n)
        transparent = n.op == "call_module" and isinstance(self.fetch_attr(str(n.target)), nn.Identity)
        if (
            isinstance(result, Tensor)
            and n.op not in ("placeholder", "output", "get_attr")
            and not transparent
        ):
            source = _source(n)
            self._seen[source] += 1
            suffix = f"#{self._seen[source]}" if self._seen[source] > 1 else ""
            self.values.append(Value(source + suffix, result.detach().float().numpy().copy()))
        return result


def _source(node: fx.Node) -> str:
    if node.op == "call_module":
        return str(node.target)
    stack = node.meta.get("nn_module_stack") or {}
    scope = next(reversed(stack.values()))[0] if stack else ""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.name)
    name = str(name).split(".")[0]  # torch.export writes overloads, "cat.default"
    return f"{scope}:{name}" if scope else name
