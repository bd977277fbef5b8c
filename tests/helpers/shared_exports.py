"""What the processes of a test run share: folders that one of them fills, and ONNX files of equal networks.

Nine tenths of an export are spent in `torch.onnx.export`. Many tests export the same detector with other
options, so its ONNX file is made once in a run and copied afterwards; all steps before and after it are done
each time. With `--hypothesis-profile all` nothing is remembered.
"""

import fcntl
import hashlib
import inspect
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

from pocketdet.export.to_onnx import to_onnx


def shared_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder of this test run that all its processes see."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / "shared" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Path]) -> Path:
    """The path that `make` returns, inside the folder that it is given; one process makes it, all get it."""
    folder = shared_folder(factory, name)
    answer = folder / "path"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists():
            inside = Path(tempfile.mkdtemp(dir=folder))
            answer.write_text(str(make(inside)), encoding="utf-8")
    return Path(answer.read_text(encoding="utf-8"))


def remembering(folder: Path) -> Callable[..., None]:
    """`to_onnx` that copies the file of an equal network from `folder`, where it keeps what it makes."""

    def write(graph: nn.Module, example: Tensor, path: Path, **names: Any) -> None:
        digest = _digest(graph, example, names)
        if digest is None:
            to_onnx(graph, example, path, **names)
            return
        known = folder / f"{digest}.onnx"
        if not known.exists():
            to_onnx(graph, example, path, **names)
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
                file.write(path.read_bytes())
            Path(file.name).replace(known)
        shutil.copyfile(known, path)

    return write


def _digest(graph: nn.Module, example: Tensor, names: dict[str, Any]) -> str | None:
    """Of all that the file depends on; none if a module holds what cannot be compared, such as a function."""
    parts = [repr((graph, tuple(example.shape), example.dtype, sorted(names.items())))]
    for name, module in graph.named_modules():
        parts.append(f"{name} {type(module).__module__} {module.training}")
        parts += [f"{key}={value!r}" for key, value in _settings(module)]
    if any(" at 0x" in part for part in parts):
        return None
    found = hashlib.sha256("\n".join(parts).encode())
    for name, value in graph.state_dict(keep_vars=False).items():
        found.update(name.encode() + value.contiguous().numpy().tobytes())
    return found.hexdigest()


def _settings(module: nn.Module) -> Iterable[tuple[str, Any]]:
    """A module's own attributes, apart from what torch keeps in every module."""
    plain = vars(nn.Module()).keys()
    own = {key: value for key, value in vars(module).items() if key not in plain}
    own["forward"] = inspect.getattr_static(module, "forward").__qualname__
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    own |= {key: [repr(hook) for hook in vars(module)[key].values()] for key in hooks}
    return sorted(own.items())
