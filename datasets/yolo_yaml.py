"""data.yaml of YOLO datasets: where the images of each split are, and what the classes are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketdet.errors import UsageError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataYaml:
    """Class names by index, and by split the folders and lists of images."""

    names: tuple[str, ...]
    parts: Mapping[str, tuple[Path, ...]]


def read_data_yaml(path: Path) -> DataYaml:
    """Read a data.yaml.

    Its paths are relative to `path` in it, or to its own folder; as in Ultralytics, a leading ../ that leads
    nowhere is left out.

    Raises:
        UsageError: if it cannot be read, names no classes or no images, or PyYAML is not installed.
    """
    content = _load(path)
    names = _names(path, content)
    base = path.parent / str(content.get("path") or ".")
    bases = (base if base.is_dir() else path.parent, path.parent)
    parts = {}
    for split in SPLITS:
        given = content.get(split)
        entries = given if isinstance(given, list) else [given] if given else []
        if not all(isinstance(entry, str) for entry in entries):
            raise UsageError(
                f"{path}: {split} is {given!r:.60}: expected a folder of images, or a list of them"
            )
        if entries:
            parts[split] = tuple(_located(entry, bases) for entry in entries)
    if not parts:
        raise UsageError(f"{path}: it names no images: expected train, val or test with a folder of images")
    return DataYaml(names, parts)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise UsageError(f"{path}: needs PyYAML: pip install 'pocketdet[accuracy]'") from error
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, RecursionError, ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{path}: cannot be read as YAML: {reason}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path}: not a data.yaml: expected names, train and val, found no such fields")
    return content


def _names(path: Path, content: Mapping[str, Any]) -> tuple[str, ...]:
    given = content.get("names")
    if isinstance(given, dict) and sorted(map(str, given)) == sorted(map(str, range(len(given)))):
        given = [given.get(index, given.get(str(index))) for index in range(len(given))]
    if not isinstance(given, list) or not given:
        raise UsageError(
            f"{path}: names is {given!r:.60}: expected class names, as a list or by index from 0"
        )
    for name in given:  # YAML reads no as False and 1 as a number
        if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
            raise UsageError(f"{path}: the class name {name!r:.60} is no text: put it in quotes")
    names = tuple(str(name).strip() for name in given)
    if len(set(names)) < len(names):
        raise UsageError(f"{path}: class name {next(n for n in names if names.count(n) > 1)!r} stands twice")
    if content.get("nc") not in (None, len(names)):
        raise UsageError(
            f"{path}: nc is {content['nc']!r:.60}, and names has {len(names)}: expected the same"
        )
    return names


def _located(entry: str, bases: tuple[Path, ...]) -> Path:
    relative = [entry, entry.removeprefix("../")]
    candidates = [base / each for each in relative for base in bases]
    return next((path for path in candidates if path.exists()), candidates[0])
