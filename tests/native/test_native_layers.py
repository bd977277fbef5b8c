"""Which layers pocketdet-run takes: those that Python's shape rules know, with as many blobs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from native_runner import Runner

from pocketdet.runtime.ncnn_graph.shapes.infer import OPS


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


@pytest.mark.parametrize("layer", OPS)
def test_a_layer_takes_and_gives_as_many_blobs_as_for_python(
    runner: Runner, tiny_one_stage: Path, rehash: Callable[[Path], None], layer: str
) -> None:
    op = OPS[layer]
    cases = {(op.inputs[0] - 1, op.outputs[0]), (op.inputs[0], op.outputs[0] - 1)}
    cases |= {(most + 1, op.outputs[0]) for most in (op.inputs[1],) if most < 10}
    cases |= {(op.inputs[0], most + 1) for most in (op.outputs[1],) if most < 10}
    for inputs, outputs in sorted(cases):
        (tiny_one_stage / "model.ncnn.param").write_text(graph(layer, inputs, outputs))
        rehash(tiny_one_stage)
        sentence = runner.error("detect", tiny_one_stage, tiny_one_stage / "golden" / "image.png")
        assert f"model.ncnn.param line 5: {layer} 'subject' has {inputs} inputs" in sentence or (
            f"model.ncnn.param line 5: {layer} 'subject' has {outputs} outputs" in sentence
        ), sentence
    (tiny_one_stage / "model.ncnn.param").write_text(graph(layer, op.inputs[0], op.outputs[0]))
    rehash(tiny_one_stage)
    sentence = runner.error("detect", tiny_one_stage, tiny_one_stage / "golden" / "image.png")
    assert "has no blob 'out0'" in sentence  # and nothing was said about the layer
