"""Dex files: what is read of them, and which are refused."""

import struct
import sys
import zipfile
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "android_demo" / "check"
sys.path.insert(0, str(CHECK))
import dex  # noqa: E402
from tools import FailedError, MissingError  # noqa: E402

FRAME, ACTIVITY = "Lio/pocketdet/Frame;", "Landroid/app/Activity;"
STRINGS = ("<init>", "I", ACTIVITY, FRAME, "V", "VI", "[I", "open")


def file(*, version: int = 38, call_sites: int = 0) -> bytes:
    """Frame with `<init>(int)` and the native `open()`, and a reference to Activity."""
    sections = {
        0: (len(STRINGS), b""),
        1: (5, struct.pack("<5I", 1, 2, 3, 4, 6)),  # int, Activity, Frame, void, int[]
        2: (2, b""),  # (int) to void, () to void
        3: (0, b""),
        4: (2, struct.pack("<HHIHHI", 2, 0, 0, 2, 1, 7)),
        5: (1, b""),
    }
    data, at = b"", 0x70 + 4 * len(STRINGS) + 5 * 4 + 2 * 12 + 2 * 8 + 32
    offsets = []
    for text in STRINGS:
        offsets.append(at + len(data))
        data += bytes([len(text)]) + text.encode() + b"\0"
    types = at + len(data)
    data += struct.pack("<IH", 1, 0)
    members = at + len(data)
    # no fields; a direct method with flags 1 and code at 128; then a native one, flags 0x101
    data += bytes([0, 0, 1, 1, 0, 1, 0x80, 1]) + bytes([1, 0x81, 2, 0])
    items = at + len(data)
    data += struct.pack("<IHHII", 1, 7 if call_sites else 0, 0, call_sites, 0)
    sections[0] = (len(STRINGS), struct.pack(f"<{len(STRINGS)}I", *offsets))
    sections[2] = (2, struct.pack("<6I", 5, 3, types, 4, 3, 0))
    sections[5] = (1, struct.pack("<8I", 2, 1, 1, 0, 0, 0, members, 0))
    header, body, start = b"", b"", 0x70
    for count, rows in sections.values():
        header += struct.pack("<II", count, start + len(body))
        body += rows
    head = f"dex\n{version:03d}\0".encode() + bytes(dex._MAP_AT - 8) + struct.pack("<I", items) + header
    return head.ljust(0x70, b"\0") + body + data


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """What Frame was compiled to, and a platform with Activity."""
    for folder, name in (("classes", "io/pocketdet/Frame"), ("platform", "android/app/Activity")):
        path = tmp_path / folder / f"{name}.class"
        path.parent.mkdir(parents=True)
        path.touch()
    dex.jar_of(tmp_path / "platform", tmp_path / "platform.jar")
    return tmp_path / "classes"


def seen(content: bytes, classes: Path) -> str:
    source = classes.with_name("classes.dex")
    return dex.check(dex.read(content, source), source, [classes], classes.with_name("platform.jar"))


def test_classes_methods_and_types_are_read(classes: Path) -> None:
    found = dex.read(file(), Path("classes.dex"))
    assert (found.version, found.call_sites) == (38, 0)
    assert found.types == {"I", "V", "[I", FRAME, ACTIVITY}
    assert found.classes == {FRAME: {"<init>(I)V", "native open()V"}}
    assert seen(file(), classes) == "1 classes, 1 of them compiled, 2 types all known, dex version 038"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\3\4", "begins as a dex file does, found b'PK"),
        (file()[:200], "a damaged dex file"),
        (file(version=40), "version 38 at most and no call sites, found 40 and 0"),
        (file(call_sites=3), "found 38 and 3"),
    ],
)
def test_what_devices_would_refuse_is_refused(content: bytes, said: str, classes: Path) -> None:
    with pytest.raises(FailedError, match=said):
        seen(content, classes)


def test_a_class_that_is_not_there_is_named(classes: Path) -> None:
    (classes / "io/pocketdet/Bench$1.class").touch()
    with pytest.raises(FailedError, match=r"\['Lio/pocketdet/Bench\$1;'\] are not there"):
        seen(file(), classes)


def test_a_type_that_nothing_has_is_named(classes: Path) -> None:
    with zipfile.ZipFile(classes.with_name("platform.jar"), "w"):
        pass
    with pytest.raises(FailedError, match=r"found \['Landroid/app/Activity;'\]"):
        seen(file(), classes)


def test_what_native_code_or_a_layout_names_must_be_left(tmp_path: Path) -> None:
    methods = frozenset({"<init>(I)V", "<init>()V", "native open()V", "size()I"})
    names = sorted(dex.names_in_native_code())
    assert "io/pocketdet/Native" in names
    whole = dex.Dex(38, frozenset(), {f"L{name};": methods for name in (*names, "app/View")}, 0)
    rules = tmp_path / "resources.pro"
    rules.write_text("# a layout\n-keep class app.View { <init>(android.content.Context); }\n")

    def minified(**changed: frozenset[str]) -> dex.Dex:
        return dex.Dex(38, frozenset(), {**whole.classes, **{f"L{n};": m for n, m in changed.items()}}, 0)

    kept = methods - {"<init>()V", "size()I"}
    assert "with the" in dex.check_minified(whole, minified(**{names[0]: kept}), rules, Path("r8.dex"))
    for name, lost in ((names[0], "native open()V"), (names[0], "<init>(I)V"), ("app/View", "<init>()V")):
        with pytest.raises(FailedError, match=f"expected {name.replace('$', '.')} with"):
            dex.check_minified(whole, minified(**{name: methods - {lost}}), rules, Path("r8.dex"))


def test_d8_is_found_in_an_sdk_or_a_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(dex.JAR, raising=False)
    monkeypatch.delenv("ANDROID_HOME", raising=False)
    assert dex.find_d8() is None
    path = tmp_path / "build-tools" / "36.0.0" / "d8"
    path.parent.mkdir(parents=True)
    path.touch()
    monkeypatch.setenv("ANDROID_HOME", str(tmp_path))
    assert dex.find_d8() == [path]
    monkeypatch.setenv(dex.JAR, str(tmp_path / "r8.jar"))
    with pytest.raises(MissingError, match="POCKETDET_R8: expected the jar of R8, found no file"):
        dex.find_d8()
    (tmp_path / "r8.jar").touch()
    assert dex.find_d8() == ["java", "-cp", tmp_path / "r8.jar", "com.android.tools.r8.D8"]
