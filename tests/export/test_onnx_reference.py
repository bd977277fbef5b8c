"""Anybody's ONNX file and a description: exported, verified and run as if it were one of ours."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from damage import damaged_copy, weighted_layers
from foreign_onnx import DESCRIPTION, make_foreign
from needs import SHARED_DATA
from tiny_bundle import list_files

from pocketdet.errors import UsageError
from pocketdet.evaluation.evaluate import evaluate
from pocketdet.evaluation.inputs import open_input
from pocketdet.export import ExportOptions, verify
from pocketdet.export.exporter import export_reference
from pocketdet.export.reference.base import synthetic_image
from pocketdet.export.reference.description import read_description
from pocketdet.export.reference.factory import reference_from_onnx
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.parity import TOLERANCES, compare_detections
from pocketdet.runtime.pipeline import Boxes

IMAGES = [synthetic_image((64, 64), seed) for seed in (3, 4)]
SHARED = Path(__file__).parents[3] / "shared" / "data"
FASTESTDET = SHARED / "peers" / "FastestDet.onnx"
OURS = Path(__file__).parents[2] / "docs" / "own_model" / "fastestdet.toml"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign")
    path, description = make_foreign(folder)
    reference = reference_from_onnx(path, read_description(description))
    return export_reference(reference, folder).path


@pytest.mark.parametrize(("batch", "opset"), [(1, 13), ("n", 11)])
def test_detections_are_those_of_onnxruntime(tmp_path: Path, batch: int | str, opset: int) -> None:
    path, description = make_foreign(tmp_path, batch=batch, opset=opset)
    reference = reference_from_onnx(path, read_description(description))
    result = export_reference(reference, tmp_path)
    assert result.manifest.name == "foreign"
    assert [o.role for o in result.manifest.graphs.by_name()["model"].outputs] == ["rows"]
    assert result.manifest.reference_weights is None
    assert not [check for check in result.checks if check.name.startswith("fold")]
    with Detector(result.path, engine="ncnn") as detector:
        for image in IMAGES:
            found = detector.detect(image)
            boxes = Boxes(found.boxes, found.scores, found.labels)
            check = compare_detections("foreign", reference.values(image), boxes, TOLERANCES["fp32"])
            assert check.ok, check
            assert len(boxes.scores) > 3


def test_it_verifies_layer_by_layer_and_names_damage(exported: Path, tmp_path: Path) -> None:
    report = verify(exported, layers=True)
    assert report.ok
    assert all(row.check for row in report.layers if row.layer_type != "Input")
    name = weighted_layers(exported, "model")[1]
    damaged = verify(damaged_copy(exported, tmp_path / "damaged", "model", name), layers=True)
    assert damaged.first_layer is not None
    assert damaged.first_layer.layer == name


def test_it_has_the_forms_that_it_has(exported: Path) -> None:
    with open_input(exported) as target:
        assert target.backends == ("onnx", "ncnn-fp32")
        with target.variants(target.backends) as variants:
            counts = {len(variant.detect(IMAGES[0]).scores) for variant in variants}
    assert len(counts) == 1


def test_half_precision_is_proved_against_rounded_weights(tmp_path: Path) -> None:
    path, description = make_foreign(tmp_path)
    reference = reference_from_onnx(path, read_description(description))
    lines: list[str] = []
    options = ExportOptions(precision="fp16")
    result = export_reference(reference, tmp_path, options, log=lines.append)
    assert result.manifest.layout.weight_storage == "fp16"
    assert any("fp16 weights change outputs.rows" in line for line in lines)
    assert verify(result.path, layers=True).ok


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('output = "rows"', 'output = "row"'), "no output 'row': its outputs are pooled, rows"),
        (('output = "rows"', 'output = "pooled"'), r"output 'pooled' is \(16, 1, 1\): its field needs"),
        (
            ("[64, 64]", "[96, 64]"),
            r"input is \(1, 3, 64, 64\) and the description says \(1, 3, 96, 64\)",
        ),
        (("classes = 5", "classes = 6"), r"output 'rows' is \(80, 8\): its field needs \(64, 9\)"),
    ],
)
def test_a_description_that_does_not_fit_is_one_sentence(
    tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    path, description = make_foreign(tmp_path)
    description.write_text(DESCRIPTION.replace(*change), encoding="utf-8")
    with pytest.raises(UsageError, match=words) as caught:
        reference_from_onnx(path, read_description(description))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_such_model_are_refused(tmp_path: Path) -> None:
    path, description = make_foreign(tmp_path)
    said = read_description(description)
    model = onnx.load(path)
    extra = onnx.helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, [1])
    model.graph.input.append(extra)
    onnx.save(model, tmp_path / "unused.onnx")
    assert reference_from_onnx(tmp_path / "unused.onnx", said).identity.class_names == said.class_names
    (rows,) = (node for node in model.graph.node if "rows" in node.output)
    rows.output[0] = "alone"
    model.graph.node.append(onnx.helper.make_node("Add", ["alone", "other"], ["rows"]))
    onnx.save(model, tmp_path / "two.onnx")
    (tmp_path / "noise.onnx").write_bytes(b"no model" * 40)
    for name, words in (("two", "has 2 inputs"), ("noise", "cannot be read"), ("absent", "cannot be read")):
        with pytest.raises(UsageError, match=words):
            reference_from_onnx(tmp_path / f"{name}.onnx", said)


def test_rows_without_a_batch_axis_are_read_and_said(tmp_path: Path) -> None:
    path, description = make_foreign(tmp_path)
    flat = onnx.load(path)
    flat.graph.node.append(onnx.helper.make_node("Squeeze", ["rows"], ["flat"]))
    flat.graph.output.append(onnx.helper.make_tensor_value_info("flat", onnx.TensorProto.FLOAT, [80, 8]))
    onnx.save(flat, tmp_path / "flat.onnx")
    expected = reference_from_onnx(path, read_description(description))
    description.write_text(DESCRIPTION.replace('"rows"\nlayout', '"flat"\nlayout'), encoding="utf-8")
    reference = reference_from_onnx(tmp_path / "flat.onnx", read_description(description))
    for image in IMAGES:
        flat_rows = reference.values(image)["outputs.flat"]
        assert np.array_equal(flat_rows, expected.values(image)["outputs.rows"])
    lines: list[str] = []
    export_reference(reference, tmp_path, log=lines.append)
    assert "-[i] output 'flat' (80, 8) brought to (1, 80, 8)" in lines
    assert "-[i] outputs that the description does not name were dropped: pooled, rows" in lines


def test_a_bundle_with_a_damaged_onnx_file_is_refused_in_one_sentence(exported: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(exported, tmp_path / "bad.pocketdet"))
    (bundle / "reference" / "model.onnx").write_bytes(b"no model" * 40)
    document = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    document["files"] = list_files(bundle)
    (bundle / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(UsageError, match=r"model\.onnx cannot be read as an ONNX file"):
        verify(bundle)


@pytest.mark.skipif(not FASTESTDET.exists(), reason=SHARED_DATA)
def test_fastestdet_finds_what_is_in_photographs(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    from pocketdet.datasets import read_coco

    reference = reference_from_onnx(FASTESTDET, read_description(OURS))
    result = export_reference(reference, tmp_path)
    folder = SHARED / "coco_val_sample"
    dataset = read_coco(folder / "instances.json", folder / "images")
    with open_input(result.path) as target, target.variants(("ncnn-fp32",), score=0.01) as (variant,):
        assert evaluate(variant, dataset).coco.ap50 == pytest.approx(0.344, abs=0.005)
    with load_bundle(result.path) as bundle:
        assert bundle.manifest.class_names[0] == "person"


def test_rounding_keeps_the_original(tmp_path: Path) -> None:
    path, description = make_foreign(tmp_path)
    reference = reference_from_onnx(path, read_description(description))
    before = {name: np.array(values) for name, values in reference.every_weight()}
    rounded = dict(reference.rounded(()).every_weight())
    after = dict(reference.every_weight())
    assert all(np.array_equal(after[name], values) for name, values in before.items())
    assert any(not np.array_equal(rounded[name], values) for name, values in before.items())
