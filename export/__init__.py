"""Export a trained PyTorch detector to a bundle, and verify that its detections did not change.

    import pocketdet
    result = pocketdet.export(model, "bundles")

`pocketdet.export(model, out)` calls `export_detector`, whose documentation has all arguments.
"""

import sys

from pocketdet.export.callable_package import CallablePackage
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

sys.modules[__name__].__class__ = CallablePackage
