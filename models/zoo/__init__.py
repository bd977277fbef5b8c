"""Trained weights that ship with the project. Each file's card tells its data, licence and recipe."""

from pathlib import Path


def zoo_checkpoint(arch: str) -> Path | None:
    """The trained checkpoint of an architecture, or `None` if the project has none yet."""
    path = Path(__file__).parent / f"{arch}.safetensors"
    return path if path.is_file() else None
