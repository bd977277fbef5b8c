"""Some hundred hostile copies in every run of the tests; `make hostile` makes 10,000 under sanitizers."""

import shutil
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from bases import make_bases
from copies import KINDS, ZIP, make_copy, rehash
from golden_edits import chunks_of, png_of
from graph_edits import CRASHED_ONCE, set_parameter
from loading import load_all
from verdicts import Limits, NativeLoader, PythonLoader

COPIES = 10 * len(KINDS)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sound bundles."""
    return make_bases(tmp_path_factory.mktemp("bases"))


def test_both_sides_give_one_verdict(native: NativeLoader, tmp_path: Path) -> None:
    results = list(load_all(range(COPIES), native, tmp_path, 2))
    assert [str(result) for result in results if result.problem] == []
    verdicts = Counter(result.python.kind for result in results)
    assert verdicts["refused"] > COPIES / 2
    assert verdicts["accepted"] > 0


def test_python_refuses_or_runs(tmp_path: Path) -> None:
    """What the other test shows of Python where nothing native is built; other copies."""
    results = list(load_all(range(COPIES, 2 * COPIES), None, tmp_path, 2))
    assert [str(result) for result in results if result.problem] == []


@pytest.mark.parametrize(("layer", "key", "value"), CRASHED_ONCE)
def test_what_crashed_once_is_refused(
    native: NativeLoader, bases: dict[str, Path], tmp_path: Path, layer: str, key: int, value: str
) -> None:
    base, graph = ("two-stage", "features") if layer in ("Slice", "Concat") else ("one-stage", "model")
    bundle = Path(shutil.copytree(bases[base], tmp_path / "copy"))
    set_parameter(bundle / f"{graph}.ncnn.param", layer, key, value)
    rehash(bundle)
    with PythonLoader(Limits()) as python:
        ours, theirs = native(bundle), python(bundle)
    assert (ours.kind, theirs.kind, theirs.type) == ("refused", "refused", "GraphError")
    assert "ncnn.param" in ours.sentence


def repeat_pixels(png: bytes) -> bytes:
    chunks = chunks_of(png)
    return png_of([*chunks[:-1], *chunks[1:]])


def lengthen_pixels(png: bytes) -> bytes:
    head, *_, tail = chunks_of(png)
    return png_of([head, (b"IDAT", zlib.compress(bytes(24 * (1 + 3 * 40) + 1))), tail])


def add_chunk(png: bytes) -> bytes:
    head, *others = chunks_of(png)
    return png_of([head, (b"acTL", bytes(8)), *others])


def add_bytes(file: bytes) -> bytes:
    return file + bytes(4)


def add_field(safetensors: bytes) -> bytes:
    return safetensors.replace(b'"dtype"', b'"d":1,"dtype"', 1).replace(b"    ", b"", 1)


@pytest.mark.parametrize(
    ("name", "change", "error"),
    [
        ("golden/image.png", repeat_pixels, "ImageError"),
        ("golden/image.png", lengthen_pixels, "ImageError"),
        ("golden/image.png", add_chunk, "ImageError"),
        ("golden/image.png", add_bytes, "ImageError"),
        ("golden/image.png", lambda _: b"P6\n1 1\n255\nabc", "ImageError"),
        ("golden/stages.safetensors", add_bytes, "BundleError"),
        ("golden/stages.safetensors", add_field, "BundleError"),
        ("manifest.json", lambda data: b"\xef\xbb\xbf" + data, "BundleError"),
        ("manifest.json", lambda data: data + b"\0", "BundleError"),
        ("manifest.json", lambda data: data.replace(b'"card": {}', b'"card": null'), "BundleError"),
        (
            "manifest.json",
            lambda data: data.replace(b'"layer_sources": {}', b'"layer_sources": null'),
            "BundleError",
        ),
    ],
)
def test_what_one_side_accepted_once(
    native: NativeLoader,
    bases: dict[str, Path],
    tmp_path: Path,
    name: str,
    change: Callable[[bytes], bytes],
    error: str,
) -> None:
    bundle = Path(shutil.copytree(bases["one-stage"], tmp_path / "copy"))
    before = (bundle / name).read_bytes()
    (bundle / name).write_bytes(change(before))
    assert (bundle / name).read_bytes() != before
    if name != "manifest.json":
        rehash(bundle)
    with PythonLoader(Limits()) as python:
        ours, theirs = native(bundle), python(bundle)
    assert (ours.kind, theirs.kind, theirs.type) == ("refused", "refused", error)


def test_sound_bundles_are_accepted(native: NativeLoader, bases: dict[str, Path]) -> None:
    assert {name: native(path).kind for name, path in bases.items()} == dict.fromkeys(bases, "accepted")


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_a_seed_makes_one_copy(bases: dict[str, Path], tmp_path: Path, seed: int) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = (make_copy(seed, bases, tmp_path / name) for name in ("one", "two"))
    assert one.kind == KINDS[seed]
    assert one.changes() == two.changes()
    if one.kind != ZIP:  # whose entries carry the time
        assert _content(one.path) == _content(two.path)


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("kill -SEGV $$", "crash"),
        ("kill -ABRT $$", "crash"),
        ("exit 3", "crash"),
        ("echo ==1==ERROR: AddressSanitizer: heap-buffer-overflow >&2; exit 99", "sanitizer"),
        ("echo x.cpp:1:2: runtime error: signed integer overflow >&2; exit 99", "sanitizer"),
        ("while :; do :; done", "timeout"),
        ("echo one >&2; echo two >&2; exit 2", "bug"),
        ("exit 2", "bug"),
        ("echo '{}'", "bug"),
        ("""echo '{"ok": false}'""", "bug"),
        ("echo damaged >&2; exit 2", "refused"),
        ("""echo '{"ok": false}'; exit 1""", "failed"),
        ("""echo '{"ok": true}'""", "accepted"),
    ],
)
def test_verdicts(tmp_path: Path, script: str, kind: str) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)
    assert NativeLoader((str(program),), Limits(seconds=1))(tmp_path).kind == kind


def test_memory_beyond_the_limit(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/bash\necho '{\"ok\": true}'\n")
    program.chmod(0o755)
    load = NativeLoader((str(program),), Limits(megabytes=0.1))
    assert load(tmp_path).kind == "memory"


def _content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
