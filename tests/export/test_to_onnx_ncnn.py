"""Both conversions on small graphs: the same answers for any input, any row count, and clear refusals."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pnnx
import pytest
import torch
from torch import Tensor, nn

from pocketdet.errors import ExportError
from pocketdet.export.to_ncnn import to_ncnn
from pocketdet.export.to_onnx import OPSET, simplify, to_onnx
from pocketdet.runtime.bundle.schema import GraphSpec, TensorSpec
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.engines.onnx_engine import OnnxEngine
from pocketdet.runtime.ncnn_graph import read_graph

ROWS = (1, 37, 200, 1000)
SEED = torch.Generator().manual_seed(5)


class TwoMaps(nn.Module):
    """Two outputs that share a trunk, as the features graph has."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.sums, self.gates = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 6, 5, padding=2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        trunk = self.trunk(image)
        return self.sums(trunk), torch.sigmoid(self.gates(trunk))


def rows_model() -> nn.Module:
    return nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 7))


def with_random_weights(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=SEED) * 0.3)
    return module.eval()


def spec(source: tuple[int | None, ...], **outputs: tuple[int | None, ...]) -> GraphSpec:
    def tensor(name: str, shape: tuple[int | None, ...]) -> TensorSpec:
        return TensorSpec(blob=name, role=name, shape=shape)

    return GraphSpec(
        param="g.param",
        bin="g.bin",
        onnx="g.onnx",
        inputs=(tensor("source", source),),
        outputs=tuple(tensor(n, s) for n, s in outputs.items()),
    )


def convert(
    folder: Path, module: nn.Module, example: Tensor, outputs: list[str], storage: str = "fp32"
) -> None:
    rows = example.dim() == 2
    path = folder / "g.onnx"
    to_onnx(module, example, path, input_name="source", output_names=outputs, dynamic_rows=rows)
    to_ncnn(
        path,
        folder / "g.param",
        folder / "g.bin",
        input_shape=example.shape,
        input_name="source",
        output_names=outputs,
        dynamic_rows=rows,
        storage=storage,  # type: ignore[arg-type]
    )


def test_two_outputs_on_two_inputs_in_both_engines(tmp_path: Path) -> None:
    module = with_random_weights(TwoMaps())
    convert(tmp_path, module, torch.randn(1, 3, 12, 16), ["sums", "gates"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.bin", "g.onnx", "g.param"]
    graphs = {"features": spec((3, 12, 16), sums=(4, 6, 8), gates=(6, 6, 8))}
    for kind in (NcnnEngine, OnnxEngine):
        engine = kind(graphs, tmp_path.joinpath)
        answers = []
        for _ in range(2):
            image = torch.randn(1, 3, 12, 16, generator=SEED)
            with torch.no_grad():
                expected = dict(zip(("sums", "gates"), module(image), strict=True))
            found = engine.run("features", {"source": image[0].numpy()})
            for name, value in found.items():
                np.testing.assert_allclose(value, expected[name][0].numpy(), rtol=0, atol=1e-5)
            answers.append(found["sums"])
        assert not np.allclose(*answers)


def test_any_number_of_rows_in_both_engines(tmp_path: Path) -> None:
    module = with_random_weights(rows_model())
    convert(tmp_path, module, torch.randn(200, 20), ["answers"])
    graphs = {"head": spec((None, 20), answers=(None, 7))}
    for kind in (NcnnEngine, OnnxEngine):
        engine = kind(graphs, tmp_path.joinpath)
        for count in ROWS:
            rows = torch.randn(count, 20, generator=SEED)
            with torch.no_grad():
                expected = module(rows).numpy()
            found = engine.run("head", {"source": rows.numpy()})["answers"]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_the_real_head_takes_any_number_of_rows(small_bundle: Path) -> None:
    from pocketdet.runtime.detector import Detector

    rng = np.random.default_rng(0)
    with Detector(small_bundle, engine="ncnn") as ncnn, Detector(small_bundle, engine="onnxruntime") as ort:
        for count in ROWS:
            rows = rng.normal(size=(count, 245)).astype(np.float32)
            expected = ort.pipeline.head(rows)
            assert expected.shape == (count, 8)
            np.testing.assert_allclose(ncnn.pipeline.head(rows), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["features", "head"])
def test_onnx_files_tell_the_opset_and_nothing_of_this_machine(small_bundle: Path, name: str) -> None:
    path = small_bundle / "reference" / f"{name}.onnx"
    model = onnx.load(path)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert not model.functions
    for node in model.graph.node:
        assert not node.metadata_props
        assert not node.doc_string
    del model.graph.initializer[:]  # weights are noise, in which any short word may stand
    content = model.SerializeToString()
    places = [str(Path.home()), str(Path.cwd()), "site-packages", "/tmp", ".py", "pkg.torch"]
    assert [place for place in places if place.encode() in content] == []


def test_files_with_half_precision_are_half_the_size(tmp_path: Path) -> None:
    sizes = {}
    for storage in ("fp32", "fp16"):
        folder = tmp_path / storage
        folder.mkdir()
        convert(
            folder, with_random_weights(nn.Conv2d(64, 64, 3)), torch.randn(1, 64, 8, 8), ["maps"], storage
        )
        sizes[storage] = (folder / "g.bin").stat().st_size
        graph = read_graph(folder / "g.param", folder / "g.bin")
        assert [layer.type for layer in graph.layers] == ["Input", "Convolution"]
    assert sizes["fp16"] < 0.51 * sizes["fp32"]


class Unknown(nn.Module):
    def __init__(self, operator: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.operator = operator

    def forward(self, image: Tensor) -> Tensor:
        return self.operator(image)


@pytest.mark.parametrize(
    ("operator", "words"),
    [
        (torch.linalg.det, r"g\.onnx cannot become an ncnn graph.* Det 'Det_0'"),
        (torch.erfinv, r"torch\.onnx\.export failed on Unknown: .*erf_?inv"),
        (lambda x: torch.sort(x, dim=-1)[0], r"g\.onnx"),
    ],
)
def test_operators_that_ncnn_lacks_are_one_sentence(
    tmp_path: Path, operator: Callable[[Tensor], Tensor], words: str
) -> None:
    with pytest.raises(ExportError, match=words) as caught:
        convert(tmp_path, Unknown(operator), torch.rand(1, 3, 4, 4) / 2, ["answer"])
    assert not [p for p in tmp_path.iterdir() if p.name != "g.onnx"]
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
def test_pnnx_failures_are_sentences(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=r"pnnx failed on bad\.onnx \(exit -?\d+\)"):
        to_ncnn(
            path,
            tmp_path / "g.param",
            tmp_path / "g.bin",
            input_shape=(1, 3, 4, 4),
            input_name="a",
            output_names="b",
        )
    assert list(tmp_path.iterdir()) == [path]


def test_pnnx_that_cannot_start_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pnnx, "EXEC_PATH", str(tmp_path / "absent"))
    with pytest.raises(ExportError, match="pnnx cannot be started"):
        convert(tmp_path, with_random_weights(rows_model()), torch.randn(200, 20), ["answers"])


def test_a_broken_onnx_graph_is_not_written(tmp_path: Path) -> None:
    source = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])
    node = onnx.helper.make_node("NoSuchOperator", ["x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [source], [result]))
    with pytest.raises(ExportError, match=r"g\.onnx cannot be simplified"):
        simplify(model, tmp_path / "g.onnx")
    assert list(tmp_path.iterdir()) == []


def test_simplifying_keeps_the_answers(tmp_path: Path) -> None:
    module, example = with_random_weights(rows_model()), torch.randn(4, 20)
    to_onnx(module, example, tmp_path / "g.onnx", input_name="source", output_names=["answers"])
    session = onnxruntime.InferenceSession(tmp_path / "g.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["answers"], {"source": example.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, module(example).numpy(), rtol=0, atol=1e-5)
