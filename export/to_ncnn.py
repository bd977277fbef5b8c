"""Convert an ONNX graph to ncnn's .param and .bin with pnnx.

pnnx writes half-precision weights unless `fp16=0` is set, and numbers its blobs. Here it always writes fp32,
`half_weights` rounds if half precision is wanted, and inputs and outputs get the names of their roles.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

import pnnx

from pocketdet.errors import ExportError, GraphError
from pocketdet.export.half_weights import store_half
from pocketdet.export.passes.deform_conv import FOREIGN, read_attributes, use_deformable_layers
from pocketdet.export.passes.reductions import lost_axes, restore_axes
from pocketdet.runtime.ncnn_graph import Graph, read_graph, write_graph
from pocketdet.runtime.ncnn_graph.layer_views import Gemm

WeightStorage = Literal["fp32", "fp16"]

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def to_ncnn(
    onnx_path: Path,
    param: Path,
    bin_: Path,
    *,
    input_shape: Sequence[int],
    input_name: str,
    output_names: Sequence[str],
    dynamic_rows: bool = False,
    storage: WeightStorage = "fp32",
    exclude: Collection[str] = (),
) -> Graph:
    """Convert an ONNX file and write the ncnn files.

    Args:
        onnx_path: the file to convert.
        param: the .param file to write.
        bin_: the .bin file to write.
        input_shape: with the leading axis: the batch, which ncnn drops, or the number of RoIs.
        input_name: the name of the input blob.
        output_names: the names of the output blobs, in the order of the ONNX outputs.
        dynamic_rows: whether the leading axis is a free number of RoIs.
        storage: of the weights.
        exclude: names of the layers that are stored in fp32 in any case.

    Raises:
        ExportError: if pnnx fails, with the end of its output, or the graph has an unsupported operator.
    """
    with tempfile.TemporaryDirectory(prefix="pocketdet-pnnx-") as scratch:
        try:
            graph = _convert(onnx_path, Path(scratch), input_shape)
        except GraphError as error:
            raise ExportError(
                f"{onnx_path.name} cannot become an ncnn graph, an operator has no ncnn layer that pocketdet "
                f"knows: {error}"
            ) from error
    names = {"in0": input_name} | {f"out{i}": name for i, name in enumerate(output_names)}
    for layer in graph.layers:
        layer.inputs = [names.get(blob, blob) for blob in layer.inputs]
        layer.outputs = [names.get(blob, blob) for blob in layer.outputs]
        if dynamic_rows and layer.type == "Gemm":
            Gemm.of(layer).constantM = 0
    if storage == "fp16":
        store_half(graph, exclude)
    write_graph(graph, param, bin_)
    return graph


def _convert(onnx_path: Path, scratch: Path, input_shape: Sequence[int]) -> Graph:
    shape = ",".join(str(n) for n in input_shape)
    outputs = {
        key: str(scratch / name)
        for key, name in {
            "pnnxparam": "m.pnnx.param",
            "pnnxbin": "m.pnnx.bin",
            "pnnxpy": "m_pnnx.py",
            "pnnxonnx": "m.pnnx.onnx",
            "ncnnparam": "m.ncnn.param",
            "ncnnbin": "m.ncnn.bin",
            "ncnnpy": "m_ncnn.py",
        }.items()
    }
    # pnnx writes a simplified file beside the one it reads, so it reads a copy
    command = [
        pnnx.EXEC_PATH,
        str(shutil.copyfile(onnx_path, scratch / "m.onnx")),
        f"inputshape=[{shape}]",
        "fp16=0",
        *(f"{key}={value}" for key, value in outputs.items()),
    ]
    try:
        done = subprocess.run(
            command, cwd=scratch, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise ExportError(
            f"pnnx cannot be started: {error}; reinstall it: pip install --force-reinstall pnnx"
        ) from error
    param, bin_ = Path(outputs["ncnnparam"]), Path(outputs["ncnnbin"])
    if done.returncode != 0 or not param.exists() or not bin_.exists():
        words = " / ".join(_COLOURS.sub("", done.stderr + done.stdout).strip().splitlines()[-3:])
        raise ExportError(f"pnnx failed on {onnx_path.name} (exit {done.returncode}): {words}")
    pnnx_param = Path(outputs["pnnxparam"]).read_text(encoding="utf-8", errors="replace")
    graph = read_graph(param, bin_, foreign=(FOREIGN,))
    graph = use_deformable_layers(graph, read_attributes(pnnx_param))
    graph = restore_axes(graph, lost_axes(pnnx_param))
    return _with_unique_names(graph)


def _with_unique_names(graph: Graph) -> Graph:
    """Rename layers with equal names: pnnx numbers Splits of constants and Splits of blobs separately."""
    seen: set[str] = set()
    for layer in graph.layers:
        while layer.name in seen:
            layer.name += "_"
        seen.add(layer.name)
    return graph
