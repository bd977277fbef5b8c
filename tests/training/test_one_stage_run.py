"""One-stage detectors in the loop that trains ThunderNet: from a file to weights, stopped and resumed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pocketdet.errors import CheckpointError, UsageError
from pocketdet.models.build import build_detector
from pocketdet.models.checkpoint import load_detector, save_checkpoint
from pocketdet.models.one_stage import OneStageConfig, OneStageDetector
from pocketdet.training.augment import AugmentPipeline
from pocketdet.training.config import Augment, Optimizer, Schedule, Source, TrainConfig
from pocketdet.training.config_file import fingerprint, read_config
from pocketdet.training.loop import start_run, train
from pocketdet.training.loss_config import MimicDetLossConfig, PASSDLossConfig, RetinaNetLossConfig
from pocketdet.training.pretrain import backbone_of, crop, pretrain
from pocketdet.training.run_logger import step_columns
from pocketdet.training.sample import Sample, build_cache
from pocketdet.training.start import initialise

NAMES = ("bolt", "nut")
RECIPES = Path(__file__).resolve().parents[2] / "training" / "recipes"


@pytest.fixture(scope="module")
def pipeline() -> AugmentPipeline:
    rng = np.random.default_rng(5)
    images = []
    for label in (0, 1, 0, 1):
        image = rng.integers(0, 120, (64, 64, 3), np.uint8)
        image[20:44, 16:50] = 250 if label else 180
        box = np.array([[16, 20, 50, 44]], np.float32)
        images.append(Sample(image, box, np.array([label]), np.zeros((0, 4), np.float32)))
    return AugmentPipeline([build_cache(images, 2, -0.4)], [1.0], Augment(kind="strong"))


def config(out: Path, **changes: object) -> TrainConfig:
    return TrainConfig(
        **{
            "data": (Source(Path("toy.json"), Path("toy")),),
            "out": out,
            "arch": "passd-mobilenet",
            "input_size": (64, 64),
            "base_size": 2.0,
            "save_every": 2,
            "schedule": Schedule(4, 2, warmup_steps=1, decay="cosine", sizes=(64, 96)),
            "optimizer": Optimizer("adamw", ema=0.9),
            "augment": Augment(kind="strong"),
            **changes,
        }  # type: ignore[arg-type]
    )


def test_a_stopped_run_goes_on_identically(tmp_path: Path, pipeline: AugmentPipeline) -> None:
    def run(setup: TrainConfig, *, resume: bool = False, last: int = 99) -> list[dict[str, float]]:
        state = start_run(setup, setup.detector(NAMES), resume=resume)
        return [r.losses for r in train(setup, pipeline, state, stop=lambda: state.step >= last)]

    whole, parted = config(tmp_path / "whole"), config(tmp_path / "parted")
    expected = run(whole)
    assert [*run(parted, last=1), *run(parted, resume=True)] == expected
    assert tuple(expected[0]) == step_columns(whole)[4:]
    ours, theirs = (load_detector(tmp_path / d / "weights.safetensors") for d in ("whole", "parted"))
    assert isinstance(ours, OneStageDetector)
    assert ours.settings == OneStageConfig("passd-mobilenet", NAMES, (64, 64), base_size=2.0)
    assert all(torch.equal(v, theirs.state_dict()[k]) for k, v in ours.state_dict().items())


def test_the_configuration_says_which_losses(tmp_path: Path) -> None:
    rules = {
        "passd-vgg16": PASSDLossConfig,
        "retinanet-r50": RetinaNetLossConfig,
        "lw-retinanet-v2-r50": RetinaNetLossConfig,
        "mimicdet-r101": MimicDetLossConfig,
    }
    for arch, rule in rules.items():
        assert isinstance(config(tmp_path, arch=arch).rule, rule)
    soft = config(tmp_path, nms="gaussian").detector(NAMES)
    assert isinstance(soft, OneStageConfig)
    assert soft.selection is not None
    assert (soft.selection.nms, soft.selection.nms_iou) == ("gaussian", 0.45)
    with pytest.raises(UsageError, match="unknown architecture 'passd'"):
        build_detector(config(tmp_path, arch="passd").detector(NAMES))


def test_a_run_of_two_stages_is_called_what_it_was(tmp_path: Path) -> None:
    """Fields that came with one stage are not in the fingerprint of runs that do not set them."""
    plain = fingerprint(config(tmp_path, arch="thundernet-snet49", base_size=None))
    assert not any(word in plain for word in ("passd", "retinanet", "mimicdet", "base_size"))
    assert '"negatives"' in fingerprint(config(tmp_path, passd=PASSDLossConfig(negatives=5.0)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[passd]\nnegatives = 0", "passd: negatives is 0"),
        ("[passd]\nanchors = 3", "passd.anchors"),
        ("[passd]\nnegative_iou = 0.6", "must not be above"),
        ("[retinanet]\nnegative_iou = 0.6", "must not be above"),
        ("[mimicdet]\nteacher = false", "without a teacher"),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "train.toml"
    path.write_text(f'out = "run"\n[[data]]\nannotations = "a"\nimages = "b"\n{text}\n', encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_config(path)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_recipes_can_be_read(path: Path) -> None:
    setup = read_config(path)
    assert build_detector(setup.detector(NAMES)) is not None


def test_weights_of_other_classes_keep_all_but_the_scores(tmp_path: Path) -> None:
    path = tmp_path / "given.safetensors"
    model = build_detector(OneStageConfig("passd-mobilenet", ("a", "b", "c"), (64, 64)))
    initialise(model, 9, 4.0)
    save_checkpoint(path, model)
    setup = config(tmp_path / "run", weights=path, base_size=None)
    said: list[str] = []
    state = start_run(setup, setup.detector(NAMES), log=said.append)
    assert said == ["starts from given.safetensors; fresh: attend.0, attend.1, attend.2"]
    taken, given = state.model.state_dict(), model.state_dict()
    assert all(torch.equal(taken[k], given[k]) for k in given if not k.startswith("attend"))
    other = config(tmp_path / "other", weights=path, arch="lw-retinanet-v3-r50")
    with pytest.raises(CheckpointError, match="it is a passd-mobilenet: expected a lw-retinanet-v3-r50"):
        start_run(other, other.detector(NAMES))


def test_a_backbone_is_prepared(pipeline: AugmentPipeline) -> None:
    """Only the backbone changes, and the crops are the same whenever they are made."""
    model = build_detector(OneStageConfig("passd-mobilenet", NAMES, (64, 64)))
    initialise(model, 1, 4.0)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    schedule = Schedule(8 * 4, 8, 1e-3, 2, "cosine", sizes=(32,))
    losses: list[float] = []
    pretrain(model, pipeline, 1, schedule, Optimizer("adamw"), lambda step, loss, right: losses.append(loss))
    assert len(losses) == 4
    assert np.isfinite(losses).all()
    after = model.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed
    assert all(k.startswith("features.backbone.") for k in changed)
    assert not model.training
    first, again = crop(pipeline, 1, 7, 48), crop(pipeline, 1, 7, 48)
    assert np.array_equal(first.image, again.image)
    assert first.image.shape == (48, 48, 3)
    two_stages = config(Path(), arch="thundernet-snet49").detector(NAMES)
    with pytest.raises(UsageError, match="learns from scratch"):
        backbone_of(build_detector(two_stages))
