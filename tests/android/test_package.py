"""APKs without Gradle: what lies where in them, and what is missing to make one."""

import sys
import zipfile
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "android_demo" / "check"
sys.path.insert(0, str(CHECK))
import apk  # noqa: E402
import package  # noqa: E402
import tools  # noqa: E402
from tools import FailedError, MissingError  # noqa: E402


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """What aapt2 links, in small."""
    path = tmp_path / "resources.apk"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("AndroidManifest.xml", b"manifest")
        content.writestr("resources.arsc", b"table")
    return path


def assembled(linked: Path, code: Path | None = None) -> Path:
    library = linked.with_name("libpocketdet.so")
    library.write_bytes(b"\x7fELF" + bytes(100))
    bundle = linked.with_name("bundles") / "a.pocketdet" / "golden"
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / "image.png").write_bytes(b"png")
    out = linked.with_name("app.apk")
    package.assemble(out, linked, code, {"arm64-v8a": library, "x86_64": library}, bundle.parents[1])
    return out


def test_libraries_are_stored_at_pages_and_the_table_at_words(linked: Path) -> None:
    path = assembled(linked)
    with zipfile.ZipFile(path) as content:
        assert content.namelist() == [
            "AndroidManifest.xml",
            "resources.arsc",
            "lib/arm64-v8a/libpocketdet.so",
            "lib/x86_64/libpocketdet.so",
            "assets/bundles/a.pocketdet/golden/image.png",
        ]
        assert content.testzip() is None
        for name, multiple in [("resources.arsc", 4), ("lib/x86_64/libpocketdet.so", 16384)]:
            one = content.getinfo(name)
            assert one.compress_type == zipfile.ZIP_STORED
            assert path.read_bytes().index(content.read(name)[:4], one.header_offset + 30) % multiple == 0


def test_the_same_parts_make_the_same_bytes(linked: Path) -> None:
    assert assembled(linked).read_bytes() == assembled(linked).read_bytes()


def test_a_library_between_pages_is_refused(linked: Path) -> None:
    path = linked.with_name("bad.apk")
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("lib/arm64-v8a/libpocketdet.so", b"library")
        libraries = content.infolist()
    with pytest.raises(FailedError, match="stored at a multiple of 16384, found byte 59"):
        package._check_pages(path, libraries)
    with pytest.raises(FailedError, match="expected lib/ABI/libpocketdet.so"):
        package._check_pages(path, [])


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANDROID_HOME", raising=False)
    with pytest.raises(MissingError, match="set ANDROID_HOME"):
        apk.find_sdk()
    monkeypatch.setenv("ANDROID_HOME", str(tmp_path))
    monkeypatch.setenv("ANDROID_NDK", str(tmp_path))
    with pytest.raises(MissingError, match=r"sdkmanager .platforms;android-36"):
        apk.find_sdk()
    for name in (
        "platforms/android-36/android.jar",
        "platforms/android-9/android.jar",
        "build-tools/36.0.0/d8",
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "build" / "cmake").mkdir(parents=True)
    (tmp_path / "build" / "cmake" / "android.toolchain.cmake").touch()
    assert apk.find_sdk().framework.level == 36


def test_without_native_code_no_tool_for_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_is_there", lambda name: name not in tools.NATIVE)
    tools.require(native=False)
    with pytest.raises(MissingError, match=r"apt install apksigner .*g\+\+-aarch64-linux-gnu"):
        tools.require(native=True)
