"""YOLO detectors with anchors: YOLOv5, YOLOv7, and YOLOv3 and v4 in their form.

Three anchors per cell, each with four box values, objectness and classes in the channels of one map. Exports
decode the boxes and join all levels to (1, n, 5 + C), anchors outermost, or leave (1, 3, h, w, 5 + C) or
(1, 3 * (5 + C), h, w) for each level. The maps are read, since ncnn has no tensors of five axes; the anchors
follow from the decoded boxes, or are those of the preset.
"""

from dataclasses import dataclass

import numpy as np

from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.joined_boxes import in_file
from pocketdet.export.families.presets import YOLOV5, choose_class_names, metadata_names
from pocketdet.export.families.probe import Array, corners, decodes_to, run_on_noise
from pocketdet.export.families.provenance import Ids, trace
from pocketdet.export.families.rows import (
    STRIDES,
    GridLevel,
    JoinedHead,
    dropped_lines,
    find_joined_head,
    levels_of,
    raw_maps,
    rows_line,
)
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedField, DescribedLevel, Description
from pocketdet.spec.one_stage import CxcywhCoding, OutputField, Scores

Anchors = tuple[tuple[float, float], ...]
EACH = 3
CODING = CxcywhCoding(
    centre_activation="sigmoid",
    centre_gain=2.0,
    centre_shift=-1.0,
    centre_unit="stride",
    size_activation="sigmoid_squared",
)
SPREAD = 1e-2  # of an anchor's size over the cells, relative


def _anchors(*sizes: int) -> Anchors:
    return tuple((float(w), float(h)) for w, h in zip(sizes[::2], sizes[1::2], strict=True))


YOLOV5_ANCHORS = (
    _anchors(10, 13, 16, 30, 33, 23),
    _anchors(30, 61, 62, 45, 59, 119),
    _anchors(116, 90, 156, 198, 373, 326),
)
YOLOV7_ANCHORS = (
    _anchors(12, 16, 19, 36, 40, 28),
    _anchors(36, 75, 76, 55, 72, 146),
    _anchors(142, 110, 192, 243, 459, 401),
)
P6_ANCHORS = (
    _anchors(19, 27, 44, 40, 38, 94),
    _anchors(96, 68, 86, 152, 180, 137),
    _anchors(140, 301, 303, 264, 238, 542),
    _anchors(436, 615, 739, 380, 925, 792),
)


@dataclass(frozen=True)
class YoloWithAnchors:
    """A family of YOLO with anchors.

    Attributes:
        name: as in `--preset`.
        title: the detectors that it covers, for people.
        anchors: those of raw heads of three levels, whose file does not contain them.
    """

    name: str
    title: str
    anchors: tuple[Anchors, ...]

    def match(self, model: OnnxSummary, options: FamilyOptions) -> Match | Mismatch:
        """Describe a file, or say what differs."""
        joined = find_joined_head(model)
        if joined is None:
            return self._match_raw(model, options)
        head, selecting = joined
        count = dict(head.groups).get(4, head.channels) - 5  # masks may follow the classes
        stored = metadata_names(model.metadata)
        if head.anchors != EACH or count < 1:
            return Mismatch(
                (
                    f"{head.name!r}: expected rows of 5 + C for each of {EACH} anchors of a cell, found "
                    f"{head.anchors} of {head.channels}",
                ),
                1,
            )
        if stored is not None and len(stored) != count:
            return Mismatch((f"{count} class scores: expected the {len(stored)} of the metadata",), 2)
        maps = raw_maps(model, head.origin.sources, head.levels)
        if maps is None or not in_file(model, [OutputField(name) for name in maps]):
            return Mismatch((f"{head.name!r}: its levels do not come from one map each",), 2)
        if model.shape_of(maps[0])[1] != EACH * head.channels:
            return Mismatch((f"{maps[0]!r}: expected {EACH} * {head.channels} channels",), 2)
        names, names_line = choose_class_names(count, options.class_names, model.metadata)
        values = run_on_noise(model, [head.name, *maps])
        rows = _by_cell(head, values[head.name].T if head.columns else values[head.name])
        anchors = _measure_anchors(head, rows, [values[name] for name in maps])
        if anchors is None:
            return Mismatch(("boxes: sizes are not (2 * sigmoid)^2 of an anchor's",), 3)
        description = self._describe(model, head.levels, maps, anchors, names)
        boxes, scores = corners(rows[:, :4]), rows[:, 4:5] * rows[:, 5 : 5 + count]
        if not decodes_to(description.spec(), values, boxes, scores):
            return Mismatch(("boxes and scores are not decoded as YOLOv5 does",), 4)
        shown = " / ".join(", ".join(f"{w:g}x{h:g}" for w, h in level) for level in anchors)
        reasons = (
            rows_line(model, head, f"4 box values, objectness, {count} class scores"),
            *dropped_lines(model, head, selecting, 5 + count),
            f"raw values of {', '.join(map(repr, maps))}; decoded, they are the file's own boxes and scores",
            f"anchors, from the file's own boxes: {shown}",
            names_line,
            *YOLOV5.lines(self.name),
        )
        return Match(description, reasons)

    def _match_raw(self, model: OnnxSummary, options: FamilyOptions) -> Match | Mismatch:
        """Maps that are not decoded: the anchors are those of the preset."""
        found = _raw_outputs(model)
        if found is None:
            return Mismatch(
                (f"expected rows (1, n, 5 + C), or maps (1, {EACH}, h, w, 5 + C) for each level",)
            )
        levels, maps = found
        channels = int(model.shape_of(maps[0])[1])
        known = {len(anchors): anchors for anchors in (self.anchors, P6_ANCHORS)}
        if channels % EACH or channels // EACH < 6:
            return Mismatch((f"{maps[0]!r}: {channels} channels are not {EACH} * (5 + C)",), 2)
        if len(levels) not in known:
            return Mismatch((f"{len(levels)} levels: anchors are known of {', '.join(map(str, known))}",), 2)
        names, names_line = choose_class_names(channels // EACH - 5, options.class_names, model.metadata)
        description = self._describe(model, levels, maps, known[len(levels)], names)
        shown = " / ".join(", ".join(f"{w:g}x{h:g}" for w, h in level) for level in known[len(levels)])
        reasons = (
            f"raw maps {', '.join(map(repr, maps))} of strides {', '.join(str(n.stride) for n in levels)}",
            f"anchors of the preset {self.name}, the file does not contain them: {shown}",
            names_line,
            *YOLOV5.lines(self.name),
        )
        return Match(description, reasons)

    def _describe(
        self,
        model: OnnxSummary,
        levels: tuple[GridLevel, ...],
        maps: tuple[str, ...],
        anchors: tuple[Anchors, ...],
        names: tuple[str, ...],
    ) -> Description:
        step = int(model.shape_of(maps[0])[1]) // EACH
        described = tuple(
            DescribedLevel(
                level.stride,
                DescribedField(5, anchor_channels=step),
                DescribedField(0, anchor_channels=step),
                DescribedField(4, anchor_channels=step),
                output=name,
                anchors=sizes,
            )
            for level, name, sizes in zip(levels, maps, anchors, strict=True)
        )
        return YOLOV5.describe(model, names, described, CODING, Scores(objectness_power=1.0))


def _by_cell(head: JoinedHead, rows: Array) -> Array:
    """Rows with the anchors of a level outermost -> innermost."""
    parts = [
        rows[EACH * level.first_cell : EACH * (level.first_cell + level.cells)]
        .reshape(EACH, level.cells, -1)
        .swapaxes(0, 1)
        .reshape(EACH * level.cells, -1)
        for level in head.levels
    ]
    return np.concatenate(parts)


def _measure_anchors(head: JoinedHead, rows: Array, maps: list[Array]) -> tuple[Anchors, ...] | None:
    """The anchors' sizes, for which (2 * sigmoid(t))^2 of the raw values gives the decoded sizes."""
    found: list[Anchors] = []
    for level, values in zip(head.levels, maps, strict=True):
        t = values.reshape(EACH, -1, level.cells)[:, 2:4].transpose(2, 0, 1).astype(np.float64)
        own = rows[EACH * level.first_cell : EACH * (level.first_cell + level.cells), 2:4]
        sizes = own.reshape(level.cells, EACH, 2) * (1 + np.exp(-t)) ** 2 / 4
        median = np.median(sizes, axis=0)
        if not np.isfinite(median).all() or (np.abs(sizes - median) > SPREAD * np.abs(median) + 1e-6).any():
            return None
        if (median <= 0).any():
            return None
        found.append(tuple((round(float(w), 3), round(float(h), 3)) for w, h in median))
    return tuple(found)


def _raw_outputs(model: OnnxSummary) -> tuple[tuple[GridLevel, ...], tuple[str, ...]] | None:
    """The maps (1, channels, h, w) behind the outputs that are raw heads, finest level first."""
    maps = {name: model.shapes[name] for o in model.outputs if (name := _map_of(model, o.name)) is not None}
    by_grid = {shape[2:]: name for name, shape in maps.items()}
    for strides in STRIDES if model.input_size is not None else ():
        assert model.input_size is not None
        levels = levels_of(strides, model.input_size)
        if {level.grid for level in levels} == set(by_grid) and len(maps) == len(levels):
            names = tuple(by_grid[level.grid] for level in levels)
            if len({model.shapes[name][1] for name in names}) == 1:
                return levels, names
    return None


def _map_of(model: OnnxSummary, output: str) -> str | None:
    """The map that an output (1, 3, h, w, k), or its sigmoid, is a view of; an output of rank 4 itself."""
    shape = model.shapes.get(output, ())
    node = model.producer_of(output)
    if node is not None and node.op_type == "Sigmoid":
        return _map_of(model, node.input[0])
    if len(shape) not in (4, 5) or (len(shape) == 5 and shape[1] != EACH):
        return None
    origin = trace(model, output)
    ids: Ids = origin.ids[0] if len(shape) == 4 else origin.ids[0].transpose(0, 3, 1, 2)
    if len(origin.sources) != 1 or not np.array_equal(ids.reshape(-1), np.arange(ids.size)):
        return None
    name = origin.sources[0]
    return name if len(model.shapes[name]) == 4 and in_file(model, [OutputField(name)]) else None
