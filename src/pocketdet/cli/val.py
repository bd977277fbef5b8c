"""`pocketdet val`: how accurate is what is deployed, and what did each step of the way cost?"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pocketdet.cli.arguments import (
    SIZE_HELP,
    optional_size,
    read_names,
    require_accuracy_packages,
    require_export_packages,
)
from pocketdet.cli.val_run import advancing, described_data, measure, progress_bar
from pocketdet.errors import UsageError
from pocketdet.io import check_writable

if TYPE_CHECKING:
    from pocketdet.cli.val_data import EvaluationData, OpenedSource
    from pocketdet.datasets import Dataset
    from pocketdet.evaluation.evaluate import Evaluated
    from pocketdet.evaluation.inputs import EvaluationInput
    from pocketdet.evaluation.report import AccuracyReport
    from pocketdet.evaluation.variants import Backend


ARM_IMAGES = 24  # an emulated image takes seconds


class BackendName(StrEnum):
    """`pocketdet.evaluation.variants.Backend` as an option, without importing torch."""

    PYTORCH = "pytorch"
    ONNX = "onnx"
    NCNN_FP32 = "ncnn-fp32"
    NCNN_FP16 = "ncnn-fp16"
    NCNN_INT8 = "ncnn-int8"


def val(
    targets: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Checkpoints (.safetensors, .pt, .pth, or a name of the zoo) and bundles.", metavar="TARGET"
        ),
    ] = None,
    zoo: Annotated[
        bool, typer.Option("--zoo", help="Instead of targets: all detectors of the zoo, with --out.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Annotated images: a COCO json file, a Pascal VOC folder, a YOLO folder or data.yaml."
        ),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images of a COCO file.")] = None,
    voc: Annotated[
        Path | None, typer.Option(help="Instead of --data: a folder that is read as Pascal VOC.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Part of a folder; the first of test, val, valid that exists by default."),
    ] = None,
    only: Annotated[list[BackendName] | None, typer.Option(help="A backend to measure; repeatable.")] = None,
    score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Score threshold, 0..1; the detector's own by default.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Only so many images, evenly spaced; 0 for all.")] = 0,
    per_class: Annotated[bool, typer.Option("--per-class", help="Print a table of the classes.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for accuracy.json, per_class.csv and images: curves, misses, trade_off."),
    ] = None,
    min_ap: Annotated[
        float | None, typer.Option(help="Exit with 1 if an AP is lower; percent, such as 63.")
    ] = None,
    max_drop: Annotated[
        float | None, typer.Option(help="Exit with 1 if an AP is more points below the first, such as 0.3.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out images and boxes that are wrong.")
    ] = False,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CPU",
            help=f"Measure ncnn on an emulated ARM processor, too, such as cortex-a76; repeatable; slow: "
            f"{ARM_IMAGES} images unless --limit says otherwise.",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=256, help="CPU threads of the networks.")] = 1,
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Processes that share the images; the accuracy is the same.")
    ] = 1,
    arch: Annotated[str | None, typer.Option(help="Architecture of a plain state dict.")] = None,
    names: Annotated[Path | None, typer.Option(help="Its class names: a text file, one a line.")] = None,
    input_size: Annotated[
        str | None, typer.Option(help="Network input of checkpoints, HEIGHTxWIDTH or one side.")
    ] = None,
    size: Annotated[str | None, typer.Option(help=SIZE_HELP + "; its first by default.")] = None,
    calib: Annotated[
        Path | None, typer.Option(help="With --zoo: a folder of images to calibrate int8 on, too.")
    ] = None,
) -> None:
    """Measure mean average precision on annotated images, in every backend that a detector has.

    A checkpoint is run in PyTorch, exported into a temporary folder, and run again as ONNX, ncnn fp32 and
    ncnn fp16; a bundle is run as what it carries. One table shows COCO's and VOC's numbers side by side, and
    what each backend lost against the first row. Score threshold and NMS are the detector's own.

    ncnn computes in the precision that a bundle was made for where the processor has it. x86 has no half
    precision: --arm cortex-a76 measures what a phone computes, on the same images, in an emulator.

    --zoo measures every detector of `pocketdet zoo` and keeps each result in --out, where the next run finds
    it: only what has changed is measured again.

    Example: pocketdet val snet49.safetensors --data test.json --images photos/ --out accuracy
    """
    require_export_packages()
    require_accuracy_packages()
    from pocketdet.cli.val_data import SPLITS, open_source, read_evaluation_data
    from pocketdet.cli.val_report import Gates, print_classes, print_report, write_files

    source, gates = open_source(data, images, voc, split), Gates(min_ap, max_drop)
    if zoo:
        from pocketdet.cli.val_zoo import ZooRun, refuse_options

        refuse_options(
            {"TARGET": targets, "--arm": arm, "--arch": arch, "--names": names, "--score": score},
            {"--input-size": input_size, "--size": size, "--per-class": per_class, "--max-drop": max_drop},
        )
        run = ZooRun(source, only or (), out, calib, limit, skip_bad, threads, workers)
        gates.check(run.report(Console(highlight=False)))
        return
    if calib is not None:
        raise UsageError(
            "--calib is for --zoo: make an int8 bundle with pocketdet export --precision int8 --calib DIR "
            "and measure that"
        )
    if not targets:
        raise UsageError("nothing to measure: name a checkpoint or a bundle, or pass --zoo")
    targets, checkpoint_kwargs = _files(targets), _checkpoint_kwargs(arch, names, input_size)
    import torch  # after what is refused without it, since it takes seconds

    torch.set_num_threads(threads)
    processors = _processors(arm or [])
    limit = limit or (ARM_IMAGES if processors else 0)
    with _folder(out) if out else nullcontext(), ExitStack() as opened:
        found = [opened.enter_context(target) for target in _opening(targets, checkpoint_kwargs, size)]
        backends = _backends(found, only or [])
        gates.expect_rows(sum(map(len, backends)) + len(processors) * sum(map(_ncnn_backends, backends)))
        with progress_bar() as bar:
            classes = found[0].class_names
            progress = partial(advancing, bar)
            test_data = read_evaluation_data(
                source, classes, limit=limit, skip_bad=skip_bad, progress=progress
            )
            _check_classes(found, source, test_data.dataset)
            evaluated = [
                measure(bar, target, wanted, test_data.dataset, score, threads, workers, processors)
                for target, wanted in zip(found, backends, strict=True)
            ]
        report = _report(source, test_data, found, evaluated)
        console = Console(highlight=False)
        print_report(report, [one.milliseconds for of_target in evaluated for one in of_target], console)
        if source.is_unsplit:
            console.print(
                f"{source} has no split {', '.join(SPLITS[:-1])}: images that were trained on count, too",
                markup=False,
                soft_wrap=True,
            )
        if per_class:
            print_classes(report, console)
        if out:
            every = [one for of_target in evaluated for one in of_target]
            for path in write_files(out, report, test_data.dataset, every):
                console.print(f"wrote {path}", markup=False, soft_wrap=True)
    gates.check(report)


def _processors(asked: Sequence[str]) -> list[str]:
    """Those that can be emulated: none, with a word on standard error, where something is missing."""
    from pocketdet.evaluation.variants import what_is_missing

    missing = what_is_missing() if asked else None
    if missing:
        typer.echo(f"left out: --arm {', '.join(asked)}: {missing}", err=True)
    return [] if missing else list(dict.fromkeys(asked))


def _ncnn_backends(backends: "Sequence[Backend]") -> int:
    return sum(backend.startswith("ncnn") for backend in backends)


def _checkpoint_kwargs(arch: str | None, names: Path | None, input_size: str | None) -> dict[str, Any]:
    """What the user says about checkpoints, as `load_checkpoint` takes it."""
    return {
        "arch": arch,
        "class_names": read_names(names) if names else None,
        "input_size": optional_size(input_size),
    }


def _files(targets: Sequence[Path]) -> list[Path]:
    """The files of targets, some named in the zoo. Raises `UsageError` if one is missing or named twice."""
    from pocketdet.models.zoo import weights_file

    paths = [weights_file(path) for path in targets]
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file; expected a checkpoint or a bundle")
        if [p.resolve() for p in paths].count(path.resolve()) > 1:
            raise UsageError(f"{path} is named more than once")
    return paths


def _opening(
    paths: Sequence[Path], checkpoint_kwargs: dict[str, Any], size: str | None
) -> "Iterator[AbstractContextManager[EvaluationInput]]":
    """Targets to be opened one after another, each with the arguments of its kind.

    Arguments of a kind that no target has are given to all, which refuse them.
    """
    from pocketdet.evaluation.inputs import is_checkpoint, open_input

    bundle_kwargs: dict[str, Any] = {"size": optional_size(size)}
    checkpoints = [is_checkpoint(path) for path in paths]
    for path, is_one in zip(paths, checkpoints, strict=True):
        kwargs = checkpoint_kwargs if is_one or not any(checkpoints) else {}
        yield open_input(path, **kwargs, **(bundle_kwargs if not is_one or all(checkpoints) else {}))


def _backends(targets: "Sequence[EvaluationInput]", only: Sequence[BackendName]) -> "list[list[Backend]]":
    """The backends to measure of each target. Raises `UsageError` if one is asked for that nothing has."""
    backends: list[list[Backend]] = [
        [backend for backend in target.backends if not only or backend in only] for target in targets
    ]
    for backend in only:
        if not any(backend in target.backends for target in targets):
            having = "; ".join(f"{target.path} has {', '.join(target.backends)}" for target in targets)
            raise UsageError(f"--only {backend}: nothing to measure has that backend: {having}")
    for target, wanted in zip(targets, backends, strict=True):
        if not wanted:
            raise UsageError(
                f"--only leaves nothing of {target.path}, which has {', '.join(target.backends)}"
            )
    return backends


def _check_classes(targets: "Sequence[EvaluationInput]", source: "OpenedSource", dataset: "Dataset") -> None:
    from pocketdet.evaluation.evaluate import check_classes

    for target in targets:
        check_classes(str(target.path), target.class_names, str(source), dataset.class_names)


def _report(
    opened: "OpenedSource",
    test_data: "EvaluationData",
    targets: "Sequence[EvaluationInput]",
    evaluated: "Sequence[Sequence[Evaluated]]",
) -> "AccuracyReport":
    from pocketdet.evaluation.report import accuracy_report, variant_report

    names = [target.path.name for target in targets]
    names = [t.path.name if names.count(t.path.name) == 1 else str(t.path) for t in targets]
    rows = [
        variant_report(name, target.digest, one)
        for name, target, of_target in zip(names, targets, evaluated, strict=True)
        for one in of_target
    ]
    return accuracy_report(described_data(opened, test_data), rows)


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """Make the folder before the work, so that it can be written after it; take it back if nothing came."""
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {path}: no folder can be made there: {error.strerror}") from error
    try:
        check_writable(path)
        yield
    finally:
        for folder in made:
            with suppress(OSError):  # it has files
                folder.rmdir()
