"""Modelled cycles of the layers of a detector and of its int8 copy, of which the rates of int8 are made.

The int8 copy of a bundle has all layers in int8 that an export could quantize, with scales that are not
calibrated: time does not depend on them.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from pocketdet.armmodel.cores import Core
from pocketdet.armmodel.instrument import Instrument
from pocketdet.armmodel.modelled import model
from pocketdet.armmodel.subject import BundleSubject
from pocketdet.errors import UsageError
from pocketdet.export.quantization.layers import INT8_TYPES, exclusion_reason, input_scale, weight_scales
from pocketdet.export.quantization.table import LayerScales, numbers, rewrite
from pocketdet.export.write_bundle import write_manifest
from pocketdet.io import atomic_write
from pocketdet.runtime.bundle import Bundle, hash_file, load_bundle
from pocketdet.runtime.ncnn_graph import Graph, Shape, infer_shapes, read_graph, write_graph

LARGEST_INPUT: Final = 4.0  # of every int8 layer of a copy

Cycles = dict[str, float]
"""Modelled cycles by layer, "graph/layer"."""

_CYCLES: Final = TypeAdapter(Cycles)


def int8_copy(graph: Graph, shapes: Mapping[str, Shape]) -> Graph:
    """Quantize all layers that an export could quantize, with scales that are not calibrated."""
    choices = [
        LayerScales(
            name=layer.name,
            type=layer.type,
            input_scale=None if layer.type == "Gemm" else input_scale(LARGEST_INPUT),
            weight_scales=numbers(weight_scales(layer)),
        )
        for layer in graph.layers
        if layer.type in INT8_TYPES and not exclusion_reason(layer, shapes[layer.inputs[0]], depthwise=False)
    ]
    return rewrite(graph, choices)


def write_int8_copy(bundle: Bundle, folder: Path) -> None:
    """Write the int8 copy of an fp32 bundle into an empty folder."""
    for name in bundle.manifest.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.path(name), folder / name)
    for spec in bundle.manifest.graphs.by_name().values():
        graph = read_graph(folder / spec.param, folder / spec.bin)
        shapes = infer_shapes(graph, spec.input_shapes(bundle.manifest.max_rois))
        write_graph(int8_copy(graph, shapes), folder / spec.param, folder / spec.bin)
    layout = bundle.manifest.layout.model_copy(update={"weight_storage": "int8"})
    write_manifest(
        folder, lambda files: bundle.manifest.model_copy(update={"files": files, "layout": layout})
    )


def layer_cycles(
    bundle: Bundle, arithmetic: str, cores: Sequence[Core], instrument: Instrument, kept: Path
) -> dict[str, Cycles]:
    """Model the layers of a detector, or read what an earlier call has kept.

    Args:
        bundle: The detector.
        arithmetic: What ncnn computes in, but for layers in int8.
        cores: The cores.
        instrument: The programs that model.
        kept: A folder that keeps the result of each core.

    Returns:
        By core, the cycles of each layer.

    Raises:
        UsageError: If the head has fewer RoIs on the golden image than the bundle keeps.
        PocketdetError: If a program fails.
    """
    runner = hash_file(instrument.runner).sha256
    made_of = hashlib.sha256(f"{bundle.digest} {arithmetic} {runner}".encode()).hexdigest()[:16]
    files = {core: kept / f"{bundle.manifest.name}.{made_of}.{core.name}.json" for core in cores}
    found = {core.name: cycles for core, file in files.items() if (cycles := _read(file)) is not None}
    missing = [core for core in cores if core.name not in found]
    for one in model(BundleSubject(bundle, arithmetic), missing, instrument):
        if 0 < one.rois < bundle.manifest.max_rois:
            raise UsageError(
                f"{bundle.source}: expected {bundle.manifest.max_rois} RoIs on its golden image, found "
                f"{one.rois}; export it with --golden and a photo that it detects on"
            )
        cycles = {f"{layer.stage}/{layer.facts.name}": layer.figures.cycles for layer in one.layers}
        found[one.core.name] = cycles
        atomic_write(files[one.core], _CYCLES.dump_json(cycles, indent=1).decode() + "\n")
    return found


def _read(file: Path) -> Cycles | None:
    try:
        return _CYCLES.validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def int8_copy_cycles(
    bundle: Bundle, arithmetics: Sequence[str], cores: Sequence[Core], instrument: Instrument, kept: Path
) -> dict[str, dict[str, Cycles]]:
    """Model the int8 copy of a bundle, by arithmetic of its other layers and by core, as `layer_cycles`."""
    with tempfile.TemporaryDirectory(prefix="pocketdet-int8-") as name:
        write_int8_copy(bundle, Path(name))
        with load_bundle(name) as copy:
            return {one: layer_cycles(copy, one, cores, instrument, kept) for one in arithmetics}
