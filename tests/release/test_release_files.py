"""What a release consists of besides its wheels: notes, SBOM, and refusals that name what is missing."""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from build_release import build, check_sdist
from release_notes import ReleaseError, notes, version

from pocketdet import __version__

ROOT = Path(__file__).resolve().parents[2]
THIRD_PARTY = ROOT / "runtime/native/third_party"


def test_the_version_is_that_of_the_package() -> None:
    assert version() == __version__


def test_the_notes_are_the_section_of_the_version(tmp_path: Path) -> None:
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(
        "# Changelog\n\n## Unreleased\n\nnew\n\n## 1.2.0 (2026-11-29)\n\n### Added\n\n- a\n\n## 1.1.0\n"
    )
    assert notes("1.2.0", changelog) == "### Added\n\n- a\n"
    with pytest.raises(ReleaseError, match=r"CHANGELOG\.md: the section 1\.1\.0 is empty"):
        notes("1.1.0", changelog)
    with pytest.raises(ReleaseError, match=r"expected a section '## 1\.3\.0', found Unreleased, 1\.2\.0"):
        notes("1.3.0", changelog)


def test_a_tag_of_another_version_fails() -> None:
    command = [sys.executable, str(ROOT / "release/release_notes.py"), "--tag"]
    other = subprocess.run([*command, "v99.0.0"], capture_output=True, text=True, check=False)
    assert other.returncode == 2
    assert f"this checkout is version {__version__}" in other.stderr
    same = subprocess.run([*command, f"v{__version__}"], capture_output=True, text=True, check=False)
    assert (same.returncode, same.stdout) == (0, notes())


def test_a_release_without_runners_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"pocketdet-run-x86_64: there is no runner for x86_64"):
        build(tmp_path / "dist", tmp_path, tmp_path)


def test_the_workflows_wheels_have_what_those_of_make_wheels_have() -> None:
    with (ROOT / "pyproject.toml").open("rb") as stream:
        linux = tomllib.load(stream)["tool"]["cibuildwheel"]["linux"]
    settings = linux["config-settings"]
    assert set(settings) == {
        "cmake.define.POCKETDET_NCNN",
        "cmake.define.POCKETDET_RUNNERS",
        "wheel.py-api",
    }
    *_, build_ncnn = linux["before-build"]
    assert build_ncnn.endswith(f" {settings['cmake.define.POCKETDET_NCNN']}")
    assert "load_library()" in linux["test-command"][-1]


def test_an_sdist_with_files_of_nobody_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pocketdet-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("PKG-INFO", "runtime/detector.py", "notes/secret.txt"):
            archive.addfile(tarfile.TarInfo(f"pocketdet-1.0/{name}"))
    with pytest.raises(ReleaseError, match=r"expected the files that git tracks, found notes/secret\.txt;"):
        check_sdist(path, ["runtime/detector.py", "README.md"])
    check_sdist(path, ["runtime/detector.py", "notes/secret.txt"])


def test_every_third_party_folder_has_a_licence_and_a_row() -> None:
    folders = {path.name for path in THIRD_PARTY.iterdir() if path.is_dir()}
    for name in folders:
        assert "copyright" in (THIRD_PARTY / name / "LICENSE").read_text("utf-8").lower(), name
    readme = (THIRD_PARTY / "README.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE)) == folders
    pins = (ROOT / "constraints.txt").read_text("utf-8").split()
    for package in ("ncnn", "nanobind"):
        (pin,) = (line for line in pins if line.startswith(f"{package}=="))
        assert f"| `{package}` | {pin.partition('==')[2]} |" in readme


def test_the_sbom_lists_files_native_code_and_pinned_packages(tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx", reason="no cyclonedx-python-lib: pip install cyclonedx-python-lib")
    from release_sbom import write_sbom

    wheel = tmp_path / "pocketdet.whl"
    wheel.write_bytes(b"a wheel")
    write_sbom(tmp_path / "sbom.json", [wheel])
    document = json.loads((tmp_path / "sbom.json").read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    by_reference = {component["bom-ref"]: component for component in document["components"]}
    (digest,) = by_reference["file:pocketdet.whl"]["hashes"]
    assert digest == {"alg": "SHA-256", "content": hashlib.sha256(b"a wheel").hexdigest()}
    for folder in (path.name for path in THIRD_PARTY.iterdir() if path.is_dir()):
        assert by_reference[f"native:{folder}"]["licenses"]
    with (ROOT / "pyproject.toml").open("rb") as stream:
        direct = tomllib.load(stream)["project"]["dependencies"]
    pins = set((ROOT / "constraints.txt").read_text("utf-8").split())
    for requirement in direct:
        name = requirement.partition(">=")[0]
        assert f"{name}=={by_reference[f'pypi:{name}']['version']}" in pins
    assert "pypi:pydantic-core" in by_reference  # of pydantic
    (top,) = (entry for entry in document["dependencies"] if entry["ref"] == "pocketdet")
    assert set(top["dependsOn"]) == {r for r in by_reference if not r.startswith("file:")}
