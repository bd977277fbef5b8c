"""docs/reference/one-stage.md in numpy's float32, one candidate at a time, to test the torch decode."""

import math

import numpy as np

f32 = np.float32


def sigmoid(x):
    return f32(1 / (1 + math.exp(-float(x))))


def tanh(x):
    return f32(2 / (1 + math.exp(-2 * float(x))) - 1)


def limited_exp(x, max_log):
    return f32(math.exp(float(min(x, f32(max_log)))))


def softmax(values):
    powers = [math.exp(float(v) - float(max(values))) for v in values]
    total = 0.0
    for power in powers:
        total += power
    return [f32(power / total) for power in powers]


def activate(values, activation):
    if activation == "softmax":
        return softmax(values)
    return [sigmoid(v) for v in values] if activation == "sigmoid" else list(values)


def power(value, exponent):
    return value if exponent == 1 else f32(float(value) ** exponent)


def read(outputs, slot, level, y, x, a, count):
    tensor = outputs[slot.output]
    each = len(level.anchors)
    cell_step = max(1, each * slot.anchor_step) if slot.cell_step is None else slot.cell_step
    row = slot.first_row + (y * level.grid[1] + x) * cell_step + a * slot.anchor_step
    found = []
    for k in range(count):
        channel = slot.first + a * slot.anchor_channels + k * slot.element_step
        at = {"map": (channel, y, x), "rows": (row, channel), "columns": (channel, row)}[slot.layout]
        found.append(f32(tensor[at]))
    return found


def read_code(outputs, level, number, coding, y, x, a):
    count = 4 * getattr(coding, "bins", 1)
    halves = [level.boxes[number]]
    if level.sizes and level.sizes[number] is not None:
        halves.append(level.sizes[number])
    found = []
    for field in halves:
        found += read(outputs, field, level, y, x, a, count // len(halves))
    return found


def units(name, reference, stride, size):
    return {
        "anchor": (reference[2] - reference[0], reference[3] - reference[1]),
        "stride": (f32(stride[0]), f32(stride[1])),
        "input": (f32(size[1]), f32(size[0])),
        "pixel": (f32(1), f32(1)),
    }[name]


def decode(elements, reference, stride, coding, size):
    if coding.encoding == "distance" and coding.bins > 1:
        sides = []
        for k in range(4):
            logits = [float(v) for v in elements[k * coding.bins : (k + 1) * coding.bins]]
            powers = [math.exp(v - max(logits)) for v in logits]
            weighted = total = 0.0
            for r, e in enumerate(powers):
                weighted, total = weighted + r * e, total + e
            sides.append(f32(weighted / total))
    else:
        sides = elements
    t = [sides[coding.order[i]] * f32(coding.multiplier[i]) for i in range(4)]
    centre = [reference[i] + f32(0.5) * (reference[i + 2] - reference[i]) for i in (0, 1)]
    if coding.encoding == "xyxy":
        unit = units(coding.unit, reference, stride, size)
        return [t[i] * unit[i % 2] for i in range(4)]
    if coding.encoding == "distance":
        unit = units(coding.unit, reference, stride, size)
        if coding.activation == "relu":
            t = [max(v, f32(0)) for v in t]
        elif coding.activation == "exp":
            t = [limited_exp(v, coding.max_log) for v in t]
        low = [centre[i] - t[i] * unit[i] for i in (0, 1)]
        return low + [centre[i] + t[i + 2] * unit[i] for i in (0, 1)]
    low, high = [], []
    for i in (0, 1):
        moved = {"none": lambda v: v, "tanh": tanh, "sigmoid": sigmoid}[coding.centre_activation](t[i])
        moved = (moved * f32(coding.centre_gain) + f32(coding.centre_shift)) * units(
            coding.centre_unit, reference, stride, size
        )[i]
        place = centre[i] + moved if coding.origin == "anchor" else moved
        scale = {
            "none": lambda v: v,
            "exp": lambda v: limited_exp(v, coding.max_log),
            "sigmoid": sigmoid,
            "sigmoid_squared": lambda v: (f32(2) * sigmoid(v)) * (f32(2) * sigmoid(v)),
            "square": lambda v: v * v,
        }[coding.size_activation](t[i + 2])
        half = f32(0.5) * (units(coding.size_unit, reference, stride, size)[i] * scale)
        low.append(place - half)
        high.append(place + half)
    return low + high


def iou(a, b):
    sides = [max(min(a[i + 2], b[i + 2]) - max(a[i], b[i]), f32(0)) for i in (0, 1)]
    inter = sides[0] * sides[1]
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / union if union > 0 else f32(0)


def suppress(candidates, rule):
    """Candidates are [score, label, prior, box] by prior, then label."""
    left, kept = [list(c) for c in candidates], []
    while left:
        best = max(left, key=lambda c: c[0])  # the first of equals
        left = [c for c in left if c is not best]
        kept.append(best)
        survivors = []
        for c in left:
            overlap = iou(best[3], c[3])
            if rule.nms == "hard":
                if overlap > f32(rule.nms_iou):
                    continue
            elif rule.nms == "linear":
                c[0] = c[0] * ((f32(1) - overlap) if overlap > f32(rule.nms_iou) else f32(1))
            else:
                c[0] = c[0] * f32(math.exp(float(-(overlap * overlap) / f32(rule.sigma))))
            if rule.nms == "hard" or c[0] > f32(rule.score_threshold):
                survivors.append(c)
        left = survivors
    return kept


def priors(spec, outputs):
    """Steps 1 to 3: [prior, level number, scores, level, box slots' elements] of each that stays."""
    found, index = [], 0
    extra = spec.scores.background != "none"
    for number, level in enumerate(spec.levels):
        for y, x, a in np.ndindex(*level.grid, len(level.anchors)):
            classes = read(outputs, level.classes, level, y, x, a, spec.num_classes + extra)
            codes = [
                read_code(outputs, level, number, coding, y, x, a)
                for number, coding in enumerate(spec.codings)
            ]
            seen = classes + [v for step in codes for v in step]
            objectness = None
            if spec.uses_objectness:
                two = spec.scores.objectness_activation == "softmax"
                raw = read(outputs, level.objectness, level, y, x, a, 1 + two)
                seen += raw
            if all(math.isfinite(v) for v in seen):
                if spec.uses_objectness:
                    objectness = activate(raw, spec.scores.objectness_activation)[-1]
                values = activate(classes, spec.scores.activation)
                values = values[1:] if spec.scores.background == "first" else values[: spec.num_classes]
                scores = [power(v, spec.scores.class_power) for v in values]
                if spec.scores.objectness_power:
                    scores = [s * power(objectness, spec.scores.objectness_power) for s in scores]
                found.append((index, number, scores, (level, y, x, a), codes, objectness))
            index += 1
    rule = spec.selection
    if rule.objectness_threshold is not None:
        found = [p for p in found if p[5] > f32(rule.objectness_threshold)]
    if rule.top_n_objectness is not None:
        found = sorted(
            sorted(found, key=lambda p: (-p[5], p[0]))[: rule.top_n_objectness], key=lambda p: p[0]
        )
    return found


def candidates(spec, outputs):
    """Steps 4 and 5: (score, label, prior) and what steps 6 and on need."""
    rule, found = spec.selection, []
    for prior in priors(spec, outputs):
        labels = range(spec.num_classes)
        if rule.best_class_only:
            labels = [max(labels, key=lambda i, p=prior: (p[2][i], -i))]
        found += [(prior[2][i], i, prior) for i in labels if prior[2][i] > f32(rule.score_threshold)]

    def best(some, limit):
        return sorted(some, key=lambda c: (-c[0], c[2][0], c[1]))[:limit]

    if rule.top_n_per_level is not None:
        by_level = [[c for c in found if c[2][1] == n] for n in range(len(spec.levels))]
        found = [c for some in by_level for c in best(some, rule.top_n_per_level)]
    if rule.top_n is not None:
        found = best(found, rule.top_n)
    return sorted(found, key=lambda c: (c[2][0], c[1]))


def decode_by_loops(spec, outputs):
    """Detections as a list of (score, label, prior, box)."""
    rule, (height, width), sound = spec.selection, spec.input_size, []
    for score, label, (index, _, _, (level, y, x, a), codes, _) in candidates(spec, outputs):
        cx, cy = (
            (f32(x) + f32(level.offset)) * f32(level.strides[0]),
            (f32(y) + f32(level.offset)) * f32(level.strides[1]),
        )
        half = [f32(0.5) * f32(side) for side in level.anchors[a]]
        box = [cx - half[0], cy - half[1], cx + half[0], cy + half[1]]
        for elements, coding in zip(codes, spec.codings, strict=True):
            box = decode(elements, box, level.strides, coding, spec.input_size)
        if rule.clip:
            box = [min(max(v, f32(0)), f32((width, height)[i % 2])) for i, v in enumerate(box)]
        sides = [box[2] - box[0], box[3] - box[1]]
        if all(math.isfinite(v) for v in box) and all(s > 0 and s >= f32(rule.min_size) for s in sides):
            sound.append([score, label, index, box])
    groups = [[c for c in sound if c[1] == label] for label in range(spec.num_classes)]
    groups = groups if rule.per_class else [sound]
    kept = sound if rule.nms == "none" else [c for group in groups for c in suppress(group, rule)]
    return sorted(kept, key=lambda c: (-c[0], c[1], c[2]))[: rule.max_detections]
