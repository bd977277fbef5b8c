"""1,000 damaged bundles of each kind: a typed error or a verified load that runs, never a crash.

The first 400 are damaged as disks and networks do it. The other 600 are damaged and then hashed again, as an
attacker would: the hashes agree, so that only the checks of the content stand before ncnn.
"""

import json
import os
import selectors
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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

WORKER = Path(__file__).parents[1] / "helpers" / "load_and_run.py"
PATIENCE = 20.0


class Worker:
    """One long-lived process that loads and runs; started again if it dies or hangs."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, path: Path) -> dict[str, Any]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(str(path)).encode() + b"\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE):
                self.close()
                return {"hang": PATIENCE}
        line = process.stdout.readline()
        if not line:
            code = process.wait(PATIENCE)
            self.close()
            return {"crash": code}
        return dict(json.loads(line))

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


def zipped(folder: Path) -> Path:
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(folder))
    return target


def damaged(
    template: Path,
    folder: Path,
    corruption: Corruption,
    rng: np.random.Generator,
    rehash: Callable[[Path], None] | None,
) -> Path:
    """A damaged copy, every third one as a zip file."""
    shutil.copytree(template, folder)
    corruption(folder, rng)
    if rehash is not None:
        rehash(folder)
    has_link = any(p.is_symlink() for p in folder.rglob("*"))  # which zipping would follow
    return zipped(folder) if rng.integers(3) == 0 and not has_link else folder


def damaged_zip(template: Path, folder: Path, corruption: Corruption, rng: np.random.Generator) -> Path:
    shutil.copytree(template, folder)
    target = zipped(folder)
    corruption(target, rng)
    return target


BY_ACCIDENT = [
    *[any_file(change) for change in (flip_bytes, truncate, splice, append)],
    *[swap_files, delete, replace_by_folder, replace_by_link],
]
BY_INTENT: list[tuple[int, Corruption]] = [
    (250, edit_param),
    (50, files_like("*.param", flip_bytes)),
    (30, files_like("*.param", splice)),
    (50, files_like("*.bin", flip_bytes)),
    (30, files_like("*.bin", splice)),
    (130, edit_manifest),
    (40, files_like("golden/*", flip_bytes)),
    (20, files_like("golden/*", truncate)),
]


def check_answers(answers: list[dict[str, Any]], mostly: str) -> None:
    kinds = Counter("error" if "error" in a else "ran" if "ran" in a else "bad" for a in answers)
    bad = [a for a in answers if not a.keys() & {"error", "ran"}]
    assert not bad, f"{len(bad)} of {len(answers)}: {bad[:3]}"
    assert kinds[mostly] > len(answers) / 2, kinds


@pytest.fixture(params=["tiny_bundle_template", "tiny_one_stage_template"])
def template(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue(request.param))


def test_the_worker_runs_a_valid_bundle(worker: Worker, template: Path) -> None:
    answer = worker.ask(template)
    assert answer["ran"] > 0


def test_200_damaged_copies_are_rejected_or_run(worker: Worker, template: Path, tmp_path: Path) -> None:
    answers = []
    for i in range(200):
        rng = np.random.default_rng(i)
        path = damaged(template, tmp_path / str(i), BY_ACCIDENT[i % len(BY_ACCIDENT)], rng, None)
        answers.append(worker.ask(path))
        (tmp_path / "outside").unlink(missing_ok=True)
    check_answers(answers, "error")


def test_200_damaged_zip_files_are_rejected_or_run(worker: Worker, template: Path, tmp_path: Path) -> None:
    answers = []
    for i in range(200):
        change = (flip_bytes, truncate, splice, append)[i % 4]
        answers.append(worker.ask(damaged_zip(template, tmp_path / str(i), change, np.random.default_rng(i))))
    check_answers(answers, "error")


def test_600_damaged_copies_with_valid_hashes_are_rejected_or_run(
    worker: Worker, template: Path, tmp_path: Path, rehash: Callable[[Path], None]
) -> None:
    answers = []
    cases = [corruption for count, corruption in BY_INTENT for _ in range(count)]
    assert len(cases) == 600
    for i, corruption in enumerate(cases):
        rng = np.random.default_rng(10_000 + i)
        path = damaged(template, tmp_path / str(i), corruption, rng, rehash)
        answers.append(worker.ask(path))
    check_answers(answers, "error")
    assert sum("ran" in a for a in answers) > 30  # damage that leaves a sound bundle must load
