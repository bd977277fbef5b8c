"""Dex files: what D8 and R8 make of class files, and what must hold of it.

Format: https://source.android.com/docs/core/runtime/dex-format
"""

import os
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import resources
from tools import LIBRARY, FailedError, MissingError, program, run

JAR = "POCKETDET_R8"  # the environment variable with the path of R8's jar, which D8 is part of
NEWEST = 38  # the version that API level 26 reads
_MAP_AT, _STRINGS_AT = 52, 56
_CALL_SITES = 7  # kind of the map's items that invokedynamic leaves
_NATIVE = 8  # the bit of a native method's flags
_SYSTEM = "Ldalvik/annotation/"  # of annotations that the format has for classes without source

Command = list[str | Path]


@dataclass(frozen=True)
class Dex:
    """One dex file: its version, the types it names, and its own classes.

    `classes`: by descriptor, such as `Lio/pocketdet/Frame;`, the methods that each class has, as
    `name(parameters)result`, with `native ` before the name of a native one.
    """

    version: int
    types: frozenset[str]
    classes: Mapping[str, frozenset[str]]
    call_sites: int


def find_d8() -> Command | None:
    """D8 of the jar that `JAR` names, or of the SDK in `ANDROID_HOME`; `None` without both."""
    if JAR in os.environ:
        return tool("D8")
    found = sorted(Path(os.environ.get("ANDROID_HOME", "nowhere")).glob("build-tools/*/d8"))
    return [found[-1]] if found else None


def tool(name: str) -> Command:
    """D8 or R8 of the jar that `JAR` names. Raises `MissingError`."""
    jar = Path(os.environ[JAR])
    if not jar.is_file():
        raise MissingError(f"{JAR}: expected the jar of R8, found no file {jar}")
    return [program("java"), "-cp", jar, f"com.android.tools.r8.{name}"]


def jar_of(folder: Path, jar: Path) -> Path:
    """The class files below a folder as a jar, which D8 wants of a platform."""
    with zipfile.ZipFile(jar, "w") as out:
        for path in sorted(folder.rglob("*.class")):
            out.write(path, path.relative_to(folder))
    return jar


def make(
    d8: Command, folders: Sequence[Path], api: Path, out: Path, log: Path, rules: Sequence[Path] = ()
) -> Path:
    """Let D8, or R8 with `rules`, write `out`/classes.dex of the class files in `folders`.

    Raises `FailedError`, for a warning too: D8 warns of what it cannot replace on old devices.
    """
    out.mkdir(parents=True, exist_ok=True)
    command = [*d8, "--release", "--min-api", resources.gradle_value("minSdk"), "--lib", api, "--output", out]
    for path in rules:
        command += ["--pg-conf", path]
    files = [path for folder in folders for path in sorted(folder.rglob("*.class"))]
    output = run([*command, *files], out.name, log)
    if "warning" in output.lower():
        raise FailedError(f"{out.name} warns; all of it is in {log}\n  {output.strip()[:2000]}")
    return out / "classes.dex"


def read(content: bytes, source: Path) -> Dex:
    """Read a dex file. Raises `FailedError` for one that is none."""
    begin = re.match(rb"dex\n(\d{3})\0", content)
    if begin is None:
        raise FailedError(f"{source}: expected a file that begins as a dex file does, found {content[:8]!r}")
    try:
        strings = [_string(content, at) for (at,) in _table(content, 0, "<I")]
        types = [strings[at] for (at,) in _table(content, 1, "<I")]
        protos = [
            f"({''.join(_type_list(content, types, at))}){types[result]}"
            for _, result, at in _table(content, 2, "<III")
        ]
        methods = [strings[name] + protos[proto] for _, proto, name in _table(content, 4, "<HHI")]
        classes = {
            types[row[0]]: frozenset(
                "native " * (flags >> _NATIVE & 1) + methods[at] for at, flags in _methods(content, row[6])
            )
            for row in _table(content, 5, "<8I")
        }
        call_sites = _count_in_map(content, _CALL_SITES)
    except (struct.error, IndexError, ValueError) as error:
        raise FailedError(f"{source}: a damaged dex file: {error}") from error
    return Dex(int(begin[1]), frozenset(types), classes, call_sites)


def check(dex: Dex, source: Path, folders: Sequence[Path], api: Path) -> str:
    """What was seen of the dex file of class files. Raises `FailedError` for one that devices would refuse.

    It has every class, and names no type that neither it nor the API has; the oldest Android reads its
    version; and no lambda was left to a bootstrap method, which Android has not.
    """
    if dex.version > NEWEST or dex.call_sites:
        raise FailedError(
            f"{source}: expected version {NEWEST} at most and no call sites, found {dex.version} and "
            f"{dex.call_sites}"
        )
    written = {_descriptor(path, folder) for folder in folders for path in folder.rglob("*.class")}
    missing = written - dex.classes.keys()
    if missing:
        raise FailedError(f"{source}: expected all compiled classes, {sorted(missing)} are not there")
    return f"{len(dex.classes)} classes, {len(written)} of them compiled, {check_types(dex, source, api)}"


def check_types(dex: Dex, source: Path, api: Path) -> str:
    """Raise `FailedError` where a type is neither the file's own nor the API's."""
    with zipfile.ZipFile(api) as jar:
        known = {f"L{name.removesuffix('.class')};" for name in jar.namelist() if name.endswith(".class")}
    named = {one.lstrip("[") for one in dex.types if one.lstrip("[").startswith("L")}
    unknown = {one for one in named - known - dex.classes.keys() if not one.startswith(_SYSTEM)}
    if unknown:
        raise FailedError(f"{source}: expected types of the app and of Android, found {sorted(unknown)}")
    return f"{len(named)} types all known, dex version {dex.version:03d}"


def check_minified(whole: Dex, minified: Dex, rules: Path, source: Path) -> str:
    """What was seen of R8's dex file, compared with D8's of the same classes. Raises `FailedError`.

    It has what the native library finds by name, classes with the constructors that have parameters and the
    native methods; and what manifest and layouts name, with all constructors. `rules` are those of aapt2.
    """
    native = dict.fromkeys(names_in_native_code(), r"native |<init>\([^)]")
    named = re.findall(r"^-keep class ([\w.$]+)", rules.read_text(encoding="utf-8"), re.MULTILINE)
    wanted = native | {name.replace(".", "/"): "<init>" for name in named}
    for name, pattern in wanted.items():
        methods = {m for m in whole.classes.get(f"L{name};", ()) if re.match(pattern, m)}
        kept = minified.classes.get(f"L{name};", frozenset())
        if not methods or methods - kept:
            raise FailedError(f"{source}: expected {name} with {sorted(methods)}, found {sorted(kept)}")
    left = f"{len(minified.classes)} of {len(whole.classes)} classes left"
    return f"{left}, with the {len(wanted)} that native code, manifest and layouts name"


def names_in_native_code() -> set[str]:
    """The library's classes that its C++ finds by name, such as io/pocketdet/Frame."""
    sources = [path.read_text(encoding="utf-8") for path in (LIBRARY / "main" / "cpp").glob("*.cpp")]
    return {name for text in sources for name in re.findall(r'"(io/pocketdet/[\w$/]+)"', text)}


def _descriptor(path: Path, folder: Path) -> str:
    return f"L{path.relative_to(folder).with_suffix('')};"


def _table(content: bytes, index: int, row: str) -> Iterator[tuple[int, ...]]:
    """The rows of one of the header's tables: strings, types, prototypes, fields, methods, classes."""
    count, at = struct.unpack_from("<II", content, _STRINGS_AT + 8 * index)
    return struct.iter_unpack(row, content[at : at + count * struct.calcsize(row)])


def _string(content: bytes, at: int) -> str:
    _, start = _uleb128(content, at)
    return content[start : content.index(0, start)].decode("utf-8", "replace")


def _type_list(content: bytes, types: Sequence[str], at: int) -> list[str]:
    if at == 0:
        return []
    (count,) = struct.unpack_from("<I", content, at)
    return [types[one] for one in struct.unpack_from(f"<{count}H", content, at + 4)]


def _methods(content: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Index and flags of each method of a class_data_item."""
    if at == 0:
        return
    counts = []
    for _ in range(4):  # static fields, instance fields, direct methods, virtual methods
        count, at = _uleb128(content, at)
        counts.append(count)
    for _ in range(2 * (counts[0] + counts[1])):
        _, at = _uleb128(content, at)
    for count in counts[2:]:
        index = 0
        for _ in range(count):
            step, at = _uleb128(content, at)
            flags, at = _uleb128(content, at)
            _, at = _uleb128(content, at)  # where its code is
            index += step
            yield index, flags


def _uleb128(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _count_in_map(content: bytes, kind: int) -> int:
    (at,) = struct.unpack_from("<I", content, _MAP_AT)
    (count,) = struct.unpack_from("<I", content, at)
    items = struct.iter_unpack("<HHII", content[at + 4 : at + 4 + 12 * count])
    return sum(size for found, _, size, _ in items if found == kind)
