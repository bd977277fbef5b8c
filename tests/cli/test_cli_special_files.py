"""A FIFO or a device under any name that a command reads is refused; it never blocks the command."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ending, command

__all__ = ["command"]


@pytest.fixture(params=["fifo", "device"])
def special_file(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Path]:
    """Name -> path of a FIFO without a writer, or of a link to a device that never ends."""

    def make(name: str) -> Path:
        path = tmp_path / name
        if request.param == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
        return path

    return make


def assert_refused(ending: Ending, path: Path) -> None:
    assert ending.code == 2, ending
    assert path.name in ending.err
    assert "Traceback" not in ending.err


@pytest.mark.parametrize("name", ["image.jpg", "video.mp4"])
def test_detect(
    command: Callable[..., Ending], special_file, tiny_bundle: Path, name: str, tmp_path: Path
) -> None:
    path = special_file(name)
    assert_refused(command("detect", tiny_bundle, path, "--out", tmp_path / "out"), path)


def test_report(command: Callable[..., Ending], special_file, tmp_path: Path) -> None:
    path = special_file("record.json")
    assert_refused(command("report", path, "--out", tmp_path / "out"), path)


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors", "weights.pt"])
def test_export(command: Callable[..., Ending], special_file, tmp_path: Path, name: str) -> None:
    path = special_file(name)
    description = Path(__file__).parents[1] / "compatibility" / "data" / "foreign.toml"
    words = ("--outputs", description) if name.endswith(".onnx") else ()
    assert_refused(command("export", path, *words, "--out", tmp_path / "out"), path)


def test_a_description(command: Callable[..., Ending], special_file, tmp_path: Path) -> None:
    path = special_file("description.toml")
    onnx = Path(__file__).parents[1] / "compatibility" / "data" / "foreign.onnx"
    assert_refused(command("export", onnx, "--outputs", path, "--out", tmp_path / "out"), path)


@pytest.mark.parametrize("name", ["m.param", "m.bin"])
def test_align(
    command: Callable[..., Ending], special_file, tiny_bundle: Path, tmp_path: Path, name: str
) -> None:
    param, weights = tmp_path / "m.param", tmp_path / "m.bin"
    path = special_file(name)
    for source in tiny_bundle.glob("features.*"):
        copy = param if source.suffix == ".param" else weights
        if not copy.exists() and not copy.is_symlink():
            shutil.copy(source, copy)
    assert_refused(command("align", param, weights, tmp_path / "o.param", tmp_path / "o.bin"), path)
