"""Zip files that want to do harm, each built by hand, each refused with a sentence."""

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from pocketdet.errors import BundleError
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.bundle.archive import MAX_ENTRIES


def zip_folder(folder: Path, target: Path, *, skip: str = "") -> zipfile.ZipFile:
    archive = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED)
    for path in sorted(folder.rglob("*")):
        if path.name != skip:
            archive.write(path, path.relative_to(folder))
    return archive


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "tiny.zip"


def refused(target: Path, sentence: str) -> None:
    with pytest.raises(BundleError, match=sentence):
        load_bundle(target)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a\\b", "C:/x", "a//b", "a/./b", ".hidden", "ü"])
def test_paths_outside_the_bundle_are_rejected(tiny_bundle: Path, target: Path, name: str) -> None:
    with zip_folder(tiny_bundle, target) as archive:
        archive.writestr(name, b"x")
    refused(target, "is not a plain path inside the bundle")


def test_duplicate_entries_are_rejected(tiny_bundle: Path, target: Path) -> None:
    with zip_folder(tiny_bundle, target) as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("manifest.json", b"{}")
    refused(target, r"'manifest\.json' appears twice")


def test_a_name_that_differs_from_the_local_header_is_rejected(tiny_bundle: Path, target: Path) -> None:
    """zipfile quotes both names, which may be of any length."""
    zip_folder(tiny_bundle, target).close()
    data = bytearray(target.read_bytes())
    struct.pack_into("<H", data, data.index(b"PK\x03\x04") + 26, 3000)
    target.write_bytes(data)
    with pytest.raises(BundleError, match="damaged zip entry: File name in directory") as caught:
        load_bundle(target)
    assert len(str(caught.value)) < 600


def test_links_are_rejected(tiny_bundle: Path, target: Path) -> None:
    link = zipfile.ZipInfo("head.ncnn.bin")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zip_folder(tiny_bundle, target, skip="head.ncnn.bin") as archive:
        archive.writestr(link, b"/etc/passwd")
    refused(target, "is a link or a special file")


def test_encrypted_entries_are_rejected(tiny_bundle: Path, target: Path) -> None:
    zip_folder(tiny_bundle, target).close()
    data = bytearray(target.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    target.write_bytes(data)
    refused(target, "is encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_methods_are_rejected(tiny_bundle: Path, target: Path, method: int) -> None:
    with zip_folder(tiny_bundle, target) as archive:
        archive.writestr("extra", b"x" * 100, method)
    refused(target, f"has compression method {method}")


def test_a_high_compression_ratio_is_rejected(tiny_bundle: Path, target: Path) -> None:
    with zip_folder(tiny_bundle, target) as archive, archive.open("zeros", "w") as entry:
        for _ in range(80):
            entry.write(bytes(1 << 20))
    refused(target, r"unpacks from \d+ to \d+ bytes")


def test_a_huge_declared_size_is_rejected(tiny_bundle: Path, target: Path) -> None:
    zip_folder(tiny_bundle, target).close()
    data = bytearray(target.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 0xFFFF_FF00)
    target.write_bytes(data)
    refused(target, r"unpacks from \d+ to \d+ bytes")


@pytest.mark.parametrize("declared", [1, 10_000_000])
def test_wrong_declared_sizes_are_rejected(tiny_bundle: Path, target: Path, declared: int) -> None:
    zip_folder(tiny_bundle, target).close()
    data = bytearray(target.read_bytes())
    at = data.index(b"PK\x01\x02")
    while data[at + 46 : at + 59] != b"head.ncnn.bin":
        at = data.index(b"PK\x01\x02", at + 1)
    struct.pack_into("<I", data, at + 24, declared)
    target.write_bytes(data)
    refused(target, r"head\.ncnn\.bin: (damaged zip entry|expected \d+ bytes)")


def test_overlapping_entries_are_rejected(tiny_bundle: Path, target: Path) -> None:
    zip_folder(tiny_bundle, target).close()
    data = bytearray(target.read_bytes())
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 1)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    target.write_bytes(data)
    refused(target, "overlaps")


def test_too_many_entries_are_rejected(tiny_bundle: Path, target: Path) -> None:
    with zip_folder(tiny_bundle, target) as archive:
        for i in range(MAX_ENTRIES):
            archive.writestr(f"f{i}", b"")
    refused(target, rf"expected at most {MAX_ENTRIES} zip entries")


def test_a_wrong_entry_count_is_rejected(tiny_bundle: Path, target: Path) -> None:
    with zip_folder(tiny_bundle, target) as archive:
        for i in range(MAX_ENTRIES):
            archive.writestr(f"f{i}", b"")
    data = bytearray(target.read_bytes())
    struct.pack_into("<HH", data, len(data) - 14, 5, 5)
    target.write_bytes(data)
    refused(target, rf"expected at most {MAX_ENTRIES} zip entries, found")


def test_a_too_large_directory_is_rejected(target: Path) -> None:
    target.write_bytes(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 0x7FFF_FFFF, 0, 0))
    refused(target, "expected at most")


def test_zip64_and_comments_are_rejected(tiny_bundle: Path, target: Path) -> None:
    with zip_folder(tiny_bundle, target) as archive:
        archive.comment = b"hello"
    refused(target, "expected a bundle folder or a zip file")
    data = target.read_bytes()
    end = data[: -len(b"hello") - 2] + b"\0\0"
    target.write_bytes(end[:-22] + struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1) + end[-22:])
    refused(target, "found zip64")


def test_a_zip_with_a_nested_folder_is_explained(tiny_bundle: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for path in tiny_bundle.rglob("*"):
            archive.write(path, path.relative_to(tiny_bundle.parent))
    refused(target, "zip the contents of the folder instead of the folder")


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip file at all, but long enough to be read"])
def test_other_files_are_rejected(target: Path, content: bytes) -> None:
    target.write_bytes(content)
    refused(target, "expected a bundle folder or (a )?zip file")


def test_every_truncation_is_rejected(tiny_bundle: Path, target: Path) -> None:
    zip_folder(tiny_bundle, target).close()
    data = target.read_bytes()
    for length in range(0, len(data), 97):
        target.write_bytes(data[:length])
        refused(target, "zip file")


def test_damaged_data_is_rejected(tiny_bundle: Path, target: Path) -> None:
    zip_folder(tiny_bundle, target).close()
    data = bytearray(target.read_bytes())
    at = data.index(b"manifest.json") + len("manifest.json")
    data[at : at + 40] = bytes(40)
    target.write_bytes(data)
    refused(target, r"manifest\.json: damaged zip entry")
