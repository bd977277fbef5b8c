"""libpocketdet.so for this machine and for 64-bit ARM, warnings as errors."""

import re
import sys
from pathlib import Path

from package import PAGE
from tools import LIBRARY, ROOT, FailedError, jni_folders, program, run


def build_host(work: Path) -> Path:
    """The folder with the library for this machine, whose C++ test passes."""
    folder = _build("host", work, [], ["pocketdet", "java_test"])
    run([folder / "java_test"], "java.cpp without memory", work / "java-test.log")
    return folder


def build_arm(work: Path) -> str:
    """Build for 64-bit ARM with the cross compiler; return what was seen of the result."""
    toolchain = str(ROOT / "runtime" / "native" / "aarch64.cmake")
    folder = _build("aarch64", work, ["--toolchain", toolchain], ["pocketdet"])
    library = folder / "libpocketdet.so"
    words: list[str | Path] = ["aarch64-linux-gnu-readelf", "-lW", library]
    segments = re.findall(
        r"^  LOAD .* (0x[0-9a-f]+)$", run(words, "readelf", folder / "segments.log"), re.MULTILINE
    )
    if not segments or any(int(alignment, 16) < PAGE for alignment in segments):
        raise FailedError(f"{library}: expected segments aligned to {PAGE} bytes or more, found {segments}")
    return f"{library.stat().st_size >> 10} KiB, segments aligned to {int(min(segments, key=len), 16)} bytes"


def _build(target: str, work: Path, options: list[str], targets: list[str]) -> Path:
    folder = work / f"jni-{target}"
    include = ";".join(str(path) for path in jni_folders())
    configure: list[str | Path] = [program("cmake"), "-S", LIBRARY / "main" / "cpp", "-B", folder]
    configure += ["-G", "Ninja", *options, f"-DCMAKE_MAKE_PROGRAM={program('ninja')}"]
    configure += ["-DPOCKETDET_WERROR=ON", f"-DPOCKETDET_JNI={include}"]
    configure += [f"-DPOCKETDET_PYTHON_PROGRAM={sys.executable}"]
    run(configure, f"configuring the JNI library for {target}", work / f"jni-{target}-configure.log")
    if "native/build_ncnn.py" not in (folder / "build.ninja").read_text():
        raise FailedError(f"{folder}: a newer ncnn would not be linked; expected build_ncnn.py as an input")
    build: list[str | Path] = [program("cmake"), "--build", folder, "--target", *targets]
    run(build, f"the JNI library for {target}", work / f"jni-{target}.log")
    return folder
