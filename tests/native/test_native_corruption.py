"""Damaged bundles end pocketdet-run with exit code 2 and a sentence, or with an answer: never a signal."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from corruptions import (
    Corruption,
    any_file,
    append,
    delete,
    edit_manifest,
    edit_param,
    files_like,
    flip_bytes,
    replace_by_folder,
    replace_by_link,
    splice,
    swap_files,
    truncate,
)
from native_runner import Runner
from numpy.typing import NDArray

BY_ACCIDENT = [
    *[any_file(change) for change in (flip_bytes, truncate, splice, append)],
    *[swap_files, delete, replace_by_folder, replace_by_link],
]
BY_INTENT: list[Corruption] = [
    *[edit_param] * 4,
    *[files_like("*.param", change) for change in (flip_bytes, splice)],
    *[files_like("*.bin", change) for change in (flip_bytes, splice)],
    *[edit_manifest] * 2,
]


def outcomes(
    runner: Runner,
    template: Path,
    folder: Path,
    photo: Path,
    corruptions: list[Corruption],
    rehash: Callable[[Path], None] | None = None,
) -> Counter[int]:
    """Exit codes by count of 200 damaged copies; each output is checked for its kind."""
    codes: Counter[int] = Counter()
    for i in range(200):
        bundle = Path(shutil.copytree(template, folder / str(i)))
        corruptions[i % len(corruptions)](bundle, np.random.default_rng(i))
        if rehash is not None:
            rehash(bundle)
        done = runner.run("detect", bundle, photo)
        assert done.returncode in (0, 2), (i, done)
        if done.returncode == 0:
            assert len(json.loads(done.stdout)["images"]) == 1
        else:
            assert done.stdout == b""
            assert done.stderr.decode().strip()
        codes[done.returncode] += 1
        (folder / "outside").unlink(missing_ok=True)
    return codes


@pytest.fixture(params=["tiny_bundle_template", "tiny_one_stage_template"])
def template(request: pytest.FixtureRequest) -> Path:
    """A sound bundle of each kind."""
    bundle: Path = request.getfixturevalue(request.param)
    return bundle


def test_200_damaged_copies(
    runner: Runner,
    template: Path,
    tmp_path: Path,
    write_ppm: Callable[[Path, NDArray[np.uint8]], Path],
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    photo = write_ppm(tmp_path / "photo.ppm", image)
    sound = runner.run("detect", template, photo)
    codes = outcomes(runner, template, tmp_path, photo, BY_ACCIDENT)
    assert sound.returncode == 0
    assert codes[2] > 150, codes


def test_200_damaged_copies_whose_hashes_agree(
    runner: Runner,
    template: Path,
    tmp_path: Path,
    write_ppm: Callable[[Path, NDArray[np.uint8]], Path],
    rehash: Callable[[Path], None],
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    photo = write_ppm(tmp_path / "photo.ppm", image)
    codes = outcomes(runner, template, tmp_path, photo, BY_INTENT, rehash)
    assert codes[2] > 100, codes
    assert codes[0] > 20, codes  # damage that leaves a sound bundle must load
