"""Fit the cost models of channel alignment to modelled cycles of ncnn's kernels over channel counts.

    python -m pocketdet.armmodel.alignment_rates [--core cortex-a76] [--out FILE]

Chains of layers on channels that ncnn packs by 8, by 4 and not at all are modelled on one core. Each rate is
the median, over all layers that it prices, of their cycles per unit of work (`cost.layer_work`). Nothing is
measured.
"""

import argparse
import itertools
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from pocketdet.armmodel.alignment import model_graph
from pocketdet.armmodel.cores import Core, find_cores
from pocketdet.armmodel.instrument import Instrument, find_instrument
from pocketdet.errors import error_exit_code
from pocketdet.export.passes.channel_alignment.cost import NEON_RATES, Work, layer_work
from pocketdet.io import atomic_write
from pocketdet.runtime.ncnn_graph import Graph, Layer, ParamValue, Shape, infer_shapes

TARGETS: Final = {"neon-fp32": ("fp32", 4), "neon-fp16": ("fp16", 8)}
"""Target -> the arithmetic, and the most channels that ncnn packs in it."""

CHANNELS: Final = (64, 128)
SIDE: Final = 20  # pixels, as in stage 3 of a network at 320 pixels


class Chain:
    """Layers one after the other, from a convolution that keeps the shape of the input.

    That one converts the input, so its cycles are left out.

    Args:
        shape: Shape of the input.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.layers = [Layer("Input", "in0", [], ["in0"])]
        self._end = ["in0"]
        self.convolve(shape[0], shape[0], 1)

    def add(self, kind: str, params: dict[int, ParamValue], outputs: int = 1) -> None:
        """Add a layer that reads all outputs of the one before."""
        name = f"{kind.lower()}_{len(self.layers)}"
        blobs = [f"{name}.{i}" for i in range(outputs)]
        self.layers.append(Layer(kind, name, self._end, blobs, params))
        self._end = blobs

    def convolve(self, channels: int, out: int, kernel: int, *, group: int = 1, stride: int = 1) -> None:
        """Add a convolution with bias and padding."""
        params: dict[int, ParamValue] = {0: out, 1: kernel, 3: stride, 4: kernel // 2, 5: 1}
        params[6] = kernel**2 * channels * out // group
        self.add(
            "Convolution" if group == 1 else "ConvolutionDepthWise",
            params | ({7: group} if group > 1 else {}),
        )


def layer_chain(channels: int, side: int) -> Chain:
    """Make a chain of every kind of layer that depends on how its channels are packed."""
    chain = Chain((channels, side, side))
    for kernel in (3, 5):
        chain.convolve(channels, channels, kernel, group=channels)
    chain.add("Pooling", {0: 0, 1: 3, 2: 1, 3: 1, 5: 1})
    chain.add("ReLU", {})
    chain.add("ShuffleChannel", {0: 2})
    chain.add("Slice", {0: (-233, -233)}, 2)
    chain.add("Concat", {0: 0})
    chain.add("Interp", {0: 2, 1: 2.0, 2: 2.0})
    for kernel in (3, 5):
        chain.convolve(channels, channels, kernel, group=channels, stride=2)
    return chain


def product_chain(channels: int, side: int, kernel: int) -> Chain:
    """Make a chain of dense convolutions between channels packed by 8, by 4 and not at all, in all pairs."""
    by_8, by_4, odd = channels, channels - 4, channels - 6
    chain = Chain((by_8, side, side))
    widths = (by_8, by_8, by_4, by_4, by_8, odd, odd, by_4, odd, by_8)
    for before, after in itertools.pairwise(widths):
        chain.convolve(before, after, kernel)
    return chain


def make_chains() -> list[Chain]:
    """Make the chains over `CHANNELS`."""
    chains = [layer_chain(n, SIDE) for base in CHANNELS for n in (base, base - 4, base - 6)]
    return chains + [product_chain(base, SIDE, kernel) for base in CHANNELS for kernel in (1, 3)]


def model_chain(
    chain: Chain, core: Core, precision: str, lanes: int, instrument: Instrument
) -> list[tuple[Work, float]]:
    """Model a chain.

    Args:
        chain: The layers.
        core: The core.
        precision: The arithmetic, an `Arithmetic`.
        lanes: The most channels that ncnn packs in it.
        instrument: The programs that do it.

    Returns:
        The work and the modelled cycles of every layer but the first one.

    Raises:
        PocketdetError: If a program fails.
    """
    graph = Graph(chain.layers, structure_only=True)
    inputs = {"in0": chain.shape}
    shapes = infer_shapes(graph, inputs)
    found = model_graph(graph, inputs, core, precision, instrument)
    cycles = {layer.facts.name: layer.figures.cycles for layer in found.layers}
    return [
        (
            layer_work(layer, [shapes[b] for b in layer.inputs], [shapes[b] for b in layer.outputs], lanes),
            cycles[layer.name],
        )
        for layer in chain.layers[2:]
    ]


def fit_rates(modelled: Iterable[tuple[Work, float]]) -> dict[str, Any]:
    """Fit a cost model.

    Args:
        modelled: Work and cycles of layers.

    Returns:
        The fields of `CostRates`, the medians of cycles per unit of work.
    """
    ratios: defaultdict[tuple[str, tuple[int, ...]], list[float]] = defaultdict(list)
    for work, cycles in modelled:
        ratios[work.rate, work.packs].append(cycles / work.amount)
    rates: dict[str, Any] = {}
    for (name, packs), values in sorted(ratios.items()):
        median = float(f"{statistics.median(values):.4g}")
        if not packs:
            rates[name] = median
            continue
        table = rates.setdefault(name, {})
        for pack in packs[:-1]:
            table = table.setdefault(pack, {})
        table[packs[-1]] = median
    return rates


@error_exit_code
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(prog="alignment_rates", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--core", default="cortex-a76")
    parser.add_argument("--out", type=Path, default=NEON_RATES)
    given = parser.parse_args(arguments)
    (core,) = find_cores([given.core])
    instrument = find_instrument()
    found = {
        target: {
            "core": core.name,
            "llvm": instrument.llvm.version,
            "unit": "modelled cycles",
            "rates": fit_rates(
                layer
                for chain in make_chains()
                for layer in model_chain(chain, core, precision, lanes, instrument)
            ),
        }
        for target, (precision, lanes) in TARGETS.items()
    }
    atomic_write(given.out, json.dumps(found, indent=1) + "\n")
    sys.stdout.write(f"wrote {given.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
