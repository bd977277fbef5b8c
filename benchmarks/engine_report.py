"""The record of a contest between engines: everything that was measured, as JSON."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from pocketdet.benchmarks.contest import Plan
from pocketdet.benchmarks.engine_contest import Outcome, Part
from pocketdet.benchmarks.machine import Machine, Peak
from pocketdet.benchmarks.samples import Ratio, Summary, speed_ratio, summarise

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True)
class Standing:
    """How an entrant did in one part. `ratio` is to the first entrant, `peak_share` of the FMA peak, 0..1."""

    name: str
    summary: Summary
    ratio: Ratio
    peak_share: float


@dataclass(frozen=True)
class EngineReport:
    """One run of `bench-engines`: the picture, one thread, fp32; an outcome for each bundle."""

    machine: Machine
    load_after: float | None
    peak: Peak
    plan: Plan
    picture: str
    outcomes: tuple[Outcome, ...]

    @property
    def ok(self) -> bool:
        """Whether all engines agreed about every bundle."""
        return not any(outcome.failed for outcome in self.outcomes)

    def standings(self, part: Part) -> list[Standing]:
        """Everyone who was timed, in the order of the entrants."""
        base = next(iter(part.samples.values()))
        found = []
        for name, samples in part.samples.items():
            summary, ratio = summarise(samples), speed_ratio(base, samples, self.plan.seed)
            found.append(Standing(name, summary, ratio, self.peak.share(part.macs, summary.median)))
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values; samples are milliseconds to the nanosecond, a list for each round."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "engine contest",
            "threads": 1,
            "precision": "fp32",
            "picture": self.picture,
            "machine": {**asdict(self.machine), "load_after": self.load_after},
            "fma_peak": asdict(self.peak),
            "plan": asdict(self.plan),
            "bundles": [self._outcome(outcome) for outcome in self.outcomes],
            "ok": self.ok,
        }

    def _outcome(self, outcome: Outcome) -> dict[str, Any]:
        field = outcome.field
        return {
            "name": field.manifest.name,
            "architecture": field.manifest.architecture,
            "manifest_sha256": field.digest,
            "rois": outcome.rois,
            "proposals": outcome.proposals,
            "detections": outcome.detections,
            "entrants": {entrant.name: entrant.detail for entrant in field.entrants},
            "left_out": {left.name: left.reason for left in field.left_out},
            "failed": {name: list(words) for name, words in outcome.failed.items()},
            "parts": [self._part(part) for part in outcome.parts],
        }

    def _part(self, part: Part) -> dict[str, Any]:
        rows = [
            {
                "name": standing.name,
                "milliseconds": asdict(standing.summary),
                "times_as_fast": asdict(standing.ratio),
                "peak_share": standing.peak_share,
                "samples": np.round(part.samples[standing.name], 6).tolist(),
            }
            for standing in self.standings(part)
        ]
        return {"name": part.name, "macs": part.macs, "entrants": rows}
