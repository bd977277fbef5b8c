"""A file is there whole or not at all, whatever happens while it is written."""

from pathlib import Path

import pytest

from pocketdet.errors import UsageError
from pocketdet.whole_files import replace_whole, write_whole


def test_text_and_bytes_take_the_place_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for content in ("größer", b"\x00\xff", ""):
        write_whole(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent/a\.txt: cannot be written: No such file or directory"):
        write_whole(tmp_path / "absent" / "a.txt", "x")
    with pytest.raises(OSError, match="Is a directory"):
        replace_whole(tmp_path, b"x")
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
        write_whole(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"
