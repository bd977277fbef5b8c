"""In place of the emulator and LLVM: `model` with cycles that are written here."""

from collections.abc import Iterator, Sequence

from pocketdet.armmodel.cores import Core
from pocketdet.armmodel.modelled import Figures, LayerFigures, Modelled, NamedFigures
from pocketdet.armmodel.subject import BundleSubject, LayerFacts

NETWORKS, FRAME = 25e6, 28e6
"""Cycles of the two networks and of the whole frame, on each core."""


def stored_model(
    subject: BundleSubject, cores: Sequence[Core], _instrument: object, _progress: object = None
) -> Iterator[Modelled]:
    """As `pocketdet.armmodel.modelled.model`, with 120 RoIs."""
    cycles = {"preprocess": FRAME - NETWORKS, "features": NETWORKS * 0.8, "head": NETWORKS * 0.2}
    layers = [
        LayerFigures(
            stage, LayerFacts(stage, "Convolution", "", None, 0, "fp32"), Figures(cycles[stage], 0), ()
        )
        for stage in ("features", "head")
    ]
    stages = [NamedFigures(name, Figures(spent, 0)) for name, spent in cycles.items()]
    for core in cores:
        yield Modelled(
            subject=subject.name,
            core=core,
            precision=subject.precision or "",
            rois=120,
            total=Figures(FRAME, 0),
            stages=tuple(stages),
            layers=tuple(layers),
            functions=(),
            unmodelled=0.0,
            estimated=0.0,
        )
