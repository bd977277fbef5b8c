"""Which layers pocketdet-run takes: those that Python knows, with as many blobs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from native_runner import Runner

from pocketdet.errors import GraphError
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.ncnn_graph import LAYER_TYPES

# Without parameters their weights are refused first.
HAVE_WEIGHTS = [
    "BatchNorm",
    "Bias",
    "Convolution",
    "ConvolutionDepthWise",
    "Deconvolution",
    "DeconvolutionDepthWise",
    "DeformableConv2D",
    "GroupNorm",
    "InnerProduct",
    "InstanceNorm",
    "LayerNorm",
    "MultiHeadAttention",
    "Normalize",
    "PReLU",
    "RMSNorm",
    "Scale",
]


def graph(layer: str, inputs: int, outputs: int) -> str:
    """A layer that reads copies of the input."""
    copies = [f"c{i}" for i in range(max(inputs, 1))]
    made = [f"o{i}" for i in range(outputs)]
    lines = [
        "Input image 0 1 in0",
        " ".join(["Split fan 1", str(len(copies)), "in0", *copies]),
        " ".join([layer, "subject", str(inputs), str(outputs), *copies[:inputs], *made]),
    ]
    return "\n".join(["7767517", f"{len(lines)} {1 + len(copies) + outputs}", *lines, ""])


@pytest.mark.parametrize("layer", sorted(set(LAYER_TYPES) - {"Input", "MemoryData"}))
def test_a_layer_takes_and_gives_as_many_blobs_as_for_python(
    runner: Runner, tiny_one_stage: Path, rehash: Callable[[Path], None], layer: str
) -> None:
    of_type = LAYER_TYPES[layer]
    inputs, outputs = of_type.inputs, of_type.outputs
    cases = [(inputs[0] - 1, outputs[0], f"takes {wanted(inputs)} input blobs, found {inputs[0] - 1}")]
    cases.append((inputs[0], outputs[0] - 1, "has no output"))
    if inputs[1] < 10:
        cases.append(
            (inputs[1] + 1, outputs[0], f"takes {wanted(inputs)} input blobs, found {inputs[1] + 1}")
        )
    if outputs[1] < 10:
        cases.append(
            (inputs[0], outputs[1] + 1, f"takes {wanted(outputs)} output blobs, found {outputs[1] + 1}")
        )
    for found_inputs, found_outputs, sentence in cases:
        said = refusal(runner, tiny_one_stage, rehash, graph(layer, found_inputs, found_outputs))
        if layer not in HAVE_WEIGHTS:
            assert f"model.ncnn.param line 5: {layer} 'subject': {sentence}" in said
    said = refusal(runner, tiny_one_stage, rehash, graph(layer, inputs[0], outputs[0]))
    assert "blobs, found" not in said


def wanted(count: tuple[int, int]) -> str:
    return str(count[0]) if count[0] == count[1] else f"{count[0]}..{count[1]}"


def refusal(runner: Runner, bundle: Path, rehash: Callable[[Path], None], text: str) -> str:
    """What pocketdet-run says of the bundle with that graph, which is what Python says."""
    (bundle / "model.ncnn.param").write_text(text)
    (bundle / "model.ncnn.bin").write_bytes(b"")
    rehash(bundle)
    sentence = runner.error("detect", bundle, bundle / "golden" / "image.png")
    with pytest.raises(GraphError) as refused:
        load_bundle(bundle)
    assert str(refused.value) in sentence
    return sentence
