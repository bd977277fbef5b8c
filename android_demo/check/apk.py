#!/usr/bin/env python3
"""make apk: the app without Gradle, with an Android SDK and NDK.

    ANDROID_HOME=SDK ANDROID_NDK=NDK android_demo/check/apk.py [--bundles FOLDER] [--out FILE]

Needs an NDK 28, and of the SDK a platform and build-tools 36 (d8, aapt2, apksigner); `make native` before.
The APK is signed with a debug key of its own and holds the variant bench, which `pocketdet bench --via app`
can start. Exit code 0, 1 (a step failed) or 2 (something is missing).
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import dex
import java
import package
import resources
from tools import APP, LIBRARY, ROOT, FailedError, MissingError, program, run

WORK = ROOT / "build" / "apk"
ABIS = ("arm64-v8a", "x86_64")
PLATFORM = "android-26"


@dataclass(frozen=True)
class Sdk:
    """The Android SDK and NDK of this machine."""

    framework: resources.Framework
    d8: Path
    toolchain: Path


def find_sdk() -> Sdk:
    """The newest platform and build-tools. Raises `MissingError` that names what is not there."""
    home, ndk = os.environ.get("ANDROID_HOME"), os.environ.get("ANDROID_NDK")
    if not home or not ndk:
        raise MissingError("set ANDROID_HOME to an Android SDK and ANDROID_NDK to an NDK 28")
    platforms = {
        path.parent.name.partition("-")[2]: path
        for path in Path(home).glob("platforms/android-*/android.jar")
    }
    levels = [int(level) for level in platforms if level.isdigit()]
    tools = sorted(Path(home).glob("build-tools/*/d8"))
    toolchain = Path(ndk) / "build" / "cmake" / "android.toolchain.cmake"
    if not levels or not tools or not toolchain.is_file():
        raise MissingError(
            f"expected {home}/platforms/android-*/android.jar, {home}/build-tools/*/d8 and {toolchain}; "
            'sdkmanager "platforms;android-36" "build-tools;36.0.0" "ndk;28.2.13676358" installs them'
        )
    level = max(levels)
    return Sdk(resources.Framework(platforms[str(level)], level), tools[-1], toolchain)


def main() -> int:
    """Build the APK; return the exit code."""
    parser = argparse.ArgumentParser(description="the app without Gradle")
    parser.add_argument("--bundles", type=Path, help="folder of NAME.pocketdet folders to put into the app")
    parser.add_argument("--out", type=Path, default=WORK / "pocketdet.apk")
    arguments = parser.parse_args()
    try:
        sdk = find_sdk()
        os.environ["PATH"] = f"{sdk.d8.parent}{os.pathsep}{os.environ['PATH']}"
        build(sdk, arguments.bundles, arguments.out)
        seen = package.inspect(arguments.out, WORK / "inspect.log")
        sys.stdout.write(f"{arguments.out}: {seen}\n")
    except MissingError as error:
        sys.stderr.write(f"apk: {error}\n")
        return 2
    except FailedError as error:
        sys.stderr.write(f"apk: {error}\n")
        return 1
    return 0


def build(sdk: Sdk, bundles: Path | None, out: Path) -> None:
    """Compile all parts and sign their APK."""
    generated, _ = resources.link(WORK, sdk.framework)
    classes = WORK / "classes"
    folders = [LIBRARY / "main" / "java", APP / "main" / "java", APP / "bench" / "java", generated]
    java.compile_for_android(folders, [java.nullness(WORK)], sdk.framework.path, classes)
    code = dex.make([sdk.d8], [classes], sdk.framework.path, WORK / "dex", WORK / "d8.log")
    libraries = {abi: build_library(sdk, abi) for abi in ABIS}
    unsigned = out.with_suffix(".unsigned")
    package.assemble(unsigned, WORK / "resources.apk", code, libraries, bundles)
    package.sign(unsigned, WORK / "debug.keystore", WORK / "sign.log")
    unsigned.replace(out)


def build_library(sdk: Sdk, abi: str) -> Path:
    """libpocketdet.so by the NDK."""
    folder = WORK / f"jni-{abi}"
    configure: list[str | Path] = [
        program("cmake"),
        "-S",
        LIBRARY / "main" / "cpp",
        "-B",
        folder,
        "-G",
        "Ninja",
    ]
    configure += [f"-DCMAKE_MAKE_PROGRAM={program('ninja')}", f"-DCMAKE_TOOLCHAIN_FILE={sdk.toolchain}"]
    configure += [f"-DANDROID_ABI={abi}", f"-DANDROID_PLATFORM={PLATFORM}", "-DANDROID_STL=c++_static"]
    configure += [f"-DPOCKETDET_PYTHON_PROGRAM={sys.executable}"]
    run(configure, f"configuring libpocketdet.so for {abi}", WORK / f"{abi}-configure.log")
    build = [program("cmake"), "--build", folder, "--target", "pocketdet"]
    run(build, f"libpocketdet.so for {abi}", WORK / f"{abi}.log")
    return folder / "libpocketdet.so"


if __name__ == "__main__":
    sys.exit(main())
