"""`pocketdet val`: the table against detections made by hand, files, gates."""

import csv
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import Ending, command
from val_project import ORDER, VOC, labelled, project, voc, weights

from pocketdet.cli.val_report import _words
from pocketdet.datasets import read_coco, read_stored_image
from pocketdet.evaluation import Detections, coco_accuracy, voc_accuracy
from pocketdet.evaluation.report import AccuracyReport
from pocketdet.export import ExportOptions, export_detector
from pocketdet.export.reference.one_stage import selection_postprocessing
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.options import DetectorOptions
from pocketdet.spec.one_stage import Selection

__all__ = ["command", "project", "voc", "weights"]

Command = Callable[..., Ending]


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes longest and other tests look at."""
    for name in ("write_curves", "write_gallery"):
        monkeypatch.setattr(f"pocketdet.evaluation.{name}", lambda *_: None)


def by_hand(bundle: Path, project: Path, options: DetectorOptions) -> tuple[float, float, float]:
    """AP, AP50 and VOC's area, without `pocketdet val` and its mapping of classes."""
    data = read_coco(project / "test.json", project)
    with Detector(bundle, options, engine="ncnn") as detector:
        results = [detector.detect(read_stored_image(image.path)) for image in data.images]
    found = [
        Detections(one.boxes, one.scores, np.array([ORDER.index(name) for name in one.names], np.int64))
        for one in results
    ]
    coco = coco_accuracy(data, found)
    return coco.ap, coco.ap50, voc_accuracy(data, found).map_area


def rows(ending: Ending, *starts: str) -> list[list[str]]:
    return [line.split() for line in ending.out.splitlines() if line.startswith(starts)]


def test_a_checkpoint_in_every_form(
    command: Command, weights: Path, project: Path, small_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "accuracy"
    ending = command("val", weights, *labelled(project), "--out", out, "--max-drop", 20)
    assert (ending.code, ending.err) == (0, "")
    assert [row[:2] for row in rows(ending, "ncnn")] == [["ncnn", "fp32"], ["ncnn", "fp16"]]
    report = AccuracyReport.model_validate_json((out / "accuracy.json").read_bytes())
    assert [variant.name for variant in report.subjects] == ["PyTorch", "ONNX", "ncnn fp32", "ncnn fp16"]
    for variant, engine in ((report.subjects[1], "onnxruntime"), (report.subjects[2], "ncnn")):
        own = by_hand(small_bundle, project, DetectorOptions(engine=engine))  # type: ignore[arg-type]
        assert own[0] > 0.1
        assert (variant.ap, variant.ap50, variant.voc_area) == own
    pytorch, fp32 = rows(ending, "PyTorch")[0], rows(ending, "ncnn fp32")[0][1:]
    assert pytorch[1:3] == [
        f"{100 * value:.1f}" for value in by_hand(small_bundle, project, DetectorOptions())[:2]
    ]
    assert (len(pytorch), fp32[-2:]) == (9, ["+0.00", "+0.00"])  # the first row has no deltas
    assert "all 4 images, 6 objects, 3 classes" in ending.out
    assert "scores above 0.05, greedy NMS at IoU 0.5, at most 100 detections an image" in ending.out
    assert "fp32 weights, fp32 arithmetic: PyTorch, ONNX, ncnn fp32" in ending.out
    assert "fp16 weights, " in ending.out
    names = ("accuracy.json", "curves.png", "misses.jpg", "per_class.csv", "trade_off.png")
    assert sorted(path.name for path in out.iterdir()) == list(names)
    assert all(cv2.imread(str(out / names[i])).shape[1] == 1200 for i in (1, 2, 4))
    assert all(f"wrote {out / name}" in ending.out for name in names)


@pytest.mark.usefixtures("no_figures")
def test_the_classes_of_a_bundle(command: Command, small_bundle: Path, project: Path, tmp_path: Path) -> None:
    arguments = ("val", small_bundle, *labelled(project), "--per-class", "--out", tmp_path)
    ending = command(*arguments, "--only", "onnx", "--only", "ncnn-fp32")
    assert (ending.code, ending.err) == (0, "")
    report = AccuracyReport.model_validate_json((tmp_path / "accuracy.json").read_bytes())
    assert [variant.form for variant in report.subjects] == ["onnx", "ncnn-fp32"]
    assert report.data.class_names == ORDER
    printed = rows(ending, *ORDER)
    shares = {one.name: one.ap for one in report.subjects[0].per_class if one.ap is not None}
    assert [row[0] for row in printed] == sorted(shares, key=lambda name: shares[name])
    with (tmp_path / "per_class.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["subject"], row["class"]) for row in table] == [
        (variant, name) for variant in ("ONNX", "ncnn fp32") for name in ORDER
    ]
    assert {(row["pictures"], row["pictures_listed"]) for row in table} == {("4", "4")}
    washer = report.subjects[0].per_class[0]
    assert (table[0]["objects"], table[0]["ap"]) == (str(washer.objects), f"{washer.ap:.6f}")
    digest = hashlib.sha256((project / "test.json").read_bytes()).hexdigest()
    assert (report.data.file, report.data.sha256) == ("test.json", digest)


@pytest.mark.slow
def test_a_part_is_never_called_the_whole_and_comes_out_the_same_again(
    command: Command, small_bundle: Path, project: Path, tmp_path: Path
) -> None:
    part = ("val", small_bundle, *labelled(project), "--only", "ncnn-fp32", "--limit", 3, "--out", tmp_path)
    ending = command(*part, "--per-class")
    assert "3 of 4 images, 4 objects, 3 classes" in ending.out
    assert "by class, worst first (3 of 4 images)" in ending.out
    report = AccuracyReport.model_validate_json((tmp_path / "accuracy.json").read_bytes())
    assert (report.data.pictures, report.data.pictures_listed) == (3, 4)
    assert (tmp_path / "misses-3-of-4-images.jpg").is_file()
    assert not (tmp_path / "misses.jpg").exists()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    command(*part)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert "all 4 images" in command(*part[:-2], "--limit", 9).out


@pytest.mark.slow
def test_several_targets_in_one_table(
    command: Command, small_model: ThunderNet, weights: Path, project: Path, tmp_path: Path
) -> None:
    half = export_detector(
        small_model, tmp_path, ExportOptions(name="half", precision="fp16", archive=True)
    ).path
    again = ("--input-size", "96x64")  # what only the checkpoint is told
    ending = command("val", half, weights, *labelled(project), "--only", "pytorch", *again, "--score", 0.2)
    assert (ending.code, ending.err) == (0, "")
    first, second = rows(ending, half.name, weights.name)
    assert first[1:10] == second[1:10]  # a bundle of rounded weights carries the others, too
    assert second[-2:] == ["+0.00", "+0.00"]
    assert "scores above 0.2, " in ending.out
    both = command("val", half, *labelled(project), "--only", "pytorch", "--only", "ncnn-fp16").out
    with Detector(half, DetectorOptions(precision="fp16"), engine="ncnn") as detector:
        assert f"fp16 weights, {detector.precision} arithmetic: ncnn fp16" in both


def test_sizes_and_times_stand_beside_the_numbers(
    command: Command, small_bundle: Path, project: Path
) -> None:
    ending = command("val", small_bundle, *labelled(project))
    lines = [line.split() for line in ending.out.splitlines()]
    start = lines.index(["MB", "ms", "an", "image", "here", "subject"])
    found = {" ".join(words): (float(size), float(time)) for size, time, *words in lines[start + 1 :][:3]}
    assert list(found) == ["PyTorch", "ONNX", "ncnn fp32"]
    files = (
        small_bundle / f"{name}.ncnn.{kind}" for name in ("features", "head") for kind in ("param", "bin")
    )
    assert found["ncnn fp32"][0] == pytest.approx(sum(f.stat().st_size for f in files) / 1e6, abs=0.05)
    assert all(time > 0 for _, time in found.values())


@pytest.mark.parametrize("missing", ["qemu", "runner"])
def test_an_emulated_processor_is_left_out_by_name(
    command: Command, small_bundle: Path, project: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    found = None if missing == "qemu" else "/usr/bin/qemu-aarch64-static"
    monkeypatch.setattr("pocketdet.evaluation.variants.shutil.which", lambda name: found)
    monkeypatch.setenv("POCKETDET_RUN_AARCH64", "/nowhere/pocketdet-run")
    ending = command("val", small_bundle, *labelled(project), "--only", "ncnn-fp32", "--arm", "cortex-a76")
    assert ending.code == 0
    words = (
        "no qemu-aarch64-static: on Debian" if missing == "qemu" else "/nowhere/pocketdet-run is not built"
    )
    assert ending.err.startswith(f"left out: --arm cortex-a76: {words}")
    assert [row[:2] for row in rows(ending, "ncnn")] == [["ncnn", "fp32"]]


def test_a_checkpoint_of_the_zoo_goes_by_its_name(
    command: Command, weights: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketdet.models.zoo.weights_file", lambda path: {Path("zoo-net"): weights}[path])
    ending = command("val", "zoo-net", *labelled(project), "--only", "pytorch")
    assert (ending.code, ending.err) == (0, "")
    assert len(rows(ending, "PyTorch")) == 1


@pytest.mark.usefixtures("no_figures")
def test_gates(command: Command, small_bundle: Path, weights: Path, project: Path, tmp_path: Path) -> None:
    arguments = ("val", small_bundle, *labelled(project), "--only", "ncnn-fp32")
    ending = command(*arguments, "--min-ap", 100, "--out", tmp_path)
    assert ending.code == 1
    assert ending.err.startswith("error: ncnn fp32 has AP ")
    assert ending.err.endswith(", expected 100 or more (all 4 images)\n")
    assert "all 4 images, 6 objects" in ending.out
    assert (tmp_path / "accuracy.json").is_file()
    assert command(*arguments, "--min-ap", 1).code == 0
    same = ("val", weights, small_bundle, *labelled(project), "--only", "pytorch", "--max-drop", 0)
    assert command(*same).code == 0
    assert "small.safetensors PyTorch has AP " in command(*same, "--min-ap", 99).err


def test_a_drop_is_relative_to_the_first_row(
    command: Command, small_bundle: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Detector.detect

    def worse(self: Detector, image: object) -> object:
        found = whole(self, image)  # type: ignore[arg-type]
        return type(found)(found.boxes / 2, found.scores, found.labels, found.names, found.milliseconds)

    monkeypatch.setattr(Detector, "detect", worse)
    ending = command("val", small_bundle, *labelled(project), "--max-drop", 0.3)
    assert ending.code == 1
    assert "ONNX is " in ending.err
    assert "points of AP under PyTorch, expected 0.3 or less; ncnn fp32 is " in ending.err


@pytest.mark.usefixtures("no_figures")
def test_pascal_voc(command: Command, small_bundle: Path, voc: Path, tmp_path: Path) -> None:
    ending = command("val", small_bundle, "--voc", voc, "--split", "test", "--out", tmp_path / "out")
    assert (ending.code, ending.err) == (0, "")
    assert "all 4 images, 4 objects, 3 classes, 2 of them without objects" in ending.out
    assert "has no split" not in ending.out
    report = AccuracyReport.model_validate_json((tmp_path / "out" / "accuracy.json").read_bytes())
    assert (report.data.file, report.data.split) == (voc.name, "test")
    assert report.data.class_names == ("bolt", "nut", "washer")
    other = Path(shutil.copytree(voc, tmp_path / "other"))
    shutil.rmtree(other / "ImageSets")
    ending = command("val", small_bundle, "--voc", other, "--only", "ncnn-fp32")
    assert "has no split test, val, valid: images that were trained on count, too" in ending.out
    (other / "Annotations" / "2.xml").write_text(VOC.format(stem="2", name="rivet"), encoding="utf-8")
    ending = command("val", small_bundle, "--voc", other, "--skip-bad")
    assert (ending.code, ending.out) == (2, "")
    assert "has objects of classes that the detector does not have: category 'rivet'" in ending.err


def test_the_rule_of_a_detector_without_nms_is_said_in_words() -> None:
    rule = selection_postprocessing(Selection(score_threshold=0.25, nms="none", max_detections=300))
    assert _words(rule) == "scores above 0.25, no NMS, at most 300 detections an image"
