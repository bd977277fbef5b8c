"""One graph of a detector before any conversion. Every converted graph is compared with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from pocketdet.export.to_onnx import to_onnx
from pocketdet.models.trace import Value, capture
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines.base import Array


class Network(Protocol):
    """A graph with one input.

    Arrays have the form that engines use: no batch axis, except for the rows of a two-stage detector's head.
    """

    def run(self, source: Array) -> dict[str, Array]:
        """The outputs by role."""
        ...

    def values(self, source: Array) -> list[Value]:
        """All intermediate values, in the order of execution."""
        ...

    def write_onnx(self, path: Path, example: Array) -> None:
        """Write the simplified ONNX counterpart. Raises `ExportError`."""


class TorchNetwork(Network):
    """A torch module in eval mode with one input.

    It returns a tensor, a sequence of tensors in the order of the outputs of `spec`, or a mapping by role.
    """

    def __init__(self, module: nn.Module, spec: GraphSpec) -> None:
        self.module = module
        self._spec = spec

    @override
    def run(self, source: Array) -> dict[str, Array]:
        with torch.no_grad():
            result = self.module(self._tensor(source))
        batched = self._spec.is_batched
        return {role: (t[0] if batched else t).numpy() for role, t in self._by_role(result).items()}

    @override
    def values(self, source: Array) -> list[Value]:
        return capture(self.module, self._tensor(source))

    @override
    def write_onnx(self, path: Path, example: Array) -> None:
        source, roles = self._tensor(example), [o.role for o in self._spec.outputs]
        with torch.no_grad():
            named = isinstance(self.module(source), Mapping)
        to_onnx(
            _InOrder(self.module, roles) if named else self.module,
            source,
            path,
            input_name=self._spec.inputs[0].role,
            output_names=roles,
            dynamic_rows=not self._spec.is_batched,
        )

    def _tensor(self, source: Array) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(source))
        return tensor[None] if self._spec.is_batched else tensor

    def _by_role(self, result: Tensor | Sequence[Tensor] | Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if isinstance(result, Mapping):
            return {o.role: result[o.role] for o in self._spec.outputs}
        tensors = (result,) if isinstance(result, Tensor) else result
        return {o.role: t for o, t in zip(self._spec.outputs, tensors, strict=True)}


class _InOrder(nn.Module):
    """Returns the outputs named in `roles`, in that order, of a module that returns a mapping."""

    def __init__(self, module: nn.Module, roles: Sequence[str]) -> None:
        super().__init__()
        self.module = module
        self.roles = tuple(roles)

    def forward(self, source: Tensor) -> tuple[Tensor, ...]:
        outputs = self.module(source)
        return tuple(outputs[role] for role in self.roles)
