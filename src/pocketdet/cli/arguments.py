"""Parsing of arguments shared by several commands."""

import importlib.util
import shlex
from pathlib import Path

from pocketdet.errors import ImageError, UsageError
from pocketdet.io import read_lines

EXPORT_PACKAGES = ("torch", "onnx", "onnxruntime", "onnxscript", "onnxsim", "pnnx")
ACCURACY_PACKAGES = ("pycocotools", "matplotlib")
SIZE_HELP = "An input size of the bundle, HEIGHTxWIDTH or one side"
WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".onnx")


def require_export_packages() -> None:
    """Raise `UsageError` with the install command if a package for export is missing."""
    _require("exporting", EXPORT_PACKAGES, "pocketdet[export]")


def require_accuracy_packages() -> None:
    """Raise `UsageError` with the install command if a package for evaluation is missing."""
    _require("measuring accuracy", ACCURACY_PACKAGES, "pocketdet[accuracy]")


def require_torch(option: str) -> None:
    """Raise `UsageError` with the install command if PyTorch, which `option` needs, is missing."""
    _require(option, ("torch",), "pocketdet[train]")


def require_training() -> None:
    """Raise `UsageError` with the install command if training is not installed."""
    _require("training", ("torch",), "pocketdet[train]")
    if importlib.util.find_spec("pocketdet.training") is None:
        raise UsageError(
            "training is not part of the wheel: clone the repository and run pip install -e '.[train]'"
        )


def _require(purpose: str, packages: tuple[str, ...], extra: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        install = f"pip install '{extra}', in a checkout pip install -e '{extra.replace('pocketdet', '.')}'"
        raise UsageError(f"{purpose} needs {', '.join(missing)}: {install}")


def require_files(*paths: Path | None) -> None:
    """Raise `UsageError` with the names of the files that do not exist; None stands for no file."""
    missing = [str(path) for path in paths if path is not None and not path.exists()]
    if missing:
        raise UsageError("; ".join(f"{path}: no such file" for path in missing))


def require_bundle(path: Path) -> None:
    """Raise `UsageError` with the command to export it if `path` is weights, a name in models/zoo or ONNX."""
    from pocketdet.models.zoo import zoo_names

    is_name = not path.exists() and str(path) in zoo_names()
    if is_name or (path.is_file() and path.suffix.lower() in WEIGHTS_SUFFIXES):
        command = shlex.join(["pocketdet", "export", str(path), "--out", "bundles"])
        raise UsageError(f"{path}: expected a bundle, found weights; export it first: {command}")


def optional_size(text: str | None) -> tuple[int, int] | None:
    """Parse the size of an option as `parse_size` does; None if it is not given."""
    return parse_size(text) if text else None


def parse_size(text: str) -> tuple[int, int]:
    """Parse "320" or "320x480" to (height, width). Raises `UsageError`."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(p.isascii() and p.isdigit() and len(p) < 6 for p in parts):
        raise UsageError(
            f"input size {text!r}: expected one side or HEIGHTxWIDTH, for example 320 or 320x480"
        )
    return int(parts[0]), int(parts[-1])


def parse_shapes(texts: list[str]) -> dict[str, tuple[int, ...]]:
    """Parse "in0=3x320x320" to {"in0": (3, 320, 320)}. A shape without a name has the key "" for all inputs.

    Raises:
        UsageError: for invalid text.
    """
    shapes = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        parts = sizes.split("x")
        if not 1 <= len(parts) <= 4 or not all(p.isascii() and p.isdigit() and int(p[:9]) for p in parts):
            raise UsageError(f"--shape {text!r}: expected sizes such as 3x320x320 or in0=3x320x320")
        shapes[name] = tuple(int(p) for p in parts)
    return shapes


def read_names(path: Path) -> tuple[str, ...]:
    """Read class names without background from a UTF-8 file: one per line, blank lines are ignored.

    Raises:
        UsageError: if the file cannot be read, is empty or has a duplicate name.
    """
    names = tuple(line.strip() for line in read_lines(path, "a list of class names") if line.strip())
    if not names:
        raise UsageError(f"{path}: expected one class name per line, found none")
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise UsageError(f"{path}: class name {twice!r} appears more than once")
    return names


def image_files(folder: Path) -> tuple[Path, ...]:
    """Return the images of a folder. Raises `UsageError` if there are none."""
    from pocketdet.runtime.sources import image_paths

    try:
        return tuple(image_paths(folder))
    except ImageError as error:
        raise UsageError(str(error)) from error
