"""Post-training quantization of an ncnn graph to int8, measured on items held out from calibration.

1. validate the items; hold a fifth of them out
2. observe the input of every layer in the fp32 graph; find scales by each method, take the best one
3. equalise channels between layers, if that reduces the error and the fp32 outputs do not change
4. quantize each layer alone: measure its own noise and its effect on the outputs
5. exclude the layers with the most noise per multiply-accumulate until the limits hold
6. write the table, apply it, and validate the graph like an untrusted one

Bias correction and ranges by Kullback-Leibler divergence were measured and are not used
(docs/explanation/precision.md).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import ncnn

from pocketdet.errors import GraphError, UsageError
from pocketdet.export.quantization.activation_ranges import ObservedRange, Progress, observe, threshold
from pocketdet.export.quantization.equalise import Edge, factors, find_edges
from pocketdet.export.quantization.layers import INT8_TYPES, exclusion_reason, input_scale, weight_scales
from pocketdet.export.quantization.measure import Measure, worst
from pocketdet.export.quantization.report import LayerReport, QuantizeReport, Step, Variant, macs_of, sizes
from pocketdet.export.quantization.settings import METHODS, Item, Items, Method, QuantizeSettings, take_items
from pocketdet.export.quantization.table import (
    EdgeChoice,
    LayerScales,
    Table,
    apply_equalised,
    apply_table,
    fingerprint,
    numbers,
    rewrite,
)
from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape, ValidGraph, validate
from pocketdet.runtime.output_fields import Regions

GraphMetric = Callable[[Graph], float]
"""The cost of a graph in place of the fp32 one, for example average precision lost; higher is worse."""

SLOWER = "predicted to be slower in int8 on ARM; a line of --layers overrides that"
SAME = 1e-4  # the largest relative change of an fp32 output by equalisation


@dataclass(frozen=True)
class Sensitivity:
    """The effect of quantizing one layer alone.

    Attributes:
        sqnr_db: the signal to quantization noise ratio of its own output.
        output_error: the largest relative error of a region of the graph's outputs.
        macs: its multiply-accumulates.
    """

    sqnr_db: float
    output_error: float
    macs: int


def most_harm_first(sensitivities: Mapping[str, Sensitivity]) -> list[str]:
    """Sort layers by noise power per multiply-accumulate, largest first. Noise of layers adds in power."""

    def price(name: str) -> tuple[float, str]:
        found = sensitivities[name]
        return -(found.output_error**2) / max(found.macs, 1), name

    return sorted(sensitivities, key=price)


def fewest_excluded(order: Sequence[str], holds: Callable[[Sequence[str]], bool]) -> Sequence[str]:
    """Find the shortest prefix of `order` for which `holds` is true, by bisection.

    The whole of `order` is assumed to hold; every other prefix that is returned was measured. If `holds` is
    not monotonic, a shorter prefix may exist.
    """
    if holds(()):
        return ()
    low, high = 0, len(order)  # low does not hold, high holds
    while high - low > 1:
        middle = (low + high) // 2
        if holds(order[:middle]):
            high = middle
        else:
            low = middle
    return order[:high]


def layers_of_interest(graph: Graph) -> list[Layer]:
    """The layers of the types that ncnn has in int8."""
    return [layer for layer in graph.layers if layer.type in INT8_TYPES]


def exclusion_reasons(
    graph: Graph, shapes: Mapping[str, Shape], settings: QuantizeSettings
) -> dict[str, str]:
    """The layers that stay in fp32 before anything is measured, with the reason.

    Raises:
        UsageError: if the graph has no layer of a name in `settings.exclude` or `settings.slower`.
    """
    layers = layers_of_interest(graph)
    names = {layer.name for layer in graph.layers}
    unknown = [name for name in (*settings.exclude, *settings.slower) if name not in names]
    if unknown:
        raise UsageError(f"the layer {unknown[0]!r} was to be kept in fp32 and the graph has no such layer")
    reasons = {layer.name: SLOWER for layer in layers if layer.name in settings.slower}
    impossible = {
        layer.name: exclusion_reason(layer, shapes[layer.inputs[0]], depthwise=settings.depthwise)
        for layer in layers
    }
    reasons |= {name: reason for name, reason in impossible.items() if reason}
    return reasons | {layer.name: "it was asked for" for layer in layers if layer.name in settings.exclude}


def choices(
    graph: Graph, seen: Mapping[str, ObservedRange], method: Method, excluded: Mapping[str, str]
) -> list[LayerScales]:
    """A choice for every layer that ncnn has in int8."""
    return [_choice(layer, seen, method, excluded) for layer in layers_of_interest(graph)]


def _choice(
    layer: Layer, seen: Mapping[str, ObservedRange], method: Method, excluded: Mapping[str, str]
) -> LayerScales:
    reason = excluded.get(layer.name, "")
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


def _exclude_more(chosen: Sequence[LayerScales], names: Iterable[str], reason: str) -> list[LayerScales]:
    """The same choices with the layers in `names` in fp32, too."""
    more = set(names)
    return [
        LayerScales(name=choice.name, type=choice.type, kept=reason) if choice.name in more else choice
        for choice in chosen
    ]


class Search:
    """The search for one graph. Raises GraphError if it has no layer to quantize."""

    def __init__(
        self,
        graph: Graph,
        valid: ValidGraph,
        items: Items,
        settings: QuantizeSettings,
        metric: GraphMetric | None,
        progress: Progress,
        regions: Regions,
    ) -> None:
        self.graph, self.valid, self.items, self.settings = graph, valid, items, settings
        self.metric, self.progress = metric, progress
        self.excluded = exclusion_reasons(graph, valid.shapes, settings)
        self.names = [x.name for x in layers_of_interest(graph) if x.name not in self.excluded]
        if not self.names:
            reasons = "".join(f"; {reason}" for reason in dict.fromkeys(self.excluded.values()))
            raise GraphError(
                f"{graph.source or 'the graph'}: no layer can be quantised, of those that ncnn has in int8 "
                f"{len(self.excluded)} stay in fp32{reasons}"
            )
        self.regions = regions
        self.measure = Measure(graph, items, regions)
        self.base = graph  # equalised, if that reduces the error
        self.edges: tuple[EdgeChoice, ...] = ()
        self.variants: list[Variant] = []
        self.steps: list[Step] = []
        self.sensitivities: dict[str, Sensitivity] = {}
        self.metric_value: float | None = None

    def run(self) -> Table:
        """Steps 2 to 5."""
        seen = self._observe(self.graph)
        chosen, method, error = self._best_method(seen)
        if self.settings.equalise is not False:
            chosen = self._equalise(seen, chosen, method, error)
        self.sensitivities = self._alone(chosen)
        chosen = self._within_limits(chosen)
        return Table(
            graph=fingerprint(self.graph),
            ncnn=ncnn.__version__,
            method=method,
            items=len(self.items.calibrate),
            equalised=list(self.edges),
            layers=chosen,
        )

    def _observe(self, graph: Graph) -> Mapping[str, ObservedRange]:
        edges = find_edges(graph, self.valid.shapes, self.names)
        blobs = [graph.layer(name).inputs[0] for name in self.names]
        blobs = list(dict.fromkeys([*blobs, *(b for e in edges for b in e.blobs)]))
        return observe(graph, self.items, blobs, self.progress, self.settings.workers)

    def _try(self, name: str, graph: Graph, chosen: Sequence[LayerScales]) -> float:
        self.variants.append(Variant(name, self.measure.errors(rewrite(graph, chosen))))
        return self.variants[-1].worst

    def _best_method(self, seen: Mapping[str, ObservedRange]) -> tuple[list[LayerScales], Method, float]:
        asked = self.settings.method
        made: dict[Method, list[LayerScales]] = {}
        errors: dict[Method, float] = {}
        for method in METHODS if asked == "best" else (asked,):
            found = choices(self.graph, seen, method, self.excluded)
            if found not in made.values():  # they are equal if only Gemm layers are in int8
                made[method] = found
                errors[method] = self._try(f"{method} ranges", self.graph, found)
        best = min(errors, key=errors.__getitem__)
        self._mark(list(errors).index(best))
        return made[best], best, errors[best]

    def _mark(self, index: int) -> None:
        self.variants[index] = replace(self.variants[index], chosen=True)

    def _equalise(
        self, seen: Mapping[str, ObservedRange], chosen: list[LayerScales], method: Method, error: float
    ) -> list[LayerScales]:
        """Step 3: equalise if that reduces the error."""
        edges = self._edge_choices(find_edges(self.graph, self.valid.shapes, self.names), seen)
        if not edges:
            return chosen
        graph = apply_equalised(self.graph, edges)
        changed = worst(self.measure.errors(graph))
        if changed > SAME:
            self.variants.append(
                Variant("equalised, refused: fp32 answers differ", self.measure.errors(graph))
            )
            return chosen
        mine = choices(graph, self._observe(graph), method, self.excluded)
        mine_error = self._try(f"equalised, {len(edges)} tensors", graph, mine)
        if mine_error >= error and self.settings.equalise is None:
            return chosen
        self._mark(-1)
        self.base, self.edges = graph, edges
        return mine

    def _edge_choices(
        self, edges: Iterable[Edge], seen: Mapping[str, ObservedRange]
    ) -> tuple[EdgeChoice, ...]:
        found = ((edge, factors(self.graph, edge, seen, self.names)) for edge in edges)
        return tuple(
            EdgeChoice(maker=edge.maker, readers=list(edge.readers), factors=numbers(scale))
            for edge, scale in found
            if scale is not None
        )

    def _alone(self, chosen: Sequence[LayerScales]) -> dict[str, Sensitivity]:
        """Step 4: quantize each layer alone."""
        int8 = [choice for choice in chosen if not choice.kept]
        blobs = {choice.name: self.base.layer(choice.name).outputs[0] for choice in int8}
        measure = Measure(self.base, self.items, self.regions, tuple(blobs.values()))
        macs = macs_of(self.valid.costs)
        found = {}
        for done, choice in enumerate(int8, 1):
            parts, sums = measure.compare(rewrite(self.base, [choice]), (blobs[choice.name],))
            error = max((part.relative for part in parts.values()), default=0.0)
            found[choice.name] = Sensitivity(
                sums[blobs[choice.name]].decibels, error, macs.get(choice.name, 0)
            )
            self.progress("each layer alone", done, len(int8))
        return found

    def _within_limits(self, chosen: Sequence[LayerScales]) -> list[LayerScales]:
        """Step 5: exclude layers until the limits hold."""
        order = most_harm_first(self.sensitivities)
        steps: dict[int, Step] = {}

        def made(prefix: Sequence[str]) -> list[LayerScales]:
            return _exclude_more(chosen, prefix, "the limit does not hold with it in int8")

        def holds(prefix: Sequence[str]) -> bool:
            step = self._step(rewrite(self.base, made(prefix)), prefix)
            self.progress("layers left in fp32", len(prefix), len(order))
            steps[len(prefix)] = step
            self.steps.append(step)
            return step.holds

        excluded = fewest_excluded(order, holds)
        self.metric_value = steps[len(excluded)].metric if len(excluded) in steps else None
        return made(excluded)

    def _step(self, graph: Graph, prefix: Sequence[str]) -> Step:
        limits = self.settings
        error = worst(self.measure.errors(graph))
        holds = limits.max_output_error is None or error <= limits.max_output_error
        if not holds or self.metric is None or limits.max_metric is None:
            return Step(tuple(prefix), error, None, holds)
        value = self.metric(graph)
        return Step(tuple(prefix), error, value, value <= limits.max_metric)

    def report(self, made: Graph, table: Table) -> QuantizeReport:
        """The report on the quantized graph."""
        by_name = {choice.name: choice for choice in table.layers}
        layers = []
        for name, macs in macs_of(self.valid.costs).items():
            layer, choice, alone = self.graph.layer(name), by_name.get(name), self.sensitivities.get(name)
            why = choice.kept if choice else f"ncnn has no int8 for {layer.type}"
            scale = choice.input_scale if choice else None
            figures = (alone.sqnr_db, alone.output_error) if alone else (None, None)
            layers.append(LayerReport(name, layer.type, macs, not why, why, scale, *figures))
        return QuantizeReport(
            method=table.method,
            equalised=bool(table.equalised),
            layers=tuple(layers),
            variants=tuple(self.variants),
            steps=tuple(self.steps),
            errors=dict(self.measure.errors(made)),
            metric=self.metric_value,
            sizes=sizes(self.graph, made),
            warnings=self.items.warnings,
        )


@dataclass(frozen=True)
class Quantized:
    """The int8 graph, the table that converts the fp32 graph to it, and the report."""

    graph: Graph
    table: Table
    report: QuantizeReport


def quantize(
    graph: Graph,
    inputs: Mapping[str, Shape],
    calibration: Iterable[Item],
    settings: QuantizeSettings | None = None,
    *,
    regions: Regions | None = None,
    metric: GraphMetric | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Quantized:
    """Quantize the layers of an ncnn graph that ncnn has in int8.

    The outputs keep their meaning; inner blobs may be scaled channel by channel. Items are used several times
    and run one at a time; inner values of the held-out items stay in memory.

    Args:
        graph: an fp32 graph; it is not changed.
        inputs: the shape of each input blob, without a batch axis.
        calibration: float32 inputs of the graph by blob name, such as preprocessed images; a `Sequence` may
            create its items on demand.
        settings: by default `QuantizeSettings()`.
        regions: the elements of each output blob that errors are measured on together; by default all.
        metric: the cost of a candidate graph, higher is worse; required if and only if `settings.max_metric`
            is set.
        progress: receives the name of a step, and how many items of how many are done.

    Returns:
        The int8 graph, its table and the report.

    Raises:
        UsageError: if the items or settings cannot be used.
        GraphError: if the graph is invalid or has no layer to quantize.
        EngineError: if ncnn fails or computes NaN.
    """
    settings = settings or QuantizeSettings()
    if (metric is None) != (settings.max_metric is None):
        raise UsageError("metric and max_metric belong together: give both or neither")
    items = take_items(calibration, inputs, settings.held_out)
    valid = _validate(graph, inputs)
    for shapes in items.shapes:
        _validate(graph, shapes)
    search = Search(graph, valid, items, settings, metric, progress, regions or {})
    table = search.run()
    made = apply_table(graph, table)
    _validate(made, inputs)
    return Quantized(made, table, search.report(made, table))


def _validate(graph: Graph, inputs: Mapping[str, Shape]) -> ValidGraph:
    return validate(graph, inputs, lambda name: ncnn.layer_to_index(name) >= 0)
