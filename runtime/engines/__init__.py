"""Inference engines with a common interface."""

from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.engines.base import Engine
from pocketdet.runtime.engines.native_library import NativeEngine, has_library
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.options import DetectorOptions, EngineName

__all__ = ["Engine", "NativeEngine", "NcnnEngine", "choose_engine", "make_engine"]


def choose_engine(options: DetectorOptions) -> EngineName:
    """Return the engine of `options`, or the default for them on this machine."""
    if options.engine is not None:
        return options.engine
    return "native" if options.threads == 1 and has_library() else "ncnn"


def make_engine(name: EngineName, bundle: Bundle, options: DetectorOptions) -> Engine:
    """Return an engine with the bundle's graphs loaded.

    Raises:
        EngineError: if the engine is not installed or cannot load a graph.
        UsageError: for an option that the engine does not have.
    """
    if name == "native":
        return NativeEngine(bundle, options)
    if name == "onnxruntime":
        from pocketdet.runtime.engines.onnx_engine import OnnxEngine

        return OnnxEngine(bundle.manifest.graphs.by_name(), bundle.path, options.threads)
    return NcnnEngine(bundle.manifest.graphs.by_name(), bundle.path, options.threads, options.precision)
