"""What quantising a graph did and what it cost."""

from collections.abc import Mapping
from dataclasses import dataclass

from pocketdet.export.quantize.measure import OutputErrors, worst
from pocketdet.runtime.ncnn_graph import Graph, LayerCost

_HALVES = ("weight", "b")


@dataclass(frozen=True)
class LayerReport:
    """One layer with weights. why: the reason if it stays in fp32. sqnr_db: signal to noise of its own output
    when it alone is int8; output_error: the largest relative error of any output then. Both are None if not
    measured.
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
    """One way to quantise every layer that can be, and the relative error of each output on the items held
    out.
    """

    name: str
    errors: OutputErrors
    chosen: bool = False

    @property
    def worst(self) -> float:
        """The largest error of any output."""
        return worst(self.errors)


@dataclass(frozen=True)
class Step:
    """One measurement in search of a graph within the limits. judged: what the judge said, if asked."""

    kept: tuple[str, ...]
    output_error: float
    judged: float | None
    holds: bool


@dataclass(frozen=True)
class Sizes:
    """Bytes of the weights: all in fp32, convolutions and matrices as halves, and as they are now."""

    fp32: int
    fp16: int
    int8: int


@dataclass(frozen=True)
class QuantizeReport:
    """method: of activation ranges. equalised, bias_corrected: whether the graph has it. variants: figures of
    each choice. steps: of the search for limits. errors: of the graph as it is. judged: what the judge says
    of it.
    """

    method: str
    equalised: bool
    bias_corrected: bool
    layers: tuple[LayerReport, ...]
    variants: tuple[Variant, ...]
    steps: tuple[Step, ...]
    errors: Mapping[str, float]
    judged: float | None
    sizes: Sizes
    warnings: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of all multiply-accumulates that are computed in int8, 0..1."""
        total = sum(layer.macs for layer in self.layers)
        return sum(layer.macs for layer in self.layers if layer.int8) / total if total else 0.0

    def summary(self) -> str:
        """One line for a log."""
        done = sum(layer.int8 for layer in self.layers)
        extras = [
            name
            for name, on in (("equalised", self.equalised), ("biases corrected", self.bias_corrected))
            if on
        ]
        return (
            f"int8: {done} of {len(self.layers)} layers, {self.share:.0%} of the MACs, {self.method} ranges"
            f"{''.join(', ' + extra for extra in extras)}; largest output error {worst(self.errors):.2%}; "
            f"{self.sizes.fp32} bytes in fp32, {self.sizes.fp16} in fp16, {self.sizes.int8} now"
        )

    def lines(self) -> list[str]:
        """Warnings, every choice with its figures, and every layer."""
        lines = [f"warning: {warning}" for warning in self.warnings]
        for variant in self.variants:
            errors = ", ".join(f"{name} {error:.2%}" for name, error in variant.errors.items())
            lines.append(f"{variant.name}: {errors}{'  <- chosen' if variant.chosen else ''}")
        for step in self.steps:
            judged = "" if step.judged is None else f", judged {step.judged:.4g}"
            verdict = "holds" if step.holds else "beyond the limit"
            lines.append(
                f"{len(step.kept)} more in fp32: output error {step.output_error:.2%}{judged}, {verdict}"
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
    """Bytes of .bin files; halves as `passes.half_weights` would store them."""
    fp32 = half = 0
    for layer in plain.layers:
        for role, weight in layer.weights.items():
            fp32 += weight.nbytes
            halved = role in _HALVES and weight.storage == "fp32"
            half += (4 + (weight.data.nbytes // 2 + 3) // 4 * 4) if halved else weight.nbytes
    now = sum(weight.nbytes for layer in int8.layers for weight in layer.weights.values())
    return Sizes(fp32, half, now)


def macs_of(costs: tuple[LayerCost, ...]) -> dict[str, int]:
    """Multiply-accumulates of each layer that has any."""
    return {cost.name: cost.macs for cost in costs if cost.macs}
