"""An ONNX file of any one-stage detector as a reference. onnxruntime runs it."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper
from typing_extensions import override

from pocketdet.errors import EngineError
from pocketdet.export.half_weights import to_half
from pocketdet.export.onnx_graph.load import load_file
from pocketdet.export.onnx_graph.read import INPUT
from pocketdet.export.onnx_graph.session import run, session, with_outputs
from pocketdet.export.reference.base import Identity
from pocketdet.export.reference.network import Network
from pocketdet.export.reference.one_stage import NetworkReference
from pocketdet.models.fold_bn import FoldReport
from pocketdet.models.trace import Value
from pocketdet.runtime.engines.base import Array
from pocketdet.spec.one_stage import OneStageSpec

# operator -> the input that is its weight; ncnn stores these weights like those of convolutions
_WEIGHTED = {"Conv": 1, "ConvTranspose": 1, "DeformConv": 1, "Gemm": 1, "MatMul": 1}


class OnnxNetwork(Network):
    """An ONNX graph with one input `INPUT` (1, 3, h, w); values have the names that the file gives them."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._session = session(model)

    @override
    def run(self, source: Array) -> dict[str, Array]:
        names = [output.name for output in self.model.graph.output]
        found = run(self._session, names, _inputs(source))
        for name, value in found.items():
            if value.ndim < 2 or len(value) != 1:
                raise EngineError(f"output {name!r} is {value.shape}: expected a batch axis of 1 first")
        return {name: value[0] for name, value in found.items()}

    @override
    def values(self, source: Array) -> list[Value]:
        names = list(dict.fromkeys(o for node in self.model.graph.node for o in node.output if o))
        found = run(session(with_outputs(self.model, names)), names, _inputs(source))
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


class OnnxReference(NetworkReference[OnnxNetwork]):
    """An ONNX file of a one-stage detector, which onnxruntime runs.

    The file holds all weights. Batch norm that can be folded is folded when the file is read.
    """

    runs_in = "onnxruntime"

    def __init__(
        self, network: OnnxNetwork, identity: Identity, decode: OneStageSpec, notes: tuple[str, ...] = ()
    ) -> None:
        super().__init__(network, identity, decode)
        self.notes = notes

    @override
    def with_decode(self, decode: OneStageSpec) -> Self:
        return type(self)(self.network, self.identity, decode, self.notes)

    @override
    def folded(self) -> tuple[Self, FoldReport]:
        return self, FoldReport((), ())

    @override
    def rounded(self, exclude: Collection[str]) -> Self:
        halves = {
            name: to_half(torch.from_numpy(np.array(values)), name).numpy()
            for name, values in self.weights().items()
            # a file made from a PyTorch module names its weights after the layers
            if name not in exclude and name.removesuffix(".weight") not in exclude
        }
        network = self.network.with_constants(halves)
        return type(self)(network, self.identity, self.decode, self.notes)

    @override
    def weights(self) -> Mapping[str, Array]:
        return self.network.weights()

    @override
    def every_weight(self) -> Iterator[tuple[str, Array]]:
        return self.network.constants()


def load_onnx(path: Path) -> OnnxNetwork:
    """Read a file that `OnnxNetwork.write_onnx` wrote. Raises `UsageError` for any other file."""
    return OnnxNetwork(load_file(path, external_data=False))


def _inputs(source: Array) -> dict[str, Array]:
    return {INPUT: np.ascontiguousarray(source)[None]}
