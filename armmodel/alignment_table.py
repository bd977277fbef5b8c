"""What channel alignment is worth on ARM cores: modelled cycles of networks as they come and aligned.

    python -m pocketdet.armmodel.alignment_table --bundles FOLDER [--networks FOLDER] [--page PAGE]

The networks are the features of the three ThunderNets, whose bundles are kept in the first folder, and
nanodet-m and shufflenet_v2 of ncnn's benchmark, whose .param files are in the second. Both forms have weights
of zero, compute in half precision and run ncnn's kernels alone. The table goes to standard output, or into a
page.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from pocketdet.armmodel.alignment import AlignmentCycles, PairCycles
from pocketdet.armmodel.cores import CORES
from pocketdet.armmodel.detectors import BACKBONES, make_bundle
from pocketdet.armmodel.instrument import find_instrument
from pocketdet.armmodel.page import table_parser, write_table
from pocketdet.benchmarks.predict.published import INPUTS
from pocketdet.export.align_graph import align_graph
from pocketdet.export.passes.channel_alignment import DEFAULT_TARGET, alignment_target
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.ncnn_graph import Graph, Shape, encode, infer_shapes, read_graph, weight_slots

SECTION: Final = "alignment"
PUBLISHED: Final = ("nanodet_m", "shufflenet_v2")
PRECISION: Final = "fp16"  # the arithmetic of the target
_CORES: Final = (CORES["cortex-a76"], CORES["cortex-a55"])
_HEAD: Final = ("network", "core", "plain, M cycles", "aligned, M cycles", "plain : aligned")

Network = tuple[str, Graph, Mapping[str, Shape]]
"""A name, a graph as it comes, and the shapes of its inputs."""


def backbones(bundles: Path) -> Iterator[Network]:
    """The features of the ThunderNets as pnnx converts them. Raises `PocketdetError` if an export fails."""
    for arch in BACKBONES:
        with load_bundle(make_bundle(arch, bundles, target=None)) as bundle:
            spec = bundle.manifest.graphs.by_name()["features"]
            graph = read_graph(bundle.path(spec.param), bundle.path(spec.bin))
            yield f"{arch}, features", graph, spec.input_shapes(1)


def published(folder: Path) -> Iterator[Network]:
    """Networks of ncnn's benchmark. Raises `GraphError` for a file that is missing or damaged."""
    for name in PUBLISHED:
        graph = with_zero_weights(read_graph(folder / f"{name}.param"))
        given = dict.fromkeys(graph.input_names(), INPUTS[name]) if name in INPUTS else {}
        shapes = infer_shapes(graph, given, partial=True)
        yield name, graph, {blob: shapes[blob] for blob in graph.input_names()}


def with_zero_weights(graph: Graph) -> Graph:
    """Give a graph that was read without its .bin file weights of zero, in place."""
    for layer in graph.layers:
        for slot in weight_slots(layer):
            zeros = np.zeros(slot.shape, np.float32)
            layer.weights[slot.role] = encode(zeros, "fp32" if slot.tagged else "raw")
    graph.structure_only = False
    return graph


def pairs(network: Network, models: Sequence[AlignmentCycles]) -> Iterator[PairCycles]:
    """Align a network for the target and model both forms on each core. Raises `PocketdetError`."""
    _, graph, inputs = network
    aligned = align_graph(graph, inputs, alignment_target(DEFAULT_TARGET)).graph
    for one in models:
        yield one.pair(graph, aligned, inputs)


def row(name: str, pair: PairCycles) -> list[str]:
    """The cells of one network on one core."""
    ratio = f"{pair.plain / pair.aligned:.2f}"
    return [name, pair.core, f"{pair.plain / 1e6:.1f}", f"{pair.aligned / 1e6:.1f}", ratio]


def _rows(bundles: Path, folder: Path | None) -> Iterator[list[str]]:
    instrument = find_instrument()
    models = [AlignmentCycles(instrument, core, PRECISION) for core in _CORES]
    for network in [*backbones(bundles), *(published(folder) if folder else ())]:
        for pair in pairs(network, models):
            yield row(network[0], pair)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table.

    Args:
        arguments: The command line; `None` for that of the process.

    Returns:
        The exit code; a `PocketdetError` is written as one sentence.
    """
    parser = table_parser(__doc__, SECTION)
    parser.add_argument("--networks", type=Path, help="folder with the .param files of ncnn's benchmark")
    chosen = parser.parse_args(arguments)
    return write_table(chosen.page, SECTION, _HEAD, _rows(chosen.bundles, chosen.networks))


if __name__ == "__main__":
    sys.exit(main())
