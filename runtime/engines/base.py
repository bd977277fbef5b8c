"""The interface of inference engines."""

from collections.abc import Mapping
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime.precision import Arithmetic

Array = NDArray[np.float32]
GraphName = Literal["features", "head", "model"]


class Engine(Protocol):
    """Runs the graphs of a bundle. Thread-safe."""

    @property
    def precision(self) -> Arithmetic:
        """The arithmetic in use on this machine, the narrowest of all graphs."""

    def run(self, graph: GraphName, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run one graph.

        Args:
            graph: name of the graph.
            inputs: float32 arrays by role, without a batch axis.

        Returns:
            float32 outputs by role, without a batch axis.

        Raises:
            EngineError: if an input has a wrong type or shape, or the engine fails.
        """


def check_inputs(
    graph: str, expected: Mapping[str, tuple[int | None, ...]], inputs: Mapping[str, Array]
) -> str | None:
    """Describe the first input that is missing or has a wrong type or shape; `None` if there is none."""
    for role, shape in expected.items():
        value = inputs.get(role)
        if value is None:
            return f"graph {graph!r} needs an input {role!r}"
        if value.dtype != np.float32:
            return f"input {role!r} of graph {graph!r}: expected float32, found {value.dtype}"
        fits = len(shape) == value.ndim and all(
            s is None or s == n for s, n in zip(shape, value.shape, strict=True)
        )
        if not fits:
            return f"input {role!r} of graph {graph!r}: expected shape {shape}, found {value.shape}"
    return None
