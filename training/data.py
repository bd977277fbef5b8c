"""A run from its configuration: read and check the data, load it, hand it to the loop."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pocketdet.datasets import (
    Dataset,
    Problem,
    check_dataset,
    evenly_spaced,
    keep_sound,
    read_source,
    read_sources,
)
from pocketdet.datasets.records import hold_out
from pocketdet.errors import UsageError
from pocketdet.training.augment import AugmentPipeline
from pocketdet.training.config import Evaluation, TrainConfig
from pocketdet.training.sample import build_cache, load_samples

Progress = Callable[[str, int], Callable[[], None]]


def no_progress(title: str, total: int) -> Callable[[], None]:
    """Shows nothing."""
    return lambda: None


@dataclass(frozen=True)
class Data:
    """What a run reads: one dataset for each source, and what it is measured on, over the same classes."""

    training: tuple[Dataset, ...]
    evaluation: Dataset | None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, background not counted."""
        return self.training[0].class_names


def read_data(config: TrainConfig, *, skip_bad: bool, progress: Progress = no_progress) -> Data:
    """The datasets of a run, checked, over one list of classes.

    Raises `UsageError` with one report over all of them if something is wrong and `skip_bad` is false, if
    one has no box, if the sources name different classes, or if what evaluation needs is not installed.
    """
    if config.evaluation is not None:
        _require_packages()
    found = read_sources(config.data, config.class_names)
    for source, dataset in zip(config.data, found, strict=True):
        if dataset.class_names != found[0].class_names:
            first = config.data[0].annotations
            raise UsageError(
                f"{source.annotations}: its classes are not those of {first}, or in another order; "
                "class_names in the recipe sets them for all sources"
            )
    found = [hold_out(dataset, s.hold_out)[0] for dataset, s in zip(found, config.data, strict=True)]
    if config.evaluation is not None:
        found.append(_read_evaluation(config.evaluation, found[0].class_names))
    advance = progress("checking the data", sum(len(dataset.images) for dataset in found))
    checked = [check_dataset(dataset, advance) for dataset in found]
    problems = _once([problem for dataset in checked for problem in dataset.problems])
    everything = replace(
        checked[0], images=tuple(image for d in checked for image in d.images), problems=problems
    )
    keep_sound(everything, skip_bad=skip_bad)
    training = tuple(keep_sound(dataset, skip_bad=True) for dataset in checked[: len(config.data)])
    return Data(training, None if config.evaluation is None else _measurable(config.evaluation, checked[-1]))


def _read_evaluation(rule: Evaluation, class_names: tuple[str, ...]) -> Dataset:
    dataset = read_source(rule, class_names)
    return hold_out(dataset, rule.hold_out)[1] if rule.hold_out else dataset


def _once(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """The problems, with each missing folder once: several parts of the data may be in it."""
    folders = {problem.where: problem for problem in reversed(problems) if problem.kind == "missing folder"}
    return tuple(p for p in problems if p.kind != "missing folder" or folders[p.where] is p)


def make_augment_pipeline(
    config: TrainConfig, datasets: Sequence[Dataset], progress: Progress = no_progress
) -> AugmentPipeline:
    """Decode all images into memory and set up the draws."""
    advance = progress("loading the images", sum(len(dataset.images) for dataset in datasets))
    classes = len(datasets[0].class_names)
    caches = [
        build_cache(load_samples(dataset, advance), classes, config.class_power) for dataset in datasets
    ]
    total = sum(source.share for source in config.data)
    return AugmentPipeline(caches, [source.share / total for source in config.data], config.augment)


def _require_packages() -> None:
    missing = [name for name in ("pycocotools", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"evaluation needs {' and '.join(missing)}: pip install 'pocketdet[accuracy]', or leave out "
            "[evaluation]"
        )


def _measurable(rule: Evaluation, dataset: Dataset) -> Dataset:
    """The dataset, if AP is defined on it and on the part that is evaluated while the run goes on."""
    for part in (dataset, evenly_spaced(dataset, rule.limit)):
        if not any((~image.ignored).any() for image in part.images):
            raise UsageError(
                f"{rule.annotations}: {len(part.images)} images to evaluate on have no box; "
                "raise evaluation.limit, or choose other data"
            )
    return dataset
