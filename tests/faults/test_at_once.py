"""Several processes write bundles under one name at once: it is whole, and those that lose say so."""

import multiprocessing
import shutil
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from tiny_bundle import tiny_bundle_template
from whole_results import leftovers

from pocketdet.errors import ExportError
from pocketdet.export.write_bundle import commit, staging_directory, write_manifest
from pocketdet.runtime.bundle import load_bundle, parse_manifest
from pocketdet.runtime.bundle.schema import FileEntry, Manifest

__all__ = ["tiny_bundle_template"]

WRITERS, ROUNDS, TIME_LIMIT_S = 4, 4, 120
REFUSED = 3


def write(number: int, source: Path, target: Path, overwrite: bool, barrier: Barrier) -> None:
    """Write a bundle called w<number> once all writers are ready; ends the process."""
    manifest = parse_manifest((source / "manifest.json").read_bytes(), "test")

    def complete(files: dict[str, FileEntry]) -> Manifest:
        return manifest.model_copy(update={"files": files, "name": f"w{number}"})

    try:
        with staging_directory(target) as scratch:
            shutil.copytree(source, scratch, dirs_exist_ok=True)
            write_manifest(scratch, complete)
            barrier.wait(TIME_LIMIT_S)
            commit(scratch, target, overwrite=overwrite)
    except ExportError as error:
        assert "exists already: choose another --out or --name, or pass --overwrite" in str(error)
        raise SystemExit(REFUSED) from error


def write_at_once(source: Path, target: Path, overwrite: bool) -> list[int]:
    """The exit codes of the writers."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(WRITERS)
    writers = [
        context.Process(target=write, args=(number, source, target, overwrite, barrier))
        for number in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(TIME_LIMIT_S)
    return [-1 if writer.exitcode is None else writer.exitcode for writer in writers]


def name_of(target: Path) -> str:
    with load_bundle(target) as bundle:
        return bundle.manifest.name


@pytest.fixture(params=["renameat2", "rename"])
def _renaming(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Linux renames, and as other systems do."""
    if request.param == "rename":
        monkeypatch.setattr("pocketdet.io._renameat2", lambda *_: False)


@pytest.mark.usefixtures("_renaming")
@pytest.mark.parametrize("suffix", [".pocketdet", ".pocketdet.zip"])
def test_one_wins_and_the_others_say_that_it_exists(
    tiny_bundle_template: Path, tmp_path: Path, suffix: str
) -> None:
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        codes = write_at_once(tiny_bundle_template, folder / f"x{suffix}", overwrite=False)
        assert sorted(codes) == [0] + [REFUSED] * (WRITERS - 1)
        assert name_of(folder / f"x{suffix}") == f"w{codes.index(0)}"
        assert leftovers(folder) == []


@pytest.mark.usefixtures("_renaming")
@pytest.mark.parametrize("suffix", [".pocketdet", ".pocketdet.zip"])
def test_each_replaces_the_others_whole(tiny_bundle_template: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / "out" / f"x{suffix}"
    for _ in range(ROUNDS):
        assert write_at_once(tiny_bundle_template, target, overwrite=True) == [0] * WRITERS
        assert name_of(target) in {f"w{number}" for number in range(WRITERS)}
        assert leftovers(target.parent) == []
