"""`pocketdet demo`: the main job from weights to boxes, on one picture, with everything proved and timed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from pocketdet.cli.arguments import require_export_packages

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pocketdet.models.thundernet import ThunderNet
    from pocketdet.runtime.detector import Detector

SEED = 7
CLASSES = 20  # as many as Pascal VOC has
FRAMES = 100
SHOWN_SCORE = 0.5


def demo(
    image: Annotated[Path, typer.Option(help="Any picture.")],
    out: Annotated[Path, typer.Option(help="Folder for what is written.")] = Path("demo"),
    arch: Annotated[str, typer.Option(help="Architecture.")] = "thundernet-snet49",
) -> None:
    """Export a detector to a bundle, verify it against PyTorch, detect on a picture and time every stage.

    Example: pocketdet demo --image photo.jpg
    """
    require_export_packages()
    from pocketdet.cli.export import next_commands
    from pocketdet.runtime.detector import Detector
    from pocketdet.runtime.images import read_image
    from pocketdet.runtime.options import DetectorOptions

    console = Console(highlight=False)
    picture = read_image(image)
    console.rule("1  weights")
    model = _weights(arch, console)
    console.rule("2  export: fold, ONNX, ncnn, bundle")
    bundle = _export(model, picture, out, console)
    console.rule("3  verify: PyTorch against ONNX against ncnn")
    _verify(bundle, console)
    with Detector(bundle, DetectorOptions(score_threshold=SHOWN_SCORE)) as detector:
        console.rule("4  detect")
        _detect(detector, picture, out / "detections.jpg", console)
        console.rule("5  time, one thread")
        _time(detector, picture, f"{arch}, ncnn, 1 thread, {FRAMES} frames", console)
    console.print(next_commands(bundle), markup=False, soft_wrap=True)


def _weights(arch: str, console: Console) -> "ThunderNet":
    from pocketdet.models.config import DetectorConfig
    from pocketdet.models.init import seeded_detector

    names = tuple(f"class {i}" for i in range(1, CLASSES + 1))
    model = seeded_detector(DetectorConfig(arch, names), SEED)
    console.print(
        f"No trained weights ship yet: {arch} runs with random ones (seed {SEED}), so its boxes are real "
        "computations that mean nothing.",
        style="yellow",
    )
    return model


def _export(model: "ThunderNet", picture: "NDArray[Any]", out: Path, console: Console) -> Path:
    from pocketdet.export import ExportOptions, export_detector

    options = ExportOptions(overwrite=True, golden_image=picture)
    with console.status("exporting"):
        result = export_detector(
            model, out, options, log=lambda line: console.print(line, markup=False, soft_wrap=True)
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


def _detect(detector: "Detector", picture: "NDArray[Any]", annotated: Path, console: Console) -> None:
    from pocketdet.cli.detect_report import detection_table
    from pocketdet.runtime.draw import draw_detections
    from pocketdet.runtime.images import write_image

    found = detector.detect(picture)
    write_image(annotated, draw_detections(picture, found))
    console.print(detection_table(found))
    console.print(f"wrote {annotated}", markup=False)


def _time(detector: "Detector", picture: "NDArray[Any]", title: str, console: Console) -> None:
    from pocketdet.benchmarks.stage_times import measure_stages, stage_table

    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("timing", total=None)
        times = measure_stages(detector, picture, FRAMES, progress=lambda: progress.advance(task))
    console.print(stage_table(times, title))
    console.print(f"{times.fps:.1f} fps on this machine (1000 / median total)")
