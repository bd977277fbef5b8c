"""The engines that run a bundle's ONNX twins, as far as they are installed."""

import importlib.util
from collections.abc import Callable
from importlib.metadata import version

from pocketdet.benchmarks.engine_contest import Entrant, LeftOut
from pocketdet.benchmarks.openvino_engine import OpenVinoEngine
from pocketdet.errors import BundleError, EngineError
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.engines.base import Engine
from pocketdet.runtime.engines.onnx_engine import OnnxEngine

_ENGINES: tuple[tuple[str, str, Callable[[Bundle], Engine]], ...] = (
    ("onnxruntime", "pocketdet[onnxruntime]", lambda b: OnnxEngine(b.manifest.graphs.by_name(), b.path)),
    ("openvino", "pocketdet[bench]", lambda b: OpenVinoEngine(b.manifest.graphs.by_name(), b.path)),
)


def require_onnx(bundle: Bundle) -> None:
    """Raise `BundleError` if the bundle was exported without its ONNX twins."""
    if not bundle.manifest.has_onnx:
        raise BundleError(
            f"{bundle.source}: the bundle carries no ONNX files, which the engines are compared on: "
            "export it without --slim"
        )


def onnx_entrants(bundle: Bundle) -> tuple[list[Entrant], list[LeftOut]]:
    """ONNX Runtime and OpenVINO with the bundle's graphs, or how to install what is missing.

    One that refuses a graph is left out with its words: OpenVINO has no deformable convolution, for one.
    """
    entrants, left_out = [], []
    for name, package, make in _ENGINES:
        if importlib.util.find_spec(name) is None:
            left_out.append(LeftOut(name, f"not installed: pip install '{package}'"))
            continue
        try:
            engine = make(bundle)
        except EngineError as error:
            left_out.append(LeftOut(name, str(error)))
        else:
            entrants.append(Entrant(name, f"{name} {version(name)}, the ONNX graphs", engine))
    return entrants, left_out
