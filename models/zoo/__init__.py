"""Trained weights that come with the project, each with its card in a .md file beside it."""

from pathlib import Path

from pocketdet.errors import UsageError, did_you_mean

FOD = "thundernet-snet49-fod"  # things that do not belong on a runway: tools, bolts, cans; 31 classes
SUFFIX = ".safetensors"


def zoo_names() -> tuple[str, ...]:
    """Names of the weights, in order."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob(f"*{SUFFIX}")))


def zoo_weights(name: str) -> Path:
    """The checkpoint of that name, for `load_checkpoint`. Raises `UsageError` for an unknown name."""
    path = Path(__file__).parent / f"{name}{SUFFIX}"
    if name not in zoo_names():
        raise UsageError(
            f"{name}: no such file, nor the name of weights that come with pocketdet "
            f"({', '.join(zoo_names())}){did_you_mean(name, zoo_names())}"
        )
    return path


def weights_file(weights: Path) -> Path:
    """`weights` itself if it is a file or looks like one, else the checkpoint of the zoo that it names.

    Raises `UsageError` for a bare word that is neither.
    """
    if weights.exists() or weights.suffix or str(weights) != weights.name:
        return weights
    return zoo_weights(str(weights))
