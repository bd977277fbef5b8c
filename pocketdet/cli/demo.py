"""`pocketdet demo`: the main job from weights to boxes, on one picture, with everything proved and timed."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

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
    from pocketdet.benchmarks.stage_times import measure_stages, stage_table
    from pocketdet.cli.detect_report import detection_table
    from pocketdet.cli.export import next_commands
    from pocketdet.cli.verify import print_report
    from pocketdet.errors import CheckFailed
    from pocketdet.export import ExportOptions, export_detector, verify
    from pocketdet.models.config import DetectorConfig
    from pocketdet.models.init import seeded_detector
    from pocketdet.runtime.detector import Detector
    from pocketdet.runtime.draw import draw_detections
    from pocketdet.runtime.images import read_image, write_image
    from pocketdet.runtime.options import DetectorOptions

    console = Console(highlight=False)
    picture = read_image(image)
    console.rule("1  weights")
    names = tuple(f"class {i}" for i in range(1, CLASSES + 1))
    model = seeded_detector(DetectorConfig(arch, names), SEED)
    console.print(
        f"No trained weights ship yet: {arch} runs with random ones (seed {SEED}), so its boxes are "
        "real computations that mean nothing.",
        style="yellow",
    )
    console.rule("2  export: fold, ONNX, ncnn, bundle")
    options = ExportOptions(overwrite=True, golden_image=picture)
    with console.status("exporting"):
        result = export_detector(
            model, out, options, log=lambda line: console.print(line, markup=False, soft_wrap=True)
        )
    console.rule("3  verify: PyTorch against ONNX against ncnn")
    report = verify(result.path)
    print_report(report, console)
    if not report.ok:
        raise CheckFailed(f"{result.path} does not verify")
    console.rule("4  detect")
    with Detector(result.path, DetectorOptions(score_threshold=SHOWN_SCORE)) as detector:
        found = detector.detect(picture)
        annotated = out / "detections.jpg"
        write_image(annotated, draw_detections(picture, found))
        console.print(detection_table(found))
        console.print(f"wrote {annotated}", markup=False)
        console.rule("5  time, one thread")
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("timing", total=FRAMES + 20)
            times = measure_stages(detector, picture, FRAMES, progress=lambda: progress.advance(task))
    console.print(stage_table(times, f"{arch}, ncnn, 1 thread, {FRAMES} frames"))
    console.print(f"{times.fps:.1f} fps on this machine (1000 / median total)")
    console.print(next_commands(result.path), markup=False, soft_wrap=True)
