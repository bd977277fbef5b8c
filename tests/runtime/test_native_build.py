"""Where pocketdet-run is looked for: a variable, the build tree, the installed package."""

from pathlib import Path

import pytest

from pocketdet.runtime import native_build
from pocketdet.runtime.native_build import AARCH64, X86_64, NativeBuild, library_path


@pytest.mark.parametrize("build", [X86_64, AARCH64], ids=["x86_64", "aarch64"])
def test_the_build_tree_comes_before_the_package_and_a_variable_before_both(
    build: NativeBuild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_build, "ROOT", tmp_path)
    monkeypatch.setattr(native_build, "SHIPPED", tmp_path / "runners")
    monkeypatch.delenv(build.variable, raising=False)
    built = tmp_path / "build" / build.folder / "pocketdet-run"
    shipped = tmp_path / "runners" / f"pocketdet-run-{build.machine}"
    assert build.runner == built  # there is neither: messages name the one to build
    shipped.parent.mkdir()
    shipped.touch()
    assert build.runner == shipped
    built.parent.mkdir(parents=True)
    built.touch()
    assert build.runner == built
    monkeypatch.setenv(build.variable, "/elsewhere/pocketdet-run")
    assert build.runner == Path("/elsewhere/pocketdet-run")


def test_the_library_is_looked_for_in_the_same_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_build, "ROOT", tmp_path)
    monkeypatch.setattr(native_build, "SHIPPED", tmp_path / "runners")
    monkeypatch.delenv("POCKETDET_LIBRARY", raising=False)
    built = tmp_path / "build" / "native-host" / "libpocketdet.so"
    shipped = tmp_path / "runners" / "libpocketdet.so"
    assert library_path() == built
    shipped.parent.mkdir()
    shipped.touch()
    assert library_path() == shipped
    built.parent.mkdir(parents=True)
    built.touch()
    assert library_path() == built
    monkeypatch.setenv("POCKETDET_LIBRARY", "/elsewhere/libpocketdet.so")
    assert library_path() == Path("/elsewhere/libpocketdet.so")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POCKETDET_LIBRARY", "libpocketdet.so")
    assert library_path() == tmp_path / "libpocketdet.so"
