"""An ONNX file of any one-stage detector as a reference. onnxruntime runs it."""

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from typing_extensions import override

from pocketdet.errors import EngineError, UsageError
from pocketdet.export.dataflow import Value
from pocketdet.export.half_weights import to_half
from pocketdet.export.reference.base import Identity
from pocketdet.export.reference.network import Network
from pocketdet.export.reference.one_stage import OneStageReference
from pocketdet.export.to_onnx import root_cause, simplify
from pocketdet.models.fold_bn import FoldReport
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.spec.one_stage import OneStageSpec

INPUT = "image"
# operator -> the input that is its weight; ncnn stores these weights like those of convolutions
_WEIGHTED = {"Conv": 1, "ConvTranspose": 1, "DeformConv": 1, "Gemm": 1, "MatMul": 1}


class OnnxNetwork(Network):
    """An ONNX graph with one input `INPUT` (1, 3, h, w); values have the names that the file gives them."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._session = _session(model)

    @override
    def run(self, source: Array) -> dict[str, Array]:
        names = [output.name for output in self.model.graph.output]
        found = _run(self._session, names, source)
        for name, value in found.items():
            if value.ndim < 2 or len(value) != 1:
                raise EngineError(f"output {name!r} is {value.shape}: expected a batch axis of 1 first")
        return {name: value[0] for name, value in found.items()}

    @override
    def values(self, source: Array) -> list[Value]:
        names = list(dict.fromkeys(o for node in self.model.graph.node for o in node.output if o))
        whole = onnx.ModelProto()
        whole.CopyFrom(self.model)
        del whole.graph.output[:]
        whole.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
        found = _run(_session(whole), names, source)
        return [Value(name, value) for name, value in found.items() if value.dtype == np.float32]

    @override
    def write_onnx(self, path: Path, example: Array) -> None:
        del example
        onnx.save(self.model, path)

    def weights(self) -> dict[str, Array]:
        """The constant weights of convolutions and matrix products, by the name of the constant."""
        wanted = {
            node.input[_WEIGHTED[node.op_type]]
            for node in self.model.graph.node
            if node.op_type in _WEIGHTED and len(node.input) > _WEIGHTED[node.op_type]
        }
        return {name: values for name, values in self.constants() if name in wanted}

    def constants(self) -> Iterator[tuple[str, Array]]:
        """All float32 constants of the file with their names."""
        for tensor in self.model.graph.initializer:
            if tensor.data_type == TensorProto.FLOAT:
                yield tensor.name, numpy_helper.to_array(tensor)

    def with_constants(self, changed: Mapping[str, Array]) -> "OnnxNetwork":
        """A copy in which the constants in `changed` have other values."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for tensor in model.graph.initializer:
            if tensor.name in changed:
                tensor.CopyFrom(numpy_helper.from_array(changed[tensor.name], tensor.name))
        return OnnxNetwork(model)


class OnnxReference(OneStageReference):
    """An ONNX file of a one-stage detector, which onnxruntime runs.

    The file holds all weights. Batch norm that can be folded is folded when the file is read.
    """

    runs_in = "onnxruntime"

    def __init__(self, network: OnnxNetwork, identity: Identity, decode: OneStageSpec) -> None:
        self.network = network
        self._identity = identity
        self.decode = decode

    @property
    @override
    def identity(self) -> Identity:
        return self._identity

    @override
    def raw(self, source: Array) -> Mapping[str, Array]:
        return self.network.run(source)

    @override
    def with_decode(self, decode: OneStageSpec) -> Self:
        return type(self)(self.network, self._identity, decode)

    @override
    def networks(self) -> Mapping[GraphName, Network]:
        return {"model": self.network}

    @override
    def for_inference(self) -> Self:
        return self

    @override
    def folded(self) -> tuple[Self, FoldReport]:
        return self, FoldReport((), ())

    @override
    def rounded(self, exclude: Collection[str]) -> Self:
        halves = {
            name: to_half(torch.from_numpy(np.array(values)), name).numpy()
            for name, values in self.weights().items()
            if name not in exclude
        }
        return type(self)(self.network.with_constants(halves), self._identity, self.decode)

    @override
    def weights(self) -> Mapping[str, Array]:
        return self.network.weights()

    @override
    def every_weight(self) -> Iterator[tuple[str, Array]]:
        return self.network.constants()

    @override
    def save(self, folder: Path, card: Mapping[str, str]) -> str | None:
        return None


def read_onnx(path: Path, outputs: Sequence[str], size: tuple[int, int]) -> OnnxNetwork:
    """Read and simplify an ONNX file.

    Args:
        path: the file.
        outputs: the outputs to keep.
        size: (height, width) of the input in pixels.

    Raises:
        UsageError: if the file is not ONNX, has other inputs or lacks an output.
        ExportError: if it cannot be simplified.
    """
    model = _load(path, external_data=True)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs)
        raise UsageError(f"{path} has {len(inputs)} inputs ({names}): expected one, an image (1, 3, h, w)")
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
    """Read a file that `OnnxNetwork.write_onnx` wrote. Raises `UsageError` for any other file."""
    return OnnxNetwork(_load(path, external_data=False))


def _load(path: Path, *, external_data: bool) -> onnx.ModelProto:
    """`external_data`: whether weights may be in other files that the model names."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} cannot be read as an ONNX file: not a regular file")
    try:
        return onnx.load(path, load_external_data=external_data)
    except Exception as error:  # protobuf and the file system raise a family of errors
        raise UsageError(f"{path} cannot be read as an ONNX file: {root_cause(error)}") from error


def _fix_input(model: onnx.ModelProto, value: onnx.ValueInfoProto, size: tuple[int, int], path: Path) -> None:
    """Set the shape of the input and remove the shapes that were inferred from another one."""
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
    except Exception as error:  # onnxruntime raises a family of untyped pybind exceptions
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
