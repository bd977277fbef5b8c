"""Small ncnn graphs for tests of graph passes: a builder, random graphs, and random weights."""

from collections.abc import Sequence

import numpy as np

from pocketdet.runtime.ncnn_graph import Graph, Layer, encode, infer_shapes, weight_slots


def fill(graph, seed=0, storage="fp32"):
    """Give every layer of a graph random weights that keep values near one, in place."""
    rng = np.random.default_rng(seed)
    for layer in graph.layers:
        layer.weights = {}
        for slot in weight_slots(layer):
            layer.weights[slot.role] = _weight(rng, layer, slot, storage)
    graph.structure_only = False
    return graph


def _weight(rng, layer, slot, storage):
    if slot.role in ("variance", "weight_scales", "input_scale", "output_scale", "data"):
        low, high = {"weight_scales": (60, 90), "input_scale": (30, 40), "output_scale": (30, 40)}.get(
            slot.role, (0.5, 1.5)
        )
        return encode(rng.uniform(low, high, slot.shape).astype(np.float32), "fp32" if slot.tagged else "raw")
    if slot.tagged and storage == "int8" and layer.params.get(8):
        return encode(rng.integers(-127, 128, slot.shape).astype(np.int8), "int8")
    spread = 1.5 / np.sqrt(max(np.prod(slot.shape[1:]), 1)) if slot.role == "weight" else 1.0
    values = (rng.uniform(-1, 1, slot.shape) * spread).astype(np.float32)
    tagged = "fp32" if storage == "int8" else storage
    return encode(values, tagged if slot.tagged else "raw")


class Builder:
    """Adds layers one by one; blobs may be read often, `graph` puts the Splits in."""

    def __init__(self):
        self.layers, self.inputs, self.shapes, self.count = [], {}, {}, 0

    def input(self, *shape):
        name = f"in{len(self.inputs)}"
        self.inputs[name] = self.shapes[name] = shape
        self.layers.append(Layer("Input", name, [], [name]))
        return name

    def add(self, kind, inputs, params=None, outputs=1):
        """Append a layer; returns its output, or a list of several. Raises GraphError if it cannot be."""
        inputs = [inputs] if isinstance(inputs, str) else list(inputs)
        tops = [f"b{self.count}" if outputs == 1 else f"b{self.count}_{i}" for i in range(outputs)]
        layer = Layer(kind, f"{kind.lower()}_{self.count}", inputs, tops, dict(params or {}))
        sources = [Layer("Input", name, [], [name]) for name in dict.fromkeys(inputs)]
        known = {name: self.shapes[name] for name in inputs}
        found = infer_shapes(Graph([*sources, layer]), known)
        self.shapes.update({top: found[top] for top in tops})
        self.layers.append(layer)
        self.count += 1
        return tops[0] if outputs == 1 else tops

    def conv(self, x, out, kernel=1, stride=1, **more):
        size = out * self.shapes[x][0] * kernel * kernel
        params = {0: out, 1: kernel, 3: stride, 4: kernel // 2, 5: 1, 6: size}
        return self.add("Convolution", x, params | {int(k[1:]): v for k, v in more.items()})

    def depthwise(self, x, kernel=3, stride=1, times=1, **more):
        channels = self.shapes[x][0]
        size = channels * times * kernel * kernel
        params = {0: channels * times, 1: kernel, 3: stride, 4: kernel // 2, 5: 1, 6: size, 7: channels}
        return self.add("ConvolutionDepthWise", x, params | {int(k[1:]): v for k, v in more.items()})

    def linear(self, x, out, **more):
        size = out * int(np.prod(self.shapes[x]))
        return self.add("InnerProduct", x, {0: out, 1: 1, 2: size} | {int(k[1:]): v for k, v in more.items()})

    def concat(self, *xs):
        return self.add("Concat", xs, {0: 0})

    def halves(self, x):
        return self.add("Slice", x, {0: (-233, -233), 1: 0}, outputs=2)

    def shuffle(self, x, groups=2, reverse=0):
        return self.add("ShuffleChannel", x, {0: groups, 1: reverse})

    def shuffle_block(self, x, kernel=3):
        """ShuffleNetV2's basic unit on a blob that both branches share."""
        kept, changed = self.halves(x)
        width = self.shapes[changed][0]
        changed = self.conv(self.depthwise(self.conv(changed, width, _9=1), kernel), width, _9=1)
        return self.shuffle(self.concat(kept, changed))

    def shuffle_down(self, x, width, kernel=3):
        """ShuffleNetV2's unit that halves the resolution: two branches of `width` channels."""
        left = self.conv(self.depthwise(x, kernel, 2), width, _9=1)
        right = self.conv(self.depthwise(self.conv(x, width, _9=1), kernel, 2), width, _9=1)
        return self.shuffle(self.concat(left, right))

    def graph(self, seed=0, storage="fp32"):
        """The graph with a Split wherever a blob is read more than once, and random weights."""
        readers = {}
        for layer in self.layers:
            for i, blob in enumerate(layer.inputs):
                readers.setdefault(blob, []).append((layer, i))
        layers = []
        for layer in self.layers:
            layers.append(layer)
            for blob in layer.outputs:
                places = readers.get(blob, [])
                if len(places) > 1:
                    parts = [f"{blob}_part{i}" for i in range(len(places))]
                    layers.append(Layer("Split", f"split_{blob}", [blob], parts))
                    for part, (reader, i) in zip(parts, places, strict=True):
                        reader.inputs[i] = part
        return fill(Graph(layers), seed, storage)


def random_graph(rng, steps=12):
    """A random builder with odd channel counts; `rng` is a random.Random."""
    b = Builder()
    size = rng.choice([4, 6, 7])
    x = b.conv(b.input(3, size, size), _channels(rng), 3, **_activation(rng))
    blobs = [x]
    for _ in range(steps):
        step = rng.choice(_STEPS)
        made = step(b, rng, blobs)
        made = [made] if isinstance(made, str) else made
        blobs += [blob for blob in made or [] if np.prod(b.shapes[blob]) < 60_000]
    return b


def _channels(rng):
    return rng.choice([2, 3, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 18, 20, 22, 30])


def _activation(rng):
    kind = rng.choice([0, 0, 1, 1, 2, 3, 4, 5, 6])
    values = {2: (0.1,), 3: (rng.choice([-0.5, 0.25]), 6.0), 6: (1 / 6, 0.5)}
    return {"_9": kind} | ({"_10": values[kind]} if kind in values else {})


def _maps(b, blobs, dims=3):
    return [blob for blob in blobs if len(b.shapes[blob]) == dims]


def _pick(b, rng, blobs, dims=3):
    """A blob, late ones more often; None when there is none."""
    found = _maps(b, blobs, dims)[-6:]
    return rng.choice(found) if found else None


def _alike(b, rng, blobs, x, same=slice(None)):
    """Other blobs of the same shape, or of the same part of it."""
    shape = b.shapes[x]
    return [y for y in _maps(b, blobs, len(shape)) if b.shapes[y][same] == shape[same]]


def _conv(b, rng, blobs):
    x = _pick(b, rng, blobs)
    return b.conv(x, _channels(rng), rng.choice([1, 1, 3]), rng.choice([1, 1, 1, 2]), **_activation(rng))


def _depthwise(b, rng, blobs):
    x = _pick(b, rng, blobs)
    return b.depthwise(x, rng.choice([3, 5]), 1, rng.choice([1, 1, 1, 2]), **_activation(rng))


def _deconv(b, rng, blobs):
    x = _pick(b, rng, blobs)
    if rng.random() < 0.5:
        out = _channels(rng)
        return b.add("Deconvolution", x, {0: out, 1: 2, 3: 2, 5: 1, 6: out * b.shapes[x][0] * 4})
    c = b.shapes[x][0]
    return b.add("DeconvolutionDepthWise", x, {0: c, 1: 2, 3: 1, 5: 1, 6: c * 4, 7: c})


def _grouped(b, rng, blobs):
    x = _pick(b, rng, blobs)
    c = b.shapes[x][0]
    g = rng.choice([g for g in (1, 2, 3, 5) if c % g == 0])
    out = g * rng.choice([2, 3, 4])
    return b.add("ConvolutionDepthWise", x, {0: out, 1: 1, 5: 1, 6: out * c // g, 7: g})


def _single(b, rng, blobs):
    x = rng.choice(blobs[-6:])
    c = b.shapes[x][0]
    options = [
        ("ReLU", {}), ("ReLU", {0: 0.2}), ("Sigmoid", {}), ("TanH", {}), ("Swish", {}), ("HardSwish", {}),
        ("HardSigmoid", {}), ("Mish", {}), ("GELU", {}), ("ELU", {0: 0.5}), ("Clip", {0: 0.1, 1: 3.0}),
        ("PReLU", {0: c}), ("PReLU", {0: 1}), ("BatchNorm", {0: c}), ("Scale", {0: c, 1: 1}),
        ("Dropout", {}), ("AbsVal", {}), ("UnaryOp", {0: rng.choice([1, 4, 7, 16])}),
        ("BinaryOp", {0: rng.choice([0, 1, 2, 3, 4, 5, 7]), 1: 1, 2: 0.75}),
    ]  # fmt: skip
    if len(b.shapes[x]) == 3:
        options.append(("Bias", {0: c}))
    kind, params = rng.choice(options)
    return b.add(kind, x, params)


def _spatial(b, rng, blobs):
    x = _pick(b, rng, blobs)
    c, h, w = b.shapes[x]
    options = [
        ("Pooling", {0: rng.choice([0, 1]), 1: 3, 2: 1, 3: 1, 5: 1}),
        ("Pooling", {0: 1, 4: 1}),
        ("Pooling", {0: 1, 7: 1, 8: 1}),
        ("Interp", {0: rng.choice([1, 2]), 3: 5, 4: 6}),
        ("Padding", {0: 1, 1: 0, 2: 1, 3: 1, 4: rng.choice([0, 1]), 5: 0.5}),
        ("Reduction", {0: rng.choice([0, 3, 4]), 1: 0, 3: (1, 2), 4: rng.choice([0, 1]), 5: 1}),
        ("Crop", {9: (0, 0), 10: (h - 1, w), 11: (1, 2)}),
        ("Reshape", {0: h * w, 1: rng.choice([c, -1])}),
        ("Softmax", {0: rng.choice([0, 1, 2]), 1: 1}),
        ("Permute", {0: rng.choice([1, 3])}),
    ]
    kind, params = rng.choice(options)
    return b.add(kind, x, params) if h > 1 and w > 1 else None


def _meet(b, rng, blobs):
    x = rng.choice(blobs[-6:])
    y = rng.choice(_alike(b, rng, blobs, x))
    if rng.random() < 0.4:
        return b.add("Eltwise", [x, y], {0: rng.choice([0, 1, 2])})
    return b.add("BinaryOp", [x, y], {0: rng.choice([0, 0, 1, 2, 4, 5])})


def _residual(b, rng, blobs):
    x = _pick(b, rng, blobs)
    c = b.shapes[x][0]
    y = b.conv(b.depthwise(b.conv(x, _channels(rng), _9=1)), c)
    return b.add("BinaryOp", [x, y], {0: 0})


def _excite(b, rng, blobs):
    x = _pick(b, rng, blobs)
    c = b.shapes[x][0]
    y = b.add("Pooling", x, {0: 1, 4: 1})
    y = b.linear(b.linear(y, _channels(rng), _9=1), c, _9=4)
    if rng.random() < 0.5:
        y = b.add("Reshape", y, {0: 1, 1: 1, 2: c})
    return b.add("BinaryOp", [x, y] if rng.random() < 0.7 else [y, x], {0: 2})


def _constant(b, rng, blobs):
    x = _pick(b, rng, blobs)
    c = b.shapes[x][0]
    shape = rng.choice([{0: 1, 1: 1, 2: c}, {0: c}])
    y = b.add("MemoryData", [], shape)
    return b.add("BinaryOp", [x, y], {0: rng.choice([0, 2, 3])}) if len(b.shapes[x]) == 3 else None


def _attention(b, rng, blobs):
    x = _pick(b, rng, blobs)
    y = b.conv(x, 1, 1, _9=4)
    return b.add("BinaryOp", [x, y] if rng.random() < 0.5 else [y, x], {0: 2})


def _concat(b, rng, blobs):
    x = _pick(b, rng, blobs)
    others = _alike(b, rng, blobs, x, slice(1, None))
    return b.concat(*(rng.choice(others) for _ in range(rng.choice([2, 2, 3]))))


def _cut(b, rng, blobs):
    x = _pick(b, rng, blobs)
    c = b.shapes[x][0]
    if c % 2 == 0 and rng.random() < 0.6:
        return b.halves(x)
    if c < 4:
        return None
    at = rng.randint(1, c - 1)
    kind = rng.choice(["sizes", "points", "crop", "gap"])
    if kind == "gap":
        low, high = sorted((rng.randint(1, c - 1), at))
        parts = [b.add("Crop", x, {9: (i,), 10: (j,), 11: (0,)}) for i, j in ((0, low), (high, c))]
        return b.concat(*rng.sample(parts, 2))
    if kind == "crop":
        return [
            b.add("Crop", x, {9: (0,), 10: (at,), 11: (0,)}),
            b.add("Crop", x, {9: (at,), 10: (c,), 11: (0,)}),
        ]
    return b.add("Slice", x, {0: (at, -233)} if kind == "sizes" else {2: (at,)}, outputs=2)


def _shuffle(b, rng, blobs):
    x = _pick(b, rng, blobs)
    groups = [g for g in (2, 3, 4) if b.shapes[x][0] % g == 0]
    return b.shuffle(x, rng.choice(groups), rng.choice([0, 0, 1])) if groups else None


def _shuffle_stage(b, rng, blobs):
    x = b.shuffle_down(_pick(b, rng, blobs), rng.choice([5, 6, 7, 9, 10, 12, 14, 15, 29, 30]))
    for _ in range(rng.choice([1, 2, 3])):
        x = b.shuffle_block(x)
    return x


def _gemm(b, rng, blobs):
    """A constant matrix times the channels of a map, with a term for each row or for each value."""
    x = _pick(b, rng, blobs)
    c, h, w = b.shapes[x]
    m, term = _channels(rng), rng.choice([None, -1, 0, 1, 2, 3, 4])
    params = {2: rng.choice([0, 1]), 4: 1, 7: m, 9: c, 10: -1}
    if term is not None:
        params |= {6: 1, 10: term, 8: h * w}
    made = b.add("Gemm", b.add("Reshape", x, {0: h * w, 1: c}), params)
    return b.add("Reshape", made, {0: w, 1: h, 2: m})


def _linear(b, rng, blobs):
    x = rng.choice(blobs[-6:])
    if len(b.shapes[x]) == 2 or np.prod(b.shapes[x]) > 2000:
        return None
    if rng.random() < 0.5:
        x = b.add("Flatten", x)
    return b.linear(x, _channels(rng), **_activation(rng))


_STEPS: Sequence = (
    _conv, _conv, _conv, _depthwise, _depthwise, _deconv, _grouped, _single, _single, _single, _spatial,
    _meet, _meet, _residual, _excite, _constant, _attention, _concat, _concat, _cut, _cut, _shuffle,
    _shuffle_stage, _linear, _gemm,
)  # fmt: skip
