"""The same inputs through a network and through what was made of it: one check per output."""

from collections.abc import Mapping, Sequence

from pocketdet.export.network import Network
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines.base import Array, Engine, GraphName
from pocketdet.runtime.parity import Check, compare


def check_network(
    name: str,
    reference: Network,
    subject: Network,
    spec: GraphSpec,
    examples: Sequence[Array],
    relative: float,
) -> list[Check]:
    """Compare two networks, the worst of `examples` per output."""
    pairs = [(reference.run(example), subject.run(example)) for example in examples]
    return _worst(name, spec, pairs, relative)


def check_engine(
    name: str,
    reference: Network,
    engine: Engine,
    graph: GraphName,
    spec: GraphSpec,
    examples: Sequence[Array],
    relative: float,
    least_snr_db: float | None = None,
) -> list[Check]:
    """Compare a network with an engine that runs its export, the worst of `examples` per output."""
    role = spec.inputs[0].role
    pairs = [(reference.run(example), engine.run(graph, {role: example})) for example in examples]
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
