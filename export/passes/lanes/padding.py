"""Prove that padding stays finite all the way, with the bounds of `ranges`."""

from math import prod

import numpy as np

from pocketdet.export.passes.lanes.layout import Layouts
from pocketdet.export.passes.lanes.ranges import ANY, ZERO, Range, activated, all_met, behind, hull, met
from pocketdet.export.passes.lanes.roles import Role
from pocketdet.export.passes.lanes.trace import Trace
from pocketdet.export.passes.lanes.widen import Obstacle, Wide
from pocketdet.runtime.ncnn_graph import Layer


def check_padding(found: Trace, wide: Wide, layouts: Layouts) -> None:
    """Raise `Obstacle` naming the layer that may make infinity or NaN of padding, and the classes padded."""
    bounds: dict[str, Range] = {}
    for number, layer in enumerate(found.graph.layers):
        role = found.roles[number]
        padded = [blob for blob in layer.inputs if blob in bounds]
        outputs = [blob for blob in layer.outputs if blob in layouts and bool((layouts[blob] < 0).any())]
        if not outputs:
            continue
        if role.kind in ("make", "source"):
            result: Range | None = activated(layer) if role.kind == "make" else ZERO
        else:
            result = _through(found, layer, role, number, bounds, layouts, wide)
        if result is None:
            classes = sorted({g for blob in padded for g in wide.contents[blob].groups()})
            own = [g for g in classes if wide.widths[g] > found.classes[g].size]
            raise Obstacle(f"zeros may become infinite or NaN in {layer.type} {layer.name!r}", own)
        bounds.update(dict.fromkeys(outputs, result))


def _through(
    found: Trace,
    layer: Layer,
    role: Role,
    number: int,
    bounds: dict[str, Range],
    layouts: Layouts,
    wide: Wide,
) -> Range | None:
    """Bounds of the padding in the outputs of a layer that passes on what it gets."""
    if role.kind in ("copy", "shuffle", "join"):
        return hull(*(bounds[blob] for blob in layer.inputs if blob in bounds))
    main = layer.inputs[role.main]
    if role.kind == "cut":
        return ANY if _strays(layer, layouts, wide, number) else bounds[main]
    if role.kind == "tie":
        lost = layouts[layer.outputs[0]] < 0
        real = [bool((layouts[blob][lost] >= 0).any()) for blob in layer.inputs]
        sources = [ANY if r else bounds[b] for b, r in zip(layer.inputs, real, strict=True)]
        return all_met(layer, sources)
    if layer.type == "BinaryOp" and role.fixed:
        order = [bounds[main], ANY] if role.main == 0 else [ANY, bounds[main]]
        return met(layer.int_param(0, 0), order[0], order[1])
    return behind(layer, bounds[main], prod(found.shapes[main][1:]))


def _strays(layer: Layer, layouts: Layouts, wide: Wide, number: int) -> bool:
    """Whether a cut delivers a real channel where it was not delivered before."""
    source = layouts[layer.inputs[0]]
    pieces = zip(layer.outputs, wide.intervals[number], strict=True)
    return any(bool(np.any((layouts[out] < 0) & (source[slice(*piece)] >= 0))) for out, piece in pieces)
