"""`pocketdet info`: the contents and the cost of a bundle, a graph, a file or an architecture."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pocketdet.cli.arguments import (
    SIZE_HELP,
    optional_size,
    parse_shapes,
    require_bundle,
    require_export_packages,
    require_files,
)
from pocketdet.cli.info_macs import print_ablation, print_macs
from pocketdet.cli.info_onnx import onnx_card, print_onnx
from pocketdet.errors import UsageError

Record = dict[str, Any]


def info(
    target: Annotated[
        Path | None,
        typer.Argument(help="A bundle, an .onnx file, an ncnn .param file or .safetensors weights."),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            help="Input shape of a .param or .onnx file without one: 3x320x320 or in0=3x320x320; repeatable."
        ),
    ] = None,
    size: Annotated[str | None, typer.Option(help=SIZE_HELP + "; its first by default.")] = None,
    arch: Annotated[str | None, typer.Option(help="An architecture, with --macs.")] = None,
    macs: Annotated[
        bool, typer.Option("--macs", help="Table of MACs and parameters beside the figures of the papers.")
    ] = False,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="The cost of each part of ThunderNet, beside its Table 7.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show inputs, outputs, layers by type, multiply-accumulates (MACs), parameters, precision and hashes.

    A bundle is validated first, as before it runs. For an .onnx file, it shows the outputs, the inner tensors
    that a description can name, the metadata and the recognised family.

    Example: pocketdet info snet49.pocketdet

    Example: pocketdet info --arch thundernet-snet49 --macs
    """
    console = Console(highlight=False)
    if (macs or arch or ablation) and target:
        raise UsageError(f"--arch, --macs and --ablation describe an architecture; leave out {target}")
    if ablation:
        print_ablation(console, as_json=as_json)
        return
    if macs or arch:
        print_macs(arch, console, as_json=as_json)
        return
    if target is None:
        raise UsageError(
            "nothing to describe: name a bundle, a .param, .onnx or .safetensors file, or pass --macs"
        )
    card = _card(target, parse_shapes(shape or []), optional_size(size))
    if as_json:
        typer.echo(json.dumps(card, indent=2))
    elif target.suffix.lower() == ".onnx":
        print_onnx(card, console)
    else:
        _print_card(card, console)


def _card(target: Path, shapes: dict[str, tuple[int, ...]], size: tuple[int, int] | None) -> Record:
    from pocketdet.cli.info_cards import bundle_card, param_card, weights_card
    from pocketdet.runtime.bundle import load_bundle

    if size is not None and target.suffix.lower() in (".onnx", ".param", ".safetensors"):
        raise UsageError(f"--size is for bundles; {target} is not one")
    if target.suffix.lower() == ".onnx":
        require_export_packages()
        require_files(target)
        return onnx_card(target, shapes)
    if shapes and target.suffix != ".param":
        raise UsageError(f"--shape is for .param and .onnx files; {target} is not one")
    if target.suffix == ".param":
        return param_card(target, shapes)
    if target.suffix == ".safetensors":
        return weights_card(target)
    require_bundle(target)
    with load_bundle(target, size) as bundle:
        return bundle_card(bundle)


def _print_card(card: Record, console: Console) -> None:
    table = Table(title=f"{card['kind']} {escape(card['path'])}", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in card.items():
        if key not in ("kind", "path", "graphs", "files", "inputs", "outputs", "layers_by_type"):
            table.add_row(key.replace("_", " "), escape(_value(key, value)))
    console.print(table)
    for graph in card.get("graphs", [card] if "layers_by_type" in card else []):
        _print_graph(graph, console)
    if "files" in card:
        table = Table("file", title="files", title_justify="left")
        table.add_column("bytes", justify="right")
        table.add_column("SHA-256", no_wrap=True)
        for name, entry in card["files"].items():
            table.add_row(escape(name), f"{entry['size']:,}", f"{entry['sha256'][:16]}...")
        console.print(table)


def _print_graph(graph: Record, console: Console) -> None:
    name = escape(graph.get("name", "graph"))
    table = Table("", "blob", "role", "shape", title=f"{name}: inputs and outputs", title_justify="left")
    for kind in ("inputs", "outputs"):
        for blob in graph[kind]:
            table.add_row(kind[:-1], escape(blob["blob"]), blob["role"] or "-", _shape(blob["shape"]))
    console.print(table)
    table = Table("type", title=f"{name}: {graph['layers']} layers", title_justify="left")
    for column in ("count", "MACs", "parameters"):
        table.add_column(column, justify="right")
    for row in graph["layers_by_type"]:
        table.add_row(row["type"], str(row["count"]), _number(row["macs"]), _number(row["parameters"]))
    total = "[bold]all[/]", str(graph["layers"]), _number(graph["macs"]), _number(graph["parameters"])
    table.add_row(*total)
    console.print(table)
    if graph["kept_in_fp32"]:
        kept = ", ".join(graph["kept_in_fp32"])
        console.print(f"kept in fp32 under half precision: {kept}", markup=False, soft_wrap=True)
    if graph["macs"] is None:
        console.print("MACs need every input's shape: pass --shape 3x320x320", style="yellow")


def _value(key: str, value: object) -> str:
    if key == "classes" and isinstance(value, list):
        shown = ", ".join(map(str, value[:12])) + (", ..." if len(value) > 12 else "")
        return f"{len(value)}: {shown}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items()) or "-"
    if isinstance(value, list):
        words = [str(item) for item in value]
        return ("; " if any(", " in word for word in words) else ", ").join(words) or "-"
    return _number(value) if isinstance(value, int) or value is None else str(value)


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _shape(shape: list[int] | None) -> str:
    return "unknown" if shape is None else " x ".join(map(str, shape))
