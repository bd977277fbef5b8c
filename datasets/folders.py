"""What the readers of folders share."""

from collections.abc import Iterable
from pathlib import Path

from pocketdet.datasets.image_file import IMAGE_SUFFIXES
from pocketdet.errors import UsageError, did_you_mean


def folder_named(root: Path, name: str) -> Path | None:
    """The folder in `root` that has a name (lower case) in any case, if there is one."""
    return next((path for path in subfolders(root) if path.name.lower() == name), None)


def subfolders(root: Path) -> list[Path]:
    """The folders in `root`, without hidden ones, by name; none if there is no such folder."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def is_image(path: Path) -> bool:
    """Whether a file is an image by its name."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def find_image(folder: Path, file_name: str, stem: str) -> Path:
    """The image that an annotation file names; where there is none, the one that has its own stem."""
    named = folder / file_name
    if named.is_file():
        return named
    candidates = (folder / f"{stem}{suffix}" for suffix in IMAGE_SUFFIXES)
    return next((path for path in candidates if path.is_file()), named)


def unknown_split(where: Path, split: str | None, splits: Iterable[str]) -> UsageError:
    """To be raised where `split` is not among the `splits` of a folder."""
    known = ", ".join(splits)
    if split is None:
        return UsageError(f"{where}: name a split; it has {known}")
    hint = did_you_mean(split, splits) if known else "; leave the split out"
    return UsageError(f"{where}: no split {split!r}: it has {known or 'none'}{hint}")


def no_such_path(path: Path) -> UsageError:
    """To be raised where there is nothing at `path`: with the nearest name in its folder."""
    if not path.parent.is_dir():
        missing = next(folder for folder in (*reversed(path.parents), path) if not folder.exists())
        return UsageError(f"{path}: no such file or folder: {missing} does not exist")
    hint = did_you_mean(path.name, (each.name for each in path.parent.iterdir()))
    return UsageError(f"{path}: no such file or folder{hint}")
