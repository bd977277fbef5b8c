"""COCO json and Pascal VOC become the same records; what is wrong in them is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketdet.datasets import VOC_CLASSES, read_coco, read_voc
from pocketdet.errors import UsageError

CATEGORIES = [{"id": 9, "name": "nut"}, {"id": 4, "name": "bolt"}]
IMAGES = [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}]


def coco(folder: Path, **changes: Any) -> Path:
    content = {"images": IMAGES, "annotations": [], "categories": CATEGORIES, **changes}
    path = folder / "data.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def box(bbox: list[float], category: int = 4, image: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": image, "category_id": category, "bbox": bbox, **more}


def kinds(dataset: Any) -> list[str]:
    return [problem.kind for problem in dataset.problems]


def test_coco_boxes_become_corners_and_labels_count_by_id(tmp_path: Path) -> None:
    entries = [box([2, 3, 10, 20]), box([0, 0, 5, 5], category=9, iscrowd=1)]
    data = read_coco(coco(tmp_path, annotations=entries), tmp_path)
    assert data.class_names == ("bolt", "nut")
    assert data.problems == ()
    (image,) = data.images
    assert (image.path, image.size, image.image_id) == (tmp_path / "a.png", (40, 30), 1)
    np.testing.assert_array_equal(image.boxes, [[2, 3, 12, 23], [0, 0, 5, 5]])
    np.testing.assert_array_equal(image.labels, [0, 1])
    np.testing.assert_array_equal(image.ignored, [False, True])


def test_given_class_names_set_the_labels_and_refuse_others(tmp_path: Path) -> None:
    entries = [box([2, 3, 10, 20]), box([0, 0, 5, 5], category=9)]
    data = read_coco(coco(tmp_path, annotations=entries), tmp_path, ("washer", "bolt"))
    np.testing.assert_array_equal(data.images[0].labels, [1])
    assert "'nut'" in str(data.problems[0])
    assert kinds(data) == ["unknown category"]


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (box([2, 3, 0, 20]), "zero area"),
        (box([2, 3, -4, 20]), "zero area"),
        (box([30, 3, 20, 5]), "box outside"),
        (box([-3, 3, 20, 5]), "box outside"),
        (box([2, 3, 4, 5], category=5), "unknown category"),
        (box([2, 3, 4, 5], image=7), "unknown image"),
        (box([2, 3, 4]), "bad annotation"),
        (box([2, 3, 4, float("nan")]), "bad annotation"),
        ("not an object", "bad annotation"),
    ],
)
def test_a_bad_annotation_is_named_and_left_out(tmp_path: Path, entry: Any, kind: str) -> None:
    data = read_coco(coco(tmp_path, annotations=[entry, box([2, 3, 10, 20])]), tmp_path)
    assert kinds(data) == [kind]
    assert len(data.images[0].boxes) == 1


def test_a_box_over_the_edge_by_rounding_is_clipped(tmp_path: Path) -> None:
    data = read_coco(coco(tmp_path, annotations=[box([-0.6, 0, 41.2, 30.5])]), tmp_path)
    assert data.problems == ()
    np.testing.assert_array_equal(data.images[0].boxes, [[0, 0, 40, 30]])


def test_images_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    twice = [*IMAGES, *IMAGES, {"id": 2, "file_name": "b.png", "width": 0, "height": 3}]
    data = read_coco(coco(tmp_path, images=twice, annotations=[box([2, 3, 4, 5])]), tmp_path)
    assert kinds(data) == ["duplicate image", "bad annotation"]
    assert len(data.images) == 1


@pytest.mark.parametrize("part", [{"images": []}, {}])
def test_an_annotation_file_without_content_is_a_problem(tmp_path: Path, part: dict[str, Any]) -> None:
    assert kinds(read_coco(coco(tmp_path, **part), tmp_path)) == ["empty annotation file"]


@pytest.mark.parametrize(
    "text", ["", "  \n", "{", "[]", '{"images": []}', '{"images": 1, "annotations": []}']
)
def test_what_is_no_coco_json_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "data.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"data\.json"):
        read_coco(path, tmp_path)


def test_a_missing_file_and_repeated_categories_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json"):
        read_coco(tmp_path / "none.json", tmp_path)
    with pytest.raises(UsageError, match="two categories have the name 'bolt'"):
        read_coco(coco(tmp_path, categories=[{"id": 1, "name": "bolt"}, {"id": 2, "name": "bolt"}]), tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(json_values, max_size=5), st.lists(json_values, max_size=5))
def test_any_json_gives_records_or_problems(
    tmp_path_factory: pytest.TempPathFactory, images: list[Any], annotations: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    data = read_coco(coco(folder, images=[*IMAGES, *images], annotations=annotations), folder)
    assert len(data.images) + kinds(data).count("duplicate image") >= 1
    assert data.objects + len(data.problems) >= len(annotations)


VOC_OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult>
<bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"""


def voc(root: Path, objects: str, stem: str = "000001") -> Path:
    (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
    (root / "Annotations").mkdir(exist_ok=True)
    with (root / "ImageSets" / "Main" / "train.txt").open("a", encoding="utf-8") as file:
        file.write(f"{stem}\n")
    size = "<size><width>40</width><height>30</height><depth>3</depth></size>"
    text = f"<annotation><filename>{stem}.jpg</filename>{size}{objects}</annotation>"
    (root / "Annotations" / f"{stem}.xml").write_text(text, encoding="utf-8")
    return root


def test_voc_counts_pixels_from_one(tmp_path: Path) -> None:
    objects = VOC_OBJECT.format(name="dog", difficult=0, box=(1, 1, 40, 30))
    objects += VOC_OBJECT.format(name="cat", difficult=1, box=(5, 6, 5, 6))
    data = read_voc(voc(tmp_path, objects), "train")
    assert data.problems == ()
    (image,) = data.images
    assert image.path == tmp_path / "JPEGImages" / "000001.jpg"
    np.testing.assert_array_equal(image.boxes, [[0, 0, 40, 30], [4, 5, 5, 6]])
    np.testing.assert_array_equal(image.labels, [VOC_CLASSES.index("dog"), VOC_CLASSES.index("cat")])
    np.testing.assert_array_equal(image.ignored, [False, True])


@pytest.mark.parametrize(
    ("objects", "kind"),
    [
        (VOC_OBJECT.format(name="unicorn", difficult=0, box=(1, 1, 4, 4)), "unknown category"),
        (VOC_OBJECT.format(name="dog", difficult=0, box=(1, 1, 90, 4)), "box outside"),
        (VOC_OBJECT.format(name="dog", difficult=0, box=(8, 1, 4, 4)), "zero area"),
        (VOC_OBJECT.format(name="dog", difficult=0, box=("x", 1, 4, 4)), "bad annotation"),
        ("<object><name>dog</name></object>", "bad annotation"),
    ],
)
def test_bad_voc_objects_are_named(tmp_path: Path, objects: str, kind: str) -> None:
    data = read_voc(voc(tmp_path, objects), "train")
    assert kinds(data) == [kind]
    assert len(data.images) == 1


def test_bad_voc_files_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    voc(tmp_path, VOC_OBJECT.format(name="dog", difficult=0, box=(1, 1, 4, 4)))
    for stem, text in (("2", ""), ("3", "<annotation>"), ("4", "<annotation/>"), ("5", None)):
        voc(tmp_path, "", stem)
        path = tmp_path / "Annotations" / f"{stem}.xml"
        path.unlink() if text is None else path.write_text(text, encoding="utf-8")
    entity = '<!DOCTYPE a [<!ENTITY x "y">]><annotation/>'
    voc(tmp_path, "", "6")
    (tmp_path / "Annotations" / "6.xml").write_text(entity, encoding="utf-8")
    data = read_voc(tmp_path, "train")
    assert kinds(data) == ["empty annotation file", *["bad annotation"] * 4]
    assert len(data.images) == 1


def test_a_split_that_is_missing_or_empty(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no split 'trian': it has train; did you mean train"):
        read_voc(voc(tmp_path, ""), "trian")
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("\n", encoding="utf-8")
    assert kinds(read_voc(tmp_path, "val")) == ["empty annotation file"]
