"""Coverage-guided fuzzing of what Python reads of an untrusted bundle. Needs atheris, no dependency of ours.

python tests/hostile/fuzz_python.py manifest|golden|archive|param [libFuzzer options] [corpus folders]

Whatever the bytes are, a target returns or raises a pocketdet error of one sentence.
"""

import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FunctionType

import atheris

from pocketdet.errors import PocketdetError
from pocketdet.runtime.bundle.archive import ArchiveSource
from pocketdet.runtime.bundle.files import read_limited
from pocketdet.runtime.bundle.golden import read_stages
from pocketdet.runtime.bundle.manifest import manifest_to_json, parse_manifest
from pocketdet.runtime.ncnn_graph import infer_shapes, read_param

_MEMORY = Path("/dev/shm")
_FILE = Path(tempfile.mkdtemp(prefix="fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None)) / "file"


def manifest(data: bytes) -> None:
    """A manifest that is accepted is the same when it is written and read again."""
    found = parse_manifest(data, "manifest.json")
    assert parse_manifest(manifest_to_json(found).encode(), "again") == found


def golden(data: bytes) -> None:
    """The safetensors file of the stages."""
    _FILE.write_bytes(data)
    read_stages(_FILE, "stages.safetensors")


def archive(data: bytes) -> None:
    """A zip file, and each of the files that a bundle must have."""
    _FILE.write_bytes(data)
    source = ArchiveSource(_FILE)
    try:
        for name in ("manifest.json", "model.ncnn.param", "model.ncnn.bin", "golden/image.png"):
            with contextlib.suppress(PocketdetError):
                read_limited(source, name, 1 << 20, "x.zip")
    finally:
        source.close()


def param(data: bytes) -> None:
    """The text of a graph, and the shapes of its blobs."""
    infer_shapes(read_param(data.decode(errors="replace")), {"in0": (3, 32, 32)})


TARGETS: dict[str, Callable[[bytes], None]] = {t.__name__: t for t in (manifest, golden, archive, param)}


def run(target: Callable[[bytes], None], data: bytes) -> None:
    """One input; any other exception is a finding."""
    try:
        target(data)
    except PocketdetError as error:
        sentence = str(error)
        assert sentence
        assert "\n" not in sentence
        assert len(sentence) <= 2000


def instrument() -> None:
    """Count what is reached in our modules, json and zipfile.

    By hand, since atheris' hook of imports does not see the modules of an editable installation.
    """
    modules = [
        m for name, m in sys.modules.items() if name.partition(".")[0] in ("pocketdet", "json", "zipfile")
    ]
    for module in modules:
        for value in list(vars(module).values()):
            owned = vars(value).values() if isinstance(value, type) else (value,)
            for function in owned:
                if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                    atheris.instrument_func(function)


if __name__ == "__main__":
    chosen = TARGETS[sys.argv.pop(1)]
    instrument()
    atheris.Setup(sys.argv, lambda data: run(chosen, data))
    atheris.Fuzz()
