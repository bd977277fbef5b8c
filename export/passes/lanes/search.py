"""Choose the width of every class: what can be placed and pays.

Classes that meet in a blob depend on each other's widths; they form a region. Region by region, every lane
count up to the wanted one is tried and the cheapest kept; then single classes are reconsidered. A class that
cannot be placed gets a few more lanes, else it stays as it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pocketdet.export.passes.lanes.cost import Rates, crop_cost, graph_cost
from pocketdet.export.passes.lanes.layout import Layouts, layouts_of
from pocketdet.export.passes.lanes.padding import check_padding
from pocketdet.export.passes.lanes.placement import place
from pocketdet.export.passes.lanes.rewrite import Plan
from pocketdet.export.passes.lanes.trace import Trace
from pocketdet.export.passes.lanes.widen import Obstacle, Wide, as_it_is, widen

_MORE_LANES = 2  # how often a class may be widened further
_WORTH = 0.001  # of the cost of the graph: what a change of one region must save


@dataclass
class Choice:
    """Widths that work, what they cost, and why classes were left as they were."""

    plan: Plan
    cost: float
    reasons: dict[int, str] = field(default_factory=dict)

    @property
    def widths(self) -> list[int]:
        """The width of every class."""
        return list(self.plan.wide.widths)

    def regions(self) -> tuple[tuple[str, ...], ...]:
        """The makers of the classes that were widened, by region."""
        found = self.plan.found
        wider = [n for n, width in enumerate(self.widths) if width > found.classes[n].size]
        together: dict[int, list[str]] = {}
        for number in wider:
            together.setdefault(int(found.regions[number]), []).extend(found.classes[number].makers)
        return tuple(map(tuple, together.values()))


class Search:
    """The search over one traced graph."""

    def __init__(self, found: Trace, lanes: int, rates: Rates, wide_outputs: bool) -> None:
        self.found, self.lanes, self.rates, self.wide_outputs = found, lanes, rates, wide_outputs
        self.narrow = [own.size for own in found.classes]
        self.members = {
            int(region): [int(n) for n in np.flatnonzero(found.regions == region)]
            for region in np.unique(found.regions)
        }
        self._known: dict[tuple[int, tuple[int, ...]], tuple[Wide, Layouts] | Obstacle] = {}

    def run(self) -> tuple[Choice, Choice]:
        """The graph as it is, and the best that was found."""
        start = best = self.choose(self.narrow)
        for members in self.members.values():
            best = self._widen_region(best, start.cost, members)
        for number, own in enumerate(self.found.classes):
            if not own.stays and (best.widths[number] != own.size or number not in best.reasons):
                best = self._reconsider(best, start.cost, number)
        return start, best

    def choose(self, widths: Sequence[int]) -> Choice:
        """Make these widths work, narrowing what cannot be placed."""
        wanted = list(widths)
        reasons: dict[int, str] = {}
        tries = dict.fromkeys(range(len(wanted)), _MORE_LANES)
        while True:
            try:
                plan = self._plan(wanted)
            except Obstacle as obstacle:
                self._give_way(obstacle, wanted, tries, reasons)
                continue
            return Choice(plan, self._cost(plan), reasons)

    def _give_way(
        self, obstacle: Obstacle, wanted: list[int], tries: dict[int, int], reasons: dict[int, str]
    ) -> None:
        """Widen the classes to blame further, or narrow them, or at last all that meet them."""
        blamed = [number for number in obstacle.classes if wanted[number] > self.narrow[number]]
        for number in blamed:
            if obstacle.more_lanes_may_help and tries[number] > 0:
                tries[number] -= 1
                wanted[number] += self.lanes
                return
        if not blamed:
            regions = {self.found.regions[number] for number in obstacle.classes}
            blamed = [
                n
                for n, width in enumerate(wanted)
                if self.found.regions[n] in regions and width > self.narrow[n]
            ]
        assert blamed, f"the graph as it is cannot be placed: {obstacle.reason}"
        for number in blamed:
            wanted[number] = self.narrow[number]
            reasons[number] = obstacle.reason

    def _plan(self, widths: Sequence[int]) -> Plan:
        """All regions together; what a region comes to depends on the widths of its own classes alone."""
        wide, layouts = Wide(tuple(widths)), {}
        for region, members in self.members.items():
            key = region, tuple(widths[n] for n in members)
            if key not in self._known:
                self._known[key] = self._region(wide.widths, region)
            known = self._known[key]
            if isinstance(known, Obstacle):
                raise known
            wide.contents.update(known[0].contents)
            wide.intervals.update(known[0].intervals)
            layouts.update(known[1])
        return Plan(self.found, wide, layouts, self.wide_outputs)

    def _region(self, widths: Sequence[int], region: int) -> tuple[Wide, Layouts] | Obstacle:
        if all(widths[n] == self.narrow[n] for n in self.members[region]):
            wide = as_it_is(self.found, region)
            return wide, {blob: np.arange(len(content)) for blob, content in wide.contents.items()}
        try:
            wide = widen(self.found, widths, self.lanes, region)
            layouts = layouts_of(self.found, wide, place(self.found, wide, region))
            check_padding(self.found, wide, layouts)
        except Obstacle as obstacle:
            return obstacle
        return wide, layouts

    def _cost(self, plan: Plan) -> float:
        shapes = plan.wide.shapes(self.found)
        crops = sum(crop_cost(self.found.shapes[blob], self.rates) for blob in plan.cropped())
        return graph_cost(self.found.graph, shapes, self.lanes, self.rates) + crops

    def _widen_region(self, best: Choice, whole: float, members: Sequence[int]) -> Choice:
        free = [n for n in members if not self.found.classes[n].stays]
        options = []
        for lanes in (16, 8, 4):
            widths = best.widths
            for number in free:
                widths[number] = -(-self.narrow[number] // lanes) * lanes
            if lanes <= self.lanes and widths != best.widths:
                options.append(self.choose(widths))
        tried = min(options, key=lambda option: option.cost, default=best)
        merged = best.reasons | tried.reasons
        if tried.cost < best.cost - _WORTH * whole:
            return replace(tried, reasons=merged)
        for number in free:
            merged.setdefault(number, "padding it does not pay")
        return replace(best, reasons=merged)

    def _reconsider(self, best: Choice, whole: float, number: int) -> Choice:
        """Try one class as it was, and at other lane counts."""
        size = self.narrow[number]
        for width in sorted(
            {size, *(-(-size // lanes) * lanes for lanes in (4, 8, 16) if lanes <= self.lanes)}
        ):
            widths = best.widths
            if widths[number] == width:
                continue
            widths[number] = width
            tried = self.choose(widths)
            if tried.cost < best.cost - _WORTH * whole:
                best = replace(tried, reasons=best.reasons | tried.reasons)
        return best
