"""What llvm-mca has said about blocks, kept between runs."""

import sqlite3
import struct
from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path

from pocketdet.armmodel.trace import Words
from pocketdet.errors import UsageError

_TABLE = """CREATE TABLE IF NOT EXISTS costs (
    block BLOB, model TEXT, cycles INTEGER, skipped INTEGER, PRIMARY KEY (block, model)) WITHOUT ROWID"""


class CostStore:
    """Total cycles and skipped instructions by block and model of a core, in an SQLite file.

    Several processes may use one file at once.

    Args:
        path: The file; it and its folder are made. Its name has the version of LLVM and of the method.

    Raises:
        UsageError: If it cannot be written, or is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=60)
            with self._database:
                self._database.execute(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error

    def read(self, model: str, blocks: Collection[Words]) -> dict[Words, tuple[int, int]]:
        """Return what is known of blocks. Raises `UsageError` for a damaged file."""
        query = "SELECT cycles, skipped FROM costs WHERE block = ? AND model = ?"
        found = {}
        try:
            for words in blocks:
                row = self._database.execute(query, (_key(words), model)).fetchone()
                if row is not None:
                    found[words] = (int(row[0]), int(row[1]))
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise self._error(error) from error
        return found

    def write(self, model: str, costs: Mapping[Words, tuple[int, int]]) -> None:
        """Keep costs. Raises `UsageError` if the file cannot be written."""
        rows = [(_key(words), model, cycles, skipped) for words, (cycles, skipped) in costs.items()]
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO costs VALUES (?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _error(self, error: Exception) -> UsageError:
        return UsageError(
            f"{self._path}: cannot be used for the costs of blocks: {error}; delete it and try again"
        )


def _key(words: Words) -> bytes:
    return sha256(struct.pack(f"<{len(words)}I", *words)).digest()
