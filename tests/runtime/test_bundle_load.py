"""A bundle is opened whole or refused with a sentence; what is used is what was hashed."""

import gc
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketdet.errors import BundleError, GraphError
from pocketdet.runtime.bundle import load_bundle

Rehash = Callable[[Path], None]


def zip_folder(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return target


def test_a_folder_and_its_zip_are_the_same_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    archive = zip_folder(tiny_bundle, tmp_path / "tiny.zip")
    with load_bundle(tiny_bundle) as folder, load_bundle(str(archive)) as zipped:
        assert folder.manifest == zipped.manifest
        assert folder.digest == zipped.digest
        assert (folder.source, zipped.source) == (tiny_bundle, archive)
        for name in folder.manifest.files:
            assert folder.read_bytes(name) == zipped.read_bytes(name) == (tiny_bundle / name).read_bytes()


def test_golden_round_trip_is_bit_exact(tiny_bundle: Path) -> None:
    with load_bundle(tiny_bundle) as bundle:
        golden = bundle.golden()
    assert golden["image"].shape == (24, 40, 3)
    assert golden["image"].dtype == np.uint8
    assert golden["rpn_scores"].shape == (2, 2, 2)


def test_the_private_copy_is_the_hashed_file(tiny_bundle: Path) -> None:
    with load_bundle(tiny_bundle) as bundle:
        before = bundle.read_bytes("head.ncnn.param")
        (tiny_bundle / "head.ncnn.param").write_text("changed after the check")
        assert bundle.read_bytes("head.ncnn.param") == before
        assert bundle.path("head.ncnn.param").parent.stat().st_mode & 0o077 == 0


def test_copies_are_deleted_by_close_and_with_the_last_reference(tiny_bundle: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    path = bundle.path("head.ncnn.bin")
    bundle.close()
    bundle.close()
    assert not path.parent.exists()
    with pytest.raises(BundleError, match="is closed"):
        bundle.path("head.ncnn.bin")
    forgotten = load_bundle(tiny_bundle).path("head.ncnn.bin")
    gc.collect()
    assert not forgotten.parent.exists()


def test_a_rejected_bundle_leaves_no_copy(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    (tiny_bundle / "head.ncnn.bin").write_bytes(b"")
    with pytest.raises(BundleError):
        load_bundle(tiny_bundle)
    assert not list(scratch.iterdir())


def test_a_full_disk_is_a_bundle_error(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    with pytest.raises(BundleError, match="temporary folder"):
        load_bundle(tiny_bundle)


@pytest.mark.parametrize("name", ["unlisted.txt", "../tiny.pocketdet/head.ncnn.bin", "manifest.json"])
def test_path_rejects_unlisted_files(tiny_bundle: Path, name: str) -> None:
    (tiny_bundle / "unlisted.txt").write_text("ignored")
    with load_bundle(tiny_bundle) as bundle, pytest.raises(BundleError, match="not a file of this bundle"):
        bundle.path(name)


def test_a_missing_file_is_named(tiny_bundle: Path) -> None:
    (tiny_bundle / "golden" / "image.png").unlink()
    with pytest.raises(BundleError, match=r"golden/image\.png: the file is missing"):
        load_bundle(tiny_bundle)


def test_a_changed_byte_is_named(tiny_bundle: Path) -> None:
    path = tiny_bundle / "features.ncnn.bin"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"features\.ncnn\.bin: expected SHA-256 \w{12}\.\.\., found"):
        load_bundle(tiny_bundle)


@pytest.mark.parametrize(("change", "found"), [(-1, r"\d+"), (1, r"more than \d+")])
def test_a_wrong_size_is_named(tiny_bundle: Path, change: int, found: str) -> None:
    path = tiny_bundle / "head.ncnn.bin"
    data = path.read_bytes()
    path.write_bytes(data[:change] if change < 0 else data + b"x")
    with pytest.raises(BundleError, match=rf"head\.ncnn\.bin: expected {len(data)} bytes, found {found};"):
        load_bundle(tiny_bundle)


def test_symlinks_are_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tiny_bundle / "head.ncnn.bin"
    shutil.move(path, tmp_path / "outside.bin")
    path.symlink_to(tmp_path / "outside.bin")
    with pytest.raises(BundleError, match="expected a regular file, found a symlink"):
        load_bundle(tiny_bundle)


def test_symlinked_folders_are_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    shutil.move(tiny_bundle / "golden", tmp_path / "outside")
    (tiny_bundle / "golden").symlink_to(tmp_path / "outside")
    with pytest.raises(BundleError, match="expected a folder of the bundle, found a symlink"):
        load_bundle(tiny_bundle)


def test_a_fifo_does_not_hang(tiny_bundle: Path) -> None:
    path = tiny_bundle / "head.ncnn.bin"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BundleError, match="expected a regular file, found something else"):
        load_bundle(tiny_bundle)


def test_a_folder_instead_of_a_file_is_rejected(tiny_bundle: Path) -> None:
    path = tiny_bundle / "head.ncnn.bin"
    path.unlink()
    path.mkdir()
    with pytest.raises(BundleError, match=r"head\.ncnn\.bin"):
        load_bundle(tiny_bundle)


@pytest.mark.parametrize("name", ["absent.pocketdet", "with\0nul", "x" * 5000])
def test_missing_paths_are_bundle_errors(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match=r"no such bundle|not a usable path"):
        load_bundle(tmp_path / name)


def test_a_fifo_instead_of_a_bundle_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(BundleError, match="no such bundle; expected a folder or a zip file"):
        load_bundle(tmp_path / "pipe.zip")


def test_a_folder_without_a_manifest_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json: the file is missing"):
        load_bundle(tmp_path)


def test_an_unknown_layer_is_rejected_before_ncnn_loads_it(tiny_bundle: Path, rehash: Rehash) -> None:
    param = tiny_bundle / "head.ncnn.param"
    param.write_text(
        param.read_text().replace("InnerProduct             fc ", "InnerMystery             fc ")
    )
    rehash(tiny_bundle)
    with pytest.raises(GraphError, match=r"tiny\.pocketdet: head\.ncnn\.param.*InnerMystery"):
        load_bundle(tiny_bundle)


def test_an_unreadable_file_is_named(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Permissions do not stop root, so the refusal of the system is imitated.
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pocketdet.runtime.bundle.files.os.open", refuse)
    with pytest.raises(BundleError, match=r"manifest\.json: cannot be read: Permission denied"):
        load_bundle(tiny_bundle)
