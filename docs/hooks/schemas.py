"""The pages of two JSON schemas and of training recipes, generated from the models that read the files."""

import json
from collections.abc import Iterator
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from pocketdet.benchmarks.record import Record as BenchRecord
from pocketdet.runtime.bundle import manifest_schema
from pocketdet.training.recipe import REQUIRED, RecipeField, RecipeTable, recipe_tables

MANIFEST_PAGE = "reference/bundle-manifest.md"
RECORD_PAGE = "reference/bench-record.md"

_MANIFEST_INTRO = """# Bundle manifest

`manifest.json` in a [bundle](../glossary.md#bundle): everything about a detector except its weights. The
loader refuses unknown fields and values outside of their range. The [definitions](definitions.md) and
[one-stage decoding](one-stage.md) define what the numbers mean, the [version policy](../versioning.md) how
the schema changes. The JSON Schema is [bundle-manifest.schema.json](bundle-manifest.schema.json).

A manifest is a `TwoStageManifest` if `detector` is `"two-stage"` and a `OneStageManifest` if it is
`"one-stage"`. One of schema version 5 may have `sizes`: further input sizes of the detector. Each entry has
the fields that depend on the size, which replace those of the whole manifest; `files` lists the files of all
sizes.
"""
_RECORD_INTRO = """# Benchmark record

The JSON file that [`pocketdet bench`](command-line.md#pocketdet-bench) writes for each device and bundle. The
[benchmark guide](../guides/benchmark.md) describes the protocol and the verdict. The JSON Schema is
[bench-record.schema.json](bench-record.schema.json).
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and both schemas."""
    record = BenchRecord.model_json_schema()
    for page, intro, schema in (
        (MANIFEST_PAGE, _MANIFEST_INTRO, manifest_schema()),
        (RECORD_PAGE, _RECORD_INTRO, record),
    ):
        files.append(File.generated(config, page, content="\n".join([intro, *_models(schema)])))
        text = json.dumps(schema, indent=2)
        files.append(File.generated(config, page.replace(".md", ".schema.json"), content=text))
    files.append(File.generated(config, RECIPE_PAGE, content="\n".join(_recipe_page())))
    return files


def _models(schema: dict[str, Any]) -> Iterator[str]:
    top = {schema["title"]: schema} if "properties" in schema else {}
    definitions = dict(schema.get("$defs", {}))
    first = [name for name in definitions if name.endswith("Manifest")]
    for name in (*first, *(n for n in definitions if n not in first)):
        top[name] = definitions[name]
    for name, model in top.items():
        if "properties" not in model:
            continue
        yield f"## {name}\n"
        yield f"{_text(model.get('description', ''))}\n"
        required = model.get("required", [])
        described = any("description" in value for value in model["properties"].values())
        yield "| field | type | default |" + " meaning |" * described
        yield "|---|---|---|" + "---|" * described
        for field, value in model["properties"].items():
            default = "required" if field in required else f"`{json.dumps(value.get('default'))}`"
            meaning = f" {_text(value.get('description', ''), cell=True)} |" * described
            yield f"| `{field}` | {_type(value)} | {default} |{meaning}"
        yield ""


def _type(value: dict[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    for union in ("anyOf", "oneOf"):
        if union in value:
            return " or ".join(_type(option) for option in value[union])
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if "enum" in value:
        return ", ".join(f"`{json.dumps(option)}`" for option in value["enum"])
    kind = value.get("type", "any")
    if kind == "array":
        items = [_type(item) for item in value.get("prefixItems", [])] or [_type(value.get("items", {}))]
        same = len(set(items)) == 1
        return f"array of {items[0]}" if same else f"array ({', '.join(items)})" + _range(value)
    if kind == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"object of {_type(value['additionalProperties'])}"
    return kind + _range(value)


def _range(value: dict[str, Any]) -> str:
    low = value.get("minimum", value.get("minLength", value.get("exclusiveMinimum")))
    high = value.get("maximum", value.get("maxLength", value.get("exclusiveMaximum")))
    if low is None and high is None:
        return ""
    what = " characters" if value.get("type") == "string" else ""
    if high is None:
        return f", at least {low}{what}"
    return f", at most {high}{what}" if low is None else f", {low} to {high}{what}"


def _text(text: str, *, cell: bool = False) -> str:
    text = text.replace("<", "&lt;")
    return text.replace("|", "\\|").replace("\n", " ") if cell else text


RECIPE_PAGE = "reference/recipe.md"
_RECIPE_INTRO = """# Training recipes

The TOML file that [`pocketdet train`](command-line.md#pocketdet-train) reads; the
[training guide](../guides/train.md) shows how to write one for your own images. Paths are relative to the
file. An unknown field or a value out of its range is an error that names the field.

`--resume` accepts other values of `schedule.images` and `schedule.learning_rate`, and of what does not change
the weights: paths, `save_every`, `evaluation` and `nms`.
"""


def _recipe_page() -> Iterator[str]:
    yield _RECIPE_INTRO
    for table in recipe_tables().values():
        yield from _recipe_table(table)


def _recipe_table(table: RecipeTable) -> Iterator[str]:
    titles = {"": "Fields above all tables", "data": "[[data]], one for each dataset"}
    yield f"## {titles.get(table.name, f'[{table.name}]')}\n"
    if table.name:
        yield f"{table.meaning}\n"
    yield "| field | value | default | meaning |\n|---|---|---|---|"
    for field in table.fields:
        cells = (f"`{field.name}`", _recipe_value(field), _recipe_default(field.default), field.meaning)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _recipe_value(field: RecipeField) -> str:
    return f"{field.kind}, {field.limits}" if field.limits else field.kind


def _recipe_default(value: object) -> str:
    if value is REQUIRED:
        return "required"
    if value is None:
        return ""
    return f"`{round(value, 4) if isinstance(value, float) else json.dumps(value)}`"
