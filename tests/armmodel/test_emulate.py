"""A program has a path of the same length in any folder."""

from pathlib import Path

import pytest

from pocketdet.armmodel.emulate import PATH_BYTES, copy_to_constant_path
from pocketdet.errors import UsageError


@pytest.mark.parametrize("name", ["a", "a folder with ünusual letters", "x" * 100])
def test_the_path_has_the_same_length_in_any_folder(name: str, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"text")
    program.chmod(0o755)
    folder = tmp_path / name
    folder.mkdir()
    copy = copy_to_constant_path(program, folder)
    assert len(bytes(copy)) == PATH_BYTES
    assert copy.is_relative_to(folder)
    assert (copy.name, copy.read_bytes(), copy.stat().st_mode & 0o777) == ("program", b"text", 0o755)


def test_a_folder_whose_path_is_too_long(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 240)
    with pytest.raises(UsageError, match=r"temporary files has \d+ bytes, expected at most 245; set TMPDIR"):
        copy_to_constant_path(Path("program"), folder)
    assert not folder.exists()
