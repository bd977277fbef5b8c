"""The outputs of any module by name, in the form that descriptions know."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from pocketdet.errors import ExportError, UsageError
from pocketdet.export.onnx_graph.outputs import OutputForm, output_form
from pocketdet.export.to_onnx import root_cause

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
