"""Parsing and serialisation of manifest.json.

A document of version 5 or later may have a list `sizes`. Each entry is a further input size: the fields that
depend on it (`Manifest.size_fields`), in place of those of the whole document. In memory every size is a
manifest of its own.
"""

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from pocketdet.errors import BundleError, UsageError
from pocketdet.io import parse_strict
from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.runtime.bundle.schema import (
    LAST_VERSION,
    MAX_SIZES,
    SCHEMA_VERSION,
    SIZES_VERSION,
    Manifest,
)
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
_NEW_IN_VERSION_6 = ("postprocessing", "per_class")


def parse_manifest(data: bytes, label: str) -> Manifest:
    """Parse a manifest from untrusted JSON, at its default input size. Raises as `parse_sizes`."""
    return parse_sizes(data, label)[0]


def parse_sizes(data: bytes, label: str) -> tuple[Manifest, ...]:
    """Parse a manifest from untrusted JSON at all of its input sizes, the default one first.

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
    if version < LAST_VERSION:
        _refuse_newer(document, _NEW_IN_VERSION_6, version, label)
    if version == SCHEMA_VERSION:
        return (_validate(kind, data, version, label),)
    if version < SCHEMA_VERSION:
        return (_validate(kind, _upgrade(document, version, label), version, label),)
    found: dict[str, Manifest] = {}
    for place, one in _size_documents(document, kind, version, label):
        manifest = _validate(kind, one, version, place)
        if found.setdefault(str(manifest.input), manifest) is not manifest:
            raise BundleError(f"{place}: input size {manifest.input} is given twice")
    return tuple(found.values())


def manifest_to_json(manifest: Manifest, *further: Manifest) -> str:
    """Return manifest.json: fields in schema order, files last, indented by 2, with a final newline.

    Equal manifests have equal text.

    Args:
        manifest: at the default input size, with the files of all sizes.
        further: at the other sizes; only their `size_fields` are written.
    """
    document = manifest.model_dump(mode="json")
    if further:
        fields = set(manifest.size_fields)
        document["schema_version"] = SIZES_VERSION
        document["sizes"] = [other.model_dump(mode="json", include=fields) for other in further]
    if isinstance(manifest, TwoStageManifest):
        if manifest.postprocessing.per_class:
            del document["postprocessing"]["per_class"]  # what earlier versions have
        else:
            document["schema_version"] = LAST_VERSION
    document["files"] = document.pop("files")
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema of manifest.json."""
    schema = TypeAdapter(TwoStageManifest | OneStageManifest).json_schema()
    for kind in _KINDS.values():
        properties = schema["$defs"][kind.__name__]["properties"]
        properties["schema_version"] = {
            "enum": [SCHEMA_VERSION, SIZES_VERSION, LAST_VERSION],
            "type": "integer",
        }
        entry = f"{kind.__name__.removesuffix('Manifest')}Size"
        schema["$defs"][entry] = {
            "title": entry,
            "type": "object",
            "description": "A further input size: these fields replace those of the manifest.",
            "properties": {name: properties[name] for name in kind.size_fields},
            "required": list(kind.size_fields),
            "additionalProperties": False,
        }
        items = {"$ref": f"#/$defs/{entry}"}
        properties["sizes"] = {"type": "array", "items": items, "maxItems": MAX_SIZES - 1, "default": []}
    return schema


def _validate(kind: type[Manifest], document: bytes | dict[str, Any], version: int, label: str) -> Manifest:
    """Return the manifest of one input size."""
    try:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        return kind.model_validate_json(data)
    except RecursionError:
        raise BundleError(f"{label}: expected a manifest, found JSON nested too deeply") from None
    except ValidationError as error:
        raise BundleError(_sentence(error, version, label)) from None
    except UsageError as error:
        raise BundleError(f"{label}: field 'decode': {str(error)[:300]}") from None


def _size_documents(
    document: dict[str, Any], kind: type[Manifest], version: int, label: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the document of each input size, the default one first, with its label in messages."""
    common = {name: value for name, value in document.items() if name != "sizes"}
    common["schema_version"] = SCHEMA_VERSION
    yield label, common
    entries = document.get("sizes", [])
    if not isinstance(entries, list) or len(entries) >= MAX_SIZES:
        found = f"{len(entries)} of them" if isinstance(entries, list) else _shorten(entries)
        raise BundleError(
            f"{label}: field 'sizes': expected a list of at most {MAX_SIZES - 1} further input sizes, "
            f"found {found}"
        )
    for number, entry in enumerate(entries):
        place = f"{label}: sizes[{number}]"
        if not isinstance(entry, dict):
            raise BundleError(f"{place}: expected a JSON object, found {_shorten(entry)}")
        missing = next((name for name in kind.size_fields if name not in entry), None)
        if missing is not None:
            raise BundleError(f"{place}: field {missing!r} is missing")
        unknown = next((name for name in entry if name not in kind.size_fields), None)
        if unknown is not None:
            raise BundleError(f"{place}: field {unknown[:200]!r} is unknown in schema version {version}")
        yield place, {**common, **entry}


def _check_version(document: dict[str, Any], label: str) -> int:
    """Return the schema version of a manifest. The schema rejects values that are not a version."""
    version = document.get("schema_version")
    # true and 1.0 equal 1 in Python; the schema rejects them
    if type(version) is not int or version < 1:
        return SCHEMA_VERSION
    if version > LAST_VERSION:
        raise BundleError(
            f"{label}: schema_version {version} needs a newer pocketdet, this one reads versions 1 to "
            f"{LAST_VERSION}; upgrade it with: pip install --upgrade pocketdet"
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
    for path in _NEW_IN_VERSION_2 if version < 2 else ():
        _refuse_newer(document, path, version, label)
    upgraded = {**document, "schema_version": SCHEMA_VERSION}
    if "decode" in document:
        upgraded["decode"] = current_words(document["decode"])
    return upgraded


def _refuse_newer(document: dict[str, Any], path: tuple[str, ...], version: int, label: str) -> None:
    """Raise `BundleError` if a document has a field that is newer than its version."""
    place: object = document
    for part in path[:-1]:
        place = place.get(part) if isinstance(place, dict) else None
    if isinstance(place, dict) and path[-1] in place:
        raise BundleError(f"{label}: field {'.'.join(path)!r} is unknown in schema version {version}")


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
