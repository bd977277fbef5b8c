"""ncnn: the engine that phones run."""

import platform
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import ncnn
import numpy as np

from pocketdet.errors import EngineError
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines.base import Array, GraphName, check_inputs
from pocketdet.runtime.engines.forks import ForkSafeThreads, PerProcess
from pocketdet.runtime.precision import Arithmetic, arithmetic_in_use, narrowest, ncnn_switches

_MAKES_ITS_OWN = frozenset({"Convolution", "ConvolutionDepthWise", "Gemm", "InnerProduct"})


class NcnnEngine:
    """Runs a bundle's graphs with the ncnn wheel on the CPU; `locate` gives the path of a file by its name.

    `precision` is asked of all graphs; by default each has its own, which its `GraphSpec` names.
    Each call makes its own extractor, so calls from several threads do not meet. Arrays that come out hold
    memory of their own and may outlive the engine; planes of a map may lie apart, as ncnn pads them. The
    graphs must have been validated: ncnn itself would crash on a bad one. In a forked process the first call
    loads them anew. Raises `EngineError` if ncnn refuses a file.
    """

    def __init__(
        self,
        graphs: Mapping[str, GraphSpec],
        locate: Callable[[str], Path],
        threads: int = 1,
        precision: Arithmetic | None = None,
    ) -> None:
        self._graphs = dict(graphs)
        used = {n: _in_use(precision or spec.arithmetic) for n, spec in self._graphs.items()}
        loads = {n: partial(_load, spec, locate, threads, used[n]) for n, spec in self._graphs.items()}
        self._on_threads = ForkSafeThreads(threads)
        self._nets = self._on_threads(PerProcess, lambda: {n: load() for n, load in loads.items()})
        self._lent = {n: _only_read(net) for n, net in self._nets.get().items()}
        self._pooled = {n: _lets_pools_out(net) for n, net in self._nets.get().items()}
        self._precision = narrowest(used.values())

    @property
    def precision(self) -> Arithmetic:
        """The narrowest of its graphs; half precision only on ARMv8.2, x86 computes in fp32."""
        return self._precision

    def run(self, graph: GraphName, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Engine.run`."""
        wanted = {o.role: o.blob for o in self._graphs[graph].outputs}
        return self._on_threads(self._extract, graph, inputs, wanted)

    def run_blobs(
        self, graph: GraphName, inputs: Mapping[str, Array], blobs: Iterable[str]
    ) -> dict[str, Array]:
        """Run one graph and return these inner blobs, by blob name; for layer-wise comparison."""
        return self._on_threads(self._extract, graph, inputs, {b: b for b in blobs}, light=False)

    def _extract(
        self, graph: GraphName, inputs: Mapping[str, Array], wanted: Mapping[str, str], light: bool = True
    ) -> dict[str, Array]:
        spec = self._graphs[graph]
        problem = check_inputs(graph, {i.role: i.shape for i in spec.inputs}, inputs)
        if problem:
            raise EngineError(problem)
        if any(inputs[i.role].size == 0 for i in spec.inputs):
            return self._empty(spec)
        extractor = self._nets.get()[graph].create_extractor()
        extractor.set_light_mode(light)
        kept = {i.blob: np.ascontiguousarray(inputs[i.role]) for i in spec.inputs}
        for blob, array in kept.items():
            mat = ncnn.Mat(array)
            extractor.input(blob, mat if blob in self._lent[graph] else mat.clone())
        results: dict[str, Array] = {}
        for key, blob in wanted.items():
            mat = ncnn.Mat()
            status = extractor.extract(blob, mat)
            if status != 0:
                raise EngineError(f"ncnn failed in graph {graph!r} at blob {blob!r} (status {status})")
            array = _owning(mat, kept.values())
            results[key] = array.copy() if self._pooled[graph] else array
        return results

    def _empty(self, spec: GraphSpec) -> dict[str, Array]:
        return {o.role: np.zeros([n or 0 for n in o.shape], np.float32) for o in spec.outputs}


def _load(spec: GraphSpec, locate: Callable[[str], Path], threads: int, arithmetic: Arithmetic) -> ncnn.Net:
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for switch, on in ncnn_switches(arithmetic).items():
        setattr(net.opt, switch, on)
    for load, name in ((net.load_param, spec.param), (net.load_model, spec.bin)):
        if load(str(locate(name))) != 0:
            raise EngineError(f"ncnn {ncnn.__version__} refuses {locate(name)}")
    return net


def _only_read(net: ncnn.Net) -> frozenset[str]:
    """The blobs whose reader makes an output of its own, so that they may be lent numpy's memory.

    Layers that work in place ask who else holds a blob, and crash on one that ncnn did not allocate.
    """
    layers = net.layers()
    read = [(blob.name, layers[blob.consumer].type) for blob in net.blobs() if blob.consumer >= 0]
    return frozenset(name for name, reader in read if reader in _MAKES_ITS_OWN)


def _lets_pools_out(net: ncnn.Net) -> bool:
    """Whether blobs may come out in memory of a pool that dies with the net and takes later frees down.

    DeformableConv2D on x86 makes its blob in the net's workspace, and an extractor detaches those of the
    net's other pool only (ncnn 1.0.20261020, src/layer/x86/deformableconv2d_x86.cpp, src/net.cpp).
    """
    return any(layer.type == "DeformableConv2D" for layer in net.layers())


def _owning(mat: ncnn.Mat, inputs: Iterable[Array]) -> Array:
    """The values of an extracted blob without a copy: the array holds `mat`, which owns memory of its own.

    A blob that ncnn passed through untouched still is the caller's input, which nothing holds: it is copied.
    """
    array: Array = np.asarray(mat)
    return array.copy() if any(np.may_share_memory(array, i) for i in inputs) else array


def _in_use(asked: Arithmetic) -> Arithmetic:
    arm = platform.machine() in ("aarch64", "arm64")
    return arithmetic_in_use(asked, arm=arm, half=arm and ncnn.cpu_support_arm_asimdhp() != 0)
