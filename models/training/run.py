"""A run from its configuration: read and check the data, load it, hand it to the loop."""

from collections.abc import Callable
from dataclasses import replace

from pocketdet.datasets import Dataset, check_dataset, keep_sound, read_coco, read_voc
from pocketdet.errors import UsageError
from pocketdet.models.training.augment import Recipe
from pocketdet.models.training.config import Source, TrainConfig
from pocketdet.models.training.pool import load, make_pool

Progress = Callable[[str, int], Callable[[], None]]


def no_progress(title: str, total: int) -> Callable[[], None]:
    """Shows nothing."""
    return lambda: None


def read_sources(config: TrainConfig, *, skip_bad: bool, progress: Progress = no_progress) -> list[Dataset]:
    """The data sets of a run, checked, over one list of classes.

    Raises `UsageError` with one report over all sources if something is wrong and `skip_bad` is false, if
    a source has no box, or if the sources name different classes.
    """
    found = [_read(source) for source in config.data]
    for source, dataset in zip(config.data, found, strict=True):
        if dataset.class_names != found[0].class_names:
            first = config.data[0].annotations
            raise UsageError(
                f"{source.annotations}: its classes are not those of {first}, or in another order"
            )
    advance = progress("checking the data", sum(len(dataset.images) for dataset in found))
    checked = [check_dataset(dataset, advance) for dataset in found]
    problems = tuple(problem for dataset in checked for problem in dataset.problems)
    everything = replace(
        checked[0], images=tuple(image for d in checked for image in d.images), problems=problems
    )
    keep_sound(everything, skip_bad=skip_bad)
    return [keep_sound(dataset, skip_bad=True) for dataset in checked]


def make_recipe(config: TrainConfig, datasets: list[Dataset], progress: Progress = no_progress) -> Recipe:
    """Decode all pictures into memory and set up the draws."""
    advance = progress("loading the pictures", sum(len(dataset.images) for dataset in datasets))
    classes = len(datasets[0].class_names)
    pools = [make_pool(load(dataset, advance), classes, config.class_power) for dataset in datasets]
    total = sum(source.share for source in config.data)
    return Recipe(pools, [source.share / total for source in config.data], config.augment)


def _read(source: Source) -> Dataset:
    if source.images is not None:
        return read_coco(source.annotations, source.images)
    assert source.split is not None
    return read_voc(source.annotations, source.split)
