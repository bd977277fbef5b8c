"""Choose the width of every channel group: widths that can be placed and reduce the cost.

Region by region, every lane count up to the target's is tried and the cheapest kept; then single groups
are reconsidered, and all of one size together. A group that cannot be placed gets a few more lanes, else it
keeps its size.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pocketdet.export.passes.channel_alignment.cost import CostRates, crop_cost, graph_cost, round_up
from pocketdet.export.passes.channel_alignment.padding import check_padding
from pocketdet.export.passes.channel_alignment.placement import (
    ChannelOrders,
    channel_orders,
    is_original_order,
    place,
)
from pocketdet.export.passes.channel_alignment.trace import Trace
from pocketdet.export.passes.channel_alignment.widen import AlignedGraph, PlacementError, unchanged, widen

NOT_FASTER = "padding would not make it faster"
_EXTRA_WIDENINGS = 2
"""How often a group that cannot be placed is widened further."""
_MIN_SAVING = 0.001
"""What a change of one region must save, as a part of the cost of the graph."""
_PlannedRegion = tuple[AlignedGraph, ChannelOrders]


@dataclass(frozen=True)
class AlignmentPlan:
    """What the aligned graph looks like.

    Attributes:
        found: The original graph.
        aligned: The channels of the aligned graph.
        orders: The channel order of every blob.
        wide_outputs: Whether outputs keep their padding.
    """

    found: Trace
    aligned: AlignedGraph
    orders: ChannelOrders
    wide_outputs: bool = False

    def is_changed(self, blob: str) -> bool:
        """Return whether a blob has padding or another channel order."""
        return blob in self.orders and not is_original_order(self.orders[blob], self.found.shapes[blob][0])

    def changed_orders(self, counterparts: Mapping[str, str]) -> ChannelOrders:
        """Return the orders of all changed blobs of the aligned graph.

        Args:
            counterparts: New blob -> the original blob that it stands for, see `Alignment.counterparts`.
        """
        outputs = set() if self.wide_outputs else self.found.outputs()
        cropped = outputs.intersection(counterparts.values())
        changed = {blob: order for blob, order in self.orders.items() if self.is_changed(blob)}
        uncropped = {blob: order for blob, order in changed.items() if blob not in cropped}
        return uncropped | {new: changed[old] for new, old in counterparts.items() if old in cropped}

    def cropped_blobs(self) -> list[str]:
        """Return the blobs that get a Crop, once for each consumer that needs the original channels."""
        kinds = ("ordered",) if self.wide_outputs else ("ordered", "output")
        blobs = [x.blob for kind in kinds for x in self.found.consumers if x.kind == kind]
        return [blob for blob in blobs if self.is_changed(blob)]


@dataclass(frozen=True)
class Candidate:
    """Widths that work.

    Attributes:
        plan: The aligned graph.
        cost: Its cost by the cost model.
        exclusion_reasons: Group -> why it keeps its size.
    """

    plan: AlignmentPlan
    cost: float
    exclusion_reasons: dict[int, str] = field(default_factory=dict)

    @property
    def widths(self) -> list[int]:
        """The width of every group."""
        return list(self.plan.aligned.widths)

    def regions(self) -> tuple[tuple[str, ...], ...]:
        """Return the producers of the groups that are widened, by region."""
        found = self.plan.found
        by_region: dict[int, list[str]] = {}
        for group, width, region in zip(found.groups, self.widths, found.regions, strict=True):
            if width > group.size:
                by_region.setdefault(int(region), []).extend(group.producers)
        return tuple(map(tuple, by_region.values()))


class Search:
    """Searches the widths of one traced graph.

    Args:
        found: The graph.
        lanes: Channels that the target packs.
        rates: The cost model of the target.
        wide_outputs: Whether outputs may keep their padding.
    """

    def __init__(self, found: Trace, lanes: int, rates: CostRates, wide_outputs: bool) -> None:
        self.found, self.lanes, self.rates, self.wide_outputs = found, lanes, rates, wide_outputs
        self._sizes = [group.size for group in found.groups]
        self._members = {
            int(region): [int(n) for n in np.flatnonzero(found.regions == region)]
            for region in np.unique(found.regions)
        }
        self._planned: dict[tuple[int, tuple[int, ...]], _PlannedRegion | PlacementError] = {}

    def run(self) -> tuple[Candidate, Candidate]:
        """Return the original graph, and the best candidate."""
        start = best = self.make_candidate(self._sizes)
        for members in self._members.values():
            best = self._widen_region(best, start.cost, members)
        for number, group in enumerate(self.found.groups):
            decided = best.widths[number] == group.size and number in best.exclusion_reasons
            if not group.exclusion_reason and not decided:
                best = self._reconsider(best, start.cost, [number])
        for alike in self._alike():
            best = self._reconsider(best, start.cost, alike)
        return start, best

    def _alike(self) -> Iterator[list[int]]:
        """The groups of each region that have one size: a shuffle between them wants one width for all."""
        for members in self._members.values():
            by_size: dict[int, list[int]] = {}
            for number in members:
                if not self.found.groups[number].exclusion_reason:
                    by_size.setdefault(self._sizes[number], []).append(number)
            yield from (numbers for numbers in by_size.values() if len(numbers) > 1)

    def make_candidate(self, widths: Sequence[int]) -> Candidate:
        """Return a candidate with these widths; groups that cannot be placed get other ones."""
        wanted = list(widths)
        exclusion_reasons: dict[int, str] = {}
        tries = dict.fromkeys(range(len(wanted)), _EXTRA_WIDENINGS)
        while True:
            try:
                plan = self._plan(wanted)
            except PlacementError as error:
                self._change_widths(error, wanted, tries, exclusion_reasons)
                continue
            return Candidate(plan, self._cost(plan), exclusion_reasons)

    def _change_widths(
        self, error: PlacementError, wanted: list[int], tries: dict[int, int], reasons: dict[int, str]
    ) -> None:
        """Widen the groups that are the cause further, or exclude them, or exclude their regions."""
        causes = [number for number in error.groups if wanted[number] > self._sizes[number]]
        for number in causes:
            if error.more_lanes_may_help and tries[number] > 0:
                tries[number] -= 1
                wanted[number] += self.lanes
                return
        if not causes:
            regions = {self.found.regions[number] for number in error.groups}
            causes = [
                n for n, w in enumerate(wanted) if self.found.regions[n] in regions and w > self._sizes[n]
            ]
        assert causes, f"the original graph cannot be placed: {error.reason}"
        for number in causes:
            wanted[number] = self._sizes[number]
            reasons[number] = error.reason

    def _plan(self, widths: Sequence[int]) -> AlignmentPlan:
        """All regions together; a region depends on the widths of its own groups alone."""
        aligned, orders = AlignedGraph(tuple(widths)), {}
        for region, members in self._members.items():
            key = region, tuple(widths[n] for n in members)
            if key not in self._planned:
                self._planned[key] = self._plan_region(aligned.widths, region)
            planned = self._planned[key]
            if isinstance(planned, PlacementError):
                raise planned
            aligned.channel_maps.update(planned[0].channel_maps)
            aligned.intervals.update(planned[0].intervals)
            orders.update(planned[1])
        return AlignmentPlan(self.found, aligned, orders, self.wide_outputs)

    def _plan_region(self, widths: Sequence[int], region: int) -> _PlannedRegion | PlacementError:
        if all(widths[n] == self._sizes[n] for n in self._members[region]):
            aligned = unchanged(self.found, region)
            return aligned, {blob: np.arange(len(x)) for blob, x in aligned.channel_maps.items()}
        try:
            aligned = widen(self.found, widths, self.lanes, region)
            orders = channel_orders(self.found, aligned, place(self.found, aligned, region))
            check_padding(self.found, aligned, orders)
        except PlacementError as error:
            return error
        return aligned, orders

    def _cost(self, plan: AlignmentPlan) -> float:
        shapes = plan.aligned.shapes(self.found)
        crops = sum(crop_cost(self.found.shapes[blob], self.rates) for blob in plan.cropped_blobs())
        return graph_cost(self.found.graph, shapes, self.lanes, self.rates) + crops

    def _widen_region(self, best: Candidate, total: float, members: Sequence[int]) -> Candidate:
        """Try every lane count for all groups of a region."""
        free = [n for n in members if not self.found.groups[n].exclusion_reason]
        options = []
        for lanes in (16, 8, 4):
            widths = best.widths
            for number in free:
                widths[number] = round_up(self._sizes[number], lanes)
            if lanes <= self.lanes and widths != best.widths:
                options.append(self.make_candidate(widths))
        tried = min(options, key=lambda option: option.cost, default=best)
        reasons = best.exclusion_reasons | tried.exclusion_reasons
        if tried.cost < best.cost - _MIN_SAVING * total:
            return replace(tried, exclusion_reasons=reasons)
        for number in free:
            reasons.setdefault(number, NOT_FASTER)
        return replace(best, exclusion_reasons=reasons)

    def _reconsider(self, best: Candidate, total: float, numbers: Sequence[int]) -> Candidate:
        """Try groups of one size with their original size and with every lane count."""
        size = self._sizes[numbers[0]]
        for width in sorted({size, *(round_up(size, n) for n in (4, 8, 16) if n <= self.lanes)}):
            widths = best.widths
            for number in numbers:
                widths[number] = width
            if widths == best.widths:
                continue
            tried = self.make_candidate(widths)
            if tried.cost < best.cost - _MIN_SAVING * total:
                best = replace(tried, exclusion_reasons=best.exclusion_reasons | tried.exclusion_reasons)
        return best
