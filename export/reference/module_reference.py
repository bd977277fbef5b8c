"""Any PyTorch module as a reference. Its layers keep the names that it gives them.

The bundle has no PyTorch weights, because the module's code is not part of it. Its ONNX counterpart is the
reference of `verify`; the values in that file are renamed to the module's layers.
"""

import functools
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
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
from pocketdet.export.half_weights import WEIGHTED, round_to_half
from pocketdet.export.layer_map import match_values
from pocketdet.export.reference.base import Identity
from pocketdet.export.reference.module_outputs import ModuleOutput, SelectedOutputs
from pocketdet.export.reference.network import Network
from pocketdet.export.reference.one_stage import OneStageReference
from pocketdet.export.reference.onnx_reference import OnnxNetwork
from pocketdet.export.to_onnx import to_onnx
from pocketdet.models.fold_bn import FoldReport, fold_batch_norm
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.verification import PYTORCH, TOLERANCES
from pocketdet.spec.one_stage import OneStageSpec

INPUT = "image"
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


class ModuleReference(OneStageReference):
    """A module in eval mode, on the CPU, in float32.

    Args:
        module: the module.
        outputs: everything that it returns.
        identity: names, sizes and preprocessing.
        decode: how its outputs are read.
    """

    runs_in = PYTORCH

    def __init__(
        self, module: nn.Module, outputs: Sequence[ModuleOutput], identity: Identity, decode: OneStageSpec
    ) -> None:
        self.module = module
        self.decode = decode
        self._identity = identity
        self._outputs = tuple(outputs)
        by_name = {output.name: output for output in outputs}
        missing = [name for name in decode.outputs if name not in by_name]
        if missing:
            returned = ", ".join(f"{output.name} {output.shape}" for output in outputs)
            raise UsageError(
                f"{identity.architecture} has no output {missing[0]!r}: it returns {returned}; describe "
                "these names"
            )
        selected = [by_name[name] for name in decode.outputs]
        self.network = ModuleNetwork(SelectedOutputs(module, selected, identity.input_size))

    def _with(self, module: nn.Module) -> Self:
        return type(self)(module, self._outputs, self._identity, self.decode)

    @property
    @override
    def identity(self) -> Identity:
        return self._identity

    @override
    def raw(self, source: Array) -> Mapping[str, Array]:
        return self.network.run(source)

    @override
    def with_decode(self, decode: OneStageSpec) -> Self:
        return type(self)(self.module, self._outputs, self._identity, decode)

    @override
    def networks(self) -> Mapping[GraphName, Network]:
        return {"model": self.network}

    @override
    def for_inference(self) -> Self:
        return self

    @override
    def folded(self) -> tuple[Self, FoldReport]:
        return self._folded

    @functools.cached_property
    def _folded(self) -> tuple[Self, FoldReport]:
        module, report = fold_batch_norm(self.module, _batched(self.network_inputs()[0]))
        return self._with(module), report

    @override
    def rounded(self, exclude: Collection[str]) -> Self:
        return self._with(round_to_half(self.module, exclude))

    @override
    def weights(self) -> Mapping[str, Array]:
        weighted = {name: child for name, child in self.module.named_modules() if isinstance(child, WEIGHTED)}
        return {
            name: np.ascontiguousarray(child.get_parameter("weight").detach().numpy())
            for name, child in weighted.items()
        }

    @override
    def every_weight(self) -> Iterator[tuple[str, Array]]:
        for name, tensor in self.module.state_dict().items():
            yield name, tensor.numpy()

    @override
    def save(self, folder: Path, card: Mapping[str, str]) -> str | None:
        return None


def _batched(source: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(source))[None]
