"""Random single layers of every type that has a shape rule: plausible parameters, not always valid ones."""

from math import prod

from pocketdet.runtime.ncnn_graph import Graph, Layer

ACTIVATIONS = ("AbsVal", "BNLL", "DeepCopy", "Erf", "Mish", "Sigmoid", "Softplus", "Swish", "TanH")
ONE_FLOAT = ("CELU", "Dropout", "ELU", "ReLU", "Threshold")


def single_layer(kind, params, shapes, outputs=1, extra_inputs=()):
    """A graph of Input layers, constants named in `extra_inputs`, and one layer called `layer`."""
    names = [f"in{i}" for i in range(len(shapes))]
    layers = [Layer("Input", name, [], [name]) for name in names]
    tops = [f"out{i}" for i in range(outputs)]
    layers.append(Layer(kind, "layer", [*names, *extra_inputs], tops, params))
    return Graph(layers), dict(zip(names, map(tuple, shapes), strict=True)), tops


def shape(rng, *dims, low=1, high=20):
    count = int(rng.choice(dims))
    return tuple(int(size) for size in rng.integers(low, high, count))


def pick(rng, *values):
    return values[int(rng.integers(len(values)))]


def maybe(rng, params, key, *values, chance=0.4):
    if rng.random() < chance:
        params[key] = pick(rng, *values)


def activation(rng, params, key=9, values=10):
    kind = pick(rng, 0, 0, 1, 2, 3, 4, 5, 6)
    params[key] = kind
    if kind in (2, 3, 6):
        params[values] = {2: (0.1,), 3: (-0.5, 0.5), 6: (0.2, 0.5)}[kind]


def windows(rng, params):
    params[1] = pick(rng, 1, 2, 3, 3, 5, 7)
    for key, values in ((11, (1, 2, 3)), (2, (1, 2)), (12, (1, 3)), (3, (1, 2, 2, 3)), (13, (1, 2))):
        maybe(rng, params, key, *values)
    maybe(rng, params, 4, 0, 1, 2, -233, -234, 3)
    if params.get(4, 0) >= 0:
        for key in (14, 15, 16):
            maybe(rng, params, key, 0, 1, 2, chance=0.2)


def convolution(rng, kind):
    params = {}
    windows(rng, params)
    grouped = kind in ("ConvolutionDepthWise", "DeconvolutionDepthWise")
    group = pick(rng, 1, 2, 3, 4, 8, 16) if grouped else 1
    channels = group * (1 if rng.random() < 0.5 else pick(rng, 1, 2, 3))
    if not grouped:
        channels = pick(rng, 1, 3, 4, 7, 8, 16)
    out = group * pick(rng, 1, 1, 2, 3) if grouped else pick(rng, 1, 3, 4, 8, 12, 16)
    params[0] = out
    if grouped:
        params[7] = group
    taps = params[1] * params.get(11, params[1])
    params[6] = out * (channels // group) * taps
    params[5] = pick(rng, 0, 1)
    activation(rng, params)
    return params, channels, taps


def convolution_case(rng, kind):
    params, channels, taps = convolution(rng, kind)
    input_shape = (channels, *shape(rng, 2, high=24))
    if kind.startswith("Deconvolution"):
        maybe(rng, params, 18, 0, 1)
        maybe(rng, params, 20, 8, 12)
    if kind.startswith("Convolution"):
        maybe(rng, params, 8, 1, 2, 101, chance=0.2)
        maybe(rng, params, 18, 0.5, chance=0.1)
    if kind == "Convolution" and rng.random() < 0.05:
        return {0: 4, 1: 1, 6: 4 * channels}, [(channels,)], 1
    if kind == "DeformableConv2D":
        for key in (4, 14, 15, 16):
            params[key] = abs(params.get(key, 0)) % 3
        size = []
        for axis, kernel_key, dilation_key, stride_key, pads in (
            (1, 11, 12, 13, (14, 16)),
            (2, 1, 2, 3, (4, 15)),
        ):
            kernel = params.get(kernel_key, params[1])
            dilation = params.get(dilation_key, params.get(2, 1))
            stride = params.get(stride_key, params.get(3, 1))
            extent = dilation * (kernel - 1) + 1
            size.append((input_shape[axis] + sum(params[key] for key in pads) - extent) // stride + 1)
        blobs = [input_shape, (2 * taps, *size), (taps, *size)]
        return params, [blob for blob in blobs[: pick(rng, 2, 3)] if min(blob) > 0], 1
    return params, [input_shape], 1


def broadcast_case(rng, _kind):
    full = shape(rng, 1, 2, 3, 4, high=6)
    other = tuple(size if rng.random() < 0.6 else 1 for size in full)
    if rng.random() < 0.5 and len(full) > 1:
        other = pick(rng, full[:1], full[-1:], full[:-1], (1,))
    blobs = [full, other] if rng.random() < 0.5 else [other, full]
    if rng.random() < 0.2:
        return {0: pick(rng, 0, 2, 6), 1: 1, 2: 0.5}, blobs[:1], 1
    return {0: int(rng.integers(0, 19))}, blobs, 1


def per_channel_case(rng, kind):
    blob = (
        shape(rng, 3)
        if kind in ("Bias", "Normalize", "InstanceNorm", "LRN")
        else shape(rng, 1, 2, 3, 4, high=9)
    )
    if kind in ("LayerNorm", "RMSNorm"):
        return (
            {0: pick(rng, blob[-1], prod(blob[-2:]), prod(blob[1:])), 1: 1e-5, 2: pick(rng, 0, 1)},
            [blob],
            1,
        )
    if kind == "GroupNorm":
        return {0: pick(rng, 1, 2, 3), 1: blob[0], 3: pick(rng, 0, 1)}, [blob], 1
    if kind == "Normalize":
        shared = pick(rng, 0, 1)
        params = {
            0: pick(rng, 0, 1),
            1: shared,
            3: 1 if shared else blob[0],
            4: pick(rng, 0, 1),
            9: pick(rng, 0, 1),
        }
        return params, [blob], 1
    if kind == "InstanceNorm":
        return {0: blob[0], 2: pick(rng, 0, 1)}, [blob], 1
    if kind == "LRN":
        return {0: pick(rng, 0, 1), 1: pick(rng, 1, 3, 5)}, [blob], 1
    if kind == "Scale" and rng.random() < 0.3:
        return {0: -233}, [blob, blob[:1]], 1
    return {0: pick(rng, blob[0], blob[0], blob[0], 1, blob[0] + 1)}, [blob], 1


def routing_case(rng, kind):
    blob = shape(rng, 1, 2, 3, 4, low=2, high=17)
    axis = int(rng.integers(-len(blob), len(blob)))
    if kind == "Concat":
        blobs = []
        for _ in range(pick(rng, 2, 3)):
            other = list(blob)
            other[axis] = int(rng.integers(1, 17))
            blobs.append(tuple(other))
        return {0: axis}, blobs, 1
    if kind == "Slice":
        total = blob[axis]
        count = int(rng.integers(1, min(total, 4) + 1))
        cuts = (
            sorted(int(cut) for cut in rng.choice(range(1, total), count - 1, replace=False))
            if count > 1
            else []
        )
        sizes = [b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True)]
        choice = pick(rng, "sizes", "rest", "points")
        if choice == "points" and cuts:
            return {1: axis, 2: tuple(pick(rng, cut, cut - total) for cut in cuts)}, [blob], count
        return (
            {0: (-233,) * count if choice == "rest" else (*sizes[:-1], pick(rng, sizes[-1], -233)), 1: axis},
            [blob],
            count,
        )
    if kind in ("Split", "Noop"):
        return {}, [blob] if kind == "Split" else [blob, (3,)], pick(rng, 1, 2)
    if kind == "ShuffleChannel":
        return {0: pick(rng, 1, 2, 3, 4), 1: pick(rng, 0, 1)}, [shape(rng, 3, 4, low=2)], 1
    factor = pick(rng, 1, 2, 3)
    if kind == "PixelShuffle":
        return {0: factor, 1: pick(rng, 0, 1)}, [(factor * factor * pick(rng, 1, 3, 4), *shape(rng, 2))], 1
    if kind == "Reorg":
        return {0: factor, 1: pick(rng, 0, 1)}, [(pick(rng, 1, 3, 4), factor * 3, factor * 2)], 1
    if kind == "Padding":
        params = {key: pick(rng, 0, 1, 2) for key in (0, 1, 2, 3) if rng.random() < 0.6}
        for key in (7, 8):
            maybe(rng, params, key, 1, 4, chance=0.2)
        return {**params, 4: pick(rng, 0, 1, 2), 5: 0.5}, [blob], 1
    return crop_case(rng, blob)


def crop_case(rng, blob):
    if rng.random() < 0.5:
        axes = tuple(
            int(a) for a in rng.choice(len(blob), int(rng.integers(1, len(blob) + 1)), replace=False)
        )
        starts = tuple(pick(rng, 0, 1, -233, -1, -2) for _ in axes)
        ends = tuple(pick(rng, -233, 2, 5, -1, 2147483647) for _ in axes)
        params = {9: starts, 10: ends}
        if len(axes) < len(blob) or rng.random() < 0.5:
            params[11] = tuple(a - len(blob) if rng.random() < 0.3 else a for a in axes)
        return params, [blob], 1
    if rng.random() < 0.4:
        smaller = tuple(int(rng.integers(1, size + 1)) for size in blob)
        return {0: pick(rng, 0, 1)}, [blob, smaller[-int(rng.integers(1, len(blob) + 1)) :]], 1
    params = {key: pick(rng, 0, 1) for key in (0, 1, 2, 13) if rng.random() < 0.4}
    params.update({key: pick(rng, 1, 2, 5, -233, -233) for key in (3, 4, 5, 14)})
    return params, [blob], 1


def layout_case(rng, kind):
    blob = shape(rng, 1, 2, 3, 4, high=7)
    if kind == "Flatten":
        return {}, [blob], 1
    if kind == "Permute":
        return {0: int(rng.integers(0, {1: 1, 2: 2, 3: 6, 4: 24}[len(blob)]))}, [blob], 1
    if kind in ("Squeeze", "ExpandDims"):
        if kind == "Squeeze":
            blob = tuple(size if rng.random() < 0.5 else 1 for size in blob)
            if rng.random() < 0.3:
                return {key: 1 for key in (0, 1, 2, 11) if rng.random() < 0.6}, [blob], 1
        count = int(rng.integers(1, 3))
        dims = len(blob) + (count if kind == "ExpandDims" else 0)
        return (
            {3: tuple(int(a) for a in rng.choice(range(-dims, dims), min(count, dims), replace=False))},
            [blob],
            1,
        )
    total, sizes = prod(blob), []
    for _ in range(int(rng.integers(0, 4))):
        size = pick(rng, *(d for d in range(1, total + 1) if total % d == 0))
        sizes.append(size)
        total //= size
    sizes.append(pick(rng, total, -1))
    keys = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}[len(sizes)]
    params = dict(zip(keys, sizes, strict=True))
    maybe(rng, params, pick(rng, *keys), 0, chance=0.2)
    return params, [blob], 1


def pooling_case(rng, kind):
    blob = shape(rng, 3, low=2)
    if kind == "Reduction":
        blob = shape(rng, 1, 2, 3, 4, high=7)
        params = {0: int(rng.integers(0, 11)), 1: pick(rng, 0, 0, 1), 4: pick(rng, 0, 1), 5: 1}
        count = int(rng.integers(1, len(blob) + 1))
        params[3] = tuple(int(a) for a in rng.choice(range(-len(blob), len(blob)), count, replace=False))
        return params, [blob], 1
    if kind == "Interp":
        blob = shape(rng, 1, 2, 3)
        params = {0: pick(rng, 1, 2, 3), 6: pick(rng, 0, 1)}
        choice = pick(rng, "size", "scale", "blob")
        if choice == "blob":
            return {**params, 5: 1}, [blob, shape(rng, 1, 2, 3, 3, 3)], 1
        values = (1, 5, 16, 31) if choice == "size" else (0.5, 0.7, 1.0, 2.0, 3.3)
        keys = (3, 4) if choice == "size" else (1, 2)
        return {**params, **{key: pick(rng, *values) for key in keys}}, [blob], 1
    params = {0: pick(rng, 0, 1)}
    choice = pick(rng, "global", "adaptive", "window", "window", "window")
    if choice == "global":
        return {**params, 4: 1}, [blob], 1
    if choice == "adaptive":
        params.update({7: 1, 8: pick(rng, 1, 3, 7, -233)})
        maybe(rng, params, 18, 2, 5, -233)
        return params, [blob], 1
    params.update({1: pick(rng, 1, 2, 3, 5), 5: pick(rng, 0, 0, 1, 2, 3)})
    for key, values in (
        (11, (2, 3)),
        (2, (1, 2, 3)),
        (12, (1, 2)),
        (3, (0, 1, 2)),
        (13, (0, 1)),
        (14, (0, 1)),
        (15, (0, 1)),
    ):
        maybe(rng, params, key, *values)
    params[6] = pick(rng, 0, 1)
    return params, [blob], 1


def matrix_case(rng, kind):
    m, n, k = (int(size) for size in rng.integers(1, 18, 3))
    if kind == "InnerProduct":
        blob = shape(rng, 1, 2, 3, high=9)
        size = blob[1] if len(blob) == 2 and rng.random() < 0.7 else prod(blob)
        params = {0: n, 1: pick(rng, 0, 1), 2: n * size}
        maybe(rng, params, 8, 1, 2, chance=0.3)
        activation(rng, params)
        return params, [blob], 1
    if kind == "MultiHeadAttention":
        heads = pick(rng, 1, 2)
        embed, keys = heads * n, pick(rng, 1, 2, 3)
        params = {0: embed, 1: heads, 2: embed * k, 3: k if keys == 1 else m, 4: k if keys == 1 else m}
        if keys == 3:
            params[4] = n
        return params, [(m, k), (k, m), (k, n)][:keys], 1
    if kind == "MatMul":
        dims = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
        batch = tuple(int(size) for size in rng.integers(1, 4, 2))
        blobs = []
        transpose = pick(rng, 0, 1)
        for count, pair in zip(dims, ((m, k), (n, k) if transpose else (k, n)), strict=True):
            leading = (
                tuple(size if rng.random() < 0.7 else 1 for size in batch[: count - 2]) if count > 2 else ()
            )
            blobs.append((k,) if count == 1 else (*leading, *pair))
        return {0: transpose}, blobs, 1
    transpose_a, transpose_b, constant_a, constant_b, constant_c = (pick(rng, 0, 1) for _ in range(5))
    a, b = ((k, m) if transpose_a else (m, k)), ((n, k) if transpose_b else (k, n))
    if rng.random() < 0.2:
        a = (a[0], 1, a[1])
    params = {
        2: transpose_a,
        3: transpose_b,
        4: constant_a,
        5: constant_b,
        6: constant_c,
        10: pick(rng, -1, 0, 1, 2, 3, 4),
    }
    if constant_a or constant_b or constant_c or rng.random() < 0.3:
        params.update({7: m, 8: n, 9: k})
    maybe(rng, params, 11, 1, chance=0.2)
    maybe(rng, params, 14, 1, chance=0.2)
    blobs = [blob for blob, constant in ((a, constant_a), (b, constant_b)) if not constant]
    if not constant_c and rng.random() < 0.6:
        blobs.append(pick(rng, (1,), (m,), (n,), (m, 1), (m, n), (1, n)))
    return params, blobs, 1


def other_case(rng, kind):
    blob = shape(rng, 1, 2, 3, 4, high=9)
    if kind == "UnaryOp":
        return {0: int(rng.integers(0, 28))}, [blob], 1
    if kind == "Eltwise":
        return {0: pick(rng, 0, 1, 2), **({1: (0.5, 2.0)} if rng.random() < 0.4 else {})}, [blob, blob], 1
    if kind == "Softmax":
        return {0: int(rng.integers(-len(blob), len(blob))), 1: 1}, [blob], 1
    if kind == "GELU":
        return {0: pick(rng, 0, 1)}, [blob], 1
    return {0: 0.25} if kind in ONE_FLOAT else {}, [blob], 1


_KINDS = {
    convolution_case: "Convolution ConvolutionDepthWise Deconvolution DeconvolutionDepthWise "
    "DeformableConv2D",
    broadcast_case: "BinaryOp",
    per_channel_case: "BatchNorm Bias Scale PReLU GroupNorm InstanceNorm LayerNorm RMSNorm Normalize LRN",
    routing_case: "Concat Slice Split Noop ShuffleChannel PixelShuffle Reorg Padding Crop",
    layout_case: "Reshape Flatten Permute Squeeze ExpandDims",
    pooling_case: "Pooling Interp Reduction",
    matrix_case: "InnerProduct Gemm MatMul MultiHeadAttention",
    other_case: "UnaryOp Eltwise Softmax GELU Cast Clip HardSigmoid HardSwish SELU Shrink Exp Log Power",
}
GENERATORS = {kind: generator for generator, kinds in _KINDS.items() for kind in kinds.split()}
GENERATORS.update(dict.fromkeys((*ONE_FLOAT, *ACTIVATIONS), other_case))
