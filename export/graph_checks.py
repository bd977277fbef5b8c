"""The same inputs through PyTorch and through what was made of it: one check per output."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines.base import Engine, GraphName
from pocketdet.runtime.parity import Check, compare

Array = NDArray[np.float32]


def torch_outputs(graph: nn.Module, example: Tensor, spec: GraphSpec) -> dict[str, Array]:
    """Outputs of a torch graph by role, without the batch axis of the features graph."""
    with torch.no_grad():
        result = graph(example)
    tensors = (result,) if isinstance(result, Tensor) else tuple(result)
    batched = example.dim() == 4
    return {o.role: (t[0] if batched else t).numpy() for o, t in zip(spec.outputs, tensors, strict=True)}


def check_module(
    name: str,
    reference: nn.Module,
    subject: nn.Module,
    spec: GraphSpec,
    examples: Sequence[Tensor],
    relative: float,
) -> list[Check]:
    """Compare two torch modules, the worst of `examples` per output."""
    pairs = [(torch_outputs(reference, e, spec), torch_outputs(subject, e, spec)) for e in examples]
    return _worst(name, spec, pairs, relative)


def check_engine(
    name: str,
    reference: nn.Module,
    engine: Engine,
    graph: GraphName,
    spec: GraphSpec,
    examples: Sequence[Tensor],
    relative: float,
    least_snr_db: float | None = None,
) -> list[Check]:
    """Compare a torch module with an engine that runs its export, the worst of `examples` per output."""
    role = spec.inputs[0].role
    pairs = []
    for example in examples:
        array = (example[0] if example.dim() == 4 else example).contiguous().numpy()
        pairs.append((torch_outputs(reference, example, spec), engine.run(graph, {role: array})))
    return _worst(name, spec, pairs, relative, least_snr_db)


def _worst(
    name: str,
    spec: GraphSpec,
    pairs: Sequence[tuple[Mapping[str, Array], Mapping[str, Array]]],
    relative: float,
    least_snr_db: float | None = None,
) -> list[Check]:
    checks = []
    for output in spec.outputs:
        label = f"{name} {output.role}"
        found = [
            compare(label, r[output.role], s[output.role], relative=relative, least_snr_db=least_snr_db)
            for r, s in pairs
        ]
        checks.append(max(found, key=lambda c: (not c.ok, c.max_abs / max(c.tolerance, 1e-30))))
    return checks
