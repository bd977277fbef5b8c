"""A bundle on disk is whole or absent: rollback, rights, full disks, names that are taken."""

import errno
import shutil
import stat
import zipfile
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from disks import read_only_disk, small_disk

from pocketdet.errors import ExportError, ImageError, PocketdetError, UsageError
from pocketdet.export import ExportOptions, export_detector
from pocketdet.export.write_bundle import commit, staging_directory, write_manifest
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.bundle import load_bundle, parse_manifest
from pocketdet.runtime.bundle.schema import FileEntry, Manifest

__all__ = ["read_only_disk", "small_disk"]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fill(scratch: Path, bundle: Path) -> Manifest:
    """What an export does, from files that are there."""
    shutil.copytree(bundle, scratch, dirs_exist_ok=True)
    manifest = parse_manifest((scratch / "manifest.json").read_bytes(), "test")

    def complete(files: dict[str, FileEntry]) -> Manifest:
        return manifest.model_copy(update={"files": files})

    return write_manifest(scratch, complete)


def write(bundle: Path, target: Path) -> None:
    with staging_directory(target) as scratch:
        fill(scratch, bundle)
        commit(scratch, target, overwrite=True)


@pytest.mark.parametrize("suffix", [".pocketdet", ".pocketdet.zip"])
def test_what_is_published_loads_and_nothing_else_is_left(
    small_bundle: Path, tmp_path: Path, suffix: str
) -> None:
    target = tmp_path / "new" / "folders" / f"x{suffix}"
    with staging_directory(target) as scratch:
        assert scratch.parent.parent == target.parent
        fill(scratch, small_bundle)
        commit(scratch, target)
    load_bundle(target).close()
    assert list(target.parent.iterdir()) == [target]
    if target.is_dir():
        assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(target.parent.stat().st_mode)


def test_the_same_bundle_is_the_same_zip_file(small_bundle: Path, tmp_path: Path) -> None:
    targets = [tmp_path / "1.zip", tmp_path / "2.zip"]
    for target in targets:
        write(small_bundle, target)
    assert targets[0].read_bytes() == targets[1].read_bytes()
    with zipfile.ZipFile(targets[0]) as archive:
        assert set(archive.namelist()) == set(contents(small_bundle))


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.EIO, "i/o"), ValueError("bug")])
def test_failures_leave_neither_files_nor_folders(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "new" / "folders" / "x.pocketdet"
    expected = ExportError if isinstance(failure, OSError) else type(failure)

    def interrupted() -> None:
        with staging_directory(target) as scratch:
            (scratch / "part").mkdir()
            (scratch / "part" / "file").write_bytes(b"half")
            raise failure

    with pytest.raises(expected):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_others_use_meanwhile_stays(tmp_path: Path) -> None:
    target = tmp_path / "new" / "x.pocketdet"
    with staging_directory(target):
        (tmp_path / "new" / "theirs").write_text("precious")
    assert (tmp_path / "new" / "theirs").read_text() == "precious"


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.EIO, "i/o")])
def test_the_old_bundle_comes_back(
    small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    target = tmp_path / "x.pocketdet"
    shutil.copytree(small_bundle, target)
    (target / "mine").write_text("old")
    before, rename = contents(target), Path.rename

    def failing(self: Path, to: Path) -> Path:
        if to == target and self.name != target.name:  # the new bundle, not the old one on its way back
            raise failure
        return rename(self, to)

    def cannot(one: Path, other: Path) -> bool:
        return False

    monkeypatch.setattr("pocketdet.export.write_bundle.exchange", cannot)
    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises((ExportError, KeyboardInterrupt)):
        write(small_bundle, target)
    assert contents(target) == before
    assert list(tmp_path.iterdir()) == [target]


def test_what_is_no_bundle_is_not_overwritten(small_bundle: Path, tmp_path: Path) -> None:
    for name in ("notes.pocketdet", "notes.zip"):
        target = tmp_path / name
        target.write_text("precious")
        with pytest.raises(ExportError, match="is a file but not a bundle"):
            commit(small_bundle, target, overwrite=True)
        assert target.read_text() == "precious"


def test_a_link_is_replaced_and_its_end_is_not(small_bundle: Path, tmp_path: Path) -> None:
    real, target = tmp_path / "real", tmp_path / "x.pocketdet"
    shutil.copytree(small_bundle, real)
    target.symlink_to(real)
    write(small_bundle, target)
    assert not target.is_symlink()
    load_bundle(real).close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["real", "x.pocketdet"]


def test_a_full_disk_leaves_nothing(small_disk: Path, small_bundle: Path) -> None:
    target = small_disk / "deep" / "x.pocketdet"
    with pytest.raises(ExportError, match="the disk is full; nothing"), staging_directory(target) as scratch:
        (scratch / "big").write_bytes(bytes(2 << 20))
    assert list(small_disk.iterdir()) == []


def test_a_whole_export_onto_a_full_disk(small_disk: Path, small_model: ThunderNet) -> None:
    with pytest.raises(ExportError, match="the disk is full; nothing was left behind"):
        export_detector(small_model, small_disk)
    assert list(small_disk.iterdir()) == []


def test_a_folder_without_rights(read_only_disk: Path, small_model: ThunderNet) -> None:
    with pytest.raises(ExportError, match="cannot write .*: the file system is read-only"):
        export_detector(small_model, read_only_disk)


def test_a_folder_that_may_not_be_written(
    tmp_path: Path, small_model: ThunderNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(parent: Path) -> AbstractContextManager[Path]:
        raise PermissionError(errno.EACCES, "Permission denied")  # to root nothing is refused

    monkeypatch.setattr("pocketdet.export.write_bundle.scratch_folder", refused)
    with pytest.raises(ExportError, match="cannot write .*: permission denied"):
        export_detector(small_model, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "..", "../up", "a/b", "/abs", ".hidden", "a b", "x" * 101, "a\0b", "a\n"]
)
def test_names_that_are_no_file_names(small_model: ThunderNet, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="bundle name"):
        export_detector(small_model, tmp_path / "out", ExportOptions(name=name))
    assert list(tmp_path.iterdir()) == []


def test_refusals_come_before_the_work(
    small_model: ThunderNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object) -> None:
        raise AssertionError("folding began")

    monkeypatch.setattr("pocketdet.export.reference.base.fold_batch_norm", work)
    (tmp_path / "thundernet-snet49.pocketdet").mkdir()
    cases: list[tuple[type[PocketdetError], ExportOptions]] = [
        (ExportError, ExportOptions()),
        (ExportError, ExportOptions(overwrite=True)),
        (ImageError, ExportOptions(name="x", golden_image=np.zeros((8, 8, 3)))),  # type: ignore[arg-type]
    ]
    for error, options in cases:
        with pytest.raises(error):
            export_detector(small_model, tmp_path, options)


def test_a_stray_exception_is_not_hidden(tmp_path: Path) -> None:
    def broken(_: dict[str, FileEntry]) -> Manifest:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), staging_directory(tmp_path / "x") as scratch:
        write_manifest(scratch, broken)
    assert list(tmp_path.iterdir()) == []
