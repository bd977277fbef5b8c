"""Inference engines with a common interface."""

from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.engines.base import Array, Engine, GraphName
from pocketdet.runtime.engines.native_engine import NativeEngine
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.options import DetectorOptions

__all__ = ["Array", "Engine", "GraphName", "NativeEngine", "NcnnEngine", "make_engine"]


def make_engine(bundle: Bundle, options: DetectorOptions) -> Engine:
    """Return the engine named by `options` with the bundle's graphs loaded.

    Raises:
        EngineError: if the engine is not installed or cannot load a graph.
        UsageError: for an option that the engine does not have.
    """
    if options.engine == "native":
        return NativeEngine(bundle, options)
    if options.engine == "onnxruntime":
        from pocketdet.runtime.engines.onnx_engine import OnnxEngine

        return OnnxEngine(bundle.manifest.graphs.by_name(), bundle.path, options.threads)
    return NcnnEngine(bundle.manifest.graphs.by_name(), bundle.path, options.threads, options.precision)
