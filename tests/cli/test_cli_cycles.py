"""`pocketdet cycles`: what it refuses, and what it prints."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ending, command

__all__ = ["command"]

Command = Callable[..., Ending]
NETWORK = "7767517\n2 2\nInput in0 0 1 in0 0=8 1=8 2=4\nReLU relu 1 1 in0 out0\n"


@pytest.fixture
def param(tmp_path: Path) -> Path:
    path = tmp_path / "small.param"
    path.write_text(NETWORK)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nothing was built."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_cores_and_devices_are_listed(command: Command) -> None:
    done = command("cycles", "--list")
    assert done.code == 0
    assert "cortex-a76" in done.out
    assert "Snapdragon 855+" in done.out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "name a bundle or a .param file"),
        (("PARAM", "--core", "cortex-a53"), "--core cortex-a53: there is no pipeline model"),
        (("PARAM", "--device", "kryo"), "no device whose core can be modelled"),
        (("PARAM", "--device", "855+", "--ghz", "2"), "--ghz is the clock of --core"),
        (("PARAM", "--rois", "5"), "--image and --rois are for bundles"),
        (("BUNDLE", "--shape", "3x8x8"), "--shape is for .param files"),
        (("no-such.pocketdet",), "no-such.pocketdet"),
        (("PARAM", "--measured", "r.json"), "--measured r.json: a record stands beside one bundle"),
        (("BUNDLE", "--measured", "no-such.json"), "no-such.json: cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(
    command: Command, param: Path, tiny_bundle: Path, words: tuple[str, ...], problem: str
) -> None:
    names = {"PARAM": str(param), "BUNDLE": str(tiny_bundle)}
    done = command("cycles", *(names.get(word, word) for word in words))
    assert done.code == 2
    assert problem in done.err


@pytest.mark.usefixtures("bare")
def test_a_missing_instrument_says_how_to_build_it(
    command: Command, param: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("POCKETDET_LLVM", str(tmp_path))
    done = command("cycles", param)
    assert done.code == 2
    assert f"llvm-mca 18 or later is not in {tmp_path}" in done.err
    assert "apt install llvm-19" in done.err


@pytest.mark.usefixtures("bare")
def test_doctor_reports_the_parts(command: Command) -> None:
    done = command("doctor")
    assert "for pocketdet cycles, optional" in done.out
    assert "make arm-model" in done.out
