"""`pocketdet bench`: time bundles on a device, one record each. Protocol: docs/guides/benchmark.md."""

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from pocketdet.cli.arguments import SIZE_HELP, image_files, optional_size, require_bundle
from pocketdet.errors import UsageError
from pocketdet.io import check_writable, os_errors

if TYPE_CHECKING:
    from pocketdet.benchmarks.plan import BenchPlan
    from pocketdet.benchmarks.record import Record
    from pocketdet.runtime.bundle import Bundle


def bench(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE", help=".pocketdet folders or zip files.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="local (the default), ssh:HOST, adb, adb:SERIAL, adb:all or emulated[:CPU]; repeatable."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the records.")] = Path("bench-records"),
    precision: Annotated[
        Literal["fp32", "fp16-storage", "fp16", "bf16-storage"] | None,
        typer.Option(help="Arithmetic requested of ncnn; by default what each bundle was made for."),
    ] = None,
    size: Annotated[str | None, typer.Option(help=SIZE_HELP + "; its first by default.")] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(help="Image to detect on; repeatable; the standard frames by default."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Detect on all images of this folder.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="100 frames or 10 s, no pause; marked quick.")
    ] = False,
    rois: Annotated[
        str | None, typer.Option(help="Sweep over numbers of RoIs, such as 10,50,100,200,500,1000.")
    ] = None,
    sustained: Annotated[
        float, typer.Option(metavar="MINUTES", help="Continue for so long, for the curve over time.")
    ] = 0.0,
    layers: Annotated[
        bool, typer.Option("--layers", help="Time every layer, too, in a run of its own (pocketdet-run).")
    ] = False,
    retry: Annotated[
        int,
        typer.Option(
            metavar="N", help="Repeat an INVALID run up to N times, if the reason may pass (load, heat)."
        ),
    ] = 0,
    cpu: Annotated[
        int | None, typer.Option(help="Core to pin to; the last of the fastest by default.")
    ] = None,
    cool_down: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Pause between two bundles; 30 by default.")
    ] = None,
    device_name: Annotated[
        str | None, typer.Option(help="Name of the device in tables; its own name by default.")
    ] = None,
    engine: Annotated[
        Literal["ncnn", "torch"], typer.Option(help="torch: PyTorch on this machine, for comparison.")
    ] = "ncnn",
    device: Annotated[
        str, typer.Option(help="Where --engine torch runs: cpu, cuda or cuda:1 (Table 9's GPU column).")
    ] = "cpu",
    via: Annotated[
        Literal["shell", "app"], typer.Option(help="app: inside the camera app, installed on an adb device.")
    ] = "shell",
    runner: Annotated[
        Path | None, typer.Option(help="pocketdet-run for the target; what make native built by default.")
    ] = None,
    submit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the record of one bundle on one target for the project's table of results, "
            "without names of hosts and serial numbers (CONTRIBUTING.md).",
        ),
    ] = None,
) -> None:
    """Time bundles on a device: one stream, one thread, one pinned core, after a golden test there.

    1,024 frames or 60 s each, on the standard frames: drawn scenes on which a two-stage detector has as many
    RoIs as its bundle keeps, the same on every target. The record has every frame, stage by stage, with RoIs,
    cores, clocks, temperatures and load, and a verdict. Frames per second are shown for VALID runs on real
    devices only; an INVALID run has a reason (exit code 1); an emulated one proves results and has no time.

    Example: pocketdet bench snet49.pocketdet snet146.pocketdet --target adb --rois 10,50,100,200,500,1000
    """
    from dataclasses import replace

    from pocketdet.benchmarks.devices import BenchRequest, run_devices
    from pocketdet.benchmarks.plan import QUICK, BenchPlan
    from pocketdet.benchmarks.targets import parse_targets, through_app
    from pocketdet.cli.bench_display import ProgressDisplay, print_records

    base = QUICK if quick else BenchPlan()
    plan = replace(
        base,
        precision=precision,
        rois=_counts(rois),
        sustained_min=sustained,
        layers=layers,
        cpu=cpu,
        cool_down_s=base.cool_down_s if cool_down is None else cool_down,
        engine=engine,
        processor=device,
        device_name=device_name,
        images=(*(image or ()), *(image_files(images) if images else ())),
        retries=retry,
    )
    if runner is not None and not runner.is_file():
        raise UsageError(f"{runner}: there is no runner; build it with: make native native-aarch64")
    targets = parse_targets(target or ["local"])
    if via == "app":
        if runner is not None:
            raise UsageError(
                f"--runner {runner}: with --via app the app is the runner; leave one of them out"
            )
        if layers:
            raise UsageError("--layers: with --via app layers are not timed; leave one of them out")
        targets = through_app(targets)
    if submit is not None:
        _check_submit(submit, bundles, targets, plan)
    with contextlib.ExitStack() as stack:
        loaded = _load(bundles, optional_size(size), stack)
        for bundle in loaded:
            plan.check_bundle(bundle)
        _make_folder(out)
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pocketdet-bench-")))
        display = stack.enter_context(ProgressDisplay())
        request = BenchRequest(loaded, plan, out, runner)
        results = run_devices(targets, request, scratch, display.device)
    print_records(results.records, Console(highlight=False))
    for problem in results.problems:
        Console(stderr=True).print(f"error: {problem}", style="bold red", markup=False, soft_wrap=True)
    if results.problems:
        raise typer.Exit(2)
    if submit is not None:
        _write_submission(submit, results.records[0][1])
    if not all(_is_fine(record) for _, record in results.records):
        raise typer.Exit(1)


def _check_submit(file: Path, bundles: list[Path], targets: list[str], plan: "BenchPlan") -> None:
    """Refuse before the measurement what the registry would refuse after it."""
    from pocketdet.benchmarks.protocol import read_source

    if len(bundles) != 1 or len(targets) != 1:
        raise UsageError(f"--submit {file}: expected one bundle and one target, the file has one record")
    if file.suffix != ".json":
        raise UsageError(f"--submit {file}: expected a file name that ends in .json")
    if file.exists():
        raise UsageError(f"--submit {file}: exists already; records are never overwritten")
    for option, given in (("--quick", plan.quick), ("--image and --images", bool(plan.images))):
        if given:
            raise UsageError(f"--submit {file}: records are of the whole protocol; leave out {option}")
    if targets[0].startswith("emulated"):
        raise UsageError(f"--submit {file}: an emulated processor has no time; choose a real device")
    if read_source().changed:
        raise UsageError(
            f"--submit {file}: this checkout has changed files, which nobody else has; commit them first"
        )
    check_writable(file.parent)


def _write_submission(file: Path, record: "Record") -> None:
    from pocketdet.benchmarks.registry import write_submission

    write_submission(file, record)
    say = Console(highlight=False).print
    for line in (
        f"wrote {file}: put it into benchmarks/results and open a pull request (CONTRIBUTING.md)",
        "It has the model, chip, system and sensors of the device, the name of the bundle and every frame; "
        "no name of a host, no address, no serial number.",
    ):
        say(line, markup=False, soft_wrap=True)


def _is_fine(record: "Record") -> bool:
    """Whether the record is VALID, or proves results on an emulator, which has no speed."""
    return record.verdict.valid or record.verdict.proved


def _counts(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(",")) if text else ()
    except ValueError:
        raise UsageError(f"--rois {text}: expected numbers such as 10,50,100") from None


def _load(
    paths: list[Path], size: tuple[int, int] | None, stack: contextlib.ExitStack
) -> "tuple[Bundle, ...]":
    from pocketdet.runtime.bundle import load_bundle

    loaded: dict[str, Bundle] = {}
    for path in paths:
        require_bundle(path)
        bundle = stack.enter_context(load_bundle(path, size))
        if bundle.digest in loaded:
            raise UsageError(f"{path}: the same bundle as {loaded[bundle.digest].source}")
        loaded[bundle.digest] = bundle
    return tuple(loaded.values())


def _make_folder(out: Path) -> None:
    with os_errors(UsageError, f"{out}: cannot be made"):
        out.mkdir(parents=True, exist_ok=True)
    check_writable(out)
