"""Totals of modelled frames, kept beside the bundles: a table made again models only what has changed."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pocketdet.armmodel.cores import Core
from pocketdet.armmodel.instrument import Instrument
from pocketdet.armmodel.modelled import Figures, model
from pocketdet.armmodel.subject import BundleSubject
from pocketdet.io import atomic_write
from pocketdet.runtime.bundle import hash_file, load_bundle


class _Kept(BaseModel):
    """The totals by the name of a core, and what they follow from."""

    model_config = ConfigDict(extra="forbid")

    made_of: str
    totals: dict[str, Figures]


def frame_totals(
    path: Path, frame: Path, arithmetic: str, cores: Sequence[Core], instrument: Instrument
) -> list[Figures]:
    """Model a frame of a detector, image to boxes, or read what an earlier call has written.

    Args:
        path: Its bundle, a folder. The totals are kept beside it, a file for each arithmetic.
        frame: The image.
        arithmetic: What ncnn computes in.
        cores: The cores.
        instrument: The programs that model.

    Returns:
        The total of each core.

    Raises:
        PocketdetError: If the bundle is damaged, or a program fails.
    """
    file = path.with_suffix(f".{arithmetic}.json")
    with load_bundle(path) as bundle:
        made_of = _made_of(bundle.digest, frame, instrument)
        kept = _read(file, made_of)
        missing = [core for core in cores if core.name not in kept.totals]
        for one in model(BundleSubject(bundle, arithmetic, frame), missing, instrument):
            kept.totals[one.core.name] = one.total
            atomic_write(file, kept.model_dump_json(indent=2) + "\n")
    return [kept.totals[core.name] for core in cores]


def _read(file: Path, made_of: str) -> _Kept:
    try:
        kept = _Kept.model_validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError):
        return _Kept(made_of=made_of, totals={})
    return kept if kept.made_of == made_of else _Kept(made_of=made_of, totals={})


def _made_of(bundle: str, frame: Path, instrument: Instrument) -> str:
    """SHA-256 of all that a total depends on: the bundle, the image, the programs, and this package."""
    emulator = instrument.emulator
    files = [frame, instrument.runner, emulator.qemu, emulator.plugin]
    files += sorted(Path(__file__).parent.glob("*.py"))
    words = [bundle, instrument.llvm.version, *(hash_file(file).sha256 for file in files)]
    return hashlib.sha256(" ".join(words).encode()).hexdigest()
