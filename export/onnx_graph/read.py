"""Read an ONNX file into one normal form, cut at the tensors that a description names.

The normal form has one input `INPUT` (1, 3, h, w) of float32, outputs with a batch axis of 1 and two or three
axes behind it, float32 weights, no free sizes, and operators that pnnx converts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from pocketdet.errors import UsageError
from pocketdet.export.onnx_graph.conversions import apply_conversions
from pocketdet.export.onnx_graph.cut import cut
from pocketdet.export.onnx_graph.graph import element_type, infer_shapes
from pocketdet.export.onnx_graph.image_input import Size, find_image_input, fix_size, rename_input
from pocketdet.export.onnx_graph.load import accept_uint8_image, load_file, refuse_quantized, widen
from pocketdet.export.onnx_graph.outputs import normalise_outputs
from pocketdet.export.onnx_graph.simplified import simplified

INPUT = "image"


@dataclass(frozen=True)
class NormalGraph:
    """A graph in normal form.

    Attributes:
        model: the graph.
        notes: what was changed, a line each; for the log.
    """

    model: onnx.ModelProto
    notes: tuple[str, ...]


def read_onnx(path: Path, outputs: Sequence[str], size: Size) -> NormalGraph:
    """Read an ONNX file.

    Args:
        path: the file.
        outputs: the outputs to keep, in order; inner tensors are allowed.
        size: (height, width) of the input in pixels.

    Raises:
        UsageError: if the file is not ONNX, is quantised, has other inputs, or lacks a tensor.
        ExportError: if it cannot be simplified.
    """
    model = load_file(path, external_data=True)
    refuse_quantized(model, path)
    notes = _notes_of_cut(cut(model, outputs, path))
    if widen(model):
        notes.append("half-precision values widened to float32")
    if accept_uint8_image(model):
        notes.append("the uint8 image of the file is float32 here, with the same values")
    source = find_image_input(model, path)
    fix_size(model, source, size, path)
    rename_input(model, source, size, INPUT)
    if source.channels_last:
        notes.append(f"input {source.name!r} {source.shape(size)} transposed to channels first")
    model = simplified(model, path)
    model, counts = apply_conversions(model)
    notes += [f"{title}: {count}" for title, count in counts.items()]
    forms = _normalise(model, size, path)
    notes += [f"output {name!r} {before} brought to {after}" for name, (before, after) in forms.items()]
    if counts or forms:
        model = simplified(model, path)
    return NormalGraph(model, tuple(notes))


def _normalise(
    model: onnx.ModelProto, size: Size, path: Path
) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    for output in model.graph.output:
        if element_type(output) != "float32":
            raise UsageError(
                f"{path}: output {output.name!r} is {element_type(output)}, expected float32: name the "
                "tensor that it is computed from"
            )
    shapes = {}
    for name, axes in infer_shapes(model).items():
        known = tuple(axis for axis in axes if isinstance(axis, int))
        if len(known) == len(axes):
            shapes[name] = known
    free = next((output.name for output in model.graph.output if output.name not in shapes), None)
    if free is not None:
        raise UsageError(
            f"{path}: the size of output {free!r} depends on the image: name a tensor before it instead"
        )
    try:
        return normalise_outputs(model, shapes, size)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _notes_of_cut(dropped: Sequence[str]) -> list[str]:
    return (
        [f"outputs that the description does not name were dropped: {', '.join(dropped)}"] if dropped else []
    )
