"""What a verification found: checks per image and subject, layers if they were compared, and the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pocketdet.runtime.parity import Check


@dataclass(frozen=True)
class LayerCheck:
    """One blob of an ncnn graph; `source` is the PyTorch module, `None` where export found no equal value."""

    graph: str
    layer: str
    layer_type: str
    blob: str
    source: str | None
    check: Check | None

    @property
    def ok(self) -> bool:
        """Whether the blob agrees, or cannot be judged."""
        return self.check is None or self.check.ok

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON report."""
        return {
            "graph": self.graph,
            "layer": self.layer,
            "type": self.layer_type,
            "blob": self.blob,
            "source": self.source,
            "check": self.check.to_json() if self.check else None,
        }

    def __str__(self) -> str:
        verdict = str(self.check) if self.check else f"-[ ] {self.blob}: no PyTorch value to compare with"
        return f"{verdict}  {self.layer_type} {self.layer!r} <- {self.source}"


PYTORCH = "pytorch"


@dataclass(frozen=True)
class ImageReport:
    """The checks of one image, in stage order, by subject ("pytorch", "onnxruntime", "ncnn")."""

    image: str
    checks: Mapping[str, Sequence[Check]]


@dataclass(frozen=True)
class VerifyReport:
    """Everything that was compared. `ok` is the verdict; the first failure names where trouble begins.

    overflows: a sentence per layer that overflows in the half precision that the bundle was made for, on the
    pictures compared. costs: a line per output on what storing rounded weights changed.
    """

    bundle: str
    images: Sequence[ImageReport]
    layers: Sequence[LayerCheck] = field(default_factory=tuple)
    overflows: Sequence[str] = field(default_factory=tuple)
    costs: Sequence[str] = field(default_factory=tuple)

    @property
    def ok(self) -> bool:
        """Whether every check of every image and layer holds, and nothing overflows."""
        return self.first_stage is None and self.first_layer is None and not self.overflows

    @property
    def first_stage(self) -> str | None:
        """The first stage out of tolerance, with its subject and image."""
        found = (
            f"{check.name} ({subject}, {part.image})"
            for part in self.images
            for subject, checks in part.checks.items()
            for check in checks
            if not check.ok
        )
        return next(found, None)

    @property
    def first_layer(self) -> LayerCheck | None:
        """The first ncnn layer out of tolerance."""
        return next((row for row in self.layers if not row.ok), None)

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        stage, layer = self.first_stage, self.first_layer
        return {
            "bundle": self.bundle,
            "ok": self.ok,
            "first_stage": stage,
            "first_layer": layer.layer if layer else None,
            "images": [
                {"image": i.image, "subjects": {s: [c.to_json() for c in cs] for s, cs in i.checks.items()}}
                for i in self.images
            ],
            "layers": [row.to_json() for row in self.layers],
            "overflows": list(self.overflows),
            "costs": list(self.costs),
        }
