"""A TOML file with the precision of single layers.

    [layers]
    "convrelu_0" = "fp32"             # an ncnn layer, as `pocketdet verify --layers` prints it
    "head/*" = "fp32"                 # every layer of one graph
    "backbone.stage4.*" = "fp16"      # PyTorch modules: the convolutions and linear layers below

The last line that matches a layer decides; a layer that no line matches has the precision of the export.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, get_args

from pocketdet.errors import UsageError
from pocketdet.io import read_regular

LayerPrecision = Literal["fp32", "fp16", "int8"]

_MAX_BYTES = 1 << 20
_NEAREST = 3


@dataclass(frozen=True)
class LayerChoice:
    """One line of the file.

    Attributes:
        pattern: a name, or a glob with `*`, `?` and `[...]`.
        precision: of the layers that it matches.
    """

    pattern: str
    precision: LayerPrecision


def read_layer_file(path: Path) -> tuple[LayerChoice, ...]:
    """Read a file; the choices have the order of its lines. Raises `UsageError` if it cannot be read."""
    try:
        text = read_regular(path, _MAX_BYTES).decode("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: not a TOML file: {error}") from error
    table = document.get("layers")
    if len(text) > _MAX_BYTES or set(document) != {"layers"} or not isinstance(table, dict):
        raise UsageError(
            f'{path}: expected one table [layers] with lines such as "convrelu_0" = "fp32", '
            f"found {', '.join(map(repr, document)) or 'nothing'}"
        )
    return tuple(LayerChoice(name, _precision(path, name, value)) for name, value in table.items())


def _precision(path: Path, name: str, value: object) -> LayerPrecision:
    for precision in get_args(LayerPrecision):
        if value == precision:
            return precision  # type: ignore[no-any-return]
    hint = "; a name with dots needs quotes" if isinstance(value, dict) else ""
    raise UsageError(
        f"{path}: layer {name!r}: expected {', '.join(get_args(LayerPrecision))}, found {value!r:.60}{hint}"
    )


def resolve(choices: Sequence[LayerChoice], names: Mapping[str, Sequence[str]]) -> dict[str, LayerPrecision]:
    """Find the precision of every layer that a choice matches.

    Args:
        choices: the last one that matches a layer decides.
        names: the names that a choice may use for each layer, by the layer's key.

    Returns:
        The precision by the layer's key.

    Raises:
        UsageError: if a choice matches no layer; the message lists the nearest names.
    """
    chosen: dict[str, LayerPrecision] = {}
    for choice in choices:
        fitting = [key for key, aliases in names.items() if any(_fits(n, choice.pattern) for n in aliases)]
        if not fitting:
            every = list(dict.fromkeys(name for aliases in names.values() for name in aliases))
            near = difflib.get_close_matches(choice.pattern, every, _NEAREST, 0.4) or every[:_NEAREST]
            raise UsageError(
                f"no layer is called {choice.pattern!r}; the nearest names are {', '.join(map(repr, near))}"
            )
        chosen |= dict.fromkeys(fitting, choice.precision)
    return chosen


def _fits(name: str, pattern: str) -> bool:
    # a name may contain brackets
    return name == pattern or fnmatchcase(name, pattern)
