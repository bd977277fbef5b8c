"""`pocketdet val`: accuracy of a detector in PyTorch, ONNX and ncnn on a labelled dataset."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pocketdet.cli.arguments import (
    parse_size,
    read_names,
    require_accuracy_packages,
    require_export_packages,
)
from pocketdet.errors import CheckFailed, UsageError
from pocketdet.io import check_writable

if TYPE_CHECKING:
    from pocketdet.cli.val_data import Labelled, Source
    from pocketdet.datasets import Dataset
    from pocketdet.evaluation.evaluate import Evaluated
    from pocketdet.evaluation.inputs import Target
    from pocketdet.evaluation.report import AccuracyReport
    from pocketdet.evaluation.variants import Form


ARM_IMAGES = 24  # one emulated image takes seconds


class FormName(StrEnum):
    """`pocketdet.evaluation.variants.Form` as an option, without importing torch."""

    PYTORCH = "pytorch"
    ONNX = "onnx"
    NCNN_FP32 = "ncnn-fp32"
    NCNN_FP16 = "ncnn-fp16"
    NCNN_INT8 = "ncnn-int8"


@dataclass(frozen=True)
class Gates:
    """Requirements for exit code 0, for use in CI. `None` means no requirement.

    Attributes:
        min_ap: minimum AP of each row in percent.
        max_drop: maximum drop of AP below the first row in percentage points.

    Raises:
        UsageError: for values out of range. A fraction such as 0.63 is rejected, because it would accept
            anything.
    """

    min_ap: float | None
    max_drop: float | None

    def __post_init__(self) -> None:
        if self.min_ap is not None and not 1 <= self.min_ap <= 100:
            raise UsageError(f"--min-ap {self.min_ap:g}: expected percent, 1 to 100, as the table shows it")
        if self.max_drop is not None and not 0 <= self.max_drop <= 100:
            raise UsageError(f"--max-drop {self.max_drop:g}: expected points of percent, 0 to 100")

    def expect_rows(self, count: int) -> None:
        """Raise `UsageError` if a number of rows is too small for a comparison."""
        if self.max_drop is not None and count < 2:
            raise UsageError("--max-drop compares rows with the first one, and there is only one to measure")

    def check(self, report: "AccuracyReport") -> None:
        """Raise `CheckFailed` with all rows that violate a requirement."""
        from pocketdet.cli.val_report import labels

        called = labels(report.subjects)
        points = [100 * (row.ap or 0.0) for row in report.subjects]
        failures = []
        for label, ap in zip(called, points, strict=True):
            if self.min_ap is not None and ap < self.min_ap:
                failures.append(f"{label} has AP {ap:.2f}, expected {self.min_ap:g} or more")
            if self.max_drop is not None and points[0] - ap > self.max_drop:
                drop = f"{points[0] - ap:.2f} points of AP under {called[0]}"
                failures.append(f"{label} is {drop}, expected {self.max_drop:g} or less")
        if failures:
            raise CheckFailed(f"{'; '.join(failures)} ({report.data.extent})")


def val(
    targets: Annotated[
        list[Path],
        typer.Argument(
            help="Checkpoints (.safetensors, .pt, .pth, or a name of the zoo) and bundles.", metavar="TARGET"
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="Labelled images: a COCO json file.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images of --data.")] = None,
    voc: Annotated[Path | None, typer.Option(help="Instead of --data: a Pascal VOC folder.")] = None,
    split: Annotated[str | None, typer.Option(help="List in its ImageSets/Main; test by default.")] = None,
    only: Annotated[list[FormName] | None, typer.Option(help="Variant to measure; repeatable.")] = None,
    score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Score threshold, 0..1; the detector's by default.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Number of images, evenly spaced; 0 for all.")] = 0,
    per_class: Annotated[bool, typer.Option("--per-class", help="Print a table of the classes.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for accuracy.json, per_class.csv and plots: curves, misses, trade_off."),
    ] = None,
    min_ap: Annotated[
        float | None, typer.Option(help="Exit with 1 if an AP is lower, in percent such as 63.")
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(help="Exit with 1 if an AP is more points below the first row, such as 0.3."),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Skip invalid images and boxes.")] = False,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CPU",
            help=f"Also measure ncnn on an emulated ARM processor such as cortex-a76; repeatable. Slow: "
            f"{ARM_IMAGES} images unless --limit is set.",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=256, help="CPU threads of the networks.")] = 1,
    arch: Annotated[str | None, typer.Option(help="Architecture of a plain state dict.")] = None,
    names: Annotated[Path | None, typer.Option(help="Its class names: a text file, one per line.")] = None,
    input_size: Annotated[
        str | None, typer.Option(help="Network input of checkpoints, HEIGHTxWIDTH or one side.")
    ] = None,
) -> None:
    """Measure mean average precision on labelled images, for each variant of a detector.

    A checkpoint runs in PyTorch, is exported to a temporary folder, and runs as ONNX, ncnn fp32 and ncnn
    fp16. A bundle runs in the variants that it contains. The table shows COCO and VOC metrics and the
    difference from the first row. Score threshold and NMS are those of the detector.

    ncnn uses the precision of the bundle if the processor supports it. x86 has no half precision: --arm
    cortex-a76 measures the results of a phone in an emulator.

    Example: pocketdet val snet49.safetensors --data test.json --images photos/ --out accuracy
    """
    require_export_packages()
    require_accuracy_packages()
    import torch

    from pocketdet.cli.val_data import choose_source, read_labelled
    from pocketdet.cli.val_report import print_classes, print_report, write_files

    torch.set_num_threads(threads)
    processors = _processors(arm or [])
    limit = limit or (ARM_IMAGES if processors else 0)
    source, gates = choose_source(data, images, voc, split), Gates(min_ap, max_drop)
    kwargs = _checkpoint_kwargs(arch, names, input_size)
    with _folder(out) if out else nullcontext(), ExitStack() as opened:
        found = [opened.enter_context(target) for target in _open_targets(targets, kwargs)]
        forms = _forms(found, only or [])
        gates.expect_rows(sum(map(len, forms)) + len(processors) * sum(map(_ncnn_forms, forms)))
        with _bar() as bar:
            classes = found[0].class_names
            start_task = partial(_start_task, bar)
            labelled = read_labelled(source, classes, limit=limit, skip_bad=skip_bad, progress=start_task)
            _check_classes(found, source, labelled.dataset)
            evaluated = [
                _measure(bar, target, wanted, labelled.dataset, score, threads, processors)
                for target, wanted in zip(found, forms, strict=True)
            ]
        report = _report(source, labelled, found, evaluated)
        console = Console(highlight=False)
        print_report(report, [one.milliseconds for of_target in evaluated for one in of_target], console)
        if per_class:
            print_classes(report, console)
        if out:
            every = [one for of_target in evaluated for one in of_target]
            for path in write_files(out, report, labelled.dataset, every):
                console.print(f"wrote {path}", markup=False, soft_wrap=True)
    gates.check(report)


def _processors(requested: Sequence[str]) -> list[str]:
    """Return the processors to emulate. If a tool is missing, print a message and return none."""
    from pocketdet.evaluation.emulated import what_is_missing

    missing = what_is_missing() if requested else None
    if missing:
        typer.echo(f"skipped: --arm {', '.join(requested)}: {missing}", err=True)
    return [] if missing else list(dict.fromkeys(requested))


def _ncnn_forms(forms: "Sequence[Form]") -> int:
    return sum(form.startswith("ncnn") for form in forms)


def _checkpoint_kwargs(arch: str | None, names: Path | None, input_size: str | None) -> dict[str, Any]:
    """Return the keyword arguments of `load_checkpoint` from the options."""
    return {
        "arch": arch,
        "class_names": read_names(names) if names else None,
        "input_size": parse_size(input_size) if input_size else None,
    }


def _open_targets(
    paths: Sequence[Path], kwargs: dict[str, Any]
) -> "Iterator[AbstractContextManager[Target]]":
    """Yield the targets as context managers. Only checkpoints get `kwargs`, if there are any."""
    from pocketdet.evaluation.inputs import is_checkpoint, open_target
    from pocketdet.models.zoo import weights_file

    paths = [weights_file(path) for path in paths]
    for path in paths:
        if [p.resolve() for p in paths].count(path.resolve()) > 1:
            raise UsageError(f"{path} is named more than once")
    for path in paths:
        applies = is_checkpoint(path) or not any(is_checkpoint(p) for p in paths)
        yield open_target(path, **kwargs) if applies else open_target(path)


def _forms(targets: "Sequence[Target]", only: Sequence[FormName]) -> "list[list[Form]]":
    """Return the variants to measure of each target. Raises `UsageError` if no target has a requested one."""
    forms = [[form for form in target.forms if not only or form in only] for target in targets]
    for form in only:
        if not any(form in target.forms for target in targets):
            having = "; ".join(f"{target.path} has {', '.join(target.forms)}" for target in targets)
            raise UsageError(f"--only {form}: no target has this variant: {having}")
    for target, wanted in zip(targets, forms, strict=True):
        if not wanted:
            raise UsageError(f"--only leaves nothing of {target.path}, which has {', '.join(target.forms)}")
    return forms


def _check_classes(targets: "Sequence[Target]", source: "Source", dataset: "Dataset") -> None:
    from pocketdet.evaluation.evaluate import check_classes

    for target in targets:
        check_classes(str(target.path), target.class_names, str(source), dataset.class_names)


def _measure(
    bar: Progress,
    target: "Target",
    forms: "Sequence[Form]",
    dataset: "Dataset",
    score: float | None,
    threads: int,
    processors: Sequence[str],
) -> "list[Evaluated]":
    from pocketdet.evaluation.evaluate import evaluate

    preparing = bar.add_task(f"{target.path.name}: preparing", total=None)

    def log(line: str) -> None:
        bar.update(preparing, description=f"{target.path.name}: exporting: {line.split(' ', 1)[-1][:40]}")

    with target.subjects(forms, score=score, threads=threads, processors=processors, log=log) as subjects:
        bar.remove_task(preparing)
        return [
            evaluate(
                subject, dataset, _start_task(bar, f"{target.path.name}: {subject.name}", len(dataset.images))
            )
            for subject in subjects
        ]


def _report(
    source: "Source",
    labelled: "Labelled",
    targets: "Sequence[Target]",
    evaluated: "Sequence[Sequence[Evaluated]]",
) -> "AccuracyReport":
    from pocketdet.evaluation.report import accuracy_report, data_report, subject_report

    names = [target.path.name for target in targets]
    names = [t.path.name if names.count(t.path.name) == 1 else str(t.path) for t in targets]
    rows = [
        subject_report(name, target.digest, one)
        for name, target, of_target in zip(names, targets, evaluated, strict=True)
        for one in of_target
    ]
    data = data_report(
        labelled.dataset,
        file=source.annotations.name,
        split=source.split,
        sha256=labelled.sha256,
        listed=labelled.listed,
    )
    return accuracy_report(data, rows)


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """Create the output folder and check that it is writable; remove it if it stays empty."""
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {path}: the folder cannot be created: {error.strerror}") from error
    try:
        check_writable(path)
        yield
    finally:
        for folder in made:
            with suppress(OSError):  # it has files
                folder.rmdir()


def _bar() -> Progress:
    title = TextColumn("{task.description}", markup=False)  # file names may contain markup
    columns = (title, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _start_task(bar: Progress, title: str, total: int) -> Callable[[], None]:
    return partial(bar.advance, bar.add_task(title, total=total))
