"""What a bundle is made for is what runs, on processors that have it; kept layers compute in fp32 there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from native_runner import Runner
from overflowing import PLACES, overflowing

from pocketdet.datasets.scenes import random_scene, render_scene
from pocketdet.errors import EngineError
from pocketdet.evaluation.inputs import open_input
from pocketdet.evaluation.variants import in_emulator
from pocketdet.export import ExportOptions, export_detector
from pocketdet.export.precision import LayerChoice
from pocketdet.models.checkpoint import load_checkpoint
from pocketdet.models.zoo import FOD, zoo_weights
from pocketdet.runtime.bundle import hash_file, load_bundle
from pocketdet.runtime.ncnn_graph import read_graph, write_graph
from pocketdet.runtime.ncnn_graph.feature_mask import IN_FP32

HALF = ("cortex-a76", "max")  # processors with half-precision arithmetic


def check(document: dict[str, object], name: str) -> dict[str, float]:
    return next(c for c in document["checks"] if c["name"] == name)  # type: ignore[attr-defined,no-any-return]


def exported(folder: Path, place: str | None, **options: object) -> Path:
    model = load_checkpoint(zoo_weights(FOD), input_size=(96, 96))
    if place is not None:
        model = overflowing(model, place)
    return export_detector(model, folder, ExportOptions(**options)).path  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def half_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("half"), None, precision="fp16")


def test_a_bundle_runs_in_what_it_was_made_for(
    arm_runner: Callable[[str], Runner], runner: Runner, half_bundle: Path
) -> None:
    for cpu, used in (("cortex-a57", "fp32"), ("cortex-a76", "fp16"), ("max", "fp16")):
        document = arm_runner(cpu).json("verify", half_bundle)
        engine = document["engine"]
        assert document["ok"] is True
        assert (engine["precision_asked"], engine["precision"]) == ("fp16", used)
        assert (engine["precision_note"] == "") == (used == "fp16")
    here = runner.json("verify", half_bundle)["engine"]
    assert (here["precision_asked"], here["precision"]) == ("fp16", "fp32")
    expected = "fp16 was requested and fp32 is in use: fp16 needs ncnn on an ARMv8.2 processor with asimdhp"
    assert here["precision_note"] == expected
    asked = runner.json("verify", half_bundle, "--precision", "fp32")["engine"]
    assert (asked["precision_asked"], asked["precision_note"]) == ("fp32", "")


@pytest.mark.parametrize("precision", ["fp32", "fp16-storage", "fp16", "bf16-storage"])
@pytest.mark.parametrize("cpu", ["cortex-a57", *HALF])
def test_every_arithmetic_holds_its_tolerance(
    arm_runner: Callable[[str], Runner], half_bundle: Path, cpu: str, precision: str
) -> None:
    document = arm_runner(cpu).json("verify", half_bundle, "--precision", precision)
    halves = precision.startswith("fp16")
    assert document["engine"]["precision"] == ("fp32" if halves and cpu not in HALF else precision)
    assert document["ok"] is True
    sam = check(document, "features.sam")
    rounded = document["engine"]["precision"] != "fp32"
    assert (sam["max_abs"] > 1e-4) == rounded


@pytest.mark.parametrize("cpu", HALF)
def test_layers_kept_in_fp32_compute_in_fp32(
    arm_runner: Callable[[str], Runner], tmp_path: Path, cpu: str
) -> None:
    """Only what makes `sam` is in half precision, so the RPN's outputs are as exact as in fp32."""
    choices = (LayerChoice("*", "fp32"), LayerChoice("sam*", "fp16"))
    bundle = exported(tmp_path, None, precision="fp16", layers=choices, target=None)
    graph = read_graph(bundle / "features.ncnn.param")
    masked = [x.name for x in graph.layers if x.int_param(31, 0) & IN_FP32 == IN_FP32]
    assert len(masked) > 80
    document = arm_runner(cpu).json("verify", bundle)
    assert document["engine"]["precision"] == "fp16"
    exact = check(document, "features.rpn_scores")["max_abs"]
    rounded = check(document, "features.sam")["max_abs"]
    assert exact < 1e-4 < rounded


@pytest.mark.parametrize("place", PLACES)
def test_what_would_overflow_is_kept_in_fp32(
    arm_runner: Callable[[str], Runner], runner: Runner, tmp_path: Path, place: str
) -> None:
    planned = exported(tmp_path, place, name="planned", precision="fp16")
    naive = exported(tmp_path, place, name="naive", precision="fp32")
    stage = "head" if place == "the head" else "features.sam"
    for cpu in HALF:
        done = arm_runner(cpu).run("verify", naive, "--precision", "fp16")
        assert done.returncode == 1
        failed = check(json.loads(done.stdout), stage)
        assert failed["max_abs"] is None  # NaN or infinite
        assert "NaN or infinite" in str(failed["note"])
        document = arm_runner(cpu).json("verify", planned)
        assert document["engine"]["precision"] == "fp16"
        assert document["ok"] is True
    assert runner.json("verify", planned)["ok"] is True


def test_a_mask_without_its_guard_is_refused(runner: Runner, half_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(half_bundle, tmp_path / "masked.pocketdet"))
    files = (bundle / "features.ncnn.param", bundle / "features.ncnn.bin")
    graph = read_graph(*files)
    late = [layer for layer in graph.layers if layer.type == "Convolution"][10]
    late.params[31] = 3
    write_graph(graph, *files)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"] |= {f.name: hash_file(f).model_dump() for f in files}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    sentence = runner.error("verify", bundle)
    assert f"Convolution '{late.name}': its feature mask 3 forbids halves" in sentence


def test_average_precision_of_an_emulated_processor(
    arm_runner: Callable[[str], Runner], half_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows that `pocketdet val --arm` adds find what the runner finds."""
    monkeypatch.setenv("POCKETDET_RUN_AARCH64", arm_runner("max").command[1])
    photo = render_scene(random_scene(np.random.default_rng(3), (96, 128)), np.random.default_rng(3)).image
    with open_input(half_bundle) as target:
        backends = ["ncnn-fp16"]
        with target.variants(backends, processors=["cortex-a57", "cortex-a76"]) as variants:
            here, plain, half = variants
            found = [variant.detect(photo) for variant in variants]
    assert [s.name for s in variants] == ["ncnn fp16", "ncnn fp16 on cortex-a57", "ncnn fp16 on cortex-a76"]
    assert [s.arithmetic for s in variants] == ["fp32", "fp32", "fp16"]
    assert here.bytes == plain.bytes == half.bytes
    assert len(found[0].scores) > 0
    np.testing.assert_allclose(found[0].boxes, found[1].boxes, atol=0.1)
    assert not np.array_equal(found[1].scores, found[2].scores)


def test_a_checkpoint_on_an_emulated_processor(
    arm_runner: Callable[[str], Runner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCKETDET_RUN_AARCH64", arm_runner("max").command[1])
    photo = render_scene(random_scene(np.random.default_rng(3), (96, 128)), np.random.default_rng(3)).image
    with (
        open_input(zoo_weights(FOD), input_size=(96, 96)) as target,
        target.variants(["ncnn-fp32"], processors=["cortex-a76"]) as variants,
    ):
        here, emulated = (variant.detect(photo) for variant in variants)
    assert len(here.scores) > 0
    np.testing.assert_allclose(here.boxes, emulated.boxes, atol=0.1)


def test_a_processor_that_qemu_does_not_know(
    arm_runner: Callable[[str], Runner], half_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCKETDET_RUN_AARCH64", arm_runner("max").command[1])
    with load_bundle(half_bundle) as bundle, pytest.raises(EngineError, match="emulated 8086 failed: .*8086"):
        in_emulator(bundle, "ncnn-fp16", "8086")
