"""AP while a run goes on: measured on the shipped weights, written down once, and of no effect on the run."""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pocketdet.datasets import read_stored_image
from pocketdet.errors import UsageError
from pocketdet.evaluation import Detections
from pocketdet.models.checkpoint import load_checkpoint, read_card
from pocketdet.training import run_logger
from pocketdet.training.config import Augment, Evaluation, Optimizer, Schedule, Source, TrainConfig
from pocketdet.training.data import Data, make_augment_pipeline, read_data
from pocketdet.training.evaluation import Evaluated, Evaluator, Measured, find, write_detection_grid
from pocketdet.training.loop import StepReport, start_run, train
from pocketdet.training.loss_config import ThunderNetLossConfig
from pocketdet.training.run_logger import BEST_FILE, RunLogger
from pocketdet.training.state import STATE_FILE, RunState

STEPS, EVERY, LIMIT, IMAGES = 4, 2, 3, 5


def write_data(folder: Path, *, boxes: bool = True) -> Path:
    """A COCO file with `IMAGES` images of 64x48; only the last two have a box."""
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(IMAGES):
        image = rng.integers(0, 120, (48, 64, 3), np.uint8)
        image[12:36, 10:50] = 250
        cv2.imwrite(str(folder / f"{index}.png"), image)
    images = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 48} for i in range(IMAGES)]
    entries = [{"id": i, "image_id": i, "category_id": 2, "bbox": [10, 12, 40, 24]} for i in (3, 4)]
    categories = [{"id": 1, "name": "bolt"}, {"id": 2, "name": "nut"}]
    content = {"images": images, "annotations": entries if boxes else [], "categories": categories}
    path = folder / "data.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def config(folder: Path, evaluated: bool = True, **changes: int) -> TrainConfig:
    data = write_data(folder / "data")
    evaluation = Evaluation(data, data.parent, every=EVERY, limit=LIMIT)
    return TrainConfig(
        data=(Source(data, data.parent),),
        out=folder / "run",
        input_size=(64, 64),
        anchor_scales=(16, 32),
        save_every=1,
        evaluation=replace(evaluation, **changes) if evaluated else None,
        schedule=Schedule(images=2 * STEPS, batch=2, warmup_steps=0, sizes=(64,)),
        optimizer=Optimizer("adamw", ema=0.9),
        augment=Augment(kind="strong"),
        losses=ThunderNetLossConfig(pre_nms=64, proposals=32, rois=16, ohem=8),
    )


class Rehearsed(Evaluator):
    """Finds nothing and has the AP that it is told for each step."""

    aps: dict[int, float]

    def measure(self, state: RunState, batch: int, **_: object) -> Measured | None:
        if state.step not in self.aps:
            return None
        ap = self.aps[state.step]
        numbers = (ap, ap, ap, float("nan"), ap, ap)
        one = Evaluated(state.step, state.step * batch, LIMIT, *numbers, seconds=0.5, total=IMAGES)
        return replace(super().measure(state, batch), evaluations=(one,))  # type: ignore[type-var]


def run(
    setup: TrainConfig, *, resume: bool = False, stop_after: int = 99, aps: dict[int, float] | None = None
) -> tuple[list[StepReport], RunLogger, RunState]:
    """What `pocketdet train` does, without a screen."""
    data: Data = read_data(setup, skip_bad=True)
    detector = setup.detector(data.class_names)
    state = start_run(setup, detector, resume=resume)
    evaluator = None
    if data.evaluation is not None:
        evaluator = (Evaluator if aps is None else Rehearsed)(detector, data.evaluation, LIMIT)
        evaluator.aps = aps  # type: ignore[union-attr]
    reports = []
    with RunLogger(setup, state, evaluator) as logger:
        if logger.due:
            logger.evaluate()
        loop = train(
            setup, make_augment_pipeline(setup, data.training), state, stop=lambda: state.step >= stop_after
        )
        for report in loop:
            reports.append(report)
            logger.step(report)
            if logger.due and state.step < stop_after:
                logger.evaluate()
    return reports, logger, state


def rows(folder: Path) -> list[dict[str, str]]:
    """The evaluations that are written down, without the time they took."""
    with (folder / "run" / "evaluations.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert all(float(row.pop("seconds")) >= 0 for row in found)
    return found


def places(folder: Path) -> list[tuple[str, str]]:
    return [(row["step"], row["pictures"]) for row in rows(folder)]


def test_an_evaluated_run_is_the_same_run(tmp_path: Path) -> None:
    torch.manual_seed(3)
    bare, _, ours = run(config(tmp_path / "bare", evaluated=False))
    random = torch.get_rng_state()
    torch.manual_seed(3)
    reports, logger, theirs = run(config(tmp_path / "measured"))
    assert reports == bare
    assert torch.equal(torch.get_rng_state(), random)
    for mine, other in ((ours.weights, theirs.weights), (ours.model.state_dict(), theirs.model.state_dict())):
        assert all(torch.equal(mine[key], other[key]) for key in mine)
    assert theirs.model.training
    assert logger.last_ap is not None


def test_it_is_measured_every_so_often_and_on_everything_at_the_end(tmp_path: Path) -> None:
    run(config(tmp_path))
    assert places(tmp_path) == [("2", "3"), ("4", "3"), ("4", "5")]
    assert [row["images"] for row in rows(tmp_path)] == ["4", "8", "8"]


def test_without_a_limit_the_end_is_measured_once(tmp_path: Path) -> None:
    setup = config(tmp_path, limit=0)
    data = read_data(setup, skip_bad=False)
    assert data.evaluation is not None
    state = start_run(setup, setup.detector(data.class_names))
    measured = Evaluator(state.model.config, data.evaluation, 0).measure(state, 2, everything=True)
    assert measured is not None
    assert [e.evaluated for e in measured.evaluations] == [IMAGES]
    assert "on all 5 images" in str(measured.evaluations[0])


def test_what_is_measured_is_what_is_shipped(tmp_path: Path) -> None:
    setup = config(tmp_path)
    _, _, state = run(setup)
    data = read_data(setup, skip_bad=False)
    assert data.evaluation is not None
    measured = Evaluator(state.model.config, data.evaluation, LIMIT).measure(state, 2)
    assert measured is not None
    assert [image.path.name for image in measured.dataset.images] == ["0.png", "2.png", "4.png"]
    shipped = load_checkpoint(setup.out / "weights.safetensors")
    assert shipped.config.postprocessing.nms == "gaussian"
    for (_, wanted), got in zip(find(shipped, measured.dataset.images), measured.found, strict=True):
        assert len(wanted.boxes) > 0
        assert np.array_equal(got.boxes, wanted.boxes)
        assert np.array_equal(got.scores, wanted.scores)
        assert np.array_equal(got.labels, wanted.labels)


def test_an_image_shows_true_and_found_boxes(tmp_path: Path) -> None:
    data = read_data(config(tmp_path), skip_bad=False).evaluation
    assert data is not None
    numbers = Evaluated(7, 14, IMAGES, *[0.25] * 6, seconds=1.0, total=IMAGES)
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    box = np.array([[8, 10, 52, 38]], np.float32)
    shown = Detections(box, np.array([0.9], np.float32), np.array([1]))
    hidden = Detections(box, np.array([0.4], np.float32), np.array([1]))
    pixels = {}
    for name, one in (("none", nothing), ("shown", shown), ("hidden", hidden)):
        write_detection_grid(tmp_path / f"{name}.png", Measured((numbers,), data, (one,) * IMAGES))
        pixels[name] = read_stored_image(tmp_path / f"{name}.png")
    assert pixels["none"].shape[1] == 1200
    assert np.array_equal(pixels["hidden"], pixels["none"])
    orange = (np.abs(pixels["shown"].astype(int) - (255, 138, 0)).max(axis=2) < 8).sum()
    assert orange > (np.abs(pixels["none"].astype(int) - (255, 138, 0)).max(axis=2) < 8).sum() + 1000
    green = np.abs(pixels["none"].astype(int) - (25, 195, 125)).max(axis=2) < 8
    assert green.any(axis=0).nonzero()[0].max() > 1000  # in the last column too


def test_an_evaluation_can_be_stopped(tmp_path: Path) -> None:
    setup = config(tmp_path)
    data = read_data(setup, skip_bad=False)
    assert data.evaluation is not None
    state = start_run(setup, setup.detector(data.class_names))
    seen: list[int] = []
    evaluator = Evaluator(state.model.config, data.evaluation, LIMIT)
    stopped = evaluator.measure(state, 2, progress=lambda: seen.append(1), stop=lambda: len(seen) == 2)
    assert stopped is None
    assert len(seen) == 2


@pytest.mark.slow
def test_a_resumed_run_has_each_evaluation_once(tmp_path: Path) -> None:
    run(config(tmp_path / "whole"))
    setup = config(tmp_path / "parted")
    run(setup, stop_after=2)  # stopped before the evaluation of step 2
    assert places(tmp_path / "parted") == []
    with (setup.out / "evaluations.csv").open("a", encoding="utf-8") as file:
        file.write("3,6,3,0.1,0.1,0.1,nan,0.1,nan,1\n4,8,3,0")  # of steps that no checkpoint has
    run(setup, resume=True)
    assert rows(tmp_path / "parted") == rows(tmp_path / "whole")
    run(setup, resume=True)
    assert rows(tmp_path / "parted") == rows(tmp_path / "whole")


def test_a_finished_run_can_be_evaluated_afterwards(tmp_path: Path) -> None:
    run(config(tmp_path, evaluated=False))
    reports, _, _ = run(config(tmp_path), resume=True)
    assert reports == []
    assert places(tmp_path) == [("4", "3"), ("4", "5")]


def test_the_best_weights_are_kept_across_a_resume(tmp_path: Path) -> None:
    setup = config(tmp_path, every=1)
    aps = {1: 0.2, 2: 0.6, 3: 0.5, 4: 0.6}
    _, logger, _ = run(setup, stop_after=3, aps=aps)
    assert logger.best == (0.6, 2)
    best = load_checkpoint(setup.out / BEST_FILE).state_dict()
    card = read_card(setup.out / BEST_FILE)
    assert (card["AP"], card["AP measured on"], card["step"]) == ("0.6", "3 of 5 images", "2")
    assert card["images seen"] == "4"
    _, logger, state = run(setup, resume=True, aps=aps)
    assert logger.best == (0.6, 2)
    kept = load_checkpoint(setup.out / BEST_FILE).state_dict()
    assert all(torch.equal(best[key], kept[key]) for key in best)
    assert any(not torch.equal(kept[key], state.weights[key]) for key in kept)
    data = read_data(setup, skip_bad=False).evaluation
    assert data is not None
    for limit, wanted in ((LIMIT, (0.6, 2)), (0, None)):  # AP on other images cannot be compared
        with RunLogger(setup, state, Evaluator(state.model.config, data, limit)) as logger:
            assert logger.best == wanted


@pytest.mark.slow
def test_tensorboard_has_the_curves_without_the_steps_that_were_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_logger, "EVERY", 2)
    setup = config(tmp_path)
    run(setup, stop_after=3)
    (setup.out / STATE_FILE).unlink()
    run(setup)  # from the start again: what the first run wrote is hidden
    events = EventAccumulator(str(setup.out / "tensorboard"), size_guidance={"images": 0}).Reload()
    tags = events.Tags()["scalars"]
    assert {
        "training/loss",
        "training/learning_rate",
        "evaluation_3_pictures/ap",
        "evaluation_5_pictures/ap75",
    } <= set(tags)
    assert [event.step for event in events.Scalars("training/loss")] == [2, 4]
    assert [event.step for event in events.Scalars("evaluation_3_pictures/ap")] == [2, 4]
    assert [event.step for event in events.Scalars("evaluation_5_pictures/ap")] == [4]
    assert [event.step for event in events.Images("detections")] == [2, 4]


def test_a_run_does_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    _, logger, _ = run(config(tmp_path))
    assert not logger.tensorboard.installed
    assert not (tmp_path / "run" / "tensorboard").exists()
    assert len(rows(tmp_path)) == 3


def test_what_is_wrong_with_the_images_is_in_the_one_report(tmp_path: Path) -> None:
    setup = config(tmp_path)
    other = write_data(tmp_path / "other")
    (other.parent / "4.png").unlink()
    (tmp_path / "data" / "0.png").write_bytes(b"")
    broken = replace(setup, evaluation=Evaluation(other, other.parent))
    with pytest.raises(UsageError, match="2 problems") as raised:
        read_data(broken, skip_bad=False)
    assert "corrupt image: 1" in str(raised.value)
    assert f"{other.parent / '4.png'}" in str(raised.value)
    sound = read_data(broken, skip_bad=True)
    assert sound.evaluation is not None
    assert len(sound.evaluation.images) == IMAGES - 1


def test_a_set_on_which_ap_is_not_defined_is_refused(tmp_path: Path) -> None:
    setup = config(tmp_path)
    with pytest.raises(UsageError, match=r"1 images .* have no box; raise evaluation\.limit"):
        read_data(config(tmp_path, limit=1), skip_bad=False)
    bare = write_data(tmp_path / "bare", boxes=False)
    with pytest.raises(UsageError, match=r"bare.*no box"):
        read_data(replace(setup, evaluation=Evaluation(bare, bare.parent)), skip_bad=True)


def test_classes_that_are_not_trained_are_named(tmp_path: Path) -> None:
    setup = config(tmp_path)
    other = write_data(tmp_path / "other")
    other.write_text(other.read_text(encoding="utf-8").replace('"nut"', '"rivet"'), encoding="utf-8")
    with pytest.raises(UsageError, match="category 'rivet'"):
        read_data(replace(setup, evaluation=Evaluation(other, other.parent)), skip_bad=False)


def test_a_missing_evaluator_is_named_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = config(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pocketdet\[accuracy\]"):
        read_data(setup, skip_bad=False)
    assert read_data(replace(setup, evaluation=None), skip_bad=False).evaluation is None
