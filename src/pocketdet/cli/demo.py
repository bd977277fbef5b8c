"""`pocketdet demo`: export, verification, detection and timing of a detector on one image."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import Progress

from pocketdet.cli.arguments import parse_size, require_export_packages
from pocketdet.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pocketdet.export import ExportOptions
    from pocketdet.models.build import AnyDetector
    from pocketdet.runtime.detector import Detector

SEED = 7
FRAMES, SECONDS = 100, 30.0  # limits of the timed run; at least five frames


def demo(
    image: Annotated[Path, typer.Option(help="An image file.")],
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("demo"),
    weights: Annotated[
        Path | None, typer.Option(help="A .safetensors checkpoint, or the name of zoo weights.")
    ] = None,
    arch: Annotated[
        str | None, typer.Option(help="Architecture with random weights, to time instead of --weights.")
    ] = None,
    input_size: Annotated[
        str, typer.Option(help="Network input of --arch, HEIGHTxWIDTH or one side.")
    ] = "320",
    classes: Annotated[
        int, typer.Option(min=1, max=1000, help="Classes of --arch; 20 as in Pascal VOC, COCO has 80.")
    ] = 20,
    target: Annotated[
        Literal["neon-fp16", "neon-fp32", "avx2", "avx512", "none"],
        typer.Option(help="Target of channel alignment, as in export."),
    ] = "neon-fp16",
    score: Annotated[
        float | None, typer.Option(help="Score threshold, 0..1; the bundle's by default.")
    ] = None,
) -> None:
    """Export a detector to a bundle, verify it against PyTorch, detect on an image and time each stage.

    Example: pocketdet demo --image photo.jpg
    """
    require_export_packages()
    from pocketdet.cli.export import display_threshold, next_commands
    from pocketdet.export import ExportOptions
    from pocketdet.export.reference.factory import reference_of
    from pocketdet.runtime.detector import Detector
    from pocketdet.runtime.images import read_image

    if arch and weights:
        raise UsageError(f"--arch uses random weights: remove --weights {weights}")
    console = Console(highlight=False)
    pixels = read_image(image)
    console.rule("1  weights")
    if arch:
        model, card = _random(arch, parse_size(input_size), classes, console), dict[str, str]()
    else:
        model, card = _trained(weights, console)
    console.rule("2  export: fold, ONNX, ncnn, bundle")
    options = ExportOptions(
        overwrite=True,
        golden_image=pixels,
        target=None if target == "none" else target,
        score_threshold=None if arch else display_threshold(reference_of(model)),
        per_class=None if arch else False,  # one label on an object
    )
    bundle = _export(model, card, out, options, console)
    console.rule("3  verify: PyTorch against ONNX against ncnn")
    _verify(bundle, console)
    with Detector(bundle, score_threshold=score) as detector:
        console.rule("4  detect")
        _detect(detector, pixels, out / "detections.jpg", console)
        console.rule("5  time, one thread")
        _time(detector, pixels, console)
    console.print(next_commands(bundle), markup=False, soft_wrap=True)


def _trained(weights: Path | None, console: Console) -> tuple["AnyDetector", dict[str, str]]:
    from pocketdet.models.build import config_of
    from pocketdet.models.checkpoint import load_detector, read_card
    from pocketdet.models.zoo import FOD, weights_file

    file = weights_file(weights or Path(FOD))
    model, card = load_detector(file), read_card(file)
    config = config_of(model)
    names = config.class_names
    console.print(f"{file.stem}: {config.arch}, {len(names)} classes: {', '.join(names)}", markup=False)
    for key in ("data", "accuracy"):
        if key in card:
            console.print(f"{key}: {card[key]}", markup=False)
    return model, card


def _random(arch: str, size: tuple[int, int], classes: int, console: Console) -> "AnyDetector":
    from pocketdet.models.random_init import random_detector

    names = tuple(f"class {i}" for i in range(1, classes + 1))
    console.print(
        f"{arch} with random weights (seed {SEED}): times are valid, detections are not", style="yellow"
    )
    return random_detector(arch, names, size, SEED)


def _export(
    model: "AnyDetector", card: dict[str, str], out: Path, options: "ExportOptions", console: Console
) -> Path:
    from pocketdet.export import export_detector

    with console.status("exporting"):
        result = export_detector(
            model, out, options, card=card, log=lambda line: console.print(line, markup=False, soft_wrap=True)
        )
    return result.path


def _verify(bundle: Path, console: Console) -> None:
    from pocketdet.cli.verify import print_report
    from pocketdet.errors import CheckFailed
    from pocketdet.export import verify

    report = verify(bundle)
    print_report(report, console)
    if not report.ok:
        raise CheckFailed(f"{bundle} does not verify")


def _detect(detector: "Detector", image: "NDArray[Any]", annotated: Path, console: Console) -> None:
    from pocketdet.cli.detect_report import detection_table
    from pocketdet.runtime.images import write_image

    found = detector.detect(image)
    write_image(annotated, found.draw(image))
    console.print(detection_table(found))
    console.print(f"scores above {detector.score_threshold:g}; --score sets another threshold", markup=False)
    console.print(f"wrote {annotated}", markup=False)


def _time(detector: "Detector", image: "NDArray[Any]", console: Console) -> None:
    from pocketdet.benchmarks.stage_times import count_rois, measure_stages, speed_line, stage_table

    one = detector.detect(image).total_milliseconds / 1e3
    frames = max(5, min(FRAMES, int(SECONDS / one)))
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("timing", total=None)
        times = measure_stages(
            detector, image, frames, warm_up=frames // 5, progress=lambda: progress.advance(task)
        )
    arch = detector.bundle.manifest.architecture
    console.print(stage_table(times, f"{arch}, {detector.engine_name}, 1 thread, {frames} frames"))
    rois = count_rois(detector, image)
    console.print(speed_line(times, rois))
