"""pocketdet-run on one-stage bundles: the detections and checks of Python, on this machine and on ARM."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corruptions import edit_manifest
from native_runner import Runner, assert_same_checks
from same_detections import PlainDetections, difference, found_in

from pocketdet.errors import BundleError
from pocketdet.runtime.bundle import load_bundle, parse_manifest, write_golden
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.images import read_image
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.parity import Check
from pocketdet.runtime.pipeline import ONE_STAGE_STAGES as STAGES
from pocketdet.runtime.verification import compare_stages, golden_checks, golden_stages

Rehash = Callable[[Path], None]


def by_python(bundle: Path, files: list[Path], **options: Any) -> list[PlainDetections]:
    with Detector(bundle, DetectorOptions(**options), engine="ncnn") as detector:
        results = [detector.detect(read_image(file)) for file in files]
    return [PlainDetections(r.boxes, r.scores, r.labels) for r in results]


def edit(bundle: Path, place: tuple[str | int, ...], value: Any) -> None:
    """Set one value of a bundle's manifest."""
    path = bundle / "manifest.json"
    document: Any = json.loads(path.read_text())
    target = document
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    path.write_text(json.dumps(document))


def test_detections_are_those_of_python(
    runner: Runner, tiny_one_stage_template: Path, png_files: list[Path]
) -> None:
    document = runner.json("detect", tiny_one_stage_template, *png_files)
    found = found_in(document)
    differs = difference(by_python(tiny_one_stage_template, png_files), found, pixels=1e-3, score=1e-5)
    assert differs.lost == 0, differs
    assert differs.total > 60
    assert document["bundle"]["detector"] == "one-stage"
    for image in document["images"]:
        assert tuple(image["milliseconds"]) == STAGES
        assert image["rois"] == 0


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--score-threshold", "0.3"], {"score_threshold": 0.3}),
        (["--nms", "hard", "--nms-iou", "0.2"], {"nms": "hard", "nms_iou": 0.2}),
        (["--nms=linear"], {"nms": "linear"}),
        (["--nms=gaussian", "--score-threshold=0.1"], {"nms": "gaussian", "score_threshold": 0.1}),
        (["--max-detections", "3"], {"max_detections": 3}),
    ],
)
def test_options_mean_the_same(
    runner: Runner,
    tiny_one_stage_template: Path,
    png_files: list[Path],
    words: list[str],
    options: dict[str, Any],
) -> None:
    found = found_in(runner.json("detect", tiny_one_stage_template, *png_files, *words))
    python = by_python(tiny_one_stage_template, png_files, **options)
    assert difference(python, found, pixels=1e-3, score=1e-5).lost == 0
    assert sum(len(f.scores) for f in found) > 0


def test_the_decode_is_the_manifests(
    runner: Runner, tiny_one_stage: Path, rehash: Rehash, png_files: list[Path]
) -> None:
    """Another coding, another score and no suppression: nothing about them is in the program."""
    corner = {"encoding": "xyxy", "multiplier": [0.1, 0.1, 0.5, 0.5], "unit": "input"}
    edit(tiny_one_stage, ("decode", "codings"), [corner])
    edit(tiny_one_stage, ("decode", "scores"), {"activation": "softmax", "objectness_power": 0.5})
    edit(tiny_one_stage, ("decode", "selection"), {"nms": "none", "best_class_only": True})
    rehash(tiny_one_stage)
    found = found_in(runner.json("detect", tiny_one_stage, *png_files))
    python = by_python(tiny_one_stage, png_files)
    assert difference(python, found, pixels=1e-3, score=1e-5).lost == 0
    assert sum(len(f.scores) for f in found) > 60


def test_sizes_in_a_field_of_their_own_and_strides_by_axis(
    runner: Runner, tiny_one_stage: Path, rehash: Rehash, png_files: list[Path]
) -> None:
    rows = {"output": "rows", "layout": "rows", "cell_step": 1, "anchor_step": 0}
    edit(tiny_one_stage, ("decode", "levels", 1, "sizes"), [{**rows, "first": 2}])
    edit(tiny_one_stage, ("decode", "levels", 1, "boxes"), [rows])
    edit(tiny_one_stage, ("decode", "levels", 1, "stride"), [15.75, 16.5])
    edit(tiny_one_stage, ("decode", "levels", 1, "anchors"), [[24, 24], [24, 12]])
    for kind in ("classes", "objectness"):
        edit(tiny_one_stage, ("decode", "levels", 1, kind, "anchor_step"), 0)
    edit(tiny_one_stage, ("decode", "codings", 0, "size_activation"), "square")
    edit(tiny_one_stage, ("preprocessing", "resize"), "letterbox_top_left")
    rehash(tiny_one_stage)
    found = found_in(runner.json("detect", tiny_one_stage, *png_files))
    python = by_python(tiny_one_stage, png_files)
    assert difference(python, found, pixels=1e-3, score=1e-5).lost == 0
    assert sum(len(f.scores) for f in found) > 20


def test_proposals_are_refused(runner: Runner, tiny_one_stage_template: Path, png_files: list[Path]) -> None:
    sentence = runner.error("detect", tiny_one_stage_template, png_files[0], "--rois", "5")
    assert sentence == "rois=5: tiny-one-stage is a one-stage detector, which has no proposals"


def test_golden_is_replayed_as_python_replays_it(runner: Runner, tiny_one_stage_template: Path) -> None:
    document = runner.json("verify", tiny_one_stage_template)
    with load_bundle(tiny_one_stage_template) as bundle:
        checks = compare_stages(golden_stages(bundle), Detector(bundle, engine="ncnn"))
    assert_same_checks(document, checks)


def test_a_wrong_answer_is_exit_code_1(runner: Runner, tiny_one_stage: Path, rehash: Rehash) -> None:
    weights = tiny_one_stage / "model.ncnn.bin"
    data = bytearray(weights.read_bytes())
    data[-4:] = np.float32(4).tobytes()  # a bias of the rows
    weights.write_bytes(data)
    rehash(tiny_one_stage)
    done = runner.run("verify", tiny_one_stage)
    assert done.returncode == 1
    assert b"stage 'model.rows: classes, level 2' is out of tolerance" in done.stderr
    assert done.stderr.count(b"stage 'model.") == 1


def test_a_golden_without_an_output(runner: Runner, tiny_one_stage: Path, rehash: Rehash) -> None:
    edit(tiny_one_stage, ("graphs", "model", "outputs", 1, "role"), "table")
    for level in (0, 1):
        for kind in ("classes", "objectness"):
            name = ("maps", "table")[level]
            edit(tiny_one_stage, ("decode", "levels", level, kind, "output"), name)
        edit(tiny_one_stage, ("decode", "levels", level, "boxes", 0, "output"), name)
    rehash(tiny_one_stage)
    sentence = runner.error("verify", tiny_one_stage)
    assert "golden stage 'outputs.table': expected F32 4 7, found nothing" in sentence


def test_an_output_of_another_shape_than_the_manifest_says(
    runner: Runner, tiny_one_stage: Path, rehash: Rehash, png_files: list[Path]
) -> None:
    edit(tiny_one_stage, ("graphs", "model", "outputs", 0, "shape"), [15, 4, 4])
    rehash(tiny_one_stage)
    sentence = runner.error("detect", tiny_one_stage, png_files[0])
    assert "model.ncnn.param: blob 'out0' has the shape (14, 4, 4), the manifest says (15, 4, 4)" in sentence


def test_a_bench_keeps_every_frame(runner: Runner, tiny_one_stage_template: Path) -> None:
    record = runner.json("bench", tiny_one_stage_template, "--frames", "5", "--warmup", "1")
    assert record["stages"] == list(STAGES)
    assert [len(row) for row in record["samples"]["milliseconds"]] == [3] * 5
    assert record["samples"]["rois"] == [0] * 5
    assert record["options"]["rois"] == 0


@pytest.mark.parametrize("kind", ["tiny_bundle", "tiny_one_stage"])
def test_manifests_are_accepted_as_python_accepts_them(
    runner: Runner, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """300 damaged manifests: what one reader takes, the other takes."""
    bundle: Path = request.getfixturevalue(kind)
    path = bundle / "manifest.json"
    sound = path.read_text()
    counts = {True: 0, False: 0}
    for seed in range(300):
        path.write_text(sound)
        edit_manifest(bundle, np.random.default_rng(seed))
        try:
            parse_manifest(path.read_bytes(), "manifest.json")
            fits = True
        except BundleError:
            fits = False
        done = runner.run("detect", bundle, tmp_path / "none.png")
        refused = b"manifest.json: " in done.stderr
        assert refused != fits, (seed, done.stderr, path.read_text())
        counts[fits] += 1
    assert min(counts.values()) > 10, counts


@pytest.mark.parametrize("cpu", ["cortex-a57", "cortex-a76", "max"])
def test_arm_finds_what_this_machine_finds(
    arm_runner: Callable[[str], Runner],
    runner: Runner,
    tiny_one_stage_template: Path,
    png_files: list[Path],
    cpu: str,
) -> None:
    arm = arm_runner(cpu)
    assert arm.json("verify", tiny_one_stage_template)["ok"] is True
    here = found_in(runner.json("detect", tiny_one_stage_template, *png_files))
    there = found_in(arm.json("detect", tiny_one_stage_template, *png_files))
    differs = difference(here, there, pixels=0.01, score=1e-4)
    assert differs.lost == 0, differs
    assert differs.total > 60


def checks_of(runner: Runner, bundle: Path) -> tuple[dict[str, Any], list[Check]]:
    """What pocketdet-run and Python find about a bundle, both with ncnn's layers: ours round otherwise."""
    document = json.loads(runner.run("verify", bundle, "--ncnn-layers").stdout)
    with load_bundle(bundle) as loaded, Detector(loaded, engine="ncnn") as detector:
        (checks,) = golden_checks(loaded, {"ncnn": detector}).values()
    return document, checks


@pytest.mark.parametrize(
    ("output", "place", "error", "stage"),
    [
        ("maps", (2, 1, 3), 5.0, "model.maps: boxes, level 1"),
        ("maps", (11, 0, 0), 1.0, "model.maps: objectness, level 1"),
        ("maps", (6, 3, 3), 1.0, "model.maps: classes, level 1"),
        ("rows", (3, 1), 0.2, "model.rows: boxes, level 2"),
        ("rows", (0, 4), 0.01, "model.rows: objectness, level 2"),
        ("rows", (2, 6), 0.01, "model.rows: classes, level 2"),
    ],
)
def test_an_error_in_one_field_of_one_level_is_named(
    runner: Runner,
    tiny_one_stage: Path,
    rehash: Rehash,
    output: str,
    place: tuple[int, ...],
    error: float,
    stage: str,
) -> None:
    with load_bundle(tiny_one_stage) as bundle:
        stages = {name: value.copy() for name, value in golden_stages(bundle).items()}
        stages[f"outputs.{output}"][place] += np.float32(error)
        write_golden(tiny_one_stage, bundle.manifest.golden, stages)
    rehash(tiny_one_stage)
    document, checks = checks_of(runner, tiny_one_stage)
    for failed in (
        [check["name"] for check in document["checks"] if not check["ok"]],
        [check.name for check in checks if not check.ok],
    ):
        assert [name for name in failed if name.startswith("model.")] == [stage]


def with_golden_threshold(bundle: Path, rehash: Rehash, threshold: float) -> int:
    """Give the golden test a threshold of its own; return its detections."""
    with load_bundle(bundle) as loaded:
        stages = dict(golden_stages(loaded))
        with Detector(loaded, DetectorOptions(score_threshold=threshold), engine="ncnn") as detector:
            found = detector.detect(stages["image"])
        stages |= {"boxes": found.boxes, "scores": found.scores, "labels": found.labels}
        write_golden(bundle, loaded.manifest.golden, stages)
    edit(bundle, ("golden", "score_threshold"), threshold)
    rehash(bundle)
    return len(found)


def test_golden_has_a_threshold_of_its_own(runner: Runner, tiny_one_stage: Path, rehash: Rehash) -> None:
    count = with_golden_threshold(tiny_one_stage, rehash, 0.35)
    document, checks = checks_of(runner, tiny_one_stage)
    assert_same_checks(document, checks)
    assert checks[-1].note == f"{count}/{count} agree"
    assert 0 < count < 18  # the detections at the detector's own threshold
    assert document["not_proved"] == []


def test_an_empty_comparison_is_not_proved(runner: Runner, tiny_one_stage: Path, rehash: Rehash) -> None:
    assert with_golden_threshold(tiny_one_stage, rehash, 1.0) == 0
    done = runner.run("verify", tiny_one_stage)
    document, checks = checks_of(runner, tiny_one_stage)
    assert done.returncode == 0
    assert_same_checks(document, checks)
    assert document["not_proved"] == ["boxes", "image to boxes"]
    assert [check["name"] for check in document["checks"] if not check["proved"]] == document["not_proved"]
    assert b"stage 'boxes' has nothing to compare: not proved" in done.stderr


@pytest.mark.parametrize(
    "scores",
    [
        {"activation": "none", "objectness_activation": "none", "objectness_power": 0.6, "class_power": 0.4},
        {"activation": "none", "background": "first"},
        {"activation": "softmax", "background": "last"},
    ],
)
def test_ranges_of_fields_are_those_of_python(
    runner: Runner, tiny_one_stage: Path, rehash: Rehash, scores: dict[str, Any]
) -> None:
    """The tolerance of each field, for probabilities and logits, backgrounds and other units."""
    coding = {"encoding": "xyxy", "multiplier": [0.1, 0.1, 0.5, 0.5], "unit": "input"}
    edit(tiny_one_stage, ("decode", "codings"), [coding])
    edit(tiny_one_stage, ("decode", "scores"), scores)
    if "background" in scores:
        edit(tiny_one_stage, ("decode", "num_classes"), 1)
        edit(tiny_one_stage, ("class_names",), ["bolt"])
    rehash(tiny_one_stage)
    document, checks = checks_of(runner, tiny_one_stage)
    fields = [check for check in checks if check.name.startswith("model.")]
    named = {check["name"]: check for check in document["checks"]}
    assert len(fields) >= 4
    for check in fields:
        ours = named[check.name]
        assert check.ok
        assert ours["ok"]
        assert tuple(ours["shape"]) == check.shape
        assert ours["tolerance"] == pytest.approx(check.tolerance, rel=1e-12)
