"""`pocketdet export`: export weights or an ONNX file to a verified bundle."""

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from pocketdet.cli.arguments import (
    image_files,
    parse_size,
    read_names,
    require_accuracy_packages,
    require_export_packages,
    require_files,
)
from pocketdet.cli.describe import describe_model
from pocketdet.cli.user_code import is_module_target, reference_from_code
from pocketdet.errors import UsageError

if TYPE_CHECKING:
    from pocketdet.cli.val_data import OpenedSource
    from pocketdet.export.options import MetricLimit
    from pocketdet.export.reference.base import Reference


def export(
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A .safetensors checkpoint, a .pt/.pth state dict, a name in models/zoo, an .onnx file, or "
            "package.module:factory, code that makes a torch.nn.Module.",
        ),
    ],
    module_weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", help="For package.module:factory: a .pt, .pth or .safetensors state dict of it."
        ),
    ] = None,
    arch: Annotated[
        str | None, typer.Option(help="Architecture; not needed for a .safetensors that names its own.")
    ] = None,
    names: Annotated[Path | None, typer.Option(help="Text file with one class name per line.")] = None,
    outputs: Annotated[
        Path | None,
        typer.Option(
            help="For an .onnx file: a description of its outputs (docs/reference/description.md), "
            "or only the settings that differ from the recognised ones. For package.module:factory: the "
            "description of what the module returns."
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="For an .onnx file: the family of its head; by default it is recognised. "
            "pocketdet describe --families lists them."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the bundle; created if missing.")] = Path(),
    name: Annotated[
        str | None,
        typer.Option(help="Name of the bundle; by default the architecture, or the name of the .onnx file."),
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option(
            help="Network input, HEIGHTxWIDTH or one side; ThunderNet: multiples of 32; an .onnx file: if it "
            "leaves the size free."
        ),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE,SIZE,...",
            help="Instead of --input-size: several input sizes in one bundle, such as 320,256,416; the "
            "first is its default, --size of other commands chooses another. Weights are stored once.",
        ),
    ] = None,
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(
            help="Storage of the weights, and arithmetic of the layers on processors that support it."
        ),
    ] = "fp32",
    layers: Annotated[
        Path | None,
        typer.Option(
            help='TOML file with the precision of single layers: a table [layers] with lines "conv_3" = '
            '"fp32"; names of ncnn layers or PyTorch modules, or globs.'
        ),
    ] = None,
    calib: Annotated[
        Path | None,
        typer.Option(help="Folder of images like those that the detector will see, to measure ranges on."),
    ] = None,
    max_output_error: Annotated[
        float | None,
        typer.Option(
            help="int8: the largest error of a field of an output, such as 0.05; layers stay fp32 until it "
            "holds."
        ),
    ] = None,
    max_ap_drop: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS", help="int8: the largest loss of AP on --data; layers stay fp32 until it holds."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Annotated images for --max-ap-drop: a COCO json file, a Pascal VOC folder, a YOLO folder "
            "or data.yaml."
        ),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images of a COCO file.")] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Part of a folder of --data; the first of test, val, valid that exists by default."
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1, max=256, help="int8: processes that share the images of --calib and --data; same result."
        ),
    ] = 1,
    target: Annotated[
        Literal["neon-fp16", "neon-fp32", "avx2", "avx512", "none"],
        typer.Option(help="Machines that channels are aligned for; detections are the same on all machines."),
    ] = "neon-fp16",
    golden: Annotated[
        Path | None,
        typer.Option(
            help="Image for the golden test; by default one of --calib or a synthetic one on which the "
            "detector detects."
        ),
    ] = None,
    score: Annotated[
        float | None,
        typer.Option(
            help="Score threshold of the bundle, 0..1; by default the description's, and for weights 0.35 if "
            "their own, which AP is measured with, is lower."
        ),
    ] = None,
    per_class: Annotated[
        bool | None,
        typer.Option(
            "--per-class-nms/--class-agnostic-nms",
            help="Whether boxes only suppress those of their own class, or all that overlap, which leaves "
            "one label on an object; as the model has it by default.",
        ),
    ] = None,
    slim: Annotated[bool, typer.Option("--slim", help="Omit ONNX and PyTorch files, for a phone.")] = False,
    archive: Annotated[bool, typer.Option("--zip", help="Write one zip file instead of a folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle of that name.")] = False,
) -> None:
    """Fold batch norm, export to ONNX and ncnn, and write a bundle. Every step is verified.

    Each step is compared with PyTorch on two inputs. The export stops at the first step that changes the
    outputs (exit code 1), and leaves no files.

    With --precision fp16, weights take half the space, and phones with ARMv8.2 compute in half precision. A
    layer whose values or sums could exceed 65504 stays in fp32 (docs/explanation/precision.md).

    With --precision int8, convolutions and matrix products are quantized on the images of --calib (100 to 500
    like those that the detector will see), weights per channel; depthwise layers stay in fp32. The loss is
    printed, and for ARM what int8 gains on a Cortex-A76 and a Cortex-A55, predicted.

    An .onnx file of a one-stage detector is exported the same way; every step is then compared with
    onnxruntime. The head is recognised (YOLO, SSD, NanoDet and other families), and what was taken from where
    is printed. `pocketdet describe model.onnx` prints the description, to edit and to give as --outputs; a
    file with, for example, only a table [preprocessing] replaces only those settings.

    With --sizes, every step runs at each size, and each has its own golden test. An .onnx file must leave its
    size free; a module and its description must fit every size.

    With package.module:factory, the factory is imported from the current folder or the environment and called
    (your code runs); any module that torch.export accepts is exported like the detectors of pocketdet.

    Example: pocketdet export yolov8n.onnx

    Example: pocketdet export detectors.ssd:make --weights ssd.pt --outputs ssd.toml

    Example: pocketdet export thundernet-snet49-fod --sizes 320,256,416

    Example: pocketdet export snet49.pt --arch thundernet-snet49 --names labels.txt --out bundles
    """
    require_export_packages()
    from pocketdet.models.zoo import weights_file

    is_module = is_module_target(str(weights))
    if module_weights is not None and not is_module:
        raise UsageError(f"{weights}: --weights is for package.module:factory")
    is_onnx = not is_module and _is_onnx(weights, arch, outputs or preset)
    if not is_module:
        weights = weights_file(weights)
    require_files(None if is_module else weights, names, calib, golden)
    every_size = _sizes(input_size, sizes)
    labelled = labelled_images(max_ap_drop, data, images, split)
    console = Console(highlight=False)
    given = ModelArguments(weights, module_weights, arch, names, outputs, preset, is_module, is_onnx)
    (reference, card), *others = [read_model(given, size, console) for size in every_size]

    # from here on with torch, which takes seconds to import
    from pocketdet.export import ExportOptions
    from pocketdet.export.exporter import export_reference
    from pocketdet.export.precision import read_layer_file
    from pocketdet.export.quantization import QuantizeSettings
    from pocketdet.export.reference.base import DetectorReference
    from pocketdet.runtime.images import read_image

    if score is None and isinstance(reference, DetectorReference):
        score = display_threshold(reference)
    int8 = None
    if max_output_error is not None or workers > 1:
        int8 = QuantizeSettings(max_output_error=max_output_error, workers=workers)
    options = ExportOptions(
        name=name,
        precision=precision,
        layers=read_layer_file(layers) if layers else (),
        calibration=image_files(calib) if calib else (),
        int8=int8,
        metric_limit=metric_limit(max_ap_drop, labelled, reference.identity.class_names, workers),
        target=None if target == "none" else target,
        slim=slim,
        archive=archive,
        overwrite=overwrite,
        golden_image=read_image(golden) if golden else None,
        score_threshold=score,
        per_class=per_class,
    )
    with console.status("exporting") as status:

        def log(line: str) -> None:
            console.print(line, markup=False, soft_wrap=True)
            status.update(f"exporting: {line.split(' ', 1)[-1][:60]}")

        def progress(stage: str, done: int, total: int) -> None:
            status.update(f"exporting: int8 {stage} {done} of {total}")

        further = [other for other, _ in others]
        result = export_reference(
            reference, out, options, further=further, card=card, log=log, progress=progress
        )
    size = sum(f.size for f in result.manifest.files.values())
    passed = sum(check.proved for check in result.checks)
    facts = f"{size / 1e6:.1f} MB, {result.manifest.precision}, {passed} checks passed"
    if passed < len(result.checks):
        facts += f", {len(result.checks) - passed} not proved (nothing to compare)"
    console.print(f"\n{result.path}  {facts}", markup=False, soft_wrap=True)
    own = reference.score_threshold
    if score is not None and score > own:
        console.print(
            f"score threshold {score:g}; that of the model, {own:g}, remains in the golden test",
            soft_wrap=True,
        )
    is_int8 = result.manifest.layout.weight_storage == "int8"
    console.print(next_commands(result.path, is_int8=is_int8), markup=False, soft_wrap=True)


@dataclass(frozen=True)
class ModelArguments:
    """The arguments that name a model, as `export` has them."""

    weights: Path
    module_weights: Path | None
    arch: str | None
    names: Path | None
    outputs: Path | None
    preset: str | None
    is_module: bool
    is_onnx: bool


def read_model(
    given: ModelArguments, size: str | None, console: Console
) -> "tuple[Reference, dict[str, str]]":
    """The reference of a model at an input size, by default its own, and the card of its weights."""
    pixels = None if size is None else parse_size(size)
    weights, names = given.weights, given.names
    if given.is_module:
        unused = given.arch or given.preset
        return reference_from_code(
            str(weights), given.module_weights, given.outputs, names, pixels, unused
        ), {}
    if given.is_onnx:
        described = describe_model(weights, given.outputs, given.preset, names, size)
        for line in described.lines:
            console.print(line, markup=False, soft_wrap=True)
        from pocketdet.export.reference.factory import reference_from_onnx

        return reference_from_onnx(weights, described.description), {}
    class_names = read_names(names) if names else None
    from pocketdet.export.reference.factory import reference_of
    from pocketdet.models.checkpoint import load_detector, read_card

    model = load_detector(weights, arch=given.arch, class_names=class_names, input_size=pixels)
    return reference_of(model), read_card(weights)


def _sizes(input_size: str | None, sizes: str | None) -> "list[str] | list[None]":
    """The input sizes to export; None is the model's own."""
    if sizes is None and input_size is None:
        return [None]
    if sizes is not None and input_size is not None:
        raise UsageError("--input-size and --sizes: give one of them")
    texts = [input_size or ""] if sizes is None else sizes.split(",")
    for text in texts:
        parse_size(text)  # refuses what is no size before torch is imported
    return texts


def display_threshold(weights: "Reference") -> float:
    """The score threshold of a bundle of trained weights: theirs is low, because AP is measured with it."""
    from pocketdet.export.options import DISPLAY_THRESHOLD

    return max(DISPLAY_THRESHOLD, weights.score_threshold)


def _is_onnx(weights: Path, arch: str | None, described: Path | str | None) -> bool:
    """Whether `weights` is an ONNX file. Raises `UsageError` if the options do not match."""
    is_onnx = weights.suffix.lower() == ".onnx"
    if is_onnx and arch:
        raise UsageError(f"{weights}: --arch is for checkpoints; --preset names the family of an ONNX file")
    if described is not None and not is_onnx:
        raise UsageError(f"--outputs and --preset are for an .onnx file, and {weights} is not one")
    return is_onnx


def labelled_images(
    points: float | None, data: Path | None, images: Path | None, split: str | None
) -> "OpenedSource | None":
    """What --max-ap-drop is measured on. Raises `UsageError` if options are missing or not needed."""
    if points is None:
        if data or images or split:
            raise UsageError(
                "--data, --images and --split are what --max-ap-drop is measured on: give it, too"
            )
        return None
    if data is None:
        raise UsageError(
            "--max-ap-drop needs labelled images: --data FILE.json --images FOLDER (COCO), or --data FOLDER "
            "(Pascal VOC and YOLO)"
        )
    require_accuracy_packages()
    from pocketdet.cli.val_data import open_source

    return open_source(data, images, None, split)


def metric_limit(
    points: float | None, labelled: "OpenedSource | None", class_names: tuple[str, ...], workers: int
) -> "MetricLimit | None":
    """The limit on the AP that int8 may cost, if there is one, on images that are read and checked."""
    if points is None or labelled is None:
        return None
    from pocketdet.cli.val_data import read_evaluation_data
    from pocketdet.evaluation.evaluate import ap_limit, check_classes

    dataset = read_evaluation_data(labelled, class_names, progress=lambda title, total: lambda: None).dataset
    check_classes("the detector", class_names, str(labelled), dataset.class_names)
    return ap_limit(dataset, points, workers)


def next_commands(bundle: Path, *, is_int8: bool = False) -> str:
    """The likely next commands, to be pasted into the same shell."""
    program, path = shlex.quote(_program()), shlex.quote(str(bundle))
    commands = [
        f"verify {path} --layers",
        f"detect {path} photo.jpg      # or a folder, a video, a camera index",
        f"info {path}",
    ]
    if is_int8:
        cores = "--core a76 --core a55 --precision fp16"
        commands.append(f"cycles {path} {cores}      # modelled, after make arm-model")
    return "\nNext:\n" + "".join(f"  {program} {command}\n" for command in commands)


def _program() -> str:
    """The command that starts pocketdet in this shell: its name if it is on the path, else its file."""
    found = shutil.which("pocketdet")
    here = Path(sys.argv[0])
    if here.name != "pocketdet" or not here.exists() or (found and Path(found).samefile(here)):
        return "pocketdet"
    return os.path.relpath(here)
