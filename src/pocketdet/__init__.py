"""pocketdet: export trained PyTorch detectors to ONNX and ncnn, verify parity, and run them on phones.

    import pocketdet
    detector = pocketdet.Detector("thundernet-snet49.pocketdet")
    result = detector.detect(image)              # RGB (H, W, 3) uint8
    pocketdet.export(model, Path("out"))         # needs pocketdet[export]

Names are imported on first use, so that running a bundle does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from pocketdet.errors import PocketdetError

if TYPE_CHECKING:
    from pocketdet import export as export
    from pocketdet.runtime.bundle import Bundle, load_bundle
    from pocketdet.runtime.detector import Detections, Detector
    from pocketdet.runtime.images import read_image
    from pocketdet.runtime.options import DetectorOptions

__version__ = "0.1.0"

__all__ = [
    "Bundle",
    "Detections",
    "Detector",
    "DetectorOptions",
    "PocketdetError",
    "__version__",
    "export",
    "load_bundle",
    "read_image",
]

_HOMES = {
    "Bundle": "pocketdet.runtime.bundle",
    "load_bundle": "pocketdet.runtime.bundle",
    "Detections": "pocketdet.runtime.detector",
    "Detector": "pocketdet.runtime.detector",
    "DetectorOptions": "pocketdet.runtime.options",
    "read_image": "pocketdet.runtime.images",
}


def __getattr__(name: str) -> Any:
    if name == "export":
        return importlib.import_module("pocketdet.export")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pocketdet' has no attribute {name!r}")
