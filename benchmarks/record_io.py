"""Read and write records: validated on write and on read, written completely or not at all.

python -m pocketdet.benchmarks.record_io [docs/bench-record.schema.json]     writes the JSON Schema
"""

import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pocketdet.benchmarks.record import KIND, RULES, SCHEMA_VERSION, Measurement, Record, Rules
from pocketdet.benchmarks.verdict import derive_verdict, statistics
from pocketdet.errors import UsageError
from pocketdet.io import atomic_replace, atomic_write, os_errors, parse_strict, read_regular

MAX_BYTES = 1 << 29
Migration = Callable[[dict[str, Any]], dict[str, Any]]
MIGRATIONS: Mapping[int, Migration] = {
    # the fields that they add have defaults
    1: lambda document: {**document, "schema_version": 2},
    2: lambda document: {**document, "schema_version": 3},
}
"""Functions that convert a document of a schema version to the next one, by version. Others are refused."""


def complete(measurement: Measurement, rules: Rules = RULES) -> Record:
    """Derive the verdict and the summary of a measurement.

    Args:
        measurement: What was measured.
        rules: Schema version whose rules the verdict follows.
    """
    verdict = derive_verdict(measurement, rules)
    summary = statistics(measurement.run, verdict) if measurement.run is not None else None
    fields = {name: getattr(measurement, name) for name in Measurement.model_fields}
    return Record(**fields, summary=summary, verdict=verdict)


def to_json(record: Record) -> str:
    """Serialize a record; `parse_record` returns an equal record.

    Returns:
        JSON with one top-level field per line.
    """
    document = record.model_dump(mode="json")
    lines = [
        f'"{name}": {json.dumps(value, ensure_ascii=False, allow_nan=False)}'
        for name, value in document.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def parse_record(data: bytes, label: str) -> Record:
    """Parse a record from untrusted JSON; older schema versions are migrated.

    Raises:
        UsageError: If it is not a record, its version cannot be read, a field is wrong, or verdict or summary
            do not follow from the samples.
    """
    try:
        document = parse_strict(data)
    except RecursionError:
        raise UsageError(f"{label}: expected a record, found JSON nested too deeply") from None
    except ValueError as error:
        raise UsageError(f"{label}: expected JSON, found something else: {error}") from error
    document = _migrate(_check_kind(document, label), label)
    try:
        record = Record.model_validate_json(json.dumps(document))
    except ValidationError as error:
        raise UsageError(_sentence(error, label)) from None
    _check_derived(record, label)
    return record


def read_record(path: Path) -> Record:
    """Read a record file.

    Args:
        path: The file, of at most `MAX_BYTES`.

    Raises:
        UsageError: If the file cannot be read, or as `parse_record`.
    """
    with os_errors(UsageError, f"{path}: cannot be read"):
        data = read_regular(path, MAX_BYTES)
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path}: larger than any record ({MAX_BYTES >> 20} MiB)")
    return parse_record(data, str(path))


def write_record(path: Path, record: Record) -> None:
    """Write a new record file, completely or not at all, after a check that it can be read back.

    Args:
        path: The file to create; an existing one is never replaced.
        record: The record.

    Raises:
        UsageError: If the file exists or cannot be written.
    """
    text = to_json(record)
    parse_record(text.encode(), str(path))
    try:
        atomic_replace(path, text.encode(), exist_ok=False)
    except FileExistsError as error:
        raise UsageError(f"{path}: exists already; records are never overwritten") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error


def record_schema() -> str:
    """Return the JSON Schema of `SCHEMA_VERSION`."""
    schema = Record.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"


def _check_kind(document: object, label: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise UsageError(f"{label}: expected a JSON object, found {type(document).__name__}")
    kind = document.get("kind", document.get("command"))
    if kind != KIND or "program" in document:
        known = {
            "engine contest": "the record of bench-engines, which compares engines on one machine",
            KIND: "the raw output of pocketdet-run bench, which pocketdet bench makes a record of",
        }
        found = known.get(kind, "something else") if isinstance(kind, str) else "something else"
        raise UsageError(f"{label}: expected a record of pocketdet bench, found {found}")
    return document


def _migrate(document: dict[str, Any], label: str) -> dict[str, Any]:
    version = document.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise UsageError(f"{label}: expected a schema_version, found {version!r}")
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"{label}: schema_version {version} needs a newer pocketdet, this one reads up to version "
            f"{SCHEMA_VERSION}; upgrade it with: pip install --upgrade pocketdet"
        )
    while version < SCHEMA_VERSION:
        if version not in MIGRATIONS:
            raise UsageError(
                f"{label}: schema_version {version} cannot be read any more, nor brought to version "
                f"{SCHEMA_VERSION}; measure again"
            )
        document = MIGRATIONS[version](document)
        version = document["schema_version"]
    return document


def _check_derived(record: Record, label: str) -> None:
    expected = complete(record, record.verdict.rules)
    if record.verdict != expected.verdict:
        raise UsageError(
            f"{label}: the verdict does not follow from the samples: it says {str(record.verdict)[:80]!r}, "
            f"they say {str(expected.verdict)[:80]!r}; was it edited?"
        )
    ours, theirs = expected.summary, record.summary
    if (ours is None) != (theirs is None):
        raise UsageError(f"{label}: expected a summary if frames were timed, and only then")
    if ours is None or theirs is None:
        return
    for name, value in ours.model_dump().items():
        found = getattr(theirs, name)
        if (value is None) != (found is None) or (value is not None and not math.isclose(value, found)):
            raise UsageError(f"{label}: summary.{name} is {found}, the samples say {value}; was it edited?")


def _sentence(error: ValidationError, label: str) -> str:
    problems = error.errors(include_url=False)
    first, more = problems[0], f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    path = ".".join(map(str, first["loc"]))[:200]
    message = first["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if first["type"] == "missing":
        return f"{label}: field {path!r} is missing{more}"
    if first["type"] == "extra_forbidden":
        return f"{label}: field {path!r} is unknown in schema version {SCHEMA_VERSION}{more}"
    return f"{label}: field {path!r}: {message}{more}"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/bench-record.schema.json")
    atomic_write(target, record_schema())
