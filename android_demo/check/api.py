"""Class files with the signatures of the Android API, made once from Debian's source of Android.

`api/current.txt` of the source package android-platform-frameworks-base is the official list of API level 29,
Java's own classes included; newer_api.txt adds what the app calls of later levels. The list and the
classes are kept below ${XDG_CACHE_HOME:-~/.cache}/pocketdet.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import signatures
import stubs
from tools import MissingError, run

PACKAGE = "android-platform-frameworks-base"
API = "api/current.txt"  # in its source
NEWER = Path(__file__).with_name("newer_api.txt")
SHA256 = "542d4115065177ec3872f4de3757d1d5607411c918ce433e0024713fd8009aee"


def api_classes(work: Path) -> tuple[Path, int]:
    """A folder of class files for javac's -bootclasspath, and how many types it has.

    Raises `MissingError` where the text can neither be found nor fetched, `FailedError`.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pocketdet"
    cache.mkdir(parents=True, exist_ok=True)
    text = _text(cache / f"android-api-{SHA256[:12]}.txt") + NEWER.read_text(encoding="utf-8")
    recipe = hashlib.sha256(
        text.encode() + b"".join(Path(str(m.__file__)).read_bytes() for m in (signatures, stubs))
    ).hexdigest()[:12]
    final = cache / f"android-api-{recipe}"
    if not final.exists():
        with tempfile.TemporaryDirectory(dir=cache, prefix="android-api-") as folder:
            _compile(text, Path(folder), work).rename(final)
    return final, sum(1 for path in final.rglob("*.class"))


def _compile(text: str, folder: Path, work: Path) -> Path:
    stubs.write_stubs(text, folder / "sources")
    names = folder / "sources.txt"
    names.write_text("\n".join(str(path) for path in sorted((folder / "sources").rglob("*.java"))))
    classes, nothing = folder / "classes", folder / "nothing"
    for path in (classes, nothing):
        path.mkdir()
    command: list[str | Path] = [
        "javac",
        "-encoding",
        "UTF-8",
        "-source",
        "8",
        "-target",
        "8",
        "-bootclasspath",
        nothing,
    ]
    command += ["-nowarn", "-Xlint:-options", "-proc:none", "-d", classes, f"@{names}"]
    run(command, "the signatures of the Android API", work / "api.log")
    return classes


def _text(cached: Path) -> str:
    if not cached.exists():
        with tempfile.TemporaryDirectory(dir=cached.parent, prefix="android-source-") as folder:
            fetched = _fetch(Path(folder))
            found = hashlib.sha256(fetched.read_bytes()).hexdigest()
            if found != SHA256:
                raise MissingError(f"api/current.txt of {PACKAGE}: expected SHA-256 {SHA256}, found {found}")
            fetched.rename(cached)
    return cached.read_text(encoding="utf-8")


def _fetch(folder: Path) -> Path:
    """api/current.txt of the source package, by an apt with a state of its own; nobody has to be root."""
    if shutil.which("apt-get") is None:
        raise MissingError("the Android API comes from Debian's package sources, and there is no apt-get")
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    (folder / "debian.sources").write_text(_source_entries())
    apt = ["apt-get", "-qq"]
    for option, value in {
        "Dir::Etc::SourceList": folder / "debian.sources",
        "Dir::Etc::SourceParts": "-",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "",
    }.items():
        apt += ["-o", f"{option}={value}"]
    try:
        for words in (["update"], ["source", "--download-only", PACKAGE]):
            subprocess.run([*apt, *words], cwd=folder, check=True, capture_output=True, text=True)
        archive = next(folder.glob(f"{PACKAGE}_*.orig.tar.*"))
        with tarfile.open(archive) as tar:
            content = tar.extractfile(API)
            if content is None:
                raise MissingError(f"{archive.name} has no file {API}")
            (folder / API).parent.mkdir()
            (folder / API).write_bytes(content.read())
    except (subprocess.CalledProcessError, StopIteration, KeyError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1:]
        raise MissingError(f"the source of {PACKAGE} cannot be fetched: {' '.join(reason)}") from error
    return folder / API


def _source_entries() -> str:
    """The system's own Debian package sources, for source packages, in apt's deb822 format."""
    codename = _codename()
    entries = []
    for path in Path("/etc/apt/sources.list.d").glob("*.sources"):
        for entry in re.split(r"\n\s*\n", path.read_text()):
            suites = re.search(r"^Suites:(.*)$", entry, re.MULTILINE)
            if suites is not None and any(s.split("-")[0] == codename for s in suites[1].split()):
                entries.append(re.sub(r"^Types:.*$", "Types: deb-src", entry, flags=re.MULTILINE))
    lists = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*.list")]
    for line in "\n".join(path.read_text() for path in lists if path.exists()).splitlines():
        found = re.match(r"deb(?:\s+\[[^]]*\])?\s+(\S+)\s+(\S+)\s+(.+)$", line)
        if found is not None and found[2].split("-")[0] == codename:
            entries.append(f"Types: deb-src\nURIs: {found[1]}\nSuites: {found[2]}\nComponents: {found[3]}\n")
    return "\n\n".join(entries) + "\n"


def _codename() -> str:
    found = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    return found[1] if found is not None else "stable"
