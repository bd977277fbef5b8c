"""The steps of quantising one graph, each leaving its result for the next; see `quantize`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import ncnn

from pocketdet.errors import GraphError
from pocketdet.export.quantize.candidates import (
    choices,
    corrected,
    keep_more,
    kept_for,
    layers_of_interest,
)
from pocketdet.export.quantize.choose import Sensitivity, fewest_kept, most_harm_first
from pocketdet.export.quantize.equalise import Edge, factors, find_edges
from pocketdet.export.quantize.items import Items
from pocketdet.export.quantize.measure import Measure, worst
from pocketdet.export.quantize.observe import Progress, Seen, observe
from pocketdet.export.quantize.report import LayerReport, QuantizeReport, Step, Variant, macs_of, sizes
from pocketdet.export.quantize.settings import METHODS, Method, QuantizeSettings
from pocketdet.export.quantize.table import (
    EdgeChoice,
    LayerScales,
    Table,
    apply_equalised,
    fingerprint,
    numbers,
    rewrite,
)
from pocketdet.runtime.ncnn_graph import Graph, ValidGraph

Judge = Callable[[Graph], float]

SAME = 1e-4  # the most that equalisation may change an fp32 answer, relative


class Search:
    """One graph on its way to int8. Raises GraphError if it has no layer to quantise."""

    def __init__(
        self,
        graph: Graph,
        valid: ValidGraph,
        items: Items,
        settings: QuantizeSettings,
        judge: Judge | None,
        progress: Progress,
    ) -> None:
        self.graph, self.valid, self.items, self.settings = graph, valid, items, settings
        self.judge, self.progress = judge, progress
        self.kept = kept_for(graph, valid.shapes, settings)
        self.names = [x.name for x in layers_of_interest(graph) if x.name not in self.kept]
        if not self.names:
            raise GraphError(
                f"{graph.source or 'the graph'}: no layer can be quantised, of those that ncnn has in int8 "
                f"{len(self.kept)} stay in fp32"
            )
        self.measure = Measure(graph, items)
        self.base = graph  # equalised, if that helps
        self.edges: tuple[EdgeChoice, ...] = ()
        self.variants: list[Variant] = []
        self.steps: list[Step] = []
        self.sensitivities: dict[str, Sensitivity] = {}
        self.judged: float | None = None

    def run(self) -> Table:
        """Steps 2 to 6."""
        seen = self._observe(self.graph)
        chosen, method, error = self._best_method(seen)
        if self.settings.equalise is not False:
            chosen, error = self._equalise(seen, chosen, method, error)
        if self.settings.correct_bias is not False:
            chosen = self._correct_bias(chosen, error)
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

    def _observe(self, graph: Graph) -> Mapping[str, Seen]:
        edges = find_edges(graph, self.valid.shapes, self.names)
        blobs = [graph.layer(name).inputs[0] for name in self.names]
        return observe(
            graph, self.items, dict.fromkeys([*blobs, *(b for e in edges for b in e.blobs)]), self.progress
        )

    def _try(self, name: str, graph: Graph, chosen: Sequence[LayerScales]) -> float:
        self.variants.append(Variant(name, self.measure.errors(rewrite(graph, chosen))))
        return self.variants[-1].worst

    def _best_method(self, seen: Mapping[str, Seen]) -> tuple[list[LayerScales], Method, float]:
        asked = self.settings.method
        made: dict[Method, list[LayerScales]] = {}
        errors: dict[Method, float] = {}
        for method in METHODS if asked == "best" else (asked,):
            found = choices(self.graph, seen, method, self.kept)
            if found not in made.values():  # they differ where any layer but Gemm is in int8
                made[method] = found
                errors[method] = self._try(f"{method} ranges", self.graph, found)
        best = min(errors, key=errors.__getitem__)
        self._mark(list(errors).index(best))
        return made[best], best, errors[best]

    def _mark(self, index: int) -> None:
        self.variants[index] = replace(self.variants[index], chosen=True)

    def _equalise(
        self, seen: Mapping[str, Seen], chosen: list[LayerScales], method: Method, error: float
    ) -> tuple[list[LayerScales], float]:
        """Step 3: the choices to go on with and their error."""
        edges = self._edge_choices(find_edges(self.graph, self.valid.shapes, self.names), seen)
        if not edges:
            return chosen, error
        graph = apply_equalised(self.graph, edges)
        changed = worst(self.measure.errors(graph))
        if changed > SAME:
            self.variants.append(
                Variant("equalised, refused: fp32 answers differ", self.measure.errors(graph))
            )
            return chosen, error
        mine = choices(graph, self._observe(graph), method, self.kept)
        mine_error = self._try(f"equalised, {len(edges)} tensors", graph, mine)
        if mine_error >= error and self.settings.equalise is None:
            return chosen, error
        self._mark(-1)
        self.base, self.edges = graph, edges
        return mine, mine_error

    def _edge_choices(self, edges: Iterable[Edge], seen: Mapping[str, Seen]) -> tuple[EdgeChoice, ...]:
        found = ((edge, factors(self.graph, edge, seen, self.names)) for edge in edges)
        return tuple(
            EdgeChoice(maker=edge.maker, readers=list(edge.readers), factors=numbers(scale))
            for edge, scale in found
            if scale is not None
        )

    def _correct_bias(self, chosen: list[LayerScales], error: float) -> list[LayerScales]:
        """Step 4: the choices to go on with."""
        most = self.settings.correction_items
        mine = corrected(self.base, self.items, self.valid.shapes, chosen, most, self.progress)
        if self._try("biases corrected", self.base, mine) >= error and self.settings.correct_bias is None:
            return chosen
        self._mark(-1)
        return mine

    def _alone(self, chosen: Sequence[LayerScales]) -> dict[str, Sensitivity]:
        """Step 5."""
        int8 = [choice for choice in chosen if not choice.kept]
        blobs = {choice.name: self.base.layer(choice.name).outputs[0] for choice in int8}
        measure = Measure(self.base, self.items, tuple(blobs.values()))
        macs = macs_of(self.valid.costs)
        found = {}
        for done, choice in enumerate(int8, 1):
            sums = measure.compare(rewrite(self.base, [choice]), (blobs[choice.name],))
            error = max(sums[output].relative for output in measure.outputs)
            found[choice.name] = Sensitivity(
                sums[blobs[choice.name]].decibels, error, macs.get(choice.name, 0)
            )
            self.progress("each layer alone", done, len(int8))
        return found

    def _within_limits(self, chosen: Sequence[LayerScales]) -> list[LayerScales]:
        """Step 6."""
        order = most_harm_first(self.sensitivities)
        steps: dict[int, Step] = {}

        def made(prefix: Sequence[str]) -> list[LayerScales]:
            return keep_more(chosen, prefix, "the limit does not hold with it in int8")

        def holds(prefix: Sequence[str]) -> bool:
            step = self._step(rewrite(self.base, made(prefix)), prefix)
            self.progress("layers left in fp32", len(prefix), len(order))
            steps[len(prefix)] = step
            self.steps.append(step)
            return step.holds

        kept = fewest_kept(order, holds)
        self.judged = steps[len(kept)].judged if len(kept) in steps else None
        return made(kept)

    def _step(self, graph: Graph, prefix: Sequence[str]) -> Step:
        limits = self.settings
        error = worst(self.measure.errors(graph))
        holds = limits.max_output_error is None or error <= limits.max_output_error
        if not holds or self.judge is None or limits.max_judged is None:
            return Step(tuple(prefix), error, None, holds)
        judged = self.judge(graph)
        return Step(tuple(prefix), error, judged, judged <= limits.max_judged)

    def report(self, made: Graph, table: Table) -> QuantizeReport:
        """What was found and done."""
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
            bias_corrected=any(choice.bias is not None for choice in table.layers),
            layers=tuple(layers),
            variants=tuple(self.variants),
            steps=tuple(self.steps),
            errors=dict(self.measure.errors(made)),
            judged=self.judged,
            sizes=sizes(self.graph, made),
            warnings=self.items.warnings,
        )
