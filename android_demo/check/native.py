"""libpocketdet.so for this machine and for 64-bit ARM, warnings as errors."""

import re
import sys
from pathlib import Path

from tools import LIBRARY, ROOT, FailedError, jni_folders, program, run

PAGE = 16384  # bytes; Android 15 and later load nothing that is aligned to less


def build_host(work: Path) -> Path:
    """The folder with the library for this machine."""
    return _build("host", work, [])


def build_arm(work: Path) -> str:
    """Build for 64-bit ARM with the cross compiler; return what was seen of the result."""
    folder = _build("aarch64", work, ["--toolchain", str(ROOT / "runtime" / "native" / "aarch64.cmake")])
    library = folder / "libpocketdet.so"
    words: list[str | Path] = ["aarch64-linux-gnu-readelf", "-lW", library]
    segments = re.findall(
        r"^  LOAD .* (0x[0-9a-f]+)$", run(words, "readelf", folder / "segments.log"), re.MULTILINE
    )
    if not segments or any(int(alignment, 16) < PAGE for alignment in segments):
        raise FailedError(f"{library}: expected segments aligned to {PAGE} bytes or more, found {segments}")
    return f"{library.stat().st_size >> 10} KiB, segments aligned to {int(min(segments, key=len), 16)} bytes"


def _build(target: str, work: Path, options: list[str]) -> Path:
    folder = work / f"jni-{target}"
    ncnn = run(
        [sys.executable, ROOT / "runtime" / "native" / "build_ncnn.py", "--target", target],
        f"ncnn for {target}",
        work / f"ncnn-{target}.log",
    ).splitlines()[-1]
    include = ";".join(str(path) for path in jni_folders())
    configure: list[str | Path] = [
        program("cmake"),
        "-S",
        LIBRARY / "main" / "cpp",
        "-B",
        folder,
        "-G",
        "Ninja",
        *options,
    ]
    configure += [f"-DCMAKE_MAKE_PROGRAM={program('ninja')}", "-DPOCKETDET_WERROR=ON"]
    configure += [f"-DPOCKETDET_NCNN={ncnn}", f"-DPOCKETDET_JNI={include}"]
    run(configure, f"configuring the JNI library for {target}", work / f"jni-{target}-configure.log")
    build: list[str | Path] = [program("cmake"), "--build", folder, "--target", "pocketdet"]
    run(build, f"the JNI library for {target}", work / f"jni-{target}.log")
    return folder
