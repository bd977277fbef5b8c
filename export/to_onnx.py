"""Export a folded torch graph to a simplified ONNX file: `torch.onnx.export(dynamo=True)`, then onnxsim.

Inputs and outputs have the names of their roles ("image", "rpn_scores", ...).
"""

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import onnxsim
import torch
from torch import Tensor, nn

from pocketdet.errors import ExportError

OPSET = 19  # the first with DeformConv

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def to_onnx(
    graph: nn.Module,
    example: Tensor,
    path: Path,
    *,
    input_name: str,
    output_names: Sequence[str],
    dynamic_rows: bool = False,
) -> None:
    """Export one graph.

    Args:
        graph: a module with one input.
        example: an input, with a batch axis or rows.
        path: the file to write.
        input_name: the name of the input.
        output_names: the names of the outputs, in order.
        dynamic_rows: whether the first axis of input and outputs is a free number of RoIs.

    Raises:
        ExportError: if a step fails, with the exporter's message.
    """
    shapes = ({0: torch.export.Dim.DYNAMIC},) if dynamic_rows else None
    try:
        with _quiet():
            program = torch.onnx.export(
                graph.eval(),
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[input_name],
                output_names=list(output_names),
                dynamic_shapes=shapes,
                external_data=False,
            )
    except Exception as error:  # the exporter raises many types, all about the model
        raise ExportError(
            f"torch.onnx.export failed on {type(graph).__name__}: {root_cause(error)}"
        ) from error
    assert program is not None
    simplify(program.model_proto, path)


def simplify(model: onnx.ModelProto, path: Path) -> None:
    """Constant-fold and prune `model` with onnxsim, check it, and write it. Raises `ExportError`."""
    try:
        simplified, ok = onnxsim.simplify(model)
        onnx.checker.check_model(simplified, full_check=True)
    except Exception as error:  # onnxsim and the checker raise untyped C++ errors
        raise ExportError(
            f"the ONNX graph for {path.name} cannot be simplified: {root_cause(error)}"
        ) from error
    if not ok:
        raise ExportError(f"onnxsim changed the outputs of {path.name}; nothing was written")
    # the file must not contain names of source files and stack frames of the exporting machine
    for node in simplified.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.save(simplified, path)


def root_cause(error: BaseException) -> str:
    """The first line of the original error; torch wraps it in pages of advice with colours."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines()]
    return next((line for line in lines if line), type(error).__name__)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
