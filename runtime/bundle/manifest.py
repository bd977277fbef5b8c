"""manifest.json: bytes to a checked `Manifest`, and back."""

import json
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pocketdet.errors import BundleError
from pocketdet.runtime.bundle.schema import SCHEMA_VERSION, Manifest
from pocketdet.runtime.strict_json import parse_strict

MAX_MANIFEST_BYTES = 8 << 20
_NEW_IN_VERSION_2 = (
    ("graphs", "features", "arithmetic"),
    ("graphs", "head", "arithmetic"),
    ("layout", "fp32_modules"),
)


def parse_manifest(data: bytes, label: str) -> Manifest:
    """A manifest from untrusted JSON; `label` names the file in messages.

    Raises `BundleError` with one sentence for text that is not JSON, a schema version that this program does
    not know, and the first field that is missing, unknown, of a wrong type, out of range or inconsistent.
    """
    try:
        document = parse_strict(data)
    except RecursionError:
        raise BundleError(f"{label}: expected a manifest, found JSON nested too deeply") from None
    except ValueError as error:
        raise BundleError(f"{label}: expected JSON, found something else: {error}") from error
    if not isinstance(document, dict):
        raise BundleError(f"{label}: expected a JSON object, found {type(document).__name__}")
    _check_version(document, label)
    if document.get("schema_version") == 1:
        data = json.dumps(_from_version_1(document, label)).encode()
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise BundleError(_sentence(error, label)) from None


def manifest_to_json(manifest: Manifest) -> str:
    """The manifest as JSON: fields in the order of the schema, indented by 2, with a final newline.

    Equal manifests give equal text, and `parse_manifest` gives the same manifest back.
    """
    return json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _check_version(document: dict[str, Any], label: str) -> None:
    version = document.get("schema_version")
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION:
        raise BundleError(
            f"{label}: schema_version {version} needs a newer pocketdet, this one reads versions 1 to "
            f"{SCHEMA_VERSION}; upgrade it with: pip install --upgrade pocketdet"
        )


def _from_version_1(document: dict[str, Any], label: str) -> dict[str, Any]:
    """The same in version 2, whose new fields have defaults that say what version 1 ran."""
    for *path, field in _NEW_IN_VERSION_2:
        place: object = document
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        if isinstance(place, dict) and field in place:
            name = ".".join((*path, field))
            raise BundleError(f"{label}: field {name!r} is unknown in schema version 1")
    # true and 1.0 equal 1, and are refused as any other type is
    version = document["schema_version"]
    return {**document, "schema_version": SCHEMA_VERSION if type(version) is int else version}


def _sentence(error: ValidationError, label: str) -> str:
    problems = error.errors(include_url=False)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{label}: {_describe(problems[0])}{more}"


def _describe(problem: ErrorDetails) -> str:
    field = _field_path(problem["loc"])
    if problem["type"] == "missing":
        return f"field {field!r} is missing"
    if problem["type"] == "extra_forbidden":
        return f"field {field!r} is unknown in schema version {SCHEMA_VERSION}"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if not field:
        return message
    return f"field {field!r}: {message}, found {_shorten(problem['input'])}"


def _field_path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path[:200]


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
