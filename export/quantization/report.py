"""The report on a quantized graph: its layers, the measurements, and its size."""

from collections.abc import Mapping
from dataclasses import dataclass

from pocketdet.export.half_weights import WEIGHT_ROLES
from pocketdet.export.quantization.measure import OutputErrors, worst, worst_name
from pocketdet.runtime.ncnn_graph import Graph, LayerCost


@dataclass(frozen=True)
class LayerReport:
    """One layer with weights.

    Attributes:
        name: of the layer.
        type: its ncnn type.
        macs: its multiply-accumulates.
        int8: whether it is in int8.
        why: the reason if it stays in fp32.
        input_scale: of its activation; None for a Gemm.
        sqnr_db: signal to noise of its own output if it alone is int8; None if not measured.
        output_error: the largest relative error of a region of the outputs then; None if not measured.
    """

    name: str
    type: str
    macs: int
    int8: bool
    why: str
    input_scale: float | None
    sqnr_db: float | None
    output_error: float | None


@dataclass(frozen=True)
class Variant:
    """One way to quantize all layers, with the error of each region of an output on the held-out items."""

    name: str
    errors: OutputErrors
    chosen: bool = False

    @property
    def worst(self) -> float:
        """The largest error of all outputs."""
        return worst(self.errors)


@dataclass(frozen=True)
class Step:
    """One measurement in the search for a graph within the limits.

    Attributes:
        excluded: the layers that this step adds to those in fp32.
        output_error: the largest relative error of a region of the outputs.
        metric: the value of the metric, if it was computed.
        holds: whether all limits hold.
    """

    excluded: tuple[str, ...]
    output_error: float
    metric: float | None
    holds: bool


@dataclass(frozen=True)
class Sizes:
    """Bytes of the weights: all in fp32; convolutions and matrices in fp16; and as in the int8 graph."""

    fp32: int
    fp16: int
    int8: int


@dataclass(frozen=True)
class QuantizeReport:
    """The report on one graph.

    Attributes:
        method: of the activation ranges.
        equalised: whether tensors were equalised.
        layers: every layer with weights.
        variants: the errors of each way to quantize that was tried.
        steps: of the search for a graph within the limits.
        errors: of each region of the outputs of the graph.
        metric: the value of the metric for the graph, if it was computed.
        sizes: of the weights.
        warnings: about the calibration.
    """

    method: str
    equalised: bool
    layers: tuple[LayerReport, ...]
    variants: tuple[Variant, ...]
    steps: tuple[Step, ...]
    errors: Mapping[str, float]
    metric: float | None
    sizes: Sizes
    warnings: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share of multiply-accumulates in int8, 0..1."""
        total = sum(layer.macs for layer in self.layers)
        return sum(layer.macs for layer in self.layers if layer.int8) / total if total else 0.0

    def summary(self) -> str:
        """One log line."""
        done = sum(layer.int8 for layer in self.layers)
        return (
            f"int8: {done} of {len(self.layers)} layers, {self.share:.0%} of the MACs, {self.method} ranges"
            f"{', equalised' if self.equalised else ''}; largest output error {worst(self.errors):.2%} "
            f"({worst_name(self.errors)}); "
            f"{self.sizes.fp32} bytes in fp32, {self.sizes.fp16} in fp16, {self.sizes.int8} now"
        )

    def kept_lines(self) -> list[str]:
        """A line for each reason why layers stay in fp32, that of the most multiply-accumulates first."""
        total = sum(layer.macs for layer in self.layers)
        by_reason: dict[str, list[LayerReport]] = {}
        for layer in self.layers:
            if not layer.int8:
                by_reason.setdefault(layer.why, []).append(layer)
        shares = {why: sum(layer.macs for layer in found) / total for why, found in by_reason.items()}
        lines = []
        for why in sorted(shares, key=lambda why: (-shares[why], why)):
            count = f"{len(by_reason[why])} of {len(self.layers)} layers stay in fp32"
            lines.append(f"{count}, {shares[why]:.1%} of the MACs: {why}")
        return lines

    def lines(self) -> list[str]:
        """All warnings, variants, steps and layers, a line each."""
        lines = [f"warning: {warning}" for warning in self.warnings]
        for variant in self.variants:
            errors = ", ".join(f"{name} {error:.2%}" for name, error in variant.errors.items())
            lines.append(f"{variant.name}: {errors}{'  <- chosen' if variant.chosen else ''}")
        for step in self.steps:
            metric = "" if step.metric is None else f", metric {step.metric:.4g}"
            verdict = "holds" if step.holds else "beyond the limit"
            lines.append(
                f"{len(step.excluded)} more in fp32: output error {step.output_error:.2%}{metric}, {verdict}"
            )
        for layer in self.layers:
            figures = (
                ""
                if layer.sqnr_db is None
                else f"SQNR {layer.sqnr_db:.1f} dB, outputs {layer.output_error:.3%}"
            )
            state = "int8" if layer.int8 else f"fp32: {layer.why}"
            lines.append(f"{layer.type} {layer.name} {state} {figures}".rstrip())
        return [*lines, self.summary()]


def sizes(plain: Graph, int8: Graph) -> Sizes:
    """Bytes of the weights in .bin files; fp16 as `half_weights.store_half` encodes them."""
    fp32 = half = 0
    for layer in plain.layers:
        for role, weight in layer.weights.items():
            fp32 += weight.nbytes
            halved = role in WEIGHT_ROLES and weight.storage == "fp32"
            half += (4 + (weight.data.nbytes // 2 + 3) // 4 * 4) if halved else weight.nbytes
    now = sum(weight.nbytes for layer in int8.layers for weight in layer.weights.values())
    return Sizes(fp32, half, now)


def macs_of(costs: tuple[LayerCost, ...]) -> dict[str, int]:
    """The multiply-accumulates of each layer that has any."""
    return {cost.name: cost.macs for cost in costs if cost.macs}
