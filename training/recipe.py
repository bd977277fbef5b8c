"""A recipe for a user's own annotated images."""

from dataclasses import dataclass, replace
from pathlib import Path

from pocketdet.datasets import Dataset, read_sources
from pocketdet.datasets.layout import OwnData, find_own_data
from pocketdet.datasets.records import hold_out
from pocketdet.errors import UsageError
from pocketdet.models.build import AnyConfig, config_of, is_one_stage
from pocketdet.models.checkpoint import load_detector
from pocketdet.models.config import DetectorConfig
from pocketdet.models.zoo import weights_file
from pocketdet.training.config import Augment, Evaluation, Schedule, Source, TrainConfig
from pocketdet.training.config_file import read_config

RECIPES = Path(__file__).parent / "recipes"
REPETITIONS = 40  # of each image, by default
HELD_OUT = 0.1  # of the images, where none are for evaluation
FEWEST_TO_PART = 10  # images
FEWEST, MOST = 3000, 150_000  # images seen, by default


@dataclass(frozen=True)
class NewRecipe:
    """A recipe, its paths as they were given, and what it was made for.

    Attributes:
        training, evaluation: the annotated images, as they were read.
        keeps_classes: whether the weights that it starts from have the same classes.
    """

    config: TrainConfig
    training: Dataset
    evaluation: Dataset | None
    keeps_classes: bool


def new_recipe(data: Path, weights: str | None, images: int | None) -> NewRecipe:
    """A recipe for annotated images.

    Args:
        data: a COCO json file or a folder with annotations, see `find_own_data`.
        weights: a checkpoint or a name of the zoo to start from; None for new weights.
        images: images to see in all; None for some repetitions of the training data.

    Raises:
        CheckpointError: if the weights cannot be read.
        UsageError: if the data cannot be read.
    """
    own = find_own_data(data)
    sources = [own.training, *([own.evaluation] if own.evaluation else [])]
    training, *others = read_sources(sources)
    names = training.class_names
    if not names:
        raise UsageError(f"{data}: has no objects")
    given = config_of(load_detector(weights_file(Path(weights)))) if weights else None
    keeps_classes = given is not None and set(given.class_names) == set(names)
    if given is not None and keeps_classes:
        names = given.class_names
    config = _config(own, given, weights, names)
    measured = others[0] if others else None
    if measured is None and len(training.images) >= FEWEST_TO_PART:
        kept, held = hold_out(training, HELD_OUT)
        if held.objects:
            training, measured = kept, held
            config = _holding_out(config)
    schedule = _schedule(config, images or min(MOST, max(FEWEST, REPETITIONS * len(training.images))))
    config = replace(config, schedule=schedule, save_every=min(250, max(1, schedule.steps // 4)))
    if config.evaluation is not None:
        evaluation = replace(config.evaluation, every=max(1, schedule.steps // 10))
        config = replace(config, evaluation=evaluation)
    return NewRecipe(config, training, measured, keeps_classes)


def _holding_out(config: TrainConfig) -> TrainConfig:
    """The configuration with a part of its only data held out of training, to be measured on."""
    (source,) = config.data
    evaluation = Evaluation(source.annotations, source.images, source.split, hold_out=HELD_OUT)
    return replace(config, data=(replace(source, hold_out=HELD_OUT),), evaluation=evaluation)


def _config(
    own: OwnData, given: AnyConfig | None, weights: str | None, names: tuple[str, ...]
) -> TrainConfig:
    """The numbers of the zoo's recipes, for the detector of the weights."""
    one_stage = given is not None and is_one_stage(given.arch)
    base = read_config(RECIPES / ("fod_a_passd_mobilenet.toml" if one_stage else "fod_a_snet49.toml"))
    measured = own.evaluation
    config = replace(
        base,
        data=(Source(own.training.annotations, own.training.images, own.training.split),),
        evaluation=Evaluation(measured.annotations, measured.images, measured.split) if measured else None,
        out=Path("runs") / _name(own.training.annotations.resolve()),
        weights=Path(weights) if weights else None,
        class_names=names,
        augment=Augment(kind="ssd"),
    )
    if given is None:
        return replace(config, anchor_scales=DetectorConfig("", names).anchors.scales)
    config = replace(config, arch=given.arch, input_size=given.input_size)
    if isinstance(given, DetectorConfig):
        scales, width = given.anchors.scales, given.head.fc_channels
        return replace(config, anchor_scales=scales, fc_channels=width, parts=given.parts)
    return replace(config, base_size=given.base_size)


def _name(data: Path) -> str:
    """What the data are called, for the folder of the run."""
    if data.is_dir():
        return data.name
    return data.stem if data.suffix.lower() == ".json" else data.parent.name


def _schedule(config: TrainConfig, images: int) -> Schedule:
    """The schedule of the recipe that the configuration is of, for so many images."""
    batch = min(config.schedule.batch, images)
    rate = config.schedule.learning_rate / (2 if config.weights else 1)  # trained weights need less
    schedule = replace(
        config.schedule, images=images, batch=batch, learning_rate=rate, early_sizes=(), early_share=0.0
    )
    side = max(32, min(config.input_size) // 32 * 32)
    return replace(schedule, warmup_steps=min(150, schedule.steps // 10), sizes=(side,))
