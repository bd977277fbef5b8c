"""OpenVINO as an engine, for comparison: the runtime itself does not use it."""

import functools
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pocketdet.errors import EngineError
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines.base import Array, GraphName, check_inputs
from pocketdet.runtime.precision import Arithmetic


class OpenVinoEngine:
    """Runs the ONNX twins of a bundle on OpenVINO's CPU device in fp32, made for latency, with one thread.

    `locate` gives the path of a file by its name. Calls from several threads wait for each other.
    Raises `EngineError` if OpenVINO is not installed, refuses a graph, or would not run it in that way.
    """

    precision: Arithmetic = "fp32"

    def __init__(self, graphs: Mapping[str, GraphSpec], locate: Callable[[str], Path]) -> None:
        core = _core()
        self._graphs = dict(graphs)
        self._requests = {}
        self._lock = threading.Lock()
        for name, spec in self._graphs.items():
            if spec.onnx is None:
                raise EngineError("the bundle carries no ONNX files: export it without --slim")
            try:
                compiled = core.compile_model(core.read_model(locate(spec.onnx)), "CPU", _wishes())
            except Exception as error:  # OpenVINO raises a plain RuntimeError
                words = " ".join(str(error).split())
                # what it could not do comes last, after where in its sources that was
                words = words if len(words) <= 130 else f"...{words[-130:]}"
                raise EngineError(f"openvino refuses {spec.onnx}: {words}") from error
            _check_settings(compiled)
            self._requests[name] = compiled.create_infer_request()

    def run(self, graph: GraphName, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Engine.run`. Blobs have a leading batch axis of 1 unless they are RoIs."""
        spec = self._graphs[graph]
        problem = check_inputs(graph, {i.role: i.shape for i in spec.inputs}, inputs)
        if problem:
            raise EngineError(problem)
        batched = spec.is_batched
        feed = {i.role: inputs[i.role][None] if batched else inputs[i.role] for i in spec.inputs}
        with self._lock:
            try:
                # inputs are read where they are; outputs are copies, since the next run writes over its own
                outputs = self._requests[graph].infer(feed, share_inputs=True, share_outputs=False)
            except Exception as error:  # see above
                raise EngineError(f"openvino failed in graph {graph!r}: {error}") from error
        values = {o.role: np.asarray(outputs[o.role], np.float32) for o in spec.outputs}
        return {role: value[0] if batched else value for role, value in values.items()}


@functools.cache
def _core() -> Any:
    """The one core of this process.

    The CPU plugin of a core gives the thread another stack for signals, and gives back the one it found when
    it goes: of two cores, the second would give back what the first has freed, and the next signal crash.
    """
    try:
        import openvino
    except ImportError as error:
        raise EngineError(
            "engine 'openvino' needs the openvino package: pip install 'pocketdet[bench]'"
        ) from error
    return openvino.Core()


def _wishes() -> dict[Any, Any]:
    from openvino import Type, properties
    from openvino.properties import hint

    return {
        hint.inference_precision: Type.f32,
        hint.performance_mode: hint.PerformanceMode.LATENCY,
        hint.enable_cpu_pinning: False,  # the system may move it to a free core, as it may the others
        properties.inference_num_threads: 1,
        properties.num_streams: 1,
    }


def _check_settings(compiled: Any) -> None:
    """Raise `EngineError` unless the settings that count are those in use."""
    from openvino import Type, properties
    from openvino.properties import hint

    for key, expected in (
        (hint.inference_precision, Type.f32),
        (properties.inference_num_threads, 1),
        (properties.num_streams, 1),
    ):
        found = compiled.get_property(key)
        if found != expected:
            raise EngineError(f"openvino runs with {key()} = {found}, expected {expected}")
