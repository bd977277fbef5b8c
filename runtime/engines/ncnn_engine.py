"""The ncnn engine."""

import platform
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import ncnn
import numpy as np

from pocketdet.errors import EngineError
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines.base import Array, ForkSafeThreads, GraphName, PerProcess, check_inputs
from pocketdet.runtime.precision import Arithmetic, arithmetic_in_use, narrowest, ncnn_switches

_ALLOCATES_OUTPUT = frozenset({"Convolution", "ConvolutionDepthWise", "Gemm", "InnerProduct"})


class NcnnEngine:
    """Runs the graphs of a bundle with ncnn on the CPU.

    Thread-safe: each call has its own extractor. Output arrays own their memory; their planes may be padded.
    In a forked process the first call reloads the graphs.

    Args:
        graphs: validated graphs by name. ncnn would crash on an invalid one.
        locate: returns the path of a file of the bundle.
        threads: CPU threads. Default: 1.
        precision: requested arithmetic of all graphs. Default: that of each `GraphSpec`.

    Raises:
        EngineError: if ncnn cannot load a file.
    """

    def __init__(
        self,
        graphs: Mapping[str, GraphSpec],
        locate: Callable[[str], Path],
        threads: int = 1,
        precision: Arithmetic | None = None,
    ) -> None:
        self._graphs = dict(graphs)
        used: dict[str, Arithmetic] = {
            n: _in_use(precision or spec.arithmetic) for n, spec in self._graphs.items()
        }
        loads = {n: partial(_load, spec, locate, threads, used[n]) for n, spec in self._graphs.items()}
        self._on_threads = ForkSafeThreads(threads)
        self._nets = self._on_threads(PerProcess, lambda: {n: load() for n, load in loads.items()})
        self._zero_copy = {n: _zero_copy_inputs(net) for n, net in self._nets.get().items()}
        self._copied = {n: _needs_output_copy(net) for n, net in self._nets.get().items()}
        self._precision: Arithmetic = narrowest(used.values())

    @property
    def precision(self) -> Arithmetic:
        """The arithmetic in use, the narrowest of all graphs."""
        return self._precision

    def run(self, graph: GraphName, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Engine.run`."""
        wanted = {o.role: o.blob for o in self._graphs[graph].outputs}
        return self._on_threads(self._extract, graph, inputs, wanted)

    def run_blobs(
        self, graph: GraphName, inputs: Mapping[str, Array], blobs: Iterable[str]
    ) -> dict[str, Array]:
        """Run one graph and return inner blobs by name, for layer-wise comparison."""
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
        arrays = {i.blob: np.ascontiguousarray(inputs[i.role]) for i in spec.inputs}
        for blob, array in arrays.items():
            mat = ncnn.Mat(array)
            extractor.input(blob, mat if blob in self._zero_copy[graph] else mat.clone())
        results: dict[str, Array] = {}
        for key, blob in wanted.items():
            mat = ncnn.Mat()
            status = extractor.extract(blob, mat)
            if status != 0:
                raise EngineError(f"ncnn failed in graph {graph!r} at blob {blob!r} (status {status})")
            array = _to_array(mat, arrays.values())
            results[key] = array.copy() if self._copied[graph] else array
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
            raise EngineError(f"ncnn {ncnn.__version__} cannot load {locate(name)}")
    return net


def _zero_copy_inputs(net: ncnn.Net) -> frozenset[str]:
    """Return the input blobs that may use numpy's memory, because their consumer allocates a new output.

    Layers that work in place check the reference count of a blob and crash if ncnn did not allocate it.
    """
    layers = net.layers()
    read = [(blob.name, layers[blob.consumer].type) for blob in net.blobs() if blob.consumer >= 0]
    return frozenset(name for name, reader in read if reader in _ALLOCATES_OUTPUT)


def _needs_output_copy(net: ncnn.Net) -> bool:
    """Whether outputs must be copied, because they may use a memory pool that is freed with the net.

    DeformableConv2D on x86 allocates its output in the net's workspace, from which an extractor does not
    detach blobs (ncnn 1.0.20261020, src/layer/x86/deformableconv2d_x86.cpp, src/net.cpp).
    """
    return any(layer.type == "DeformableConv2D" for layer in net.layers())


def _to_array(mat: ncnn.Mat, inputs: Iterable[Array]) -> Array:
    """Return an extracted blob as an array that owns its memory through `mat`.

    A blob that ncnn passed through unchanged uses the caller's input memory and is copied.
    """
    array: Array = np.asarray(mat)
    return array.copy() if any(np.may_share_memory(array, i) for i in inputs) else array


def _in_use(requested: Arithmetic) -> Arithmetic:
    arm = platform.machine() in ("aarch64", "arm64")
    return arithmetic_in_use(requested, arm=arm, half=arm and ncnn.cpu_support_arm_asimdhp() != 0)
