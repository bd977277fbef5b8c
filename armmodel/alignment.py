"""Modelled cycles of ncnn graphs, by which `pocketdet align --tune` chooses among them."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pocketdet.armmodel.cores import Core
from pocketdet.armmodel.instrument import Instrument
from pocketdet.armmodel.modelled import Modelled, model
from pocketdet.armmodel.subject import NetworkSubject
from pocketdet.runtime.ncnn_graph import Graph, Shape, to_param_text, write_graph


@dataclass(frozen=True)
class PairCycles:
    """Modelled cycles of a graph and of the aligned one."""

    core: str
    precision: str
    plain: float
    aligned: float

    def __str__(self) -> str:
        return (
            f"modelled on {self.core} in {self.precision}, not measured: {self.plain / 1e6:.2f} -> "
            f"{self.aligned / 1e6:.2f} M cycles, {self.plain / self.aligned:.2f} times as fast"
        )


@dataclass(frozen=True)
class AlignmentCycles:
    """Models graphs on one core, with weights of zero. No graph is emulated twice.

    Attributes:
        instrument: The programs that do it.
        core: The core.
        precision: The arithmetic, an `Arithmetic`.
    """

    instrument: Instrument
    core: Core
    precision: str
    _known: dict[str, float] = field(default_factory=dict, repr=False)

    def cycles(self, graph: Graph, inputs: Mapping[str, Shape]) -> float:
        """Model one run of a graph.

        Args:
            graph: The graph.
            inputs: Shape of every input, (c, h, w) without batch.

        Returns:
            Modelled cycles.

        Raises:
            PocketdetError: If the graph cannot be run, or a program fails.
        """
        text = to_param_text(graph)
        if text not in self._known:
            found = model_graph(graph, inputs, self.core, self.precision, self.instrument)
            self._known[text] = found.total.cycles
        return self._known[text]

    def pair(self, plain: Graph, aligned: Graph, inputs: Mapping[str, Shape]) -> PairCycles:
        """Model a graph and the aligned one, as `cycles` does."""
        both = [self.cycles(graph, inputs) for graph in (plain, aligned)]
        return PairCycles(self.core.name, self.precision, *both)


def model_graph(
    graph: Graph, inputs: Mapping[str, Shape], core: Core, precision: str, instrument: Instrument
) -> Modelled:
    """Model one run of a graph, with weights of zero.

    Args:
        graph: The graph.
        inputs: Shape of every input, (c, h, w) without batch.
        core: The core.
        precision: The arithmetic, an `Arithmetic`.
        instrument: The programs that do it.

    Returns:
        The run by layer.

    Raises:
        PocketdetError: If the graph cannot be run, or a program fails.
    """
    with tempfile.TemporaryDirectory(prefix="pocketdet-") as folder:
        path = Path(folder) / "graph.param"
        write_graph(graph, path, None)
        (found,) = model(NetworkSubject(path, None, precision, inputs), [core], instrument)
    return found
