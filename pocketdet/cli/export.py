"""`pocketdet export`: weights in, a proved bundle out."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from pocketdet.cli.arguments import parse_size, picture_files, read_names, require_export_packages


def export(
    weights: Annotated[
        Path,
        typer.Argument(help="A .safetensors checkpoint, a .pt/.pth state dict, or a name in models/zoo."),
    ],
    arch: Annotated[
        str | None, typer.Option(help="Architecture; not needed for a .safetensors that names its own.")
    ] = None,
    names: Annotated[Path | None, typer.Option(help="Text file with one class name a line.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the bundle; made if missing.")] = Path(),
    name: Annotated[str | None, typer.Option(help="Name of the bundle, by default the architecture.")] = None,
    input_size: Annotated[
        str | None, typer.Option(help="Network input, HEIGHTxWIDTH or one side, multiples of 32.")
    ] = None,
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(help="What weights are stored in and layers compute in where the processor can."),
    ] = "fp32",
    layers: Annotated[
        Path | None,
        typer.Option(
            help='TOML file with another precision for single layers: a table [layers] of lines "conv_3" = '
            '"fp32"; names of ncnn layers or PyTorch modules, or globs.'
        ),
    ] = None,
    calib: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures such as the detector will see, to measure ranges on."),
    ] = None,
    target: Annotated[
        Literal["neon-fp16", "neon-fp32", "avx2", "avx512", "none"],
        typer.Option(help="Machines whose SIMD lanes channels are laid out for; answers stay, everywhere."),
    ] = "neon-fp16",
    golden: Annotated[
        Path | None, typer.Option(help="Picture for the bundle's self-test; a synthetic one by default.")
    ] = None,
    slim: Annotated[
        bool, typer.Option("--slim", help="Leave out ONNX and PyTorch files, for a phone.")
    ] = False,
    archive: Annotated[bool, typer.Option("--zip", help="Write one zip file instead of a folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle of that name.")] = False,
) -> None:
    """Fold batch norm, export to ONNX and ncnn, and write a bundle that is proved at every step.

    Each step is compared with PyTorch on two inputs; the export stops at the first that changed the answers
    (exit code 1). Nothing is left behind unless everything held.

    With --precision fp16, weights take half the room, and phones with ARMv8.2 compute in half precision. A
    layer whose values or sums could exceed 65504 stays in fp32 by itself; docs/PRECISION.md says how.

    Example: pocketdet export snet49.pt --arch thundernet-snet49 --names labels.txt --out bundles
    """
    require_export_packages()
    from pocketdet.export import ExportOptions, export_detector
    from pocketdet.export.precision import read_layer_file
    from pocketdet.models.checkpoint import load_checkpoint, read_card
    from pocketdet.models.zoo import weights_file
    from pocketdet.runtime.images import read_image

    console = Console(highlight=False)
    weights = weights_file(weights)
    model = load_checkpoint(
        weights,
        arch=arch,
        class_names=read_names(names) if names else None,
        input_size=parse_size(input_size) if input_size else None,
    )
    options = ExportOptions(
        name=name,
        precision=precision,
        layers=read_layer_file(layers) if layers else (),
        calibration=picture_files(calib) if calib else (),
        target=None if target == "none" else target,
        slim=slim,
        archive=archive,
        overwrite=overwrite,
        golden_image=read_image(golden) if golden else None,
    )
    with console.status("exporting") as status:

        def log(line: str) -> None:
            console.print(line, markup=False, soft_wrap=True)
            status.update(f"exporting: {line.split(' ', 1)[-1][:60]}")

        result = export_detector(model, out, options, card=read_card(weights), log=log)
    size = sum(f.size for f in result.manifest.files.values())
    facts = f"{size / 1e6:.1f} MB, {result.manifest.precision}, {len(result.checks)} checks passed"
    console.print(f"\n{result.path}  {facts}", markup=False, soft_wrap=True)
    console.print(next_commands(result.path), markup=False, soft_wrap=True)


def next_commands(bundle: Path) -> str:
    """What a user is likely to want now, ready to be pasted into the same shell."""
    program, path = shlex.quote(_program()), shlex.quote(str(bundle))
    return (
        "\nNext:\n"
        f"  {program} verify {path} --layers\n"
        f"  {program} detect {path} photo.jpg      # or a folder, a video, a camera index\n"
        f"  {program} info {path}\n"
    )


def _program() -> str:
    """How this shell starts pocketdet: by name where it is on the path, else by its file."""
    found = shutil.which("pocketdet")
    here = Path(sys.argv[0])
    if here.name != "pocketdet" or (found and Path(found).samefile(here)):
        return "pocketdet"
    return os.path.relpath(here)
