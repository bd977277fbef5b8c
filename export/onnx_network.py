"""Anybody's ONNX file as a network: one picture in, the outputs that are asked for out."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from pocketdet.errors import EngineError, UsageError
from pocketdet.export.dataflow import Value
from pocketdet.export.to_onnx import root_cause, simplify
from pocketdet.runtime.engines.base import Array

INPUT = "image"
# operators with a weight that ncnn stores as it stores those of its convolutions, and which input that is
_WEIGHTED = {"Conv": 1, "ConvTranspose": 1, "DeformConv": 1, "Gemm": 1, "MatMul": 1}


class OnnxNetwork:
    """See `Network`; `model` has one input `INPUT` (1, 3, h, w) and the named outputs in that order."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._session = _session(model)

    def run(self, source: Array) -> dict[str, Array]:
        """See `Network.run`. Raises `EngineError` for a graph that cannot run or has no batch axis of 1."""
        names = [output.name for output in self.model.graph.output]
        found = _run(self._session, names, source)
        for name, value in found.items():
            if value.ndim < 2 or len(value) != 1:
                raise EngineError(f"output {name!r} is {value.shape}: expected a batch axis of 1 first")
        return {name: value[0] for name, value in found.items()}

    def values(self, source: Array) -> list[Value]:
        """See `Network.values`; each is called what the file calls it."""
        names = list(dict.fromkeys(o for node in self.model.graph.node for o in node.output if o))
        whole = onnx.ModelProto()
        whole.CopyFrom(self.model)
        del whole.graph.output[:]
        whole.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
        found = _run(_session(whole), names, source)
        return [Value(name, value) for name, value in found.items() if value.dtype == np.float32]

    def write_onnx(self, path: Path, example: Array) -> None:
        """See `Network.write_onnx`."""
        del example
        onnx.save(self.model, path)

    def weights(self) -> dict[str, Array]:
        """Constant weights of convolutions and matrices, by the name of the constant."""
        wanted = {
            node.input[_WEIGHTED[node.op_type]]
            for node in self.model.graph.node
            if node.op_type in _WEIGHTED and len(node.input) > _WEIGHTED[node.op_type]
        }
        return {name: values for name, values in self.constants() if name in wanted}

    def constants(self) -> Iterator[tuple[str, Array]]:
        """All float32 numbers that the file stores."""
        for tensor in self.model.graph.initializer:
            if tensor.data_type == TensorProto.FLOAT:
                yield tensor.name, numpy_helper.to_array(tensor)

    def with_constants(self, changed: Mapping[str, Array]) -> "OnnxNetwork":
        """The same network with other numbers in some constants."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for tensor in model.graph.initializer:
            if tensor.name in changed:
                tensor.CopyFrom(numpy_helper.from_array(changed[tensor.name], tensor.name))
        return OnnxNetwork(model)


def read_onnx(path: Path, outputs: Sequence[str], size: tuple[int, int]) -> OnnxNetwork:
    """The network in `path` for one picture of `size` (height, width), cut to `outputs`, simplified.

    Raises `UsageError` for a file that is no ONNX, has other inputs or lacks an output; `ExportError`
    if it cannot be simplified.
    """
    model = _load(path, with_others=True)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs)
        raise UsageError(f"{path} has {len(inputs)} inputs ({names}): expected one, a picture (1, 3, h, w)")
    found = [output.name for output in model.graph.output]
    missing = [name for name in outputs if name not in found]
    if missing:
        raise UsageError(f"{path} has no output {missing[0]!r}: its outputs are {', '.join(found)}")
    _fix_input(model, inputs[0], size, path)
    by_name = {output.name: output for output in model.graph.output}
    del model.graph.output[:]
    model.graph.output.extend(by_name[name] for name in outputs)
    _rename(model, inputs[0].name, INPUT)
    return OnnxNetwork(_simplified(model, path))


def load_onnx(path: Path) -> OnnxNetwork:
    """A file that `OnnxNetwork.write_onnx` wrote. Raises `UsageError` for another."""
    return OnnxNetwork(_load(path, with_others=False))


def _load(path: Path, *, with_others: bool) -> onnx.ModelProto:
    """`with_others`: weights may lie in other files, which the model names."""
    try:
        return onnx.load(path, load_external_data=with_others)
    except Exception as error:  # protobuf and the file system raise a family of errors
        raise UsageError(f"{path} cannot be read as an ONNX file: {root_cause(error)}") from error


def _fix_input(model: onnx.ModelProto, value: onnx.ValueInfoProto, size: tuple[int, int], path: Path) -> None:
    """Give the input the one shape that is exported; what was inferred from another goes."""
    kind = value.type.tensor_type
    if kind.elem_type != TensorProto.FLOAT or len(kind.shape.dim) != 4:
        raise UsageError(
            f"{path}: its input {value.name!r} must be float32 of four axes (1, 3, h, w), found "
            f"{TensorProto.DataType.Name(kind.elem_type)} of {len(kind.shape.dim)}"
        )
    for axis, length in zip(kind.shape.dim, (1, 3, *size), strict=True):
        if axis.HasField("dim_value") and axis.dim_value not in (0, length):
            shape = tuple(d.dim_value if d.HasField("dim_value") else d.dim_param for d in kind.shape.dim)
            raise UsageError(
                f"{path}: its input is {shape} and the description says {(1, 3, *size)}: describe the size "
                "that the file was made for, or export it anew"
            )
        axis.dim_value = length
    del model.graph.value_info[:]
    for output in model.graph.output:
        for axis in output.type.tensor_type.shape.dim:
            axis.Clear()


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    graph = model.graph
    taken = {name for node in graph.node for name in node.output} | {t.name for t in graph.initializer}
    if old == new:
        return
    if new in taken:
        raise UsageError(f"the ONNX file has a value called {new!r} inside, which its input is to be called")
    for value in graph.input:
        value.name = new if value.name == old else value.name
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def _simplified(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="pocketdet-onnx-") as folder:
        target = Path(folder) / path.name
        simplify(model, target)
        return onnx.load(target)


def _run(session: onnxruntime.InferenceSession, names: Sequence[str], source: Array) -> dict[str, Array]:
    try:
        found = session.run(names, {INPUT: np.ascontiguousarray(source)[None]})
    except Exception as error:  # see below
        raise EngineError(f"onnxruntime cannot run the ONNX file: {root_cause(error)}") from error
    return {name: np.asarray(value) for name, value in zip(names, found, strict=True)}


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime raises a family of untyped pybind exceptions
        raise UsageError(f"onnxruntime refuses the ONNX file: {root_cause(error)}") from error
