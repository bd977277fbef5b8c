"""The facts that `pocketdet info` prints about an ONNX file: what `pocketdet export` can make of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pocketdet.errors import ExportError, UsageError

if TYPE_CHECKING:
    from pocketdet.export.onnx_graph.summary import OnnxSummary, TensorInfo

Record = dict[str, Any]

_LONGEST = 200  # characters of one value of the metadata in the table


def onnx_card(path: Path, shapes: dict[str, tuple[int, ...]]) -> Record:
    """Inputs, outputs, inner tensors to cut at, opset, metadata, operators and the recognised family.

    Args:
        path: the file.
        shapes: at most one, (3, h, w), for a file whose input has a free size.

    Raises:
        UsageError: if the file is not ONNX, or the shape is no image.
    """
    from pocketdet.export.onnx_graph.summary import summarise

    summary = summarise(path, _size(shapes))
    card: Record = {
        "kind": "ONNX file",
        "path": str(path),
        "producer": summary.producer or None,
        "opset": summary.opset,
        "family": None,
        "operators": dict(summary.operators.most_common()),
        "metadata": dict(summary.metadata),
        "inputs": [_tensor(info, None) for info in summary.inputs],
        "outputs": [_tensor(info, None) for info in summary.outputs],
        "candidates": [],
        "cut_at": [],
        "problem": None,
        "bytes": path.stat().st_size,
    }
    try:
        card["cut_at"] = list(summary.cut_points)
        if summary.input_size is not None:
            card["outputs"] = [_tensor(info, summary) for info in summary.outputs]
            card["candidates"] = [
                {"name": c.name, "shape": list(c.shape), "stride": list(c.stride), "operator": c.operator}
                for c in summary.candidates
            ]
        card["family"], card["problem"] = _family(summary)
    except (ExportError, UsageError) as error:  # a file that is no detector has inputs and operators, too
        card["problem"] = str(error)
    return card


def print_onnx(card: Record, console: Console) -> None:
    """Print what `onnx_card` found, as tables."""
    table = Table(title=f"ONNX file {escape(card['path'])}", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    operators = ", ".join(f"{name} {count}" for name, count in card["operators"].items())
    rows = {
        "producer": card["producer"] or "-",
        "opset": str(card["opset"]),
        "operators": operators or "-",
        "family": card["family"] or "not recognised",
        **{f"metadata {key}": _short(value) for key, value in card["metadata"].items()},
        "bytes": f"{card['bytes']:,}",
    }
    for key, value in rows.items():
        table.add_row(escape(key), escape(value))
    console.print(table)
    table = _named_table("inputs and outputs", "", "tensor", "type", "shape", "shape here")
    for kind in ("inputs", "outputs"):
        for tensor in card[kind]:
            cells = (tensor["name"], tensor["dtype"], _shape(tensor["shape"]), _shape(tensor["at_size"]))
            table.add_row(kind[:-1], *map(escape, cells))
    console.print(table)
    if card["candidates"]:
        title = "inner tensors that a description can name: the last maps of the head"
        table = _named_table(title, "tensor", "shape", "stride", "made by")
        for found in card["candidates"]:
            stride = " x ".join(f"{step:g}" for step in dict.fromkeys(found["stride"]))
            table.add_row(*map(escape, (found["name"], _shape(found["shape"]), stride, found["operator"])))
        console.print(table)
    if card["cut_at"]:
        names = ", ".join(map(repr, card["cut_at"]))
        console.print(
            f"detections are selected in the graph: cut it at {names}", markup=False, soft_wrap=True
        )
    if card["problem"]:
        console.print(card["problem"], markup=False, soft_wrap=True, style="yellow")


def _named_table(title: str, *columns: str) -> Table:
    """A table that shows names whole, in several lines if need be: a description needs them."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _size(shapes: dict[str, tuple[int, ...]]) -> tuple[int, int] | None:
    if not shapes:
        return None
    (shape, *more) = shapes.values()
    if more or len(shape) != 3 or shape[0] != 3:
        raise UsageError("--shape of an .onnx file: expected one image, such as 3x320x320")
    return shape[1], shape[2]


def _family(summary: "OnnxSummary") -> tuple[str | None, str | None]:
    """The family, or None and why not."""
    from pocketdet.export.families import FamilyOptions, recognise

    try:
        found = recognise(summary, FamilyOptions(input_size=summary.size))
    except UsageError as error:
        return None, str(error)
    return f"{found.family.name}: {found.family.title}", None


def _tensor(info: "TensorInfo", summary: "OnnxSummary | None") -> Record:
    shape = None if info.shape is None else list(info.shape)
    at_size = None if summary is None else list(summary.shape_of(info.name))
    return {"name": info.name, "dtype": info.dtype, "shape": shape, "at_size": at_size}


def _shape(axes: list[int | str] | None) -> str:
    return "-" if axes is None else " x ".join(map(str, axes)) or "one number"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
