"""The tiny bundles of both kinds with two input sizes, 32x32 and 64x64."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_bundle import make_tiny_bundle
from tiny_one_stage import SPEC, at_side, make_tiny_one_stage

from pocketdet.export.exporter import join_sizes
from pocketdet.runtime.bundle import load_bundle

SIDES = (32, 64)


def make_tiny_sizes(folder: Path) -> Path:
    """Write the one-stage bundle as a new folder."""

    def make(path: Path, side: int) -> Path:
        return make_tiny_one_stage(path, at_side(SPEC, side))

    return join_sides(folder, make)


def make_tiny_two_stage_sizes(folder: Path) -> Path:
    """Write the two-stage bundle, whose golden is incomplete, as a new folder."""
    return join_sides(folder, make_tiny_bundle)


def join_sides(folder: Path, make: Callable[[Path, int], Path]) -> Path:
    """Write a bundle of both sides as a new folder; `make` writes that of one side."""
    other = make(folder.with_name(f"{folder.name}-64"), SIDES[1])
    make(folder, SIDES[0])
    with load_bundle(folder) as first, load_bundle(other) as second:
        join_sizes(folder, first.manifest, [(other, second.manifest)])
    shutil.rmtree(other)
    return folder


@pytest.fixture(scope="session")
def tiny_sizes_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny bundle of two sizes for the whole session. Read it, never change it."""
    return make_tiny_sizes(tmp_path_factory.mktemp("bundle") / "tiny-sizes.pocketdet")


@pytest.fixture
def tiny_sizes(tiny_sizes_template: Path, tmp_path: Path) -> Path:
    """A fresh copy of the tiny bundle of two sizes for a test to change."""
    return Path(shutil.copytree(tiny_sizes_template, tmp_path / "tiny-sizes.pocketdet"))
