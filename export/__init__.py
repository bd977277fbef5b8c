"""Export a trained PyTorch detector to a bundle, and verify that its detections did not change.

`pocketdet.export(model, out)` calls `export_detector`: the package is callable.
"""

import sys
import types
from typing import Any

from pocketdet.export.exporter import ExportResult, export_detector
from pocketdet.export.options import ExportOptions
from pocketdet.export.verify import verify
from pocketdet.models.fold_bn import Fold, FoldReport, Refusal, fold_batch_norm
from pocketdet.runtime.verification import VerifyReport

__all__ = [
    "ExportOptions",
    "ExportResult",
    "Fold",
    "FoldReport",
    "Refusal",
    "VerifyReport",
    "export_detector",
    "fold_batch_norm",
    "verify",
]


class _CallablePackage(types.ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> ExportResult:
        return export_detector(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
