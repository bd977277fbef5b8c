"""The page reference/recipe.md, generated from the records that read training configurations."""

import json
from collections.abc import Iterator

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from pocketdet.training.recipe import REQUIRED, RecipeField, RecipeTable, recipe_tables

PAGE = "reference/recipe.md"
_INTRO = """# Training recipes

The TOML file that [`pocketdet train`](command-line.md#pocketdet-train) reads; the
[training guide](../guides/train.md) shows how to write one for your own images. Paths are relative to the
file. An unknown field or a value out of its range is an error that names the field.

`--resume` accepts other values of `schedule.images` and `schedule.learning_rate`, and of what does not change
the weights: paths, `save_every`, `evaluation` and `nms`.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, PAGE, content="\n".join(_page())))
    return files


def _page() -> Iterator[str]:
    yield _INTRO
    for table in recipe_tables().values():
        yield from _table(table)


def _table(table: RecipeTable) -> Iterator[str]:
    titles = {"": "Fields above all tables", "data": "[[data]], one for each dataset"}
    yield f"## {titles.get(table.name, f'[{table.name}]')}\n"
    if table.name:
        yield f"{table.meaning}\n"
    yield "| field | value | default | meaning |\n|---|---|---|---|"
    for field in table.fields:
        cells = (f"`{field.name}`", _value(field), _default(field.default), field.meaning)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _value(field: RecipeField) -> str:
    return f"{field.kind}, {field.limits}" if field.limits else field.kind


def _default(value: object) -> str:
    if value is REQUIRED:
        return "required"
    if value is None:
        return ""
    return f"`{round(value, 4) if isinstance(value, float) else json.dumps(value)}`"
