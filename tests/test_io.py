"""A file is there whole or not at all, whatever happens while it is written."""

import fcntl
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from disks import full_disk, read_only_disk, small_disk

from pocketdet.errors import UsageError
from pocketdet.io import (
    atomic_replace,
    atomic_write,
    check_writable,
    exchange,
    remove_leftovers,
    rename_new,
    scratch_folder,
)

__all__ = ["full_disk", "read_only_disk", "small_disk"]

KILLED = """
import os, signal, sys
from pathlib import Path
from typing import Any
from pocketdet import io
def content():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)
folder = Path(sys.argv[1])
if sys.argv[2] == "file":
    io.atomic_replace(folder / "a", content())
with io.scratch_folder(folder) as scratch:
    (scratch / "part").mkdir()
    (scratch / "part" / "file").write_bytes(b"".join(content()))
"""


def test_text_and_bytes_take_the_place_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for content in ("größer", b"\x00\xff", ""):
        atomic_write(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent/a\.txt: cannot be written: No such file or directory"):
        atomic_write(tmp_path / "absent" / "a.txt", "x")
    with pytest.raises(OSError, match="Is a directory"):
        atomic_replace(tmp_path, b"x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_is_interrupted_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted(part: Path, target: Path) -> Path:
        raise error

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises((KeyboardInterrupt, UsageError)):
        atomic_write(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_next_write_removes_what_a_killed_process_left(tmp_path: Path, kind: str) -> None:
    (tmp_path / ".hidden.tmp").write_text("precious")
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), kind], check=False)
    assert done.returncode == -9
    assert len(list(tmp_path.glob(".pocketdet-*.tmp"))) == 1
    atomic_write(tmp_path / "a", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden.tmp", "a"]


def test_what_another_process_is_writing_stays(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as scratch:
        (scratch / "file").write_text("half")
        remove_leftovers(tmp_path)
        with scratch_folder(tmp_path) as other:
            assert other != scratch
        assert (scratch / "file").read_text() == "half"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["os.open", "fcntl.flock"])
def test_a_folder_that_another_process_takes_for_a_leftover_is_made_anew(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two system calls of the one that makes it, the other process removes what is not locked yet."""
    module, name = {"os": os, "fcntl": fcntl}[step.split(".")[0]], step.split(".")[1]
    call, removed = getattr(module, name), []

    def removing_first(*arguments: Any, **options: Any) -> Any:
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].rmdir()
        return call(*arguments, **options)

    monkeypatch.setattr(module, name, removing_first)
    with scratch_folder(tmp_path) as scratch:
        assert scratch.is_dir()
        assert scratch != removed[0]
    assert list(tmp_path.iterdir()) == []


def test_many_threads_write_one_file(tmp_path: Path) -> None:
    path, contents = tmp_path / "a", [bytes([n]) * 100_000 for n in range(8)]
    path.write_bytes(contents[0])
    seen: list[bytes] = []
    writers = [threading.Thread(target=atomic_replace, args=(path, content)) for content in contents]
    for writer in writers:
        writer.start()
        seen.append(path.read_bytes())
    for writer in writers:
        writer.join()
    assert {*seen, path.read_bytes()} <= set(contents)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_exists_is_not_replaced_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "a"
    atomic_replace(path, b"first", exist_ok=False)
    with pytest.raises(FileExistsError):
        atomic_replace(path, b"second", exist_ok=False)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("supported", [True, False])
def test_a_rename_that_replaces_nothing(
    tmp_path: Path, supported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not supported:
        monkeypatch.setattr("pocketdet.io._renameat2", lambda *_: False)
    file, folder, link = tmp_path / "file", tmp_path / "folder", tmp_path / "link"
    file.write_text("x")
    folder.mkdir()
    link.symlink_to("nowhere")
    for target in (file, folder, link):
        for source in (file, folder):
            if source != target:
                with pytest.raises(FileExistsError):
                    rename_new(source, target)
    rename_new(file, tmp_path / "other")
    rename_new(folder, tmp_path / "others")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "other", "others"]
    assert exchange(tmp_path / "other", tmp_path / "others") == supported
    assert (tmp_path / "other").is_dir() == supported


def test_links_pipes_and_devices_keep_their_place(tmp_path: Path) -> None:
    real, link, pipe = tmp_path / "real", tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(real)
    for text in ("one", "two"):
        atomic_write(link, text)
        assert real.read_text() == text
    assert link.is_symlink()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    received: list[str] = []
    reader.start()
    atomic_write(pipe, "through the pipe")
    reader.join()
    assert received == ["through the pipe"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(UsageError, match="/dev/full: cannot be written: No space left on device"):
        atomic_write(Path("/dev/full"), "x")
    assert Path("/dev/full").is_char_device()


def test_the_rights_of_a_new_file_are_those_of_any_other(tmp_path: Path) -> None:
    atomic_write(tmp_path / "ours", "x")
    (tmp_path / "any").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_full_disk(full_disk: Path) -> None:
    with pytest.raises(UsageError, match=r"disk/a: cannot be written: No space left on device"):
        atomic_write(full_disk / "a", "x")
    with pytest.raises(UsageError, match=r"disk: cannot be written: No space left on device"):
        check_writable(full_disk)
    assert [path.name for path in full_disk.iterdir()] == ["filler"]


def test_a_read_only_disk(read_only_disk: Path) -> None:
    with pytest.raises(UsageError, match=r"disk/a: cannot be written: Read-only file system"):
        atomic_write(read_only_disk / "a", "x")
    with pytest.raises(UsageError, match=r"disk: cannot be written: Read-only file system"):
        check_writable(read_only_disk)
