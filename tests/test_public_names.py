"""The public names, as `dir`, `inspect`, type checkers and editors see them."""

import inspect
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import pocketdet
from pocketdet.export.callable_package import CallablePackage
from pocketdet.export.exporter import export_detector

ROOT = Path(__file__).parents[1]
BUILD_EDITABLE = """
import sys
from scikit_build_core.build import build_editable
print(build_editable(sys.argv[1], {"build-dir": sys.argv[2], "wheel.cmake": "false"}))
"""
USER_SCRIPT = """
import pocketdet
from pocketdet.export import ExportOptions

detector = pocketdet.Detector("a.pocketdet", threads=2, score_threshold=0.4)
found = detector.detect(pocketdet.read_image("a.png"), color="BGR")
names: list[str] = [detection.name for detection in found[found.scores > 0.5]]
result = pocketdet.export(object(), "out", ExportOptions(name="a"))
print(found.to_json(), found[0].score, result.path, pocketdet.export.verify("a").ok)
print(found.boxs)  # line 10
pocketdet.Detector("a.pocketdet", threads="2")
detector.detect_batch([], color="HSV")
found[0].nam
pocketdet.export(object(), 3)
result.pth
pocketdet.read_images("a.png")
"""


def test_dir_lists_the_public_names_and_each_exists() -> None:
    assert dir(pocketdet) == sorted([*pocketdet.__all__, "errors"])
    for name in pocketdet.__all__:
        assert getattr(pocketdet, name) is not None
    assert {"Detector", "Detections", "export", "read_image"} <= set(dir(pocketdet))
    with pytest.raises(AttributeError, match="module 'pocketdet' has no attribute 'Detecter'"):
        pocketdet.Detecter  # noqa: B018
    assert pocketdet.Detector.__module__ == "pocketdet.runtime.detector"


def test_the_called_package_has_the_signature_and_names_of_its_function() -> None:
    assert type(pocketdet.export) is CallablePackage
    assert inspect.signature(pocketdet.export) == inspect.signature(export_detector)
    assert inspect.getdoc(type(pocketdet.export).__call__) == inspect.getdoc(export_detector)
    named = {name for name in vars(CallablePackage) if not name.startswith("_")}
    assert named == set(pocketdet.export.__all__)
    for name in named:
        assert getattr(CallablePackage, name) is getattr(pocketdet.export, name)


def test_export_without_its_packages_is_one_sentence() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import pocketdet\n"
        "assert not hasattr(pocketdet, 'export')\n"
        "help(pocketdet)\n"
        "try: pocketdet.export\n"
        "except pocketdet.PocketdetError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.stdout.splitlines()[-1] == "pocketdet.export needs torch: pip install 'pocketdet[export]'"


@pytest.mark.slow
def test_types_are_seen_in_an_editable_installation(tmp_path: Path) -> None:
    """What `make demo` installs: a wheel that refers to this checkout."""
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, "-c", BUILD_EDITABLE, str(tmp_path), str(tmp_path / "build")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    environment = tmp_path / "environment"
    venv.create(environment, symlinks=True)
    (site,) = environment.glob("lib/python*/site-packages")
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        wheel.extractall(site)
    (site / "pocketdet" / "runtime").mkdir(parents=True)  # with the compiled core, in a whole installation
    (tmp_path / "user.py").write_text(USER_SCRIPT)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
    command += ["--python-executable", str(environment / "bin" / "python"), "user.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = [line.removeprefix("user.py:").split(": error: ") for line in done.stdout.splitlines()]
    assert [int(number) for number, _ in lines] == list(range(10, 17)), done.stdout
    assert '"Detections" has no attribute "boxs"; maybe "boxes"?' in lines[0][1]
