"""`pocketdet align --tune`: what it refuses, and that modelled cycles decide."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ending, command
from graph_builder import Builder

from pocketdet.armmodel.alignment import AlignmentCycles
from pocketdet.armmodel.cores import CORES
from pocketdet.armmodel.instrument import Instrument, find_instrument
from pocketdet.errors import UsageError
from pocketdet.runtime.ncnn_graph import Graph, write_graph

__all__ = ["command"]

Command = Callable[..., Ending]
SHAPE = ("--shape", "3x16x16")


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    try:
        return find_instrument()
    except UsageError as error:
        pytest.skip(str(error))


def depthwise_chain(channels: int) -> Graph:
    """Depthwise layers of 5x5 between two dense ones."""
    b = Builder()
    x = b.conv(b.input(3, 16, 16), channels, 1, _9=1)
    for _ in range(2):
        x = b.depthwise(x, 5, _9=1)
    b.conv(x, 16, 1)
    return b.graph()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, ...]:
    """A model of 30 channels, and what to write."""
    write_graph(depthwise_chain(30), tmp_path / "odd.param", tmp_path / "odd.bin")
    return tuple(tmp_path / name for name in ("odd.param", "odd.bin", "out.param", "out.bin"))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("cortex-a76", "--measure"), "--measure decides by this machine, --tune by a model of another"),
        (("cortex-a76", "--target", "avx2"), "--tune cortex-a76 models an ARM core"),
        (("cortex-a53",), "cortex-a53: there is no pipeline model"),
    ],
)
def test_bad_usage_is_one_sentence(
    command: Command, files: tuple[Path, ...], words: tuple[str, ...], problem: str
) -> None:
    ending = command("align", *files, *SHAPE, "--tune", *words)
    assert ending.code == 2
    assert problem in ending.err
    assert not files[2].exists()


@pytest.mark.parametrize(("cost", "widened"), [(1, [(30, 32)]), (-1, [])])
def test_the_fewest_cycles_decide(
    command: Command, files: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch, cost: int, widened: object
) -> None:
    """A core on which a layer whose channels are no multiple of 4 costs a million cycles, or saves them."""
    modelled = set()

    def cycles(self: AlignmentCycles, graph: Graph, inputs: object) -> float:
        modelled.add((self.core.name, self.precision))
        layers = [layer for layer in graph.layers if layer.type.startswith("Convolution")]
        return 1e6 * (5 + cost * sum(layer.int_param(0, 0) % 4 != 0 for layer in layers))

    monkeypatch.setattr(AlignmentCycles, "cycles", cycles)
    monkeypatch.setattr("pocketdet.armmodel.instrument.find_instrument", lambda: None)
    ending = command("align", *files, *SHAPE, "--target", "neon-fp32", "--tune", "a76", "--json")
    assert ending.code == 0, ending.err
    report = json.loads(ending.out)
    assert [(item["channels"], item["lanes"]) for item in report["widened"]] == widened
    plain, aligned = (8e6, 5e6) if widened else (2e6, 2e6)
    assert report["modelled_cycles"] == {
        "core": "cortex-a76",
        "precision": "fp32",
        "plain": plain,
        "aligned": aligned,
    }
    assert modelled == {("cortex-a76", "fp32")}


@pytest.mark.slow
def test_channels_that_are_not_packed_take_more_cycles(instrument: Instrument) -> None:
    cycles = AlignmentCycles(instrument, CORES["cortex-a76"], "fp16")
    pair = cycles.pair(depthwise_chain(30), depthwise_chain(32), {"in0": (3, 16, 16)})
    assert pair.plain > 2 * pair.aligned
    assert cycles.cycles(depthwise_chain(30), {"in0": (3, 16, 16)}) == pair.plain


@pytest.mark.slow
@pytest.mark.usefixtures("instrument")
def test_the_model_chooses_the_width(command: Command, files: tuple[Path, ...]) -> None:
    ending = command("align", *files, *SHAPE, "--tune", "cortex-a76")
    assert ending.code == 0, ending.err
    assert "30 -> 32" in ending.out
    assert "modelled on cortex-a76 in fp16, not measured: " in ending.out
