"""The engines that `pocketdet bench-engines` compares, and the graphs that each of them runs."""

import importlib.util
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from pocketdet.benchmarks.comparison import ALIGNED, NATIVE, PLAIN, Comparison, EngineCase, ExcludedEngine
from pocketdet.benchmarks.engines import OpenVinoEngine
from pocketdet.errors import BundleError, EngineError, UsageError
from pocketdet.export.align_graph import align_graph
from pocketdet.export.passes.channel_alignment import AlignmentTarget
from pocketdet.export.to_ncnn import to_ncnn
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.bundle.load import check_graph
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines import NativeEngine, NcnnEngine
from pocketdet.runtime.engines.base import Engine
from pocketdet.runtime.engines.onnx_engine import OnnxEngine
from pocketdet.runtime.native_build import library_path
from pocketdet.runtime.ncnn_graph import Graph, write_graph
from pocketdet.runtime.options import DetectorOptions

_ONNX_ENGINES: tuple[tuple[str, str, Callable[[Bundle], Engine]], ...] = (
    ("onnxruntime", "pocketdet[onnxruntime]", lambda b: OnnxEngine(b.manifest.graphs.by_name(), b.path)),
    ("openvino", "pocketdet[bench]", lambda b: OpenVinoEngine(b.manifest.graphs.by_name(), b.path)),
)


def make_comparison(bundle: Bundle, target: AlignmentTarget, scratch: Path) -> Comparison:
    """Load the graphs of a bundle in every engine.

    Plain ncnn is converted from the ONNX files. Aligned ncnn is the graph of the bundle, or if that is not
    aligned, the plain graph aligned for `target`. The native engine runs the graphs of the bundle.

    Args:
        bundle: A bundle with ONNX files.
        target: Processor to align for.
        scratch: Folder for the converted graphs.

    Returns:
        The engines, plain ncnn first, and those that are excluded.

    Raises:
        BundleError: If the bundle has no ONNX files.
        ExportError: If they cannot be converted.
        CheckFailed: If the aligned graph differs from the plain one.
        EngineError: If ncnn refuses a graph.
    """
    if not bundle.manifest.has_onnx:
        raise BundleError(
            f"{bundle.source}: the bundle has no ONNX files, which the engines are compared on: "
            "export it without --slim"
        )
    specs, graphs = _convert(bundle, scratch)
    plain = EngineCase(PLAIN, "as pnnx converts it", NcnnEngine(specs, scratch.joinpath))
    aligned = _aligned(bundle, specs, graphs, target, scratch)
    others, excluded = onnx_cases(bundle)
    ncnn = (aligned, _native(bundle))
    cases = [plain, *(c for c in ncnn if isinstance(c, EngineCase)), *others]
    excluded = [*(c for c in ncnn if isinstance(c, ExcludedEngine)), *excluded]
    return Comparison(bundle.manifest, bundle.digest, graphs, tuple(cases), tuple(excluded))


def onnx_cases(bundle: Bundle) -> tuple[list[EngineCase], list[ExcludedEngine]]:
    """Load the ONNX graphs of a bundle in ONNX Runtime and OpenVINO.

    Returns:
        The engines, and those that are not installed or refuse a graph: OpenVINO has no deformable
        convolution, for example.
    """
    cases, excluded = [], []
    for name, package, make in _ONNX_ENGINES:
        if importlib.util.find_spec(name) is None:
            excluded.append(ExcludedEngine(name, f"not installed: pip install '{package}'"))
            continue
        try:
            engine = make(bundle)
        except EngineError as error:
            excluded.append(ExcludedEngine(name, str(error)))
        else:
            cases.append(EngineCase(name, f"{name} {version(name)}, the ONNX graphs", engine))
    return cases, excluded


def _convert(bundle: Bundle, scratch: Path) -> tuple[dict[str, GraphSpec], dict[str, Graph]]:
    """Convert all graphs from ONNX, with weights stored as in the bundle."""
    storage = bundle.manifest.layout.weight_storage
    if storage == "int8":
        raise UsageError(
            f"{bundle.source}: int8 weights, which plain ncnn cannot be given; compare fp32 or fp16"
        )
    specs: dict[str, GraphSpec] = {}
    graphs: dict[str, Graph] = {}
    rois = bundle.manifest.max_rois
    for name, spec in bundle.manifest.graphs.by_name().items():
        (source,) = spec.inputs
        shape = [rois if n is None else n for n in source.shape]
        made = _with_blobs_by_role(spec, f"plain-{name}.param", f"plain-{name}.bin")
        assert spec.onnx is not None
        graphs[name] = to_ncnn(
            bundle.path(spec.onnx),
            scratch / made.param,
            scratch / made.bin,
            input_shape=[1, *shape] if spec.is_batched else shape,
            input_name=source.role,
            output_names=[output.role for output in spec.outputs],
            dynamic_rows=not spec.is_batched,
            storage=storage,
        )
        check_graph(made, scratch, rois, str(bundle.source))
        specs[name] = made
    return specs, graphs


def _aligned(
    bundle: Bundle,
    specs: Mapping[str, GraphSpec],
    graphs: Mapping[str, Graph],
    target: AlignmentTarget,
    scratch: Path,
) -> EngineCase | ExcludedEngine:
    layout = bundle.manifest.layout
    if layout.lanes != 1:
        detail = f"the bundle's own graphs, {layout.lanes} lanes, {layout.target or 'unknown target'}"
        return EngineCase(ALIGNED, detail, NcnnEngine(bundle.manifest.graphs.by_name(), bundle.path))
    name, plain = next(iter(specs.items()))  # the graph whose input is the image
    made = align_graph(graphs[name], plain.input_shapes(0), target)
    if not made.report.changed:
        return ExcludedEngine(ALIGNED, f"it is plain ncnn: {made.report.summary()} ({target.name})")
    spec = plain.model_copy(update={"param": "aligned.param", "bin": "aligned.bin"})
    write_graph(made.graph, scratch / spec.param, scratch / spec.bin)
    engine = NcnnEngine({**specs, name: spec}, scratch.joinpath)
    return EngineCase(ALIGNED, f"aligned here for {target.name}: {made.report.summary()}", engine)


def _native(bundle: Bundle) -> EngineCase | ExcludedEngine:
    if not library_path().is_file():
        return ExcludedEngine(NATIVE, "not built: make native")
    detail = "the bundle's own graphs in the C++ detector"
    return EngineCase(NATIVE, detail, NativeEngine(bundle, DetectorOptions()))


def _with_blobs_by_role(spec: GraphSpec, param: str, bin_: str) -> GraphSpec:
    """Return the spec of a graph that `to_ncnn` has written under these names."""
    tensors = {
        "inputs": tuple(t.model_copy(update={"blob": t.role}) for t in spec.inputs),
        "outputs": tuple(t.model_copy(update={"blob": t.role}) for t in spec.outputs),
    }
    return spec.model_copy(update={**tensors, "param": param, "bin": bin_})
