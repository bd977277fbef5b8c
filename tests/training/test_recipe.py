"""A recipe for own data: every field with a comment, read back as it was made, for any data and weights."""

import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_data import NAMES, write_coco, write_voc, write_yolo

from pocketdet.errors import CheckpointError, UsageError
from pocketdet.models.build import build_detector
from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.models.config import DetectorConfig, Parts, RoIHead
from pocketdet.models.zoo import FOD, zoo_weights
from pocketdet.training.config import TrainConfig
from pocketdet.training.config_file import read_config, with_data_paths
from pocketdet.training.data import read_data
from pocketdet.training.recipe import TABLES, NewRecipe, new_recipe, recipe_tables, write_recipe


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voc(tmp_path_factory.mktemp("data") / "parts")


@pytest.fixture(scope="module")
def recipe(voc: Path) -> NewRecipe:
    return new_recipe(voc, FOD, 480)


def fields_of(text: str) -> set[str]:
    """Names of the fields that a recipe sets or shows, with their tables."""
    found, table = set(), ""
    for line in text.splitlines():
        header = re.fullmatch(r"\[+(\w+)\]+", line)
        name = re.match(r"(?:# )?(\w+) = ", line)
        table = header[1] if header else table
        found |= {f"{table}.{name[1]}"} if name else set()
    return found


@pytest.mark.parametrize("write", [write_voc, write_yolo, write_coco])
def test_a_recipe_is_read_back_as_it_was_made(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    made = new_recipe(write(tmp_path / "parts"), FOD, 480)
    write_recipe(tmp_path / "train.toml", made)
    config = read_config(tmp_path / "train.toml")
    expected = replace(made.config, weights=zoo_weights(FOD), out=tmp_path / made.config.out)
    assert config == expected
    data = read_data(config, skip_bad=False)
    assert data.evaluation is not None
    assert (len(data.training[0].images), len(data.evaluation.images)) == (8, 4)
    text = (tmp_path / "train.toml").read_text(encoding="utf-8")
    assert 'out = "runs/' in text
    assert str(tmp_path) not in text


def test_numbers_that_fit_the_weights_and_the_images(recipe: NewRecipe, voc: Path) -> None:
    config = recipe.config
    assert (config.class_names, config.arch, config.input_size) == (
        tuple(sorted(NAMES)),
        "thundernet-snet49",
        (320, 320),
    )
    assert config.anchor_scales == (16, 32, 64, 128, 256)  # of the weights; the paper's are twice as large
    assert (config.schedule.steps, config.schedule.batch, config.schedule.warmup_steps) == (30, 16, 3)
    assert config.evaluation is not None
    assert (config.save_every, config.evaluation.every) == (7, 3)
    assert new_recipe(voc, None, None).config.schedule.images == 3000
    few = new_recipe(voc, None, 5).config
    assert (few.schedule.steps, few.schedule.batch, few.schedule.warmup_steps) == (1, 5, 0)
    assert (few.weights, few.anchor_scales) == (None, (32, 64, 128, 256, 512))


def test_other_weights_bring_their_settings_and_the_order_of_their_classes(tmp_path: Path, voc: Path) -> None:
    base = DetectorConfig("thundernet-snet49", ("pallet", "barrel", "crate"), (96, 64))
    anchors = replace(base.anchors, scales=(8, 24))
    parts, head = Parts(spatial_attention=False), RoIHead(fc_channels=64)
    model = build_detector(replace(base, anchors=anchors, parts=parts, head=head))
    save_checkpoint(tmp_path / "mine.safetensors", model)
    made = new_recipe(voc, str(tmp_path / "mine.safetensors"), 64)
    assert made.keeps_classes
    assert made.config.detector(made.config.class_names or ()) == replace(
        model.config, postprocessing=replace(base.postprocessing, nms="gaussian")
    )
    assert made.config.schedule.sizes == (64,)
    write_recipe(tmp_path / "train.toml", made)
    text = (tmp_path / "train.toml").read_text(encoding="utf-8")
    assert 'weights = "mine.safetensors"' in text
    with pytest.raises(CheckpointError, match=r"none\.safetensors"):
        new_recipe(voc, str(tmp_path / "none.safetensors"), 64)


def test_every_field_stands_in_the_recipe_of_its_detector(tmp_path: Path, recipe: NewRecipe) -> None:
    found = set[str]()
    for arch in ("thundernet-snet49", "passd-mobilenet", "retinanet-r50", "mimicdet-r50"):
        path = tmp_path / f"{arch}.toml"
        write_recipe(path, replace(recipe, config=replace(recipe.config, arch=arch)))
        found |= fields_of(path.read_text(encoding="utf-8"))
        assert read_config(path).arch == arch
    every = {f"{name}.{field.name}" for name, table in recipe_tables().items() for field in table.fields}
    assert found == every


def test_every_field_of_every_table_is_described() -> None:
    for name, table in recipe_tables().items():
        assert {field.name for field in table.fields} | TABLES.keys() >= {
            f.name for f in fields(TABLES[name])
        }
        for field in table.fields:
            assert field.meaning.endswith((".", ")."))
            assert field.kind


def test_a_recipe_holds_out_images_where_none_are_for_evaluation(tmp_path: Path) -> None:
    made = new_recipe(write_voc(tmp_path / "voc", lists=False), None, 64)
    assert made.evaluation is not None
    assert (len(made.training.images), len(made.evaluation.images)) == (11, 1)
    write_recipe(tmp_path / "train.toml", made)
    config = read_config(tmp_path / "train.toml")
    assert config.evaluation is not None
    assert config.data[0].hold_out == config.evaluation.hold_out == 0.1
    data = read_data(config, skip_bad=False)
    assert data.evaluation is not None
    parts = [{image.path.name for image in d.images} for d in (data.training[0], data.evaluation)]
    assert [len(part) for part in parts] == [11, 1]
    assert not set.intersection(*parts)


def test_a_recipe_without_images_to_measure_on(tmp_path: Path) -> None:
    voc = write_voc(tmp_path / "voc", lists=False)
    for path in sorted((voc / "Annotations").iterdir())[9:]:
        path.unlink()
    made = new_recipe(voc, None, 64)
    write_recipe(tmp_path / "train.toml", made)
    assert read_config(tmp_path / "train.toml").evaluation is None
    assert "# [evaluation]" in (tmp_path / "train.toml").read_text(encoding="utf-8")


def test_a_recipe_does_not_write_over_another(tmp_path: Path, recipe: NewRecipe) -> None:
    (tmp_path / "train.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"train\.toml exists: remove it, or name another file"):
        write_recipe(tmp_path / "train.toml", recipe)
    assert (tmp_path / "train.toml").read_text(encoding="utf-8") == "mine"
    with pytest.raises(UsageError, match="cannot be written"):
        write_recipe(tmp_path / "none" / "train.toml", recipe)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(classes=st.lists(names, min_size=1, max_size=4, unique=True), folder=names)
def test_any_names_are_written_so_that_they_are_read(
    tmp_path_factory: pytest.TempPathFactory, recipe: NewRecipe, classes: list[str], folder: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "names.toml"
    path.unlink(missing_ok=True)
    root = Path("/") / folder.replace("/", "").replace("\0", "").replace(".", "") / "data"
    config: TrainConfig = with_data_paths(recipe.config, lambda _: root)
    write_recipe(path, replace(recipe, config=replace(config, class_names=tuple(classes))))
    read = read_config(path)
    assert read.class_names == tuple(classes)
    assert read.data[0].annotations == root
