"""Follow every channel of a graph as it is: which values each blob holds, and where they must arrive.

Tensors that meet in element-wise layers must share one channel order: their groups become one class. Where
they meet with different indices the layer is treated as opaque, which leaves both orders alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pocketdet.export.passes.lanes.content import Content, IntArray, Versions, fresh, join, shuffle_order
from pocketdet.export.passes.lanes.role_rules import role_of
from pocketdet.export.passes.lanes.roles import Role, opaque
from pocketdet.export.passes.lanes.sinks import Sink, sinks_of
from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape

_LONGEST = 2**17  # blobs with a longer first axis are not followed


@dataclass
class Class:
    """Tensors that share one channel order: their size, the layers that make them, the blob of the first.

    `stays` says why the class may not be widened; `pinned` that its order is given as well.
    """

    size: int
    makers: list[str]
    blob: str
    stays: str = ""
    pinned: bool = False


@dataclass
class Trace:
    """What was found; contents name classes in `group`. Blobs of unknown shape have no content.

    Classes that meet in a blob depend on each other's widths: `regions` has a number for every class, the
    same for those that meet, directly or through others.
    """

    graph: Graph
    shapes: Mapping[str, Shape]
    versions: Versions = field(default_factory=Versions)
    roles: list[Role] = field(default_factory=list)
    contents: dict[str, Content] = field(default_factory=dict)
    births: dict[str, int] = field(default_factory=dict)
    classes: list[Class] = field(default_factory=list)
    sinks: list[Sink] = field(default_factory=list)
    regions: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def region_of(self, blob: str) -> int:
        """The region of a blob with a content; all classes in it have the same."""
        return int(self.regions[self.contents[blob].group[0]])


def pass_on(versions: Versions, step: tuple[int, int], source: Content, repeat: int) -> Content:
    """Content behind a `pass` layer: the same channels in new versions, `repeat` of them in a row."""
    grown = source.repeat(repeat)
    kinds, inverse = np.unique(source.version, return_inverse=True)
    firsts = np.asarray([versions.block(repeat, "pass", *step, int(kind)) for kind in kinds], np.int64)
    turns = np.tile(np.arange(repeat, dtype=np.int64), len(source))
    return Content(grown.group, grown.index, np.repeat(firsts[inverse], repeat) + turns)


def tie(versions: Versions, step: int, sources: Iterable[Content]) -> Content:
    """Content behind a `tie` layer, which has been found to match."""
    parts = list(sources)
    return Content(
        parts[0].group, parts[0].index, versions.after(("tie", step), *(part.version for part in parts))
    )


class _Tracer:
    def __init__(self, graph: Graph, shapes: Mapping[str, Shape]) -> None:
        self.found = Trace(graph, shapes)
        self.parent: list[int] = []
        self.groups: list[Class] = []

    def run(self) -> None:
        for blob in self.found.graph.input_names():
            self._born(blob, "the input", pinned=True)
        for number, layer in enumerate(self.found.graph.layers):
            role = role_of(layer, self.found.shapes)
            outputs = self._step(number, layer, role)
            if outputs is None:
                role = opaque(layer)
            self.found.roles.append(role)
            if outputs is not None:
                self.found.contents.update(zip(layer.outputs, outputs, strict=True))
            else:
                for blob in layer.outputs:
                    self._born(blob, layer.name, pinned=True)

    def _born(self, blob: str, maker: str, pinned: bool) -> None:
        """A new group for a blob that has none; nothing where the shape is not known."""
        if blob in self.found.contents or blob not in self.found.shapes:
            return
        size = self.found.shapes[blob][0]
        self.parent.append(len(self.parent))
        self.groups.append(Class(size, [maker], blob, pinned=pinned))
        version = self.found.versions.number("born", blob)
        self.found.births[blob] = len(self.groups) - 1
        self.found.contents[blob] = fresh(len(self.groups) - 1, size, version)

    def _step(self, number: int, layer: Layer, role: Role) -> list[Content] | None:
        """Contents of the outputs; None where the layer has to be opaque."""
        if role.kind in ("make", "source"):
            self._born(layer.outputs[0], layer.name, pinned=False)
            return [self.found.contents[layer.outputs[0]]]
        if role.kind == "opaque":
            return None
        inputs = [self.found.contents[blob] for blob in layer.inputs]
        main = inputs[role.main]
        if role.kind == "copy":
            return inputs * len(layer.outputs)
        if role.kind == "join":
            return [join(inputs)]
        if role.kind == "cut":
            return [main.take(slice(*interval)) for interval in role.intervals]
        if role.kind == "shuffle":
            order = shuffle_order(len(main), layer.int_param(0, 1), bool(layer.int_param(1, 0)))
            return [main.take(order)]
        if role.kind == "tie":
            return [tie(self.found.versions, number, inputs)] if self._unite(inputs) else None
        if role.weighted and len(np.unique(main.keys())) < len(main):
            return None  # one value under two weights: the lanes could not tell them apart
        steps = [(number, output) for output in range(len(layer.outputs))]
        return [pass_on(self.found.versions, step, main, role.repeat) for step in steps]

    def _unite(self, inputs: list[Content]) -> bool:
        """Make one class of the groups that meet, position by position; False if they do not fit."""
        first = inputs[0]
        for other in inputs[1:]:
            pairs = np.unique(np.stack([first.group, other.group]), axis=1).T
            if not np.array_equal(first.index, other.index) or any(
                self.groups[a].size != self.groups[b].size for a, b in pairs
            ):
                return False
        for other in inputs[1:]:
            for a, b in np.unique(np.stack([first.group, other.group]), axis=1).T:
                self.parent[self._root(int(b))] = self._root(int(a))
        return True

    def _root(self, group: int) -> int:
        while self.parent[group] != group:
            group = self.parent[group]
        return group

    def name_classes(self) -> None:
        """Replace groups by classes everywhere."""
        roots = sorted({self._root(group) for group in range(len(self.parent))})
        number = {root: i for i, root in enumerate(roots)}
        class_of: IntArray = np.asarray([number[self._root(g)] for g in range(len(self.parent))], np.int64)
        self.found.contents = {b: c.with_groups(class_of) for b, c in self.found.contents.items()}
        self.found.births = {blob: int(class_of[group]) for blob, group in self.found.births.items()}
        self.found.classes = [Class(self.groups[r].size, [], self.groups[r].blob) for r in roots]
        for group, own in enumerate(class_of):
            self.found.classes[own].makers += self.groups[group].makers
            self.found.classes[own].pinned |= self.groups[group].pinned


def trace(
    graph: Graph,
    shapes: Mapping[str, Shape],
    kept: Iterable[str] = (),
    left: Mapping[str, str] | None = None,
) -> Trace:
    """Trace `graph`, whose shapes come from `infer_shapes(..., partial=True)`.

    `kept` are inner blobs that a caller will extract: they must stay as they are. What layers named in `left`
    make may not be widened, for the reason given. Blobs whose first axis is very long are not followed.
    """
    followed = {blob: shape for blob, shape in shapes.items() if shape and 0 < shape[0] <= _LONGEST}
    tracer = _Tracer(graph, followed)
    tracer.run()
    found = tracer.found
    tracer.name_classes()
    found.sinks = sinks_of(graph, found.roles, found.contents, kept)
    _mark_staying(found, left or {})
    found.regions = _regions(found)
    return found


def _regions(found: Trace) -> IntArray:
    region = np.arange(len(found.classes), dtype=np.int64)
    for content in found.contents.values():
        met = region[content.groups()]
        region[np.isin(region, met)] = met.min()
    return region


def _mark_staying(found: Trace, left: Mapping[str, str]) -> None:
    """Say which classes may not be widened, whatever the placement, and why."""
    for own in found.classes:
        if own.pinned:
            own.stays = f"its channel order is given by {own.makers[0]}"
        elif own.size == 1:
            own.stays = "a single channel, which may be spread over others"
        else:
            own.stays = next((left[maker] for maker in own.makers if maker in left), "")
    for sink in found.sinks:
        if sink.kind == "absorb":
            continue
        content = found.contents[sink.blob]
        last = int(content.group[-1])
        tail = content.group == last
        one_run = bool(tail[int(np.argmax(tail)) :].all()) and len(np.unique(content.version[tail])) == 1
        for group in content.groups():
            if sink.kind == "kept" or group != last or not one_run:
                own = found.classes[group]
                own.stays = own.stays or f"its channels must stay in place for {sink.reader(found.graph)}"
