"""Processes that share a batch do what one process does with all of it. `torchrun` starts two, on the CPU.

The first run is in float64, where rounding is too small to tip any choice among anchors and RoIs: the
curves of ten steps agree to 1e-7, which a wrong divisor or a statistic of half a batch would not. In
float32 they agree to 1e-4 only where both start from the same weights, at the first step; a detector this
small then doubles any rounding at each step, in one process as in two.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from command_line import PATIENCE, wait_until
from train_together import DEAD, SHORT, STEPS, Seen, batch_norm, config, run

from pocketdet.errors import CheckFailed, UsageError
from pocketdet.models.checkpoint import load_checkpoint
from pocketdet.training import distributed
from pocketdet.training.distributed import SINGLE_PROCESS, DistributedContext, init_distributed, sync_errors
from pocketdet.training.loss_config import ThunderNetLossConfig
from pocketdet.training.thundernet_loss import hardest

HELPERS = Path(__file__).resolve().parents[1] / "helpers"
POCKETDET = "from pocketdet.cli.main import main; main()"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def torchrun(*arguments: object, folder: Path) -> "subprocess.Popen[str]":
    """Two processes that share this machine, their words in one file."""
    environment = {**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    with (folder / "said.txt").open("w") as said:
        return subprocess.Popen(
            [sys.executable, *TORCHRUN, *map(str, arguments)],
            env=environment,
            stdout=said,
            stderr=said,
            text=True,
        )


def ending(process: "subprocess.Popen[str]", folder: Path) -> tuple[int, str]:
    """Exit code and everything that was said."""
    try:
        code = process.wait(timeout=PATIENCE)
    finally:
        process.kill()
    return code, (folder / "said.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes wrote what they saw (`train_together`)."""
    folder = tmp_path_factory.mktemp("together")
    code, said = ending(torchrun(HELPERS / "train_together.py", folder, folder=folder), folder)
    assert code == 1, said
    return folder


@pytest.fixture(scope="module")
def seen(folder: Path) -> list[dict[str, object]]:
    """What they saw, by rank."""
    return [torch.load(folder / f"seen-{rank}.pt") for rank in (0, 1)]


def whole(part: dict[str, object], name: str) -> Seen:
    return Seen(**part[name])  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_loss_curve_is_that_of_one_process(seen: list[dict[str, object]], tmp_path: Path) -> None:
    alone, pair = run(config(tmp_path), double=True), whole(seen[0], "exact")
    assert len(alone.losses) == STEPS
    for ours, theirs in zip(alone.losses, pair.losses, strict=True):
        for name in ours:
            tolerance = 1e-6 if name == "accuracy" else 1e-7  # a float32 quotient
            assert theirs[name] == pytest.approx(ours[name], rel=tolerance, abs=1e-12), name
    for ours_, theirs_ in ((alone.weights, pair.weights), (alone.average, pair.average)):
        for key, value in ours_.items():
            torch.testing.assert_close(theirs_[key], value, rtol=1e-5, atol=1e-6)
    start = run(config(tmp_path / "start", images=config(tmp_path).schedule.batch), double=True)
    moved = max(float((start.weights[k] - v).abs().max()) for k, v in alone.weights.items())
    assert moved > 0.1  # against which 1e-6 is little


@pytest.mark.slow
def test_in_float32_the_first_step_agrees(seen: list[dict[str, object]], tmp_path: Path) -> None:
    alone = run(config(tmp_path, images=SHORT), stop_after=1)
    ours, theirs = alone.losses[0], whole(seen[0], "whole").losses[0]
    for name in ("loss", "rpn_class", "rpn_box", "head_class", "head_box", "accuracy"):
        assert theirs[name] == pytest.approx(ours[name], rel=1e-4), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exact", "whole"])
def test_all_processes_have_the_same_weights(seen: list[dict[str, object]], name: str) -> None:
    first, second = whole(seen[0], name), whole(seen[1], name)
    assert first.losses == second.losses
    for ours, theirs in ((first.weights, second.weights), (first.average, second.average)):
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.slow
def test_a_stopped_pair_goes_on_identically(seen: list[dict[str, object]]) -> None:
    for part in seen:
        first, rest, uncut = whole(part, "first"), whole(part, "rest"), whole(part, "whole")
        assert len(first.losses) == 1  # both stopped when the second was told to
        assert first.losses + rest.losses == uncut.losses
        assert all(torch.equal(rest.weights[key], uncut.weights[key]) for key in uncut.weights)


@pytest.mark.slow
def test_batch_norm_over_two_processes_is_that_of_the_whole_batch(seen: list[dict[str, object]]) -> None:
    alone = batch_norm(SINGLE_PROCESS)
    halves = [part["batch_norm"] for part in seen]
    for name, value in alone.items():
        found = [half[name] for half in halves]  # type: ignore[index]
        joint = torch.cat(found) if name in ("out", "gradient", "eval") else found[0]
        torch.testing.assert_close(joint, value, rtol=1e-5, atol=1e-5)
        assert joint.dtype == value.dtype
    assert alone.keys() == halves[0].keys()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_failure_in_one_process_is_told_in_all(seen: list[dict[str, object]]) -> None:
    own, shared = "CheckpointError: the disk is gone", "UsageError: process {}: the disk is gone"
    batch = "UsageError: schedule.batch is 9"
    first, second = seen[0]["failures"], seen[1]["failures"]
    assert first[:2] == [shared.format(1), own]  # type: ignore[index]
    assert second[:2] == [own, shared.format(0)]  # type: ignore[index]
    assert first[2].startswith(batch)  # type: ignore[index]
    assert second[2].startswith(batch)  # type: ignore[index]


@pytest.mark.slow
def test_checkpoints_of_different_steps_are_refused(seen: list[dict[str, object]]) -> None:
    assert all("checkpoints of steps 1, 2" in str(part["stale"]) for part in seen)


@pytest.mark.slow
def test_a_process_that_dies_ends_the_run(folder: Path) -> None:
    said = (folder / "said.txt").read_text(encoding="utf-8")
    assert f"exitcode  : {DEAD}" in said


def project(folder: Path, batch: int = 4) -> Path:
    """Three images with a box each, evaluated too, and a run of 200 steps."""
    rng = np.random.default_rng(1)
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), rng.integers(0, 256, (48, 64, 3), np.uint8))
    images = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 48} for i in range(3)]
    entries = [{"id": i, "image_id": i, "category_id": 1, "bbox": [8, 8, 30, 24]} for i in range(3)]
    content = {"images": images, "annotations": entries, "categories": [{"id": 1, "name": "bolt"}]}
    (folder / "train.json").write_text(json.dumps(content), encoding="utf-8")
    source = 'annotations = "train.json"\nimages = "."\n'
    path = folder / "train.toml"
    path.write_text(
        'out = "run"\ninput_size = [64, 64]\nanchor_scales = [16, 32]\n'
        f"[[data]]\n{source}[evaluation]\n{source}every = 3\n"
        f"[schedule]\nimages = {200 * batch}\nbatch = {batch}\nsizes = [64]\n"
        "[losses]\npre_nms = 32\nproposals = 16\nrois = 8\nohem = 4\n",
        encoding="utf-8",
    )
    return path


@pytest.mark.slow
def test_torchrun_and_ctrl_c(tmp_path: Path) -> None:
    """The command line under torchrun: one bar, one log, and a checkpoint after Ctrl-C."""
    start = tmp_path / "start.py"
    start.write_text(POCKETDET, encoding="utf-8")
    process = torchrun(start, "train", project(tmp_path), "--device", "cpu", folder=tmp_path)
    log = tmp_path / "run" / "log.csv"

    def alive() -> None:
        assert process.poll() is None, (tmp_path / "said.txt").read_text(encoding="utf-8")

    wait_until(lambda: log.is_file() and len(log.read_text(encoding="utf-8").splitlines()) >= 5, alive)
    process.send_signal(signal.SIGINT)
    _, said = ending(process, tmp_path)
    assert said.count("3 images, 3 objects, 1 classes") == 1
    assert said.count("of 200 steps; go on with --resume") == 1
    assert said.count("2 x cpu, float32") == 1
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    steps = [line.split(",")[0] for line in log.read_text(encoding="utf-8").splitlines()[1:]]
    assert steps == [str(step) for step in range(1, state["step"] + 1)]
    evaluated = (tmp_path / "run" / "evaluations.csv").read_text(encoding="utf-8").splitlines()
    assert evaluated[1].startswith("3,12,3,")  # step, images seen, images measured
    assert said.count("step 3: AP") == 1
    assert load_checkpoint(tmp_path / "run" / "weights.safetensors").config.class_names == ("bolt",)


def test_one_process_is_no_group() -> None:
    with init_distributed("cpu", {}) as context:
        assert context == DistributedContext(0, 1, torch.device("cpu"))
        assert not torch.distributed.is_initialized()
        with sync_errors(context):
            pass
    one = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "here", "MASTER_PORT": "1"}
    with init_distributed("cpu", one) as context:
        assert context.first
    assert context.any(True)
    assert not context.any(False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RANK": "2"}, "RANK is 2, WORLD_SIZE 2"),
        ({"RANK": "-1"}, "found -1, 2, 0"),
        ({"WORLD_SIZE": "many"}, "found 0, many, 0"),
        ({"LOCAL_RANK": None}, "LOCAL_RANK missing"),
        ({"MASTER_ADDR": None, "MASTER_PORT": None}, "MASTER_ADDR, MASTER_PORT missing"),
    ],
)
def test_an_environment_that_is_not_torchruns_is_named(changes: dict[str, str | None], message: str) -> None:
    whole_ = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "here", "MASTER_PORT": "1"}
    environment = {key: value for key, value in {**whole_, **changes}.items() if value is not None}
    with pytest.raises(UsageError, match=message), init_distributed("cpu", environment):
        pass


def test_a_lost_connection_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("[/src/gloo/transport/tcp/pair.cc:1] Connection closed by peer")

    monkeypatch.setattr(distributed.dist, "init_process_group", fail)
    two = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "here", "MASTER_PORT": "1"}
    with pytest.raises(CheckFailed, match="process 1 of 2 lost the others"), init_distributed("cpu", two):
        pass


def test_a_batch_is_shared_out_in_order() -> None:
    parts = [DistributedContext(rank, 4, torch.device("cpu")).part(12) for rank in range(4)]
    assert [number for part in parts for number in part] == list(range(12))
    with pytest.raises(UsageError, match=r"batch is 10, .*4 processes"):
        DistributedContext(0, 4, torch.device("cpu")).part(10)


class Rehearsed(DistributedContext):
    """One of several processes whose others are played by what they would send."""

    everyone: torch.Tensor

    def gathered(self, values: torch.Tensor) -> torch.Tensor:
        return self.everyone


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("size", "ohem"), [(1, 8), (2, 8), (4, 8), (4, 1), (4, 100)])
def test_hard_examples_are_those_of_the_whole_batch(size: int, ohem: int, ties: bool) -> None:
    values = torch.rand(64, generator=torch.Generator().manual_seed(size))
    values = (values * 3).floor() if ties else values
    rule = ThunderNetLossConfig(rois=16, ohem=ohem)
    expected = hardest(values, rule)
    found = []
    for rank, mine in enumerate(values.chunk(size)):
        context = Rehearsed(rank, size, torch.device("cpu"))
        object.__setattr__(context, "everyone", values)
        found.append(hardest(mine, rule, context) + rank * len(mine))
    assert sorted(torch.cat(found).tolist()) == sorted(expected.tolist())
    assert len(expected) == min(4 * ohem, 64)


def test_one_example_is_kept_at_least() -> None:
    assert hardest(torch.tensor([1.0, 3.0, 2.0]), ThunderNetLossConfig(rois=2000, ohem=128)).tolist() == [1]
