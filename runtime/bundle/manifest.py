"""Parsing and serialisation of manifest.json."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pocketdet.errors import BundleError, UsageError
from pocketdet.io import parse_strict
from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.runtime.bundle.schema import SCHEMA_VERSION, Manifest
from pocketdet.runtime.bundle.two_stage import TwoStageManifest
from pocketdet.spec.one_stage_words import current_words

MAX_MANIFEST_BYTES = 8 << 20
_KINDS: Mapping[str, type[Manifest]] = MappingProxyType(
    {"two-stage": TwoStageManifest, "one-stage": OneStageManifest}
)
_NEW_IN_VERSION_2 = (
    ("graphs", "features", "arithmetic"),
    ("graphs", "head", "arithmetic"),
    ("layout", "fp32_modules"),
)


def parse_manifest(data: bytes, label: str) -> Manifest:
    """Parse a manifest from untrusted JSON.

    Args:
        data: the content of manifest.json.
        label: name of the file in messages.

    Raises:
        BundleError: for invalid JSON, an unknown schema version, or the first field that is missing, unknown,
            of a wrong type, out of range or inconsistent.
    """
    try:
        document = parse_strict(data)
    except RecursionError:
        raise BundleError(f"{label}: expected a manifest, found JSON nested too deeply") from None
    except ValueError as error:
        raise BundleError(f"{label}: expected JSON, found something else: {error}") from error
    if not isinstance(document, dict):
        raise BundleError(f"{label}: expected a JSON object, found {type(document).__name__}")
    version = _check_version(document, label)
    kind = _kind(document, version, label)
    try:
        if version < SCHEMA_VERSION:
            data = json.dumps(_upgrade(document, version, label)).encode()
        return kind.model_validate_json(data)
    except RecursionError:
        raise BundleError(f"{label}: expected a manifest, found JSON nested too deeply") from None
    except ValidationError as error:
        raise BundleError(_sentence(error, version, label)) from None
    except UsageError as error:
        raise BundleError(f"{label}: field 'decode': {str(error)[:300]}") from None


def manifest_to_json(manifest: Manifest) -> str:
    """Return the manifest as JSON: fields in schema order, files last, indented by 2, with a final newline.

    Equal manifests have equal text.
    """
    document = manifest.model_dump(mode="json")
    document["files"] = document.pop("files")
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _check_version(document: dict[str, Any], label: str) -> int:
    """Return the schema version of a manifest. The schema rejects values that are not a version."""
    version = document.get("schema_version")
    # true and 1.0 equal 1 in Python; the schema rejects them
    if type(version) is not int or version < 1:
        return SCHEMA_VERSION
    if version > SCHEMA_VERSION:
        raise BundleError(
            f"{label}: schema_version {version} needs a newer pocketdet, this one reads versions 1 to "
            f"{SCHEMA_VERSION}; upgrade it with: pip install --upgrade pocketdet"
        )
    return version


def _kind(document: dict[str, Any], version: int, label: str) -> type[Manifest]:
    """Return the manifest class of a document. Versions 1 and 2 had two-stage detectors only."""
    known = list(_KINDS)[: 1 if version < 3 else None]
    if "detector" not in document:
        raise BundleError(f"{label}: field 'detector' is missing")
    if document["detector"] not in known:
        expected = " or ".join(map(repr, known))
        raise BundleError(
            f"{label}: field 'detector': expected {expected} in schema version {version}, "
            f"found {_shorten(document['detector'])}"
        )
    return _KINDS[document["detector"]]


def _upgrade(document: dict[str, Any], version: int, label: str) -> dict[str, Any]:
    """Convert a document of an older version. Fields that it lacks have defaults with the old behaviour."""
    for *path, field in _NEW_IN_VERSION_2 if version < 2 else ():
        place: object = document
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        if isinstance(place, dict) and field in place:
            name = ".".join((*path, field))
            raise BundleError(f"{label}: field {name!r} is unknown in schema version {version}")
    upgraded = {**document, "schema_version": SCHEMA_VERSION}
    if "decode" in document:
        upgraded["decode"] = current_words(document["decode"])
    return upgraded


def _sentence(error: ValidationError, version: int, label: str) -> str:
    problems = error.errors(include_url=False)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{label}: {_describe(problems[0], version)}{more}"


def _describe(problem: ErrorDetails, version: int) -> str:
    field = _field_path(problem["loc"])
    if problem["type"] == "union_tag_not_found":
        field += ".encoding"  # box codings are the only tagged union of a manifest
    if problem["type"] in ("missing", "union_tag_not_found"):
        return f"field {field!r} is missing"
    if problem["type"] == "extra_forbidden":
        return f"field {field!r} is unknown in schema version {version}"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if not field:
        return message
    return f"field {field!r}: {message}, found {_shorten(problem['input'])}"


def _field_path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        if part == "float" or "[" in str(part):  # a member of a union, as pydantic names it
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path[:200]


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
