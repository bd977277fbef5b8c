"""Any PyTorch module as a reference. Its layers keep the names that it gives them.

The bundle has no PyTorch weights, because the module's code is not part of it. Its ONNX counterpart is the
reference of `verify`; the values in that file are renamed to the module's layers.
"""

import copy
import functools
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor, nn
from torch.nn.utils import parametrize
from typing_extensions import override

from pocketdet.errors import ExportError, UsageError
from pocketdet.export.layer_map import match_values
from pocketdet.export.onnx_graph.outputs import OutputForm, output_form
from pocketdet.export.onnx_graph.read import INPUT
from pocketdet.export.reference.base import Identity, TorchReference
from pocketdet.export.reference.network import Network
from pocketdet.export.reference.one_stage import NetworkReference
from pocketdet.export.reference.onnx_reference import OnnxNetwork
from pocketdet.export.to_onnx import root_cause, to_onnx
from pocketdet.models.fold_bn import FoldReport, fold_batch_norm
from pocketdet.models.trace import Value, capture
from pocketdet.runtime.engines.base import Array
from pocketdet.runtime.verification import TOLERANCES
from pocketdet.spec.one_stage import OneStageSpec

Step = int | str


@dataclass(frozen=True)
class ModuleOutput:
    """One tensor among what a module returns.

    Attributes:
        name: "output0", "output1", ... in the order of a tuple or list, or the keys of dicts joined by ".".
        steps: the index or key at each depth.
        shape: as the module returns it for one image.
    """

    name: str
    steps: tuple[Step, ...]
    shape: tuple[int, ...]


def prepare_module(module: nn.Module) -> nn.Module:
    """A copy of a module on the CPU, in eval mode and in float32, with parametrizations made permanent.

    Raises:
        ExportError: if it cannot be copied.
    """
    try:
        copied = copy.deepcopy(module).cpu().eval().float()
    except Exception as error:  # tensors with a history, open files, ... in attributes of the module
        raise ExportError(
            f"{type(module).__name__} cannot be copied: {root_cause(error)}; remove such attributes"
        ) from error
    for inner in copied.modules():
        for name in list(getattr(inner, "parametrizations", ())):
            parametrize.remove_parametrizations(inner, name)
    return copied.requires_grad_(False)


def find_outputs(module: nn.Module, example: Tensor) -> tuple[ModuleOutput, ...]:
    """Run a module once, and name what it returns.

    Args:
        module: in eval mode.
        example: its input (1, 3, h, w).

    Raises:
        UsageError: if it returns no tensors.
        ExportError: if it cannot run.
    """
    try:
        with torch.no_grad():
            result = module(example)
    except Exception as error:  # whatever the module's own code raises
        raise ExportError(
            f"{type(module).__name__} cannot run an input of {tuple(example.shape)}: {root_cause(error)}"
        ) from error
    found = list(_tensors(result, ()))
    if not found:
        raise UsageError(
            f"{type(module).__name__} returns {type(result).__name__}: expected a tensor, or a tuple, list "
            "or dict of tensors, before any suppression"
        )
    outputs = []
    for number, (steps, tensor) in enumerate(found):
        has_keys = any(isinstance(step, str) for step in steps)
        name = ".".join(map(str, steps)) if has_keys else f"output{number}"
        outputs.append(ModuleOutput(name, steps, tuple(tensor.shape)))
    return tuple(outputs)


def _tensors(value: object, steps: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], Tensor]]:
    """All floating tensors in nested tuples, lists and dicts, with the way to each."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield steps, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _tensors(inner, (*steps, key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, inner in enumerate(value):
            yield from _tensors(inner, (*steps, index))


class SelectedOutputs(nn.Module):
    """A module that returns some outputs of another one in their normal form.

    Args:
        module: in eval mode.
        outputs: those to return, in this order.
        size: (height, width) of the input in pixels.

    Raises:
        UsageError: if an output has a form that cannot be described.
    """

    def __init__(self, module: nn.Module, outputs: Sequence[ModuleOutput], size: tuple[int, int]) -> None:
        super().__init__()
        self.module = module
        self.outputs = tuple(outputs)
        self.forms = tuple(output_form(output.name, output.shape, size) for output in outputs)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The selected outputs of `module` for an image (1, 3, h, w)."""
        result = self.module(image)
        pairs = zip(self.outputs, self.forms, strict=True)
        return tuple(_normal(result, output, form) for output, form in pairs)


def _normal(result: object, output: ModuleOutput, form: OutputForm) -> Tensor:
    for step in output.steps:
        result = result[step]  # type: ignore[index]
    tensor: Tensor = result  # type: ignore[assignment]
    if form.permutation is not None:
        tensor = (tensor if output.shape[0] == 1 else tensor.unsqueeze(0)).permute(form.permutation)
    return tensor if output.shape == form.shape else tensor.reshape(form.shape)


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
