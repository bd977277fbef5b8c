"""Who takes part in `pocketdet bench-engines`, and from which graphs each is made."""

from collections.abc import Mapping
from pathlib import Path

from pocketdet.benchmarks.engine_contest import ALIGNED, PLAIN, Entrant, Field, LeftOut
from pocketdet.benchmarks.entrants import onnx_entrants, require_onnx
from pocketdet.errors import UsageError
from pocketdet.export.lay_out import lay_out
from pocketdet.export.passes.lane_targets import LaneTarget
from pocketdet.export.to_ncnn import to_ncnn
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.bundle.graphs import check_graph
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines import NcnnEngine
from pocketdet.runtime.ncnn_graph import Graph, write_graph


def make_field(bundle: Bundle, target: LaneTarget, scratch: Path) -> Field:
    """All engines with the graphs of `bundle`; what has to be made is written into the folder `scratch`.

    Plain ncnn is converted anew from the ONNX files. Aligned ncnn is the bundle's own, or where that was not
    laid out, the plain graph laid out for `target`.
    Raises `BundleError` for a bundle without ONNX files, `ExportError` if they cannot be converted,
    `CheckFailed` if the alignment cannot be proved, `EngineError` if an engine refuses a graph.
    """
    require_onnx(bundle)
    specs, graphs = _convert(bundle, scratch)
    plain = Entrant(PLAIN, "as pnnx converts it", NcnnEngine(specs, scratch.joinpath))
    aligned = _aligned(bundle, specs, graphs, target, scratch)
    others, left_out = onnx_entrants(bundle)
    entrants = [plain, *([aligned] if isinstance(aligned, Entrant) else []), *others]
    left_out = [*([aligned] if isinstance(aligned, LeftOut) else []), *left_out]
    return Field(bundle.manifest, bundle.digest, graphs, tuple(entrants), tuple(left_out))


def _convert(bundle: Bundle, scratch: Path) -> tuple[dict[str, GraphSpec], dict[str, Graph]]:
    """All graphs from ONNX, with weights stored as the bundle's are."""
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
    target: LaneTarget,
    scratch: Path,
) -> Entrant | LeftOut:
    layout = bundle.manifest.layout
    if layout.lanes != 1:
        detail = f"the bundle's own graphs, {layout.lanes} lanes, {layout.target or 'unknown target'}"
        return Entrant(ALIGNED, detail, NcnnEngine(bundle.manifest.graphs.by_name(), bundle.path))
    name, plain = next(iter(specs.items()))  # the graph that sees the picture
    made = lay_out(graphs[name], plain.input_shapes(0), target)
    if not made.report.changed:
        return LeftOut(ALIGNED, f"it is plain ncnn: {made.report.summary()} ({target.name})")
    spec = plain.model_copy(update={"param": "aligned.param", "bin": "aligned.bin"})
    write_graph(made.graph, scratch / spec.param, scratch / spec.bin)
    engine = NcnnEngine({**specs, name: spec}, scratch.joinpath)
    return Entrant(ALIGNED, f"laid out here for {target.name}: {made.report.summary()}", engine)


def _with_blobs_by_role(spec: GraphSpec, param: str, bin_: str) -> GraphSpec:
    """What the manifest would say of a graph that `to_ncnn` has just written under these names."""
    tensors = {
        "inputs": tuple(t.model_copy(update={"blob": t.role}) for t in spec.inputs),
        "outputs": tuple(t.model_copy(update={"blob": t.role}) for t in spec.outputs),
    }
    return spec.model_copy(update={**tensors, "param": param, "bin": bin_})
