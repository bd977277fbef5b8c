"""Run two ncnn graphs on the same inputs and measure how far their outputs differ."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import ncnn
import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import EngineError
from pocketdet.runtime.ncnn_graph import Graph, Shape, write_graph

Array = NDArray[np.float32]


@dataclass(frozen=True)
class OutputDifference:
    """The largest difference of one output over all inputs.

    Both numbers are infinite if shapes differ, or if one value is finite and the other is not.

    Attributes:
        output: Name of the blob.
        absolute: The difference.
        relative: The difference, divided by the largest value of the original output.
    """

    output: str
    absolute: float
    relative: float

    def __str__(self) -> str:
        return (
            f"{self.output}: largest difference {self.absolute:.3g}, {self.relative:.3g} of the largest value"
        )


def compare_graphs(
    original: Graph,
    changed: Graph,
    inputs: Mapping[str, Shape],
    *,
    also: Iterable[str] = (),
    seed: int = 0,
    trials: int = 2,
) -> list[OutputDifference]:
    """Run two graphs on random and structured inputs, one thread, fp32, and compare their outputs.

    An output with more channels in `changed` is compared over the channels of the original. Both graphs must
    be valid: ncnn crashes on others.

    Args:
        original: The reference.
        changed: The graph to compare with it.
        inputs: Shape of every input, (c, h, w) without batch.
        also: Inner blobs to compare as well.
        seed: Seed of the random inputs.
        trials: How many random inputs.

    Raises:
        EngineError: ncnn refuses a graph or fails to run it.
    """
    names = extractable_blobs(original, also)
    with tempfile.TemporaryDirectory(prefix="pocketdet-compare-") as folder:
        graphs = ((original, "plain"), (changed, "aligned"))
        nets = [load_net(graph, Path(folder), name) for graph, name in graphs]
    largest = dict.fromkeys(names, (0.0, 0.0))
    for values in comparison_inputs(inputs, seed, trials):
        a, b = (run_net(net, values, names) for net in nets)
        for name in names:
            found = _difference(a[name], b[name])
            largest[name] = (max(largest[name][0], found[0]), max(largest[name][1], found[1]))
    return [OutputDifference(name, *largest[name]) for name in names]


def extractable_blobs(graph: Graph, also: Iterable[str] = ()) -> list[str]:
    """Return the blobs that a program extracts, and `also`, in the order in which ncnn computes them.

    ncnn frees inner blobs after their last use. A Noop only keeps its inputs from being optimised away, as at
    the end of NanoDet: a program extracts these.
    """
    producers = graph.producers()
    wanted = set(also)
    for blob in graph.output_names():
        producer = producers[blob]
        wanted.update(producer.inputs if producer.type == "Noop" else [blob])
    return [blob for blob in graph.blob_names() if blob in wanted]


def comparison_inputs(inputs: Mapping[str, Shape], seed: int, trials: int) -> Iterator[dict[str, Array]]:
    """Yield `trials` of uniform noise in -1..1, a constant, a ramp over all axes, and five impulses."""
    rng = np.random.default_rng(seed)
    for _ in range(trials):
        yield {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in inputs.items()}
    yield {name: np.full(shape, 0.5, np.float32) for name, shape in inputs.items()}
    yield {
        name: np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)
        for name, shape in inputs.items()
    }
    impulses = {name: np.zeros(shape, np.float32) for name, shape in inputs.items()}
    for array in impulses.values():
        array.reshape(-1)[rng.integers(0, array.size, 5)] = (1.0, -1.0, 3.0, -2.0, 0.5)
    yield impulses


def load_net(graph: Graph, folder: Path, name: str) -> ncnn.Net:
    """Load a graph into ncnn, one thread, fp32.

    Args:
        graph: The graph, which must be valid.
        folder: Where its files are written to.
        name: Their name without suffix, also used in messages.

    Raises:
        EngineError: ncnn refuses the graph.
    """
    for layer in graph.layers:
        if ncnn.layer_to_index(layer.type) < 0:
            raise EngineError(
                f"ncnn {ncnn.__version__} has no layer type {layer.type} (layer {layer.name!r})"
            )
    param, weights = folder / f"{name}.param", folder / f"{name}.bin"
    write_graph(graph, param, weights)
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    if net.load_param(str(param)) != 0 or net.load_model(str(weights)) != 0:
        raise EngineError(f"ncnn {ncnn.__version__} refuses the {name} graph")
    return net


def run_net(net: ncnn.Net, inputs: Mapping[str, Array], outputs: Iterable[str]) -> dict[str, Array]:
    """Return the values of `outputs`, blobs in the order of the graph.

    Raises:
        EngineError: ncnn fails.
    """
    extractor = net.create_extractor()
    mats = {name: ncnn.Mat(array).clone() for name, array in inputs.items()}
    for name, mat in mats.items():
        extractor.input(name, mat)
    found = {}
    for name in outputs:
        status, mat = extractor.extract(name)
        if status != 0:
            raise EngineError(f"ncnn failed at blob {name!r} (status {status})")
        found[name] = np.array(mat)
    return found


def _difference(a: Array, b: Array) -> tuple[float, float]:
    """Absolute and relative difference of `b` from `a`."""
    if a.ndim != b.ndim or a.shape[1:] != b.shape[1:] or len(b) < len(a):
        return float("inf"), float("inf")
    b = b[: len(a)]
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)):
        return float("inf"), float("inf")
    difference = np.abs(np.where(finite, a, 0) - np.where(finite, b, 0))
    largest = float(np.abs(np.where(finite, a, 0)).max(initial=0.0))
    absolute = float(difference.max(initial=0.0))
    return absolute, absolute / largest if largest > 0 else absolute
