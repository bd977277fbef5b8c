"""Turn what was observed into a choice for every layer: its scales, or why it stays in fp32."""

from collections.abc import Iterable, Mapping, Sequence

from pocketdet.errors import UsageError
from pocketdet.export.quantize.activation_scales import threshold
from pocketdet.export.quantize.correct_bias import TapMean, corrected_bias, rounded_input
from pocketdet.export.quantize.items import Items
from pocketdet.export.quantize.layers import INT8_TYPES, input_scale, weight_scales, why_not
from pocketdet.export.quantize.network import Network
from pocketdet.export.quantize.observe import Progress, Seen
from pocketdet.export.quantize.settings import Method, QuantizeSettings
from pocketdet.export.quantize.table import LayerScales, numbers
from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape


def layers_of_interest(graph: Graph) -> list[Layer]:
    """The layers of a type that ncnn has in int8."""
    return [layer for layer in graph.layers if layer.type in INT8_TYPES]


def kept_for(graph: Graph, shapes: Mapping[str, Shape], settings: QuantizeSettings) -> dict[str, str]:
    """Layers that stay in fp32 whatever is measured, with the reason. Raises UsageError for a name in
    `settings.keep` that no layer has.
    """
    layers = layers_of_interest(graph)
    unknown = [name for name in settings.keep if all(name != layer.name for layer in graph.layers)]
    if unknown:
        raise UsageError(f"the layer {unknown[0]!r} was to be kept in fp32 and the graph has no such layer")
    reasons = {
        layer.name: why_not(layer, shapes[layer.inputs[0]], depthwise=settings.depthwise) for layer in layers
    }
    reasons |= {layer.name: "it was asked for" for layer in layers if layer.name in settings.keep}
    return {name: reason for name, reason in reasons.items() if reason}


def choices(
    graph: Graph, seen: Mapping[str, Seen], method: Method, kept: Mapping[str, str]
) -> list[LayerScales]:
    """A choice for every layer of interest, biases as they are."""
    return [_choice(layer, seen, method, kept) for layer in layers_of_interest(graph)]


def _choice(layer: Layer, seen: Mapping[str, Seen], method: Method, kept: Mapping[str, str]) -> LayerScales:
    reason = kept.get(layer.name, "")
    largest = 0.0 if reason else threshold(seen[layer.inputs[0]].histogram, method)
    if not reason and largest == 0:
        reason = "its input was zero for every calibration item, so it has no scale"
    if reason:
        return LayerScales(name=layer.name, type=layer.type, kept=reason)
    return LayerScales(
        name=layer.name,
        type=layer.type,
        input_scale=None if layer.type == "Gemm" else input_scale(largest),
        weight_scales=numbers(weight_scales(layer)),
    )


def keep_more(chosen: Sequence[LayerScales], names: Iterable[str], reason: str) -> list[LayerScales]:
    """The same with these layers in fp32 too."""
    more = set(names)
    return [
        LayerScales(name=choice.name, type=choice.type, kept=reason) if choice.name in more else choice
        for choice in chosen
    ]


def corrected(
    graph: Graph,
    items: Items,
    shapes: Mapping[str, Shape],
    chosen: Sequence[LayerScales],
    most: int,
    progress: Progress,
) -> list[LayerScales]:
    """The same choices of scales with the biases corrected; each bias depends on the choice of its own layer
    alone. At most `most` items are run, evenly spaced.
    """
    int8 = {choice.name: choice for choice in chosen if not choice.kept}
    layers = [layer for layer in layers_of_interest(graph) if layer.name in int8]
    exact = {name: TapMean() for name in int8}
    rounded = {name: TapMean() for name in int8}
    network = Network(graph)
    indices = items.calibrate[:: -(-len(items.calibrate) // most)]
    for done, index in enumerate(indices, 1):
        values = network.run(items.all[index], [layer.inputs[0] for layer in layers])
        for layer in layers:
            blob, output = values[layer.inputs[0]], shapes[layer.outputs[0]]
            exact[layer.name].add(layer, blob, output)
            blob = rounded_input(layer, blob, int8[layer.name].input_scale)
            rounded[layer.name].add(layer, blob, output)
        progress("correct biases", done, len(indices))
    biases = {
        layer.name: corrected_bias(
            layer, weight_scales(layer), exact[layer.name].mean, rounded[layer.name].mean
        )
        for layer in layers
    }
    return [
        choice if choice.kept else choice.model_copy(update={"bias": numbers(biases[choice.name])})
        for choice in chosen
    ]
