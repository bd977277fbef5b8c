"""The Python package on aarch64: its cross-compiled wheel, the aarch64 CPython and wheels, emulated.

Slow, and it fetches packages, so it runs only when asked for:

    make native-aarch64 && POCKETDET_ARM_PYTHON=1 python -m pytest tests/native/test_arm_python.py

helpers/arm_python.py tells how the environment is made; helpers/arm_python_parity.py prints the differences,
on more images.
"""

import json
import os
import platform
from pathlib import Path

import pytest
from arm_python import MissingError, arm_environment
from arm_python_parity import HALF, Python, compare, write_images
from needs import NATIVE_ARM

from pocketdet.export import ExportOptions, export_detector
from pocketdet.models.checkpoint import load_checkpoint
from pocketdet.models.zoo import FOD, zoo_weights

ASKED = "POCKETDET_ARM_PYTHON"
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not os.environ.get(ASKED),
    reason=f"aarch64 Python is emulated only if {ASKED}=1: some minutes, and once 580 MB of disk",
)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an emulated environment; skipped by name where it cannot be made."""
    if platform.machine() != "x86_64":
        pytest.skip(f"this machine is {platform.machine()}: aarch64 Python is compared with x86")
    try:
        return arm_environment(tmp_path_factory.mktemp("arm-python"))
    except MissingError as error:
        pytest.skip(f"aarch64 Python cannot be emulated: {error}")


@pytest.fixture(scope="module")
def native() -> Path:
    """pocketdet-run for aarch64."""
    path = Path(
        os.environ.get("POCKETDET_RUN_AARCH64") or ROOT / "build" / "native-aarch64" / "pocketdet-run"
    )
    if not path.exists():
        pytest.skip(NATIVE_ARM)
    return path


@pytest.fixture(scope="module")
def full_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped detector at its full size."""
    model = load_checkpoint(zoo_weights(FOD))
    return export_detector(model, tmp_path_factory.mktemp("full"), ExportOptions(name="full")).path


def test_the_wheel_is_installed_for_arm(programs: Path) -> None:
    code = "import json, platform, pocketdet, pocketdet.runtime, sys; from pocketdet.runtime import _core\n"
    code += "import cv2, ncnn, numpy; facts = [platform.machine(), pocketdet.__file__, _core.__file__]\n"
    code += "print(json.dumps([*facts, 'torch' in sys.modules]))"
    done = Python(programs, "cortex-a76").run("python", "-c", code)
    assert done.returncode == 0, done.stderr
    machine, package, core, torch = json.loads(done.stdout)
    assert machine == "aarch64"
    assert package.startswith(str(programs.parent))
    assert core.endswith("-aarch64-linux-gnu.so")
    assert Path(core).read_bytes()[18:20] == b"\xb7\x00"  # e_machine: EM_AARCH64
    assert not torch


def test_the_command_line_works(programs: Path, small_bundle: Path, tmp_path: Path) -> None:
    arm = Python(programs, "cortex-a76")
    doctor = arm.run("pocketdet", "doctor")  # which tries each engine in a child process
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "ready: bundles run on this machine" in doctor.stdout
    verify = arm.run("pocketdet", "verify", small_bundle)
    assert verify.returncode == 0, verify.stdout + verify.stderr
    assert "all 12 stage checks hold" in verify.stdout
    write_images(tmp_path / "images", 1)
    detect = arm.run("pocketdet", "detect", small_bundle, tmp_path / "images", "--out", tmp_path / "drawn")
    assert detect.returncode == 0, detect.stderr
    assert [p.name for p in (tmp_path / "drawn").iterdir()] == ["000_boxes.jpg"]
    refused = arm.run("pocketdet", "verify", tmp_path / "absent.pocketdet")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("cpu", HALF)
def test_golden_of_a_small_detector_replays(
    programs: Path, trained_bundle: Path, cpu: str, precision: str
) -> None:
    assert Python(programs, cpu).golden(trained_bundle, precision) == (True, precision)


def test_a_processor_without_half_precision_computes_in_fp32(programs: Path, trained_bundle: Path) -> None:
    assert Python(programs, "cortex-a57").golden(trained_bundle, "fp16") == (True, "fp32")


def test_detections_are_those_of_x86_and_of_the_native_runner(
    programs: Path, native: Path, full_bundle: Path, tmp_path: Path
) -> None:
    write_images(tmp_path / "images", 3)
    rows = list(compare(programs, native, full_bundle, tmp_path / "images"))
    assert [(row.cpu, row.precision) for row in rows] == [(c, p) for c in HALF for p in ("fp32", "fp16")]
    for row in rows:
        assert row.ok, row
        assert row.from_x86.total > 20
        if row.precision == "fp16":
            assert row.from_x86.lost <= 0.2 * row.from_x86.total, row
            assert row.from_x86.pixels > 0.001  # rounded, so that it was half precision
