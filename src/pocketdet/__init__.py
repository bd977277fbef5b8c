"""pocketdet: export trained PyTorch detectors to ONNX and ncnn, verify parity, and run them on phones.

    import pocketdet
    detector = pocketdet.Detector("thundernet-snet49.pocketdet", threads=2)
    found = detector.detect(pocketdet.read_image("photo.jpg"))
    pocketdet.export(model, "bundles")           # needs pocketdet[export]

Names are imported on first use, so that running a bundle does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from pocketdet.errors import PocketdetError, UsageError

if TYPE_CHECKING:
    from pocketdet.export.callable_package import CallablePackage
    from pocketdet.runtime.bundle import Bundle, load_bundle
    from pocketdet.runtime.detections import Detection, Detections
    from pocketdet.runtime.detector import Detector
    from pocketdet.runtime.images import read_image
    from pocketdet.runtime.options import DetectorOptions
    from pocketdet.runtime.sources import Frame, iter_source

    export: CallablePackage

__version__ = "0.1.0"

__all__ = [
    "Bundle",
    "Detection",
    "Detections",
    "Detector",
    "DetectorOptions",
    "Frame",
    "PocketdetError",
    "__version__",
    "export",
    "iter_source",
    "load_bundle",
    "read_image",
]

_HOMES = {
    "Bundle": "pocketdet.runtime.bundle",
    "load_bundle": "pocketdet.runtime.bundle",
    "Detection": "pocketdet.runtime.detections",
    "Detections": "pocketdet.runtime.detections",
    "Detector": "pocketdet.runtime.detector",
    "DetectorOptions": "pocketdet.runtime.options",
    "Frame": "pocketdet.runtime.sources",
    "iter_source": "pocketdet.runtime.sources",
    "read_image": "pocketdet.runtime.images",
}


class _NotInstalledError(UsageError, AttributeError):
    """An AttributeError too, so that `help` and `hasattr` pass over the name."""


if not TYPE_CHECKING:  # to a type checker, every name would exist

    def __getattr__(name: str) -> Any:
        if name == "export":
            try:
                return importlib.import_module("pocketdet.export")
            except ModuleNotFoundError as error:
                raise _NotInstalledError(
                    f"pocketdet.export needs {error.name}: pip install 'pocketdet[export]'"
                ) from error
        if name in _HOMES:
            return getattr(importlib.import_module(_HOMES[name]), name)
        raise AttributeError(f"module 'pocketdet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "errors"]
