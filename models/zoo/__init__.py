"""Trained weights that come with the project, each with its card in a .md file beside it."""

import difflib
from pathlib import Path

from pocketdet.errors import UsageError

FOD = "thundernet-snet49-fod"  # things that do not belong on a runway: tools, bolts, cans; 31 classes
SUFFIX = ".safetensors"


def zoo_names() -> tuple[str, ...]:
    """Names of the weights, in order."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob(f"*{SUFFIX}")))


def zoo_weights(name: str) -> Path:
    """The checkpoint of that name, for `load_checkpoint`. Raises `UsageError` for an unknown name."""
    path = Path(__file__).parent / f"{name}{SUFFIX}"
    if name not in zoo_names():
        near = difflib.get_close_matches(name, zoo_names(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"no weights named {name!r} come with pocketdet: {', '.join(zoo_names())}{hint}")
    return path


def weights_file(weights: Path) -> Path:
    """`weights` if it is there, else the checkpoint of the zoo that it names, else itself."""
    if not weights.exists() and str(weights) in zoo_names():
        return zoo_weights(str(weights))
    return weights
