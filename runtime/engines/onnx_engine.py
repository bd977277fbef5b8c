"""The onnxruntime engine."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from pocketdet.errors import EngineError
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines.base import Array, GraphName, PerProcess, check_inputs
from pocketdet.runtime.precision import Arithmetic


class OnnxEngine:
    """Runs the ONNX counterparts of a bundle's graphs in fp32 on onnxruntime's CPU provider.

    Thread-safe. In a forked process the first call creates new sessions.

    Args:
        graphs: graphs by name.
        locate: returns the path of a file of the bundle.
        threads: CPU threads. Default: 1.

    Raises:
        EngineError: if onnxruntime is not installed, the bundle has no ONNX files or a file cannot be loaded.
    """

    precision: Arithmetic = "fp32"

    def __init__(
        self, graphs: Mapping[str, GraphSpec], locate: Callable[[str], Path], threads: int = 1
    ) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(
                "engine 'onnxruntime' needs the onnxruntime package: pip install 'pocketdet[onnxruntime]'"
            ) from error
        self._graphs = dict(graphs)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1

        def load(spec: GraphSpec) -> "onnxruntime.InferenceSession":
            if spec.onnx is None:
                raise EngineError(
                    "the bundle has no ONNX files for this input size: export it without "
                    "--slim; of several sizes only the first has them"
                )
            path = locate(spec.onnx)
            try:
                return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            except Exception as error:  # onnxruntime raises a family of untyped pybind exceptions
                raise EngineError(f"onnxruntime cannot load {path}: {error}") from error

        self._sessions = PerProcess(lambda: {name: load(spec) for name, spec in self._graphs.items()})

    def run(self, graph: GraphName, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Engine.run`."""
        spec = self._graphs[graph]
        problem = check_inputs(graph, {i.role: i.shape for i in spec.inputs}, inputs)
        if problem:
            raise EngineError(problem)
        batched = spec.is_batched
        feed = {i.role: inputs[i.role][None] if batched else inputs[i.role] for i in spec.inputs}
        try:
            outputs = self._sessions.get()[graph].run([o.role for o in spec.outputs], feed)
        except Exception as error:  # see above
            raise EngineError(f"onnxruntime failed in graph {graph!r}: {error}") from error
        pairs = zip(spec.outputs, outputs, strict=True)
        return {o.role: np.asarray(v[0] if batched else v) for o, v in pairs}
