"""Small ONNX graphs for the tests of `pocketdet.export.onnx_graph`, and their values in onnxruntime."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float32]


class OnnxBuilder:
    """Nodes and constants of a graph, added one by one."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._rng = np.random.default_rng(seed)

    def constant(self, values: NDArray[np.generic], name: str | None = None) -> str:
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def add(self, kind: str, *inputs: str, to: str | None = None, **attributes: object) -> str:
        name = to or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def conv(
        self, x: str, channels: int, out: int, k: int = 1, stride: int = 1, to: str | None = None
    ) -> str:
        weight = self._rng.normal(0, (2 / (channels * k * k)) ** 0.5, (out, channels, k, k))
        bias = self._rng.normal(0, 0.1, out)
        return self.add(
            "Conv",
            x,
            self.constant(weight.astype(np.float32)),
            self.constant(bias.astype(np.float32)),
            to=to,
            kernel_shape=[k, k],
            pads=[k // 2] * 4,
            strides=[stride, stride],
        )

    def model(
        self,
        inputs: Mapping[str, Sequence[int | str]],
        outputs: Mapping[str, Sequence[int | str] | None],
        *,
        opset: int = 13,
        dtype: int = TensorProto.FLOAT,
        metadata: Mapping[str, str] | None = None,
    ) -> onnx.ModelProto:
        sources = [helper.make_tensor_value_info(name, dtype, list(s)) for name, s in inputs.items()]
        targets = [
            helper.make_tensor_value_info(name, dtype, None if s is None else list(s))
            for name, s in outputs.items()
        ]
        graph = helper.make_graph(self.nodes, "test", sources, targets, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        for key, value in (metadata or {}).items():
            model.metadata_props.add(key=key, value=value)
        return model


def run(model: onnx.ModelProto, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, Array]:
    """The outputs of a graph by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in model.graph.output]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def save(model: onnx.ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    onnx.save(model, folder / name)
    return folder / name


def images(*shape: int) -> tuple[Array, Array]:
    """Two different inputs."""
    first, second = (np.random.default_rng(seed).normal(0, 1, shape) for seed in (11, 12))
    return first.astype(np.float32), second.astype(np.float32)
