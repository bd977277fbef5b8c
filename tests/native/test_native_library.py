"""The library as `cmake --install` leaves it: found by CMake and pkg-config, wherever it is moved."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from markdown_files import code_blocks
from native_runner import Runner, by_python, read_ppm
from numpy.typing import NDArray

import pocketdet
from pocketdet.runtime.images import read_image

NATIVE = Path(__file__).parents[2] / "runtime" / "native"
GUIDE = NATIVE.parents[1] / "docs" / "guides" / "native.md"
HEADER = NATIVE / "api" / "include" / "pocketdet" / "pocketdet.h"


def tool(name: str) -> str:
    """A program beside this Python, or of the system."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}")
    return found


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        env=os.environ | environment,
        cwd=cwd,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def configure(source: Path, build: Path, *options: str) -> list[str]:
    ninja = f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}"
    return [tool("cmake"), "-S", str(source), "-B", str(build), "-G", "Ninja", ninja, *options]


@pytest.fixture(scope="module")
def prefix(native_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation that was moved elsewhere afterwards."""
    folder = tmp_path_factory.mktemp("installed")
    run(tool("cmake"), "--install", native_build, "--prefix", folder / "first")
    return (folder / "first").rename(folder / "moved")


@pytest.fixture(scope="module")
def examples(prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed examples, built outside the tree against the installed library."""
    build = tmp_path_factory.mktemp("examples")
    run(
        *configure(
            prefix / "share" / "doc" / "pocketdet" / "examples", build, f"-DCMAKE_PREFIX_PATH={prefix}"
        )
    )
    run(tool("cmake"), "--build", build)
    return build


def library_of(prefix: Path) -> Path:
    (found,) = prefix.glob("lib*/**/libpocketdet.so")
    return found


def rows(text: str) -> NDArray[np.float64]:
    """Score and box of each line that an example printed."""
    return np.array([line.split()[1:] for line in text.splitlines()], np.float64).reshape(-1, 5)


def python_rows(bundle: Path, image: Path) -> NDArray[np.float64]:
    (found,) = by_python(bundle, [read_image(image)])
    return np.concatenate([found.scores[:, None], found.boxes], axis=1).astype(np.float64)


@pytest.mark.parametrize("language", ["cpp", "c"])
def test_consumers_detect_as_python_detects(
    examples: Path, small_bundle: Path, image_files: list[Path], language: str
) -> None:
    for image in image_files[:2]:
        found = rows(run(examples / f"detect_{language}", small_bundle, image))
        expected = python_rows(small_bundle, image)
        assert len(expected) > 0
        np.testing.assert_allclose(found[:, 0], expected[:, 0], atol=6e-4)
        np.testing.assert_allclose(found[:, 1:], expected[:, 1:], atol=6e-3)


@pytest.mark.parametrize("language", ["cpp", "c"])
def test_consumers_say_what_is_wrong(examples: Path, tmp_path: Path, language: str) -> None:
    done = subprocess.run(
        [examples / f"detect_{language}", tmp_path / "absent.pocketdet", "x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert re.fullmatch(r".*absent\.pocketdet.*\n", done.stderr)


def test_pkg_config(prefix: Path, small_bundle: Path, image_files: list[Path], tmp_path: Path) -> None:
    folder = library_of(prefix).parent
    words = [tool("pkg-config"), "--cflags", "--libs", "pocketdet"]
    flags = run(*words, PKG_CONFIG_PATH=str(folder / "pkgconfig")).split()
    source = prefix / "share" / "doc" / "pocketdet" / "examples" / "detect.c"
    run(tool("cc"), "-Werror", source, "-o", tmp_path / "detect", *flags)
    found = rows(run(tmp_path / "detect", small_bundle, image_files[0], LD_LIBRARY_PATH=str(folder)))
    np.testing.assert_allclose(found[:, 1:], python_rows(small_bundle, image_files[0])[:, 1:], atol=6e-3)


def test_the_project_of_the_guide(
    prefix: Path, small_bundle: Path, image_files: list[Path], tmp_path: Path
) -> None:
    blocks = code_blocks(GUIDE)
    for name, language in (("CMakeLists.txt", "cmake"), ("main.cpp", "cpp")):
        text = next(block.text for block in blocks if block.language == language)
        assert len(text.splitlines()) <= 20
        (tmp_path / name).write_text(text)
    run(*configure(tmp_path, tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"))
    run(tool("cmake"), "--build", tmp_path / "build")
    cv2.imwrite(str(tmp_path / "photo.jpg"), read_ppm(image_files[0])[..., ::-1])
    (tmp_path / "my.pocketdet").symlink_to(small_bundle)
    found = rows(run(tmp_path / "build" / "app", cwd=tmp_path))
    expected = python_rows(small_bundle, tmp_path / "photo.jpg")
    assert len(expected) > 0
    np.testing.assert_allclose(found[:, 0], expected[:, 0], atol=6e-4)
    np.testing.assert_allclose(found[:, 1:], expected[:, 1:], atol=0.06)


def test_only_the_public_functions_are_visible(prefix: Path) -> None:
    lines = run(tool("nm"), "-D", "--defined-only", library_of(prefix)).splitlines()
    visible = {line.split()[-1].partition("@")[0] for line in lines}
    declared = set(re.findall(r"^POCKETDET_API .*?(pocketdet_\w+)\(", HEADER.read_text(), re.MULTILINE))
    assert len(declared) > 20
    assert visible - {"POCKETDET_1"} == declared
    assert "[libpocketdet.so.1]" in run(tool("readelf"), "-d", library_of(prefix))


def test_what_is_installed(prefix: Path) -> None:
    files = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
    assert {name for name in files if name.startswith("include")} == {
        "include/pocketdet/pocketdet.h",
        "include/pocketdet/pocketdet.hpp",
    }
    assert "bin/pocketdet-run" in files
    licences = prefix / "share" / "doc" / "pocketdet" / "licenses"
    assert {path.stem for path in licences.iterdir()} == {
        path.parent.name for path in (NATIVE / "third_party").glob("*/LICENSE")
    } - {"nanobind"}  # binds Python alone
    for path in (prefix / name for name in files if name.endswith((".cmake", ".pc"))):
        assert str(prefix.parent) not in path.read_text(), path
        assert str(NATIVE.parents[1]) not in path.read_text(), path
    assert (
        f'PACKAGE_VERSION "{pocketdet.__version__}"'
        in next(prefix.rglob("pocketdetConfigVersion.cmake")).read_text()
    )


def test_the_header_is_plain_c_and_cpp(tmp_path: Path) -> None:
    for compiler, standard, header in (("cc", "c99", "pocketdet.h"), ("c++", "c++17", "pocketdet.hpp")):
        source = tmp_path / ("header.c" if compiler == "cc" else "header.cpp")
        source.write_text(f"#include <pocketdet/{header}>\n")
        strict = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "-fsyntax-only"]
        run(tool(compiler), f"-std={standard}", *strict, f"-I{HEADER.parents[1]}", source)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that contains pocketdet's sources."""
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(app LANGUAGES CXX)\n"
        f"add_subdirectory({NATIVE} pocketdet)\n"
        f"add_executable(app {NATIVE}/examples/detect.cpp)\n"
        "target_link_libraries(app PRIVATE pocketdet::detector)\n"
    )
    return tmp_path


def ncnn_of(build: Path) -> str:
    found = re.search(r"^POCKETDET_NCNN:PATH=(.+)$", (build / "CMakeCache.txt").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def test_a_subdirectory_without_ncnn_says_how_to_get_it(project: Path) -> None:
    options = configure(project, project / "build", "-DCMAKE_DISABLE_FIND_PACKAGE_ncnn=ON")
    done = subprocess.run(options, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert "build_ncnn.py" in said
    assert "find_package(ncnn)" in said


@pytest.mark.parametrize("option", ["POCKETDET_NCNN", "CMAKE_PREFIX_PATH"])
def test_a_subdirectory_needs_neither_python_nor_nanobind(
    project: Path, native_build: Path, option: str
) -> None:
    options = (f"-D{option}={ncnn_of(native_build)}", "-DCMAKE_DISABLE_FIND_PACKAGE_Python=ON")
    run(*configure(project, project / "build", *options))
    targets = run(tool("ninja"), "-C", project / "build", "-t", "targets", "all")
    assert "libpocketdet.so" in targets
    assert "python/module.cpp" not in targets


@pytest.mark.slow
@pytest.mark.nightly
def test_a_program_with_the_sources_detects(
    project: Path, native_build: Path, runner: Runner, small_bundle: Path, image_files: list[Path]
) -> None:
    options = f"-DCMAKE_PREFIX_PATH={ncnn_of(native_build)}", "-DCMAKE_CXX_FLAGS_RELEASE=-O1"  # quicker
    run(*configure(project, project / "build", *options))
    run(tool("cmake"), "--build", project / "build", "--target", "app")
    found = rows(run(project / "build" / "app", small_bundle, image_files[0]))
    np.testing.assert_allclose(found[:, 1:], python_rows(small_bundle, image_files[0])[:, 1:], atol=6e-3)
