"""Any PyTorch module as a reference. Its layers keep the names that it gives them.

The bundle has no PyTorch weights, because the module's code is not part of it. Its ONNX counterpart is the
reference of `verify`; the values in that file are renamed to the module's layers.
"""

import functools
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor, nn
from typing_extensions import override

from pocketdet.errors import UsageError
from pocketdet.export.dataflow import Value, capture
from pocketdet.export.layer_map import match_values
from pocketdet.export.onnx_graph.read import INPUT
from pocketdet.export.reference.base import Identity
from pocketdet.export.reference.module_outputs import ModuleOutput, SelectedOutputs
from pocketdet.export.reference.network import Network
from pocketdet.export.reference.one_stage import NetworkReference
from pocketdet.export.reference.onnx_reference import OnnxNetwork
from pocketdet.export.reference.torch_reference import TorchReference
from pocketdet.export.to_onnx import to_onnx
from pocketdet.models.fold_bn import FoldReport, fold_batch_norm
from pocketdet.runtime.engines.base import Array
from pocketdet.runtime.verification import TOLERANCES
from pocketdet.spec.one_stage import OneStageSpec

_INNER = "module."  # before the names of layers in `SelectedOutputs`


class ModuleNetwork(Network):
    """A module with one input (1, 3, h, w); values have the names of its layers."""

    def __init__(self, selected: SelectedOutputs) -> None:
        self._selected = selected
        self._onnx: onnx.ModelProto | None = None

    @override
    def run(self, source: Array) -> dict[str, Array]:
        with torch.no_grad():
            tensors = self._selected(_batched(source))
        names = [output.name for output in self._selected.outputs]
        return {name: tensor[0].numpy() for name, tensor in zip(names, tensors, strict=True)}

    @override
    def values(self, source: Array) -> list[Value]:
        found = capture(self._selected, _batched(source))
        return [replace(value, source=re.sub(r"^module[.:]", "", value.source)) for value in found]

    @override
    def write_onnx(self, path: Path, example: Array) -> None:
        onnx.save(self.onnx_model(example), path)

    def onnx_model(self, example: Array) -> onnx.ModelProto:
        """The simplified ONNX counterpart, made once. Raises `ExportError`."""
        if self._onnx is None:
            names = [output.name for output in self._selected.outputs]
            with tempfile.TemporaryDirectory(prefix="pocketdet-onnx-") as folder:
                path = Path(folder) / "model.onnx"
                to_onnx(self._selected, _batched(example), path, input_name=INPUT, output_names=names)
                self._onnx = onnx.load(path)
            self._name_after_layers(self._onnx, example)
        return self._onnx

    def _name_after_layers(self, model: onnx.ModelProto, example: Array) -> None:
        """Give every value the name of the layer that computes it, and weights theirs in the module."""
        graph = model.graph
        found = {value.source: value.array for value in OnnxNetwork(model).values(example)}
        matched = match_values(found, self.values(example), TOLERANCES["fp32"].of_graph("model"))
        outputs = [output.name for output in graph.output]
        names = {tensor.name: tensor.name.removeprefix(_INNER) for tensor in graph.initializer}
        taken = {INPUT, *outputs, *names.values()}
        for old, new in matched.items():
            if old != INPUT and new not in taken:
                names[old] = new
                taken.add(new)
        for tensor in (*graph.initializer, *graph.value_info):
            tensor.name = names.get(tensor.name, tensor.name)
        for node in graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
        # an output keeps its name, and the layer that computes it has its own
        graph.node.extend(
            helper.make_node("Identity", [names[name]], [name]) for name in outputs if name in names
        )


class ModuleReference(TorchReference[nn.Module], NetworkReference[ModuleNetwork]):
    """A module in eval mode, on the CPU, in float32.

    Args:
        module: the module.
        outputs: everything that it returns.
        identity: names, sizes and preprocessing.
        decode: how its outputs are read.
    """

    def __init__(
        self, module: nn.Module, outputs: Sequence[ModuleOutput], identity: Identity, decode: OneStageSpec
    ) -> None:
        by_name = {output.name: output for output in outputs}
        missing = [name for name in decode.outputs if name not in by_name]
        if missing:
            returned = ", ".join(f"{output.name} {output.shape}" for output in outputs)
            raise UsageError(
                f"{identity.architecture} has no output {missing[0]!r}: it returns {returned}; describe "
                "these names"
            )
        selected = [by_name[name] for name in decode.outputs]
        network = ModuleNetwork(SelectedOutputs(module, selected, identity.input_size))
        TorchReference.__init__(self, module)
        NetworkReference.__init__(self, network, identity, decode)
        self._outputs = tuple(outputs)

    def _with(self, model: nn.Module) -> Self:
        return type(self)(model, self._outputs, self.identity, self.decode)

    @override
    def with_decode(self, decode: OneStageSpec) -> Self:
        return type(self)(self.model, self._outputs, self.identity, decode)

    @override
    def folded(self) -> tuple[Self, FoldReport]:
        return self._folded

    @functools.cached_property
    def _folded(self) -> tuple[Self, FoldReport]:
        module, report = fold_batch_norm(self.model, _batched(self.network_inputs()[0]))
        return self._with(module), report


def _batched(source: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(source))[None]
