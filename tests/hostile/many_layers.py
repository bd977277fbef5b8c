"""A one-stage bundle whose graph has nearly every layer type that a bundle may hold, on maps of 8x8x8."""

import dataclasses
from pathlib import Path

import numpy as np
from tiny_bundle import GOLDEN, blob, graph, write_manifest

from pocketdet.runtime.bundle import write_golden
from pocketdet.runtime.ncnn_graph import Weight, encode, read_param, weight_slots, write_graph
from pocketdet.spec.one_stage import CxcywhCoding, Level, OneStageSpec, OutputField, Scores, Selection

# Type and parameters; each reads the map that the one before made, and makes one of the same shape.
_ALONE = (
    "BatchNorm 0=8", "Scale 0=8 1=1", "ReLU 0=0.1", "Bias 0=8", "PReLU 0=8", "TanH", "ELU 0=0.5", "SELU",
    "CELU 0=1.5", "GELU", "HardSigmoid", "AbsVal", "Log 0=-1.0 1=1.0 2=2.0", "BNLL", "Exp 0=-1.0 1=0.5",
    "Power 0=1.5 1=0.5 2=0.1", "Clip 0=-3.0 1=3.0", "HardSwish", "Swish", "Mish", "Softplus", "Erf",
    "Threshold 0=0.01", "Shrink 0=0.2", "LRN 1=3", "GroupNorm 0=2 1=8", "InstanceNorm 0=8",
    "Normalize 1=1 4=1 9=2 3=1", "Dropout 0=0.5", "DeepCopy", "UnaryOp 0=9", "BinaryOp 0=2 1=1 2=0.5",
    "Softmax 0=0 1=1", "ConvolutionDepthWise 0=8 1=3 4=1 5=1 6=72 7=8", "ShuffleChannel 0=2",
    "Deconvolution 0=8 1=2 3=2 5=1 6=256", "Pooling 0=1 1=2 2=2",
    "DeconvolutionDepthWise 0=8 1=2 3=2 6=32 7=8", "Pooling 0=0 1=2 2=2",
    "Padding 0=1 1=1 2=1 3=1 4=1", "Crop 0=1 1=1 3=8 4=8 5=8", "PixelShuffle 0=2", "Reorg 0=2",
    "Interp 0=2 1=2.0 2=2.0", "Pooling 0=1 7=1 8=8 18=8", "Reshape 0=8 1=64",
    "LayerNorm 0=8 1=1e-5 2=1", "RMSNorm 0=8 1=1e-5 2=1", "MultiHeadAttention 0=8 1=2 2=64",
    "Gemm 3=1 5=1 6=1 8=8 9=8 10=4", "InnerProduct 0=8 1=1 2=64", "Permute 0=1", "Permute 0=1",
    "ExpandDims -23303=1,0", "Squeeze -23303=1,0", "Flatten", "Reshape 0=8 1=8 2=8",
)  # fmt: skip
_WITH_OTHERS = (
    "Slice halves 1 2 {0} h0 h1 -23300=2,-233,-233 1=0",
    "Concat join 2 1 h1 h0 j 0=0",
    "Split fan 1 5 j ja jb jc jd je",
    "Reduction mean 1 1 ja m 0=3 1=0 -23303=2,1,2 4=1 5=1",
    "BinaryOp times 2 1 jb m t 0=2",
    "Eltwise sum 2 1 t jc e 0=1 -23301=2,0.5,0.5",
    "MemoryData noise 0 1 n 0=8 1=8 2=8",
    "BinaryOp plus 2 1 e n p 0=0",
    "MatMul product 2 1 p jd mm 0=1",
    "Convolution offsets 1 1 je o 0=18 1=1 5=1 6=144",
    "DeformableConv2D deform 2 1 mm o d 0=8 1=3 4=1 5=1 6=576",
    "TanH squash 1 1 d q",
    "Convolution last 1 1 q out0 0=7 1=1 3=2 5=1 6=56",
)
SPEC = OneStageSpec(
    input_size=(32, 32),
    num_classes=2,
    levels=(
        Level(
            (4, 4),
            8,
            ((12.0, 10.0),),
            OutputField("maps", first=5),
            (OutputField("maps"),),
            OutputField("maps", first=4),
        ),
    ),
    codings=(CxcywhCoding(),),
    scores=Scores(objectness_power=1.0),
    selection=Selection(score_threshold=0.2, top_n=30),
)


def make_many_layers(folder: Path) -> Path:
    """Write the bundle as a new folder; its golden holds the image alone."""
    rng = np.random.default_rng(5)
    folder.mkdir()
    param = folder / "model.ncnn.param"
    param.write_text(_text())
    network = read_param(param.read_text())
    network.structure_only = False
    for layer in network.layers:
        for slot in weight_slots(layer):
            values = rng.uniform(0.05, 0.3, slot.shape).astype(np.float32)
            layer.weights[slot.role] = encode(values, "fp32") if slot.tagged else Weight(values, "raw")
    write_graph(network, param, folder / "model.ncnn.bin")
    write_golden(folder, GOLDEN, {"image": rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)})
    outputs = [blob("out0", "maps", 7, 4, 4)]
    fields = {
        "detector": "one-stage",
        "graphs": {"model": graph("model", [blob("in0", "image", 3, 32, 32)], outputs)},
        "decode": dataclasses.asdict(SPEC),
    }
    write_manifest(folder, "many-layers", fields)
    return folder


def _text() -> str:
    lines = ["Input image 0 1 in0 0=32 1=32 2=3", "Convolution stem 1 1 in0 b0 0=8 1=3 3=4 4=1 5=1 6=216"]
    for i, layer in enumerate(_ALONE):
        kind, _, params = layer.partition(" ")
        lines.append(f"{kind} l{i} 1 1 b{i} b{i + 1} {params}".rstrip())
    lines += [line.format(f"b{len(_ALONE)}") for line in _WITH_OTHERS]
    blobs = {name for line in lines for name in _blobs(line.split())}
    return "\n".join(["7767517", f"{len(lines)} {len(blobs)}", *lines, ""])


def _blobs(words: list[str]) -> list[str]:
    return words[4 : 4 + int(words[2]) + int(words[3])]
