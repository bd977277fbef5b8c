"""Killed before each of its changes on disk, a writer leaves whole files, and its next run cleans up."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bench_records import record
from kill_points import run_killed
from tiny_bundle import tiny_bundle_template
from train_together import BATCH, NAMES, SIDE, config, pipeline
from whole_results import damaged, leftovers

from pocketdet.benchmarks.record_io import write_record
from pocketdet.benchmarks.report import read_entries, write_report
from pocketdet.export.align_model import write_model
from pocketdet.export.write_bundle import commit, staging_directory, write_manifest
from pocketdet.io import atomic_write
from pocketdet.models.checkpoint import read_card
from pocketdet.runtime.bundle import load_bundle, parse_manifest
from pocketdet.runtime.bundle.schema import FileEntry, Manifest
from pocketdet.runtime.images import write_image
from pocketdet.runtime.ncnn_graph import read_graph
from pocketdet.training import loop
from pocketdet.training.config_file import fingerprint
from pocketdet.training.loop import WEIGHTS_FILE, StepReport, start_run, train
from pocketdet.training.run_logger import RunLogger, step_columns
from pocketdet.training.state import STATE_FILE, RunState, load_state

__all__ = ["tiny_bundle_template"]

MOST = 200  # changes on disk, more than any of these has


def each_kill(
    folder: Path,
    work: Callable[[], None],
    killed: Callable[[], None] = lambda: None,
    done: Callable[[], None] = lambda: None,
) -> int:
    """Kill `work` before each of its changes, then let it run; returns how many changes it makes.

    `killed` and `done` check what they leave; `done` makes way for the next time.
    """
    for number in range(1, MOST):
        if not run_killed(number, folder, work):
            return number - 1
        assert damaged(folder) == {}
        killed()
        assert not run_killed(MOST, folder, work)  # a process of its own, as the next command is
        assert damaged(folder) == {}
        assert leftovers(folder) == []
        done()
    raise AssertionError("too many changes")


@pytest.mark.parametrize("suffix", [".pocketdet", ".pocketdet.zip"])
@pytest.mark.parametrize("overwrite", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_bundle(tiny_bundle_template: Path, tmp_path: Path, suffix: str, overwrite: bool) -> None:
    folder = tmp_path / "out"
    target = folder / f"x{suffix}"
    manifest = parse_manifest((tiny_bundle_template / "manifest.json").read_bytes(), "test")
    published = 0

    def complete(files: dict[str, FileEntry]) -> Manifest:
        return manifest.model_copy(update={"files": files, "name": f"x{published}"})

    def work() -> None:
        with staging_directory(target) as scratch:
            shutil.copytree(tiny_bundle_template, scratch, dirs_exist_ok=True)
            write_manifest(scratch, complete)
            commit(scratch, target, overwrite=overwrite)

    def killed() -> None:
        """What is to be replaced is there at every moment."""
        if overwrite:
            with load_bundle(target) as bundle:
                assert bundle.manifest.name in (f"x{published}", f"x{published - 1}")
        elif target.exists():  # whole, and killed when all was done
            done()

    def done() -> None:
        nonlocal published
        if overwrite:
            published += 1
        elif target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()

    if overwrite:
        work()
        published += 1
    assert each_kill(folder, work, killed, done) > 10


def test_a_file(tmp_path: Path) -> None:
    path, seen = tmp_path / "a.json", list[str]()

    def restore() -> None:
        path.write_text('"old"', encoding="utf-8")

    def killed() -> None:
        seen.append(json.loads(path.read_bytes()))

    restore()
    changes = each_kill(tmp_path, lambda: atomic_write(path, '"new"'), killed, restore)
    assert seen == ["old"] * changes
    assert changes == 2  # the temporary file and its renaming


def test_an_aligned_model(tiny_bundle_template: Path, tmp_path: Path) -> None:
    """A .param never lies beside a .bin of another model."""
    old = tiny_bundle_template / "head.ncnn.param", tiny_bundle_template / "head.ncnn.bin"
    new = tiny_bundle_template / "features.ncnn.param", tiny_bundle_template / "features.ncnn.bin"
    graph = read_graph(*new)
    param, weights = tmp_path / "a.param", tmp_path / "a.bin"

    def restore() -> None:
        shutil.copy(old[0], param)
        shutil.copy(old[1], weights)

    def killed() -> None:
        if param.exists():
            read_graph(param, weights)

    restore()
    changes = each_kill(tmp_path, lambda: write_model(graph, param, weights), killed, restore)
    assert changes > 4


def test_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_plots(folder: Path, _: object) -> dict[str, Path]:
        write_image(folder / "a.png", np.zeros((8, 8, 3), np.uint8))
        return {"a": folder / "a.png"}

    monkeypatch.setattr("pocketdet.benchmarks.report.write.write_plots", write_plots)  # a second each
    write_record(tmp_path / "record.json", record())
    entries = read_entries([tmp_path / "record.json"])
    out = tmp_path / "report"

    def work() -> None:
        write_report(out, entries)

    assert each_kill(out, work) > 10


def test_a_training_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed anywhere in its second step: the log has each step once, the weights are of the last one."""
    setup = replace(config(tmp_path / "run", images=2 * BATCH), save_every=1)
    columns = step_columns(setup)

    def add_one(setup: object, state: RunState, *_: object) -> StepReport:
        with torch.no_grad():
            next(state.model.parameters()).add_(1)
        state.step += 1
        return StepReport(state.step, BATCH * state.step, SIDE, 0.1, dict.fromkeys(columns[4:], 1.0))

    monkeypatch.setattr(loop, "one_step", add_one)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    state = start_run(setup, setup.detector(NAMES))  # stays at step 0: all that goes on is in other processes

    def go_on(until: int) -> None:
        if (setup.out / STATE_FILE).exists():
            load_state(setup.out, state, fingerprint(setup))
        with RunLogger(setup, state, None) as kept:
            for _ in train(setup, pipeline(), state, stop=lambda: state.step >= until, log=kept.step):
                pass

    def done() -> None:
        lines = (setup.out / "log.csv").read_text(encoding="utf-8").splitlines()
        assert [line.split(",")[0] for line in lines] == ["step", "1", "2"]
        assert read_card(setup.out / WEIGHTS_FILE)["images seen"] == str(2 * BATCH)
        shutil.rmtree(setup.out)
        shutil.copytree(tmp_path / "first", setup.out)

    assert not run_killed(MOST, setup.out, lambda: go_on(1))
    shutil.copytree(setup.out, tmp_path / "first")
    assert each_kill(setup.out, lambda: go_on(2), done=done) > 4
