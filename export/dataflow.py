"""Every intermediate value of a PyTorch model, by the module that computes it.

The layer map uses it to find the module that corresponds to an ncnn blob, and to compare the two.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from pocketdet.models.trace import graph_module


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
