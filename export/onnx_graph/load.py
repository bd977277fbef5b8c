"""Load an ONNX file. A file is untrusted; every problem is one sentence."""

from pathlib import Path

import onnx

from pocketdet.errors import UsageError
from pocketdet.export.to_onnx import root_cause


def load_file(path: Path, *, external_data: bool) -> onnx.ModelProto:
    """Load an ONNX file.

    Args:
        path: the file.
        external_data: whether weights may be in other files that the model names.

    Raises:
        UsageError: if it cannot be read as an ONNX file.
    """
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} cannot be read as an ONNX file: not a regular file")
    try:
        return onnx.load(path, load_external_data=external_data)
    except Exception as error:  # protobuf and the file system raise a family of errors
        raise UsageError(f"{path} cannot be read as an ONNX file: {root_cause(error)}") from error
