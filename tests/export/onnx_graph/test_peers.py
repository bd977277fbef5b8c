"""Twelve detectors that others made: the outputs in ncnn are those of the file in onnxruntime.

`pytest -s` shows a table: file, output, largest difference relative to its range.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from needs import SHARED_DATA

from pocketdet.export.onnx_graph.cut import cut
from pocketdet.export.onnx_graph.load import load_file
from pocketdet.export.onnx_graph.read import INPUT, read_onnx
from pocketdet.export.onnx_graph.summary import summarise
from pocketdet.export.to_ncnn import to_ncnn
from pocketdet.runtime.bundle.load import ncnn_has_layer
from pocketdet.runtime.bundle.schema import GraphSpec, TensorSpec
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.ncnn_graph import validate
from pocketdet.runtime.verification import TOLERANCES

PEERS = Path(__file__).parents[4] / "shared" / "data" / "peers_onnx"
FREE_SIZE = (320, 320)
LEAST = 0.01  # of a range: scores of noise are about 1e-5, and sigmoids differ by 1e-7
FILES = [
    "blazeface_128_nhwc",
    "nanodet_m_320_rank2",
    "picodet_s_320_paddle",
    "ultraface_rfb_240x320",
    "ultraface_rfb_240x320_raw",
    "ultralytics_yolo26n_end2end_random",
    "ultralytics_yolov10n_end2end_random",
    "ultralytics_yolov5n_random",
    "ultralytics_yolov8n_random",
    "yolo_fastestv2_352_rank2",
    "yolox_nano_416",
    "yunet_dynamic",
]


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason=SHARED_DATA)
@pytest.mark.parametrize("name", FILES)
def test_raw_outputs_are_equal(name: str, tmp_path: Path) -> None:
    path = PEERS / f"{name}.onnx"
    summary = summarise(path)
    size = summary.input_size or FREE_SIZE
    wanted = summary.cut_points or tuple(output.name for output in summary.outputs)
    graph = read_onnx(path, wanted, size)
    onnx.save(graph.model, tmp_path / "model.onnx")
    shape = (1, 3, *size)
    ncnn_graph = to_ncnn(
        tmp_path / "model.onnx",
        tmp_path / "m.param",
        tmp_path / "m.bin",
        input_shape=shape,
        input_name=INPUT,
        output_names=wanted,
    )
    validate(ncnn_graph, {INPUT: shape[1:]}, ncnn_has_layer, outputs=wanted)
    original = load_file(path, external_data=False)
    cut(original, wanted, path)
    for output in original.graph.output:
        output.type.tensor_type.ClearField("shape")
    session = onnxruntime.InferenceSession(original.SerializeToString())
    declared = {value.name: value.type.tensor_type.shape for value in graph.model.graph.output}
    spec = GraphSpec(
        param="m.param",
        bin="m.bin",
        onnx=None,
        inputs=(TensorSpec(blob=INPUT, role=INPUT, shape=shape[1:]),),
        outputs=tuple(
            TensorSpec(blob=o, role=o, shape=tuple(d.dim_value for d in declared[o].dim[1:])) for o in wanted
        ),
    )
    engine = NcnnEngine({"model": spec}, tmp_path.joinpath, precision="fp32")
    allowed = TOLERANCES["fp32"].of_graph("model")
    largest = dict.fromkeys(wanted, 0.0)
    for seed in (1, 2):
        image = np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)
        given = image.transpose(0, 2, 3, 1).copy() if summary.image.channels_last else image
        expected = session.run(list(wanted), {summary.image.name: given})
        found = engine.run("model", {INPUT: image[0]})
        for output, reference in zip(wanted, expected, strict=True):
            values = np.asarray(reference).reshape(found[output].shape)
            difference = float(np.abs(values - found[output]).max() / max(np.abs(values).max(), LEAST))
            largest[output] = max(largest[output], difference)
    sys.stdout.write("".join(f"\n| {name} | {o} | {d:.1e} |" for o, d in largest.items()))
    assert max(largest.values()) <= allowed
