"""The table of what alignment is worth: both forms of a network are modelled on each core."""

from pathlib import Path

import pytest
from graph_builder import Builder

from pocketdet.armmodel import alignment_table
from pocketdet.armmodel.alignment import AlignmentCycles
from pocketdet.armmodel.alignment_table import pairs, published, row, with_zero_weights
from pocketdet.armmodel.cores import CORES
from pocketdet.runtime.ncnn_graph import (
    Graph,
    count_macs,
    infer_shapes,
    read_graph,
    to_param_text,
    write_graph,
)

SHAPE = (3, 16, 16)


def odd_network() -> Graph:
    """Depthwise layers of 30 channels, which ncnn does not pack by 8."""
    b = Builder()
    x = b.conv(b.input(*SHAPE), 30, 1, _9=1)
    for _ in range(2):
        x = b.depthwise(x, 5, _9=1)
    b.conv(x, 16, 1)
    return b.graph()


@pytest.fixture
def by_macs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A core on which a multiply-accumulate costs a cycle."""

    def cycles(self: AlignmentCycles, graph: Graph, inputs: dict[str, tuple[int, ...]]) -> float:
        return float(sum(cost.macs or 0 for cost in count_macs(graph, infer_shapes(graph, inputs))))

    monkeypatch.setattr(AlignmentCycles, "cycles", cycles)


@pytest.mark.usefixtures("by_macs")
def test_the_plain_and_the_aligned_form_are_modelled_on_each_core() -> None:
    models = [AlignmentCycles(None, CORES[name], "fp16") for name in ("cortex-a76", "cortex-a55")]  # type: ignore[arg-type]
    found = list(pairs(("odd", odd_network(), {"in0": SHAPE}), models))
    assert [pair.core for pair in found] == ["cortex-a76", "cortex-a55"]
    for pair in found:  # 32 channels do the work of 30
        assert pair.aligned / pair.plain == pytest.approx(32 / 30)
        assert row("odd", pair)[-1] == f"{pair.plain / pair.aligned:.2f}"


def test_a_network_without_weights_gets_zeros(tmp_path: Path) -> None:
    write_graph(odd_network(), tmp_path / "odd.param", None)
    bare = read_graph(tmp_path / "odd.param")
    filled = with_zero_weights(bare)
    assert not filled.structure_only
    write_graph(filled, tmp_path / "odd.param", tmp_path / "odd.bin")
    again = read_graph(tmp_path / "odd.param", tmp_path / "odd.bin")
    assert to_param_text(again) == to_param_text(bare)
    assert not any(weight.data.any() for layer in again.layers for weight in layer.weights.values())


@pytest.mark.usefixtures("by_macs")
def test_the_published_networks_are_read_with_their_shapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in alignment_table.PUBLISHED:
        b = Builder()
        b.conv(b.input(*SHAPE), 30, 3, _9=1)
        graph = b.graph()
        graph.layers[0].params = {0: 16, 1: 16, 2: 3}
        write_graph(graph, tmp_path / f"{name}.param", None)
    assert [(name, dict(inputs)) for name, _, inputs in published(tmp_path)] == [
        (name, {"in0": SHAPE}) for name in alignment_table.PUBLISHED
    ]
    monkeypatch.setattr(alignment_table, "find_instrument", lambda: None)
    monkeypatch.setattr(alignment_table, "backbones", lambda bundles: iter(()))
    assert alignment_table.main(["--bundles", str(tmp_path), "--networks", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[:2] for line in lines[2:]] == [
        [f"| {name}", core] for name in alignment_table.PUBLISHED for core in ("cortex-a76", "cortex-a55")
    ]
    assert alignment_table.main(["--bundles", str(tmp_path), "--networks", str(tmp_path / "none")]) == 2
