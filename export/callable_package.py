"""The type of the object `pocketdet.export`: a package that can be called."""

import inspect
import types

from pocketdet.export import exporter, options
from pocketdet.export.verify import verify as verify_bundle
from pocketdet.models import fold_bn
from pocketdet.runtime import verification


class CallablePackage(types.ModuleType):
    """`pocketdet.export(model, out)` is `export_detector(model, out)`; its attributes are the public names.

    They are listed here because type checkers and editors read the names of a called package from its type.
    """

    __call__ = staticmethod(exporter.export_detector)
    # inspect.signature would leave out the first parameter, as it does for a bound method
    __signature__ = inspect.signature(exporter.export_detector)

    ExportOptions = options.ExportOptions
    ExportResult = exporter.ExportResult
    Fold = fold_bn.Fold
    FoldReport = fold_bn.FoldReport
    Refusal = fold_bn.Refusal
    VerifyReport = verification.VerifyReport
    export_detector = staticmethod(exporter.export_detector)
    fold_batch_norm = staticmethod(fold_bn.fold_batch_norm)
    verify = staticmethod(verify_bundle)
