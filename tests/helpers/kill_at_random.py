"""Commands that are killed at random moments, and run again.

python tests/helpers/kill_at_random.py FOLDER [--kills 100] [--seed 1] [--only export,val]

Each command runs once to be timed. Then it is started, killed with SIGKILL at a uniformly random moment of
that time, checked, started again and checked: no final file is damaged, the second run succeeds, no temporary
file stays. Every other start finds an empty folder, the others what the last run has written. FOLDER is made.
Exit code 1 if something did not hold.
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from whole_results import damaged, leftovers

from pocketdet.cli.main import main as pocketdet
from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.models.config import DetectorConfig
from pocketdet.models.random_init import random_thundernet

PRELOADED = (
    "matplotlib.figure",
    "onnxscript",
    "onnxsim",
    "pocketdet.benchmarks.devices",
    "pocketdet.cli.val_report",
    "pocketdet.evaluation.evaluate",
    "pocketdet.export.exporter",
    "pocketdet.training.run_logger",
    "pycocotools.cocoeval",
    "torch.utils.tensorboard",
)
CLASSES = ("bolt", "nut", "washer")
STEPS = 6
TRAINING = """
out = "{out}"
input_size = [64, 64]
anchor_scales = [16, 32]
save_every = 1
[[data]]
annotations = "{inputs}/data.json"
images = "{inputs}"
[schedule]
images = 24
batch = 4
sizes = [64]
[losses]
pre_nms = 32
proposals = 16
rois = 8
ohem = 4
[evaluation]
annotations = "{inputs}/data.json"
images = "{inputs}"
every = 2
limit = 2
"""
Words = list[str | Path]


@dataclass(frozen=True)
class Case:
    """A command that writes into `out`, how it is started anew, and the exit codes of success."""

    name: str
    start: Callable[[Path, Path], Words]
    good: tuple[int, ...] = (0,)


@dataclass
class Tally:
    """What the kills of one command came to."""

    seconds: float
    kills: int = 0
    in_time: int = 0
    temporary: int = 0
    problems: list[str] = field(default_factory=list)


def _export(inputs: Path, out: Path) -> Words:
    return ["export", inputs / "small.safetensors", "--out", out, "--overwrite"]


def _int8(inputs: Path, out: Path) -> Words:
    return [
        *_export(inputs, out),
        "--precision",
        "int8",
        "--calib",
        inputs,
        "--max-output-error",
        "0.03",
        "--name",
        "int8",
        "--zip",
    ]


def _val(inputs: Path, out: Path) -> Words:
    data: Words = ["--data", inputs / "data.json", "--images", inputs]
    return ["val", inputs / "small.pocketdet", *data, "--out", out]


def _bench(inputs: Path, out: Path) -> Words:
    return ["bench", inputs / "small.pocketdet", "--quick", "--out", out]


def _train(inputs: Path, out: Path) -> Words:
    config = inputs / f"{out.name}.toml"
    config.write_text(TRAINING.format(inputs=inputs, out=out), encoding="utf-8")
    return ["train", config, *(["--resume"] if (out / "state.pt").exists() else [])]


CASES = (
    Case("export", _export),
    Case("int8", _int8),
    Case("val", _val),
    Case("bench", _bench, (0, 1)),  # 1: a machine that is busy
    Case("train", _train),
)


def make_inputs(folder: Path) -> None:
    """Weights, their bundle, and four images with a box each."""
    folder.mkdir(parents=True)
    model = random_thundernet(DetectorConfig("thundernet-snet49", CLASSES, input_size=(96, 64)), seed=3)
    save_checkpoint(folder / "small.safetensors", model)
    words: Words = ["export", folder / "small.safetensors", "--name", "small", "--out", folder]
    log = folder / "run.log"
    assert os.waitpid(_start(words, log), 0)[1] == 0, log.read_text(encoding="utf-8")
    rng = np.random.default_rng(1)
    for index in range(4):
        cv2.imwrite(str(folder / f"{index}.png"), rng.integers(0, 256, (48, 64, 3), np.uint8))
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 48} for i in range(4)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1 + i % 3, "bbox": [8, 8, 30, 24]} for i in range(4)
        ],
        "categories": [{"id": 1 + k, "name": name} for k, name in enumerate(CLASSES)],
    }
    (folder / "data.json").write_text(json.dumps(content), encoding="utf-8")


def kill_repeatedly(case: Case, inputs: Path, out: Path, kills: int, rng: np.random.Generator) -> Tally:
    """Kill a command `kills` times, and check it after each kill and each further run."""
    begin = time.monotonic()
    _run(case, inputs, out)
    tally = Tally(time.monotonic() - begin)
    for number in range(kills):
        if number % 2 == 0 or case.name == "train":
            shutil.rmtree(out, ignore_errors=True)
        moment = float(rng.uniform(0, tally.seconds))
        tally.kills += 1
        tally.in_time += _kill(case, inputs, out, moment)
        tally.temporary += len(leftovers(out)) if out.is_dir() else 0
        problems = [f"killed: {path.name}: {why}" for path, why in damaged(out).items()]
        problems += _run(case, inputs, out)
        problems += [f"run again: {path.name}: {why}" for path, why in damaged(out).items()]
        problems += [f"run again: {path.name} stayed" for path in leftovers(out)]
        tally.problems += [f"{case.name} {number} at {moment:.2f} s: {problem}" for problem in problems]
        sys.stderr.write(f"{case.name} {number + 1}/{kills} at {moment:.2f} s: {problems or 'whole'}\n")
    return tally


def _kill(case: Case, inputs: Path, out: Path, moment: float) -> bool:
    """Start the command and kill it; whether it still ran."""
    child = _start(case.start(inputs, out), Path(os.devnull))
    end = time.monotonic() + moment
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _run(case: Case, inputs: Path, out: Path) -> list[str]:
    """What is wrong with a run that nobody disturbs."""
    log = inputs / "run.log"
    code = os.waitstatus_to_exitcode(os.waitpid(_start(case.start(inputs, out), log), 0)[1])
    if code not in case.good:
        return [f"run again: exit code {code}: {log.read_text(encoding='utf-8').strip()[-300:]}"]
    if case.name != "train":
        return []
    expected = {"log.csv": [*range(1, STEPS + 1)], "evaluations.csv": [2, 4, 6, 6]}
    found = {name: _steps(out / name) for name in expected}
    return [
        f"run again: {name} has the steps {found[name]}" for name in found if found[name] != expected[name]
    ]


def _steps(log: Path) -> list[int]:
    return [int(line.split(",")[0]) for line in log.read_text(encoding="utf-8").splitlines()[1:]]


def _start(words: Words, log: Path) -> int:
    """Start a command as a process that has its imports behind it; returns its number."""
    child = os.fork()
    if child:
        return child
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.argv = ["pocketdet", *map(str, words)]
    code = 1
    try:
        pocketdet()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill, print a table and what did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(case.name for case in CASES))
    chosen = parser.parse_args(arguments)
    folder, rng = chosen.folder.absolute(), np.random.default_rng(chosen.seed)
    torch.set_num_threads(1)
    for name in PRELOADED:
        importlib.import_module(name)
    inputs = folder / "inputs"
    make_inputs(inputs)
    cases = [case for case in CASES if case.name in chosen.only.split(",")]
    tallies = {}
    for index, case in enumerate(cases):
        share = chosen.kills // len(cases) + (index < chosen.kills % len(cases))
        tallies[case.name] = kill_repeatedly(case, inputs, folder / case.name, share, rng)
    head = ("command", "seconds", "kills", "still ran", "temporary", "problems")
    rows = [
        (name, f"{t.seconds:.1f}", t.kills, t.in_time, t.temporary, len(t.problems))
        for name, t in tallies.items()
    ]
    for row in (head, *rows):
        sys.stdout.write("".join(f"{cell!s:<12}" for cell in row) + "\n")
    problems = [problem for tally in tallies.values() for problem in tally.problems]
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
