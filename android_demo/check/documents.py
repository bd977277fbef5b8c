"""The JSON documents of io.pocketdet.Bench beside what they must hold."""

import json
from pathlib import Path
from typing import Any

from tools import FailedError

_COMMON = {"schema_version", "program", "command"}
_BUNDLE = _COMMON | {"bundle", "engine"}
_TIMED = {
    "machine",
    "images",
    "options",
    "affinity",
    "before",
    "after",
    "affinity_after",
    "measured_s",
    "clocks",
}
FIELDS = {
    "machine": _COMMON | {"ncnn", "ncnn_cpu_features", "machine", "sensors"},
    "verify": _BUNDLE | {"ok", "checks"},
    "bench": _BUNDLE | _TIMED | {"stages", "samples"},
}


def check_documents(folder: Path) -> int:
    """The number of documents; raises `FailedError` for one that lacks something."""
    documents = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))
    }
    for name, document in documents.items():
        _check(name, document)
    samples = documents["bench"]["samples"]
    _expect(len(samples["milliseconds"]) == 7, "bench: expected 7 frames")
    _expect(
        all(len(row) == len(documents["bench"]["stages"]) for row in samples["milliseconds"]), "bench: stages"
    )
    _expect(documents["pinned"]["affinity"] == [documents["pinned"]["options"]["cpu"]], "pinned: affinity")
    _expect(documents["bench"]["options"]["rois"] == 50, "bench: expected 50 RoIs")
    _expect(documents["verify"]["ok"] is True, "verify: expected ok")
    return len(documents)


def _check(name: str, document: dict[str, Any]) -> None:
    missing = FIELDS[document["command"]] - set(document)
    _expect(not missing, f"{name}: fields {sorted(missing)} are missing")
    _expect(
        str(document["program"]).startswith("pocketdet-android "), f"{name}: program {document['program']}"
    )


def _expect(holds: bool, problem: str) -> None:
    if not holds:
        raise FailedError(f"documents of Bench: {problem}")
