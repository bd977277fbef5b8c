"""`pocketdet describe`: the description of an ONNX file's outputs as TOML, from the family of its head."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketdet.cli.arguments import parse_size, read_names, require_export_packages, require_files
from pocketdet.errors import UsageError

if TYPE_CHECKING:
    from pocketdet.export.families.recognise import Described


def describe(
    model: Annotated[Path | None, typer.Argument(help="An .onnx file.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="Family of the head; by default it is recognised. See --families.")
    ] = None,
    outputs: Annotated[
        Path | None, typer.Option(help="TOML or JSON with settings that differ from the recognised ones.")
    ] = None,
    names: Annotated[Path | None, typer.Option(help="Text file with one class name per line.")] = None,
    input_size: Annotated[
        str | None, typer.Option(help="Network input, HEIGHTxWIDTH or one side, if the file leaves it free.")
    ] = None,
    families: Annotated[bool, typer.Option("--families", help="List the families of heads.")] = False,
) -> None:
    """Print the description of an ONNX detector as TOML, to read or to edit.

    The comments at the top say what was recognised and from where, and which settings are the preset's since
    no file contains them (preprocessing, thresholds).

    `pocketdet export` takes the edited file as --outputs; without an edit, the bundle is the same as that of
    `pocketdet export model.onnx` alone.

    Example: pocketdet describe yolov8n.onnx > yolov8n.toml

    Example: pocketdet export yolov8n.onnx --outputs yolov8n.toml
    """
    require_export_packages()
    if families:
        from pocketdet.export.families import FAMILIES

        width = max(len(family.name) for family in FAMILIES)
        for family in FAMILIES:
            typer.echo(f"{family.name:{width}}  {family.title}")
        return
    if model is None:
        raise UsageError("nothing to describe: name an .onnx file, or pass --families")
    found = describe_model(model, outputs, preset, names, input_size)
    from pocketdet.export.reference.description import description_toml

    typer.echo(description_toml(found.description, (model.name, *found.lines)), nl=False)


def describe_model(
    model: Path, outputs: Path | None, preset: str | None, names: Path | None, input_size: str | None
) -> "Described":
    """Describe an ONNX file as the options of a command say. Raises `UsageError`."""
    require_files(model, outputs, names)
    class_names = read_names(names) if names else None
    size = None if input_size is None else parse_size(input_size)
    from pocketdet.export.families.base import FamilyOptions
    from pocketdet.export.families.recognise import describe_file

    return describe_file(model, outputs, preset, FamilyOptions(class_names, size))
