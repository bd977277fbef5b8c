"""A run that was stopped goes on as if it had not been: the same losses, the same weights, the same log."""

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketdet.errors import CheckFailed, CheckpointError, UsageError
from pocketdet.models.checkpoint import load_checkpoint, read_card
from pocketdet.training.augment import AugmentPipeline
from pocketdet.training.config import Augment, Optimizer, Schedule, Source, TrainConfig, learning_rate
from pocketdet.training.loop import StepReport, start_run, train
from pocketdet.training.loss_config import ThunderNetLossConfig
from pocketdet.training.run_logger import CsvLogger, step_cells, step_columns
from pocketdet.training.sample import Sample, build_cache
from pocketdet.training.state import STATE_FILE

NAMES = ("bolt", "nut")
STEPS = 6


def pipeline() -> AugmentPipeline:
    rng = np.random.default_rng(5)
    samples = []
    for label in (0, 1, 0, 1):
        image = rng.integers(0, 120, (64, 64, 3), np.uint8)
        image[20:44, 16:50] = 250 if label else 180
        box = np.array([[16, 20, 50, 44]], np.float32)
        samples.append(Sample(image, box, np.array([label]), np.zeros((0, 4), np.float32)))
    return AugmentPipeline([build_cache(samples, 2, -0.4)], [1.0], Augment(kind="strong"))


def config(out: Path, kind: str = "adamw", ema: float = 0.9) -> TrainConfig:
    return TrainConfig(
        data=(Source(Path("toy.json"), Path("toy")),),
        out=out,
        input_size=(64, 64),
        anchor_scales=(16, 32),
        save_every=2,
        schedule=Schedule(images=4 * STEPS, batch=4, warmup_steps=2, decay="cosine", sizes=(64, 96)),
        optimizer=Optimizer(kind=kind, ema=ema),  # type: ignore[arg-type]
        augment=Augment(kind="strong"),
        losses=ThunderNetLossConfig(pre_nms=64, proposals=32, rois=16, ohem=8),
    )


def run(
    setup: TrainConfig, *, resume: bool = False, stop_after: int = 99, workers: int = 0
) -> list[StepReport]:
    state = start_run(setup, setup.detector(NAMES), resume=resume)
    return list(train(setup, pipeline(), state, workers=workers, stop=lambda: state.step >= stop_after))


@pytest.mark.parametrize(("kind", "ema"), [("adamw", 0.9), pytest.param("sgd", 0.0, marks=pytest.mark.slow)])
def test_a_stopped_run_goes_on_identically(tmp_path: Path, kind: str, ema: float) -> None:
    whole = run(config(tmp_path / "whole", kind, ema))
    parted = config(tmp_path / "parted", kind, ema)
    first = run(parted, stop_after=3)
    rest = run(parted, resume=True)
    assert [r.step for r in first] == [1, 2, 3]
    assert [*first, *rest] == whole
    ours = load_checkpoint(tmp_path / "whole" / "weights.safetensors").state_dict()
    theirs = load_checkpoint(tmp_path / "parted" / "weights.safetensors").state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_images_made_ahead_are_the_same(tmp_path: Path, workers: int) -> None:
    whole = run(config(tmp_path / "whole"))
    setup = config(tmp_path / "ahead")
    first = run(setup, stop_after=2, workers=workers)
    rest = run(setup, resume=True, workers=workers)
    assert [*first, *rest] == whole


def test_workers_outlive_the_signals_that_stop_a_run(tmp_path: Path) -> None:
    """A terminal, or who ends a job, may signal every process; the checkpoint still needs the workers."""
    setup = config(tmp_path)
    state, reached = start_run(setup, setup.detector(NAMES)), 0
    for report in train(setup, pipeline(), state, workers=1):
        reached = report.step
        for child in multiprocessing.active_children():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGINT)
            os.kill(child.pid, signal.SIGTERM)
    assert reached == STEPS


def test_more_images_and_another_rate_can_be_resumed(tmp_path: Path) -> None:
    setup = config(tmp_path)
    run(setup)
    schedule = replace(setup.schedule, images=4 * (STEPS + 2), learning_rate=1e-4)
    longer = replace(setup, schedule=schedule)
    rest = run(longer, resume=True)
    assert [report.step for report in rest] == [STEPS + 1, STEPS + 2]
    assert rest[0].learning_rate == learning_rate(schedule, STEPS)
    assert rest[0].learning_rate < 1e-4
    assert run(setup, resume=True) == []
    assert '"images":32' in read_card(tmp_path / "weights.safetensors")["recipe"]


def test_a_killed_run_loses_at_most_one_interval(tmp_path: Path) -> None:
    whole = run(config(tmp_path / "whole"))
    setup = config(tmp_path / "killed")
    killed = train(setup, pipeline(), start_run(setup, setup.detector(NAMES)))
    for _ in range(5):
        next(killed)
    killed.close()  # between steps 5 and 6; the last checkpoint is that of step 4
    assert run(setup, resume=True) == whole[4:]


def test_the_weights_carry_their_card(tmp_path: Path) -> None:
    setup = config(tmp_path)
    run(setup)
    card = read_card(tmp_path / "weights.safetensors")
    assert card["images seen"] == str(4 * STEPS)
    assert card["data"] == "toy.json"
    assert '"adamw"' in card["recipe"]
    model = load_checkpoint(tmp_path / "weights.safetensors")
    assert model.config == setup.detector(NAMES)


def test_a_fresh_run_does_not_write_over_another(tmp_path: Path) -> None:
    run(config(tmp_path), stop_after=1)
    with pytest.raises(UsageError, match="--resume"):
        run(config(tmp_path))


def test_what_cannot_be_resumed_is_named(tmp_path: Path) -> None:
    setup = config(tmp_path)
    with pytest.raises(CheckpointError, match="no such file"):
        run(setup, resume=True)
    run(setup, stop_after=1)
    with pytest.raises(CheckpointError, match=r"state\.pt: seed was 1 and is 9: a resumed run may change"):
        run(replace(setup, seed=9), resume=True)
    with pytest.raises(CheckpointError, match=r"schedule\.batch was 4 and is 2; schedule\.decay was cosine"):
        run(replace(setup, schedule=replace(setup.schedule, batch=2, decay="step")), resume=True)
    with pytest.raises(CheckpointError, match="the classes were bolt, nut and are nut, bolt"):
        start_run(setup, setup.detector(NAMES[::-1]), resume=True)
    content = (tmp_path / STATE_FILE).read_bytes()
    (tmp_path / STATE_FILE).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        run(setup, resume=True)


def test_a_loss_that_explodes_stops_the_run_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    setup = config(tmp_path)
    run(setup, stop_after=2)
    state = start_run(setup, setup.detector(NAMES), resume=True)
    loop = train(setup, pipeline(), state)
    next(loop)
    with torch.no_grad():
        state.model.head.fc.weight.fill_(float("nan"))
    with pytest.raises(CheckFailed, match="step 4"):
        next(loop)
    assert len(run(setup, resume=True)) == STEPS - 2


def test_the_journal_has_each_step_once(tmp_path: Path) -> None:
    path, setup = tmp_path / "log.csv", config(tmp_path / "whole")
    reports = run(setup)
    with CsvLogger(path, step_columns(setup), 0) as log:
        for report in reports[:5]:
            log.add(step_cells(report))
    with path.open("a", encoding="utf-8") as file:
        file.write("6,24,6")  # the machine lost power here
    with CsvLogger(path, step_columns(setup), 4) as log:
        for report in reports[4:]:
            log.add(step_cells(report))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("step,images,side,learning_rate,loss")
    assert [line.split(",")[0] for line in lines[1:]] == [str(step) for step in range(1, STEPS + 1)]
    with CsvLogger(path, step_columns(setup), 0):
        pass
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1
