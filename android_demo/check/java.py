"""Java: compiled against the Android API and for the virtual machine of this computer, and JUnit."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import stubs
from tools import JARS, FailedError, program, run, sources

_OK = re.compile(r"^OK \((\d+) tests?\)$", re.MULTILINE)
# what -Xcheck:jni says of native methods that break JNI's rules
_JNI_COMPLAINT = re.compile(r"^.*(?:WARNING|FATAL ERROR in native method).*$", re.MULTILINE)


def compile_for_android(folders: Sequence[Path], classpath: Sequence[Path], api: Path, out: Path) -> int:
    """Compile for Java 8 against nothing but the Android API; return the number of sources."""
    return _compile(folders, classpath, out, ["-source", "8", "-target", "8", "-bootclasspath", str(api)])


def compile_for_tests(folders: Sequence[Path], classpath: Sequence[Path], out: Path) -> int:
    """Compile tests and what else runs on this computer alone."""
    return _compile(folders, [*classpath, *map(Path, JARS)], out, ["-source", "17", "-target", "17"])


def nullness(work: Path) -> Path:
    """The folder with class files of the library's annotations, where the API lacks them."""
    sources_of = work / "nullness-sources"
    stubs.write_nullness(sources_of)
    _compile([sources_of], [], work / "nullness", ["-source", "8", "-target", "8"])
    return work / "nullness"


def junit(
    folders: Sequence[Path],
    classpath: Sequence[Path],
    log: Path,
    options: Sequence[str] = (),
) -> tuple[int, list[str]]:
    """Run every class named ...Test; return the number of tests, and the lines in [brackets] that they print.

    Raises `FailedError` for a failure, and for any complaint of -Xcheck:jni.
    """
    names = [
        str(path.relative_to(folder).with_suffix("")).replace("/", ".")
        for folder in folders
        for path in sources(folder)
        if path.stem.endswith("Test")
    ]
    paths = ":".join(map(str, [*classpath, *JARS]))
    output = run(
        [program("java"), *options, "-cp", paths, "org.junit.runner.JUnitCore", *names], "JUnit", log
    )
    complaint = _JNI_COMPLAINT.search(output)
    if complaint is not None:
        raise FailedError(f"-Xcheck:jni complains: {complaint[0]}; all of it is in {log}")
    count = _OK.search(output)
    if count is None:
        raise FailedError(f"JUnit reported no number of tests; all of it is in {log}")
    notes = [line.lstrip(".") for line in output.splitlines() if re.match(r"\.*\[\w+\]", line)]
    return int(count[1]), notes


def _compile(folders: Sequence[Path], classpath: Sequence[Path], out: Path, options: list[str]) -> int:
    files = sources(*folders)
    shutil.rmtree(out, ignore_errors=True)  # with the classes of sources that are no more
    out.mkdir(parents=True)
    command = ["javac", "-encoding", "UTF-8", "-Xlint:all,-options", "-Werror", "-proc:none", *options]
    command += ["-d", str(out), "-cp", ":".join(map(str, classpath)) or str(out), *map(str, files)]
    run(command, f"compiling {', '.join(map(str, folders))}", out.with_suffix(".log"))
    return len(files)
