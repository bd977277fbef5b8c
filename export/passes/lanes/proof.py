"""Run two graphs in ncnn on the same inputs and say how far their outputs are apart."""

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
class Difference:
    """The largest difference of one output over all inputs; `relative` is to the largest value of the plain
    one. Both are infinite where shapes differ, or where one is finite and the other is not.
    """

    output: str
    absolute: float
    relative: float

    def __str__(self) -> str:
        return (
            f"{self.output}: largest difference {self.absolute:.3g}, {self.relative:.3g} of the largest value"
        )


def prove_same(
    plain: Graph,
    aligned: Graph,
    inputs: Mapping[str, Shape],
    *,
    also: Iterable[str] = (),
    seed: int = 0,
    trials: int = 2,
) -> list[Difference]:
    """Run both on random and structured inputs and compare the outputs, and the inner blobs named in `also`.

    An output that is wider in `aligned` is compared over the channels that the plain one has. Both graphs
    must be sound: ncnn crashes on others. Raises `EngineError` if ncnn refuses one.
    """
    names = readable_outputs(plain, also)
    with tempfile.TemporaryDirectory(prefix="pocketdet-lanes-") as folder:
        nets = [
            load_net(graph, Path(folder), name) for graph, name in ((plain, "plain"), (aligned, "aligned"))
        ]
    worst = dict.fromkeys(names, (0.0, 0.0))
    for feed in proof_inputs(inputs, seed, trials):
        a, b = (run_net(net, feed, names) for net in nets)
        for name in names:
            found = _difference(a[name], b[name])
            worst[name] = (max(worst[name][0], found[0]), max(worst[name][1], found[1]))
    return [Difference(name, *worst[name]) for name in names]


def readable_outputs(graph: Graph, also: Iterable[str] = ()) -> list[str]:
    """The blobs that a program reads, `also` among them, in the order in which ncnn must be asked for them.

    It frees inner blobs once they are read. Noop only keeps what it gets from being optimised away, as at the
    end of NanoDet: what it gets is what a program reads.
    """
    makers = graph.producers()
    wanted = set(also)
    for blob in graph.output_names():
        maker = makers[blob]
        wanted.update(maker.inputs if maker.type == "Noop" else [blob])
    return [blob for blob in graph.blob_names() if blob in wanted]


def proof_inputs(inputs: Mapping[str, Shape], seed: int, trials: int) -> Iterator[dict[str, Array]]:
    """Noise, a constant, a ramp over every axis, and single impulses."""
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
    """A net of one thread in fp32, its files written to `folder`. Raises `EngineError` if ncnn refuses it."""
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


def run_net(net: ncnn.Net, feed: Mapping[str, Array], outputs: Iterable[str]) -> dict[str, Array]:
    """Outputs by blob name. Raises `EngineError` if ncnn fails."""
    extractor = net.create_extractor()
    mats = {name: ncnn.Mat(array).clone() for name, array in feed.items()}
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
    if a.ndim != b.ndim or a.shape[1:] != b.shape[1:] or len(b) < len(a):
        return float("inf"), float("inf")
    b = b[: len(a)]
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)):
        return float("inf"), float("inf")
    apart = np.abs(np.where(finite, a, 0) - np.where(finite, b, 0))
    largest = float(np.abs(np.where(finite, a, 0)).max(initial=0.0))
    absolute = float(apart.max(initial=0.0))
    return absolute, absolute / largest if largest > 0 else absolute
