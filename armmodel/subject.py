"""What is modelled: a detector bundle through pocketdet-run, or any network of ncnn through run_network.

`LayerFacts` is what is known of a layer before it runs: shapes, MACs, arithmetic, module.
"""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pocketdet.armmodel.cores import Core
from pocketdet.armmodel.emulate import count_blocks, read_symbols
from pocketdet.armmodel.frame import CountedFrame, Marks, execution_order, last_frame
from pocketdet.armmodel.instrument import INSTALL, Instrument
from pocketdet.benchmarks.devices import stage_bundle
from pocketdet.benchmarks.images import stage_images
from pocketdet.errors import EngineError, GraphError, UsageError
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.ncnn_graph import (
    Graph,
    Layer,
    Shape,
    count_macs,
    feature_mask,
    infer_shapes,
    read_graph,
)
from pocketdet.runtime.ncnn_graph.feature_mask import NO_FP16_ARITHMETIC

Kind = Literal["fp32", "fp16", "int8"]
_INT8_TERM = {"Convolution": 8, "ConvolutionDepthWise": 8, "InnerProduct": 8, "Gemm": 18}
"""The parameter of ncnn that says that a layer computes in int8."""


@dataclass(frozen=True)
class LayerFacts:
    """One layer.

    Attributes:
        name: ncnn's name of it.
        type: ncnn's type, such as "Convolution".
        module: The PyTorch module whose values its first output has, "" if that is not known.
        output: Shape of its first output, None if that is not known.
        macs: Multiply-accumulates, 0 if they are not known.
        kind: The arithmetic of its products.
    """

    name: str
    type: str
    module: str
    output: Shape | None
    macs: int
    kind: Kind

    def limit(self, core: Core) -> float:
        """The fewest cycles that the products take on the SIMD units of a core."""
        return self.macs / (core.macs_per_instruction(self.kind) * core.fma_pipes)


def layers_in_order(
    graph: Graph,
    inputs: Mapping[str, Shape],
    outputs: Sequence[str],
    modules: Mapping[str, str],
    *,
    half: bool,
) -> list[LayerFacts]:
    """Describe the layers in the order in which ncnn runs them.

    Args:
        graph: The network.
        inputs: Shapes of its inputs.
        outputs: The blobs that are extracted, in this order.
        modules: PyTorch module by blob.
        half: Whether ncnn computes in half precision unless a layer forbids it.

    Returns:
        The layers that run.
    """
    shapes = infer_shapes(graph, inputs, partial=True)
    macs = {cost.name: cost.macs or 0 for cost in count_macs(graph, shapes)}
    return [
        LayerFacts(
            layer.name,
            layer.type,
            modules.get(layer.outputs[0], "") if layer.outputs else "",
            shapes.get(layer.outputs[0]) if layer.outputs else None,
            macs[layer.name],
            kind_of(layer, half=half),
        )
        for layer in execution_order(graph, outputs)
    ]


def kind_of(layer: Layer, *, half: bool) -> Kind:
    """The arithmetic of a layer's products."""
    if layer.type in _INT8_TERM and layer.int_param(_INT8_TERM[layer.type], 0):
        return "int8"
    return "fp16" if half and not feature_mask(layer) & NO_FP16_ARITHMETIC else "fp32"


Tick = Callable[[], None]
FRAMES_ONLY = "--frames-only"
"""The option of `pocketdet-run bench` that leaves out what machines differ in."""


@dataclass(frozen=True)
class Run:
    """One frame, counted on an emulated core.

    Attributes:
        frame: The executed blocks.
        stages: Names of its stages.
        layers: The layers of each stage that runs a network, in the order of execution.
        functions: The function at each address that a block begins at.
        precision: The arithmetic that ncnn used.
        rois: Proposals that the head saw, 0 for none.
    """

    frame: CountedFrame
    stages: tuple[str, ...]
    layers: Mapping[str, tuple[LayerFacts, ...]]
    functions: Mapping[int, str]
    precision: str
    rois: int


class Subject(Protocol):
    """Something that can be run."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def run(self, instrument: Instrument, core: Core, tick: Tick) -> Run:
        """Count one frame on a core. Raises `PocketdetError`."""
        ...


@dataclass(frozen=True)
class BundleSubject:
    """A detector, from image to boxes.

    Attributes:
        bundle: The bundle.
        precision: The arithmetic requested of ncnn, None for the bundle's.
        image: The image; None stands for the golden one.
        rois: Most proposals for the head, None for the bundle's number.
    """

    bundle: Bundle
    precision: str | None = None
    image: Path | None = None
    rois: int | None = None

    @property
    def name(self) -> str:
        """The name in the manifest."""
        return self.bundle.manifest.name

    def run(self, instrument: Instrument, core: Core, tick: Tick) -> Run:
        """Count one frame of `pocketdet-run bench`. Raises `PocketdetError`."""
        symbols = read_symbols(instrument.llvm, instrument.runner)
        marks = Marks.of(symbols, "pocketdet::Detector::detect(")
        with tempfile.TemporaryDirectory(prefix="pocketdet-") as name:
            folder = Path(name)
            words = ["bench", stage_bundle(self.bundle, folder).name, FRAMES_ONLY]
            if self.image:
                Path(stage_images([self.image], folder)[0].path).rename(folder / "image.png")
                words.append("image.png")
            words += ["--warmup", "1", "--frames", "1"]  # the second frame finds the caches as any later one
            words += ["--precision", self.precision] if self.precision else []
            words += ["--rois", str(self.rois)] if self.rois else []
            try:
                trace, out = count_blocks(
                    instrument.emulator, core, instrument.runner, words, marks.addresses(), folder, tick
                )
            except UsageError as error:
                if FRAMES_ONLY in str(error):
                    raise EngineError(f"{instrument.runner}: it is of an older version; {INSTALL}") from error
                raise
        document = _document(out)
        stages = tuple(document["stages"])
        frame = CountedFrame(trace.blocks, last_frame(trace, marks, len(stages)))
        precision, rois = document["engine"]["precision"], int(document["samples"]["rois"][-1])
        layers = self._layers(half=precision == "fp16", rois=rois)
        frame.check_layers({stages.index(name): len(facts) for name, facts in layers.items()})
        functions = {address: symbols.at(address) for address in frame.addresses()}
        return Run(frame, stages, layers, functions, precision, rois)

    def _layers(self, *, half: bool, rois: int) -> dict[str, tuple[LayerFacts, ...]]:
        found = {}
        for name, spec in self.bundle.manifest.graphs.by_name().items():
            graph = read_graph(self.bundle.path(spec.param), self.bundle.path(spec.bin))
            inputs, outputs = spec.input_shapes(max(rois, 1)), [t.blob for t in spec.outputs]
            if name != "head" or rois:  # without proposals the head does not run
                found[name] = tuple(layers_in_order(graph, inputs, outputs, spec.layer_sources, half=half))
        return found


@dataclass(frozen=True)
class NetworkSubject:
    """A network of ncnn on constant inputs.

    Attributes:
        param: The .param file.
        weights: The .bin file; None for weights of zero.
        precision: The arithmetic, an `Arithmetic`.
        inputs: Shapes of the inputs that the .param file does not give; the key "" stands for all of them.
    """

    param: Path
    weights: Path | None
    precision: str
    inputs: Mapping[str, Shape]

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.param.name.removesuffix(".param").removesuffix(".ncnn")

    def run(self, instrument: Instrument, core: Core, tick: Tick) -> Run:
        """Count one frame of `run_network`. Raises `PocketdetError`."""
        graph = read_graph(self.param)
        shapes = self._input_shapes(graph)
        program = instrument.emulator.run_network
        symbols = read_symbols(instrument.llvm, program)
        marks = Marks.of(symbols, "run_frame")
        with tempfile.TemporaryDirectory(prefix="pocketdet-") as name:
            folder = Path(name)
            words = [_link(self.param, folder / "network.param")]
            words += [_link(self.weights, folder / "network.bin") if self.weights else "-", self.precision]
            words += [f"{name}={'x'.join(map(str, shape))}" for name, shape in shapes.items()]
            try:
                trace, out = count_blocks(
                    instrument.emulator, core, program, words, marks.addresses(), folder, tick
                )
            except UsageError as error:
                raise GraphError(f"{self.param}: {error}") from error
        frame = CountedFrame(trace.blocks, last_frame(trace, marks, 1))
        half = self.precision == "fp16"
        layers = tuple(layers_in_order(graph, shapes, out.decode().split(), {}, half=half))
        frame.check_layers({0: len(layers)})
        functions = {address: symbols.at(address) for address in frame.addresses()}
        return Run(frame, ("network",), {"network": layers}, functions, self.precision, 0)

    def _input_shapes(self, graph: Graph) -> dict[str, Shape]:
        names = graph.input_names()
        given = {name: self.inputs.get(name, self.inputs.get("")) for name in names}
        shapes = infer_shapes(graph, {name: shape for name, shape in given.items() if shape}, partial=True)
        missing = [name for name in names if name not in shapes]
        if missing:
            raise UsageError(
                f"{self.param}: the shape of input {missing[0]!r} is not in the file; give it with "
                f"--shape {missing[0]}=3x320x320"
            )
        return {name: shapes[name] for name in names}


def _link(file: Path, link: Path) -> str:
    """Make a link to a file, whose name does not depend on where the file is."""
    link.symlink_to(file.resolve())
    return link.name


def _document(out: bytes) -> dict[str, Any]:
    try:
        document = json.loads(out)
        assert isinstance(document, dict)
        return document
    except (ValueError, AssertionError) as error:
        raise EngineError(
            f"pocketdet-run under qemu wrote {len(out)} bytes that are no JSON document"
        ) from error
