"""Hostile copies loaded by both sides, and what is wrong with the verdicts."""

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from bases import make_bases
from copies import ZIP, Copy, make_copy
from verdicts import RUNS, Limits, NativeLoader, PythonLoader, Verdict


@dataclass(frozen=True)
class CopyResult:
    """Both verdicts on one copy; none of pocketdet-run on a zip file."""

    copy: Copy
    changes: list[str]
    native: Verdict | None
    python: Verdict
    same_arithmetic: bool = True

    @property
    def differs(self) -> bool:
        """Whether one side refuses what the other accepts, or the checks of the two disagree.

        An emulated processor may compute in half precision, whose tolerances accept changes of weights that
        those of fp32 do not.
        """
        if self.native is None or (
            not self.same_arithmetic and {self.native.kind, self.python.kind} <= set(RUNS)
        ):
            return False
        return self.native.kind != self.python.kind

    @property
    def problem(self) -> str:
        """Empty if all is well."""
        sides = (("pocketdet-run", self.native), ("Python", self.python))
        faults = [f"{side}: {v.kind}" for side, v in sides if v is not None and v.is_fault]
        return ", ".join(faults) or ("verdicts differ" if self.differs else "")

    def __str__(self) -> str:
        copy = self.copy
        lines = [f"seed {copy.seed}: {copy.kind} of {copy.base}: {self.problem or 'no problem'}"]
        lines += [f"    {change}" for change in self.changes]
        for side, verdict in (("pocketdet-run", self.native), ("Python", self.python)):
            if verdict is not None:
                sentence = "\n      ".join(verdict.sentence.splitlines()[:14])
                lines.append(f"    {side}: {verdict.kind} {verdict.type} {sentence}")
        return "\n".join(lines)

    def record(self) -> dict[str, object]:
        """As JSON."""
        return {
            "seed": self.copy.seed,
            "kind": self.copy.kind,
            "base": self.copy.base,
            "problem": self.problem,
            "native": None if self.native is None else vars(self.native),
            "python": vars(self.python),
            "changes": self.changes,
        }


def load_all(
    seeds: Iterable[int], native: NativeLoader | None, work: Path, jobs: int
) -> Iterator[CopyResult]:
    """The verdicts on every copy, in their order; without `native` those of Python alone."""
    bases = make_bases(work)
    with ExitStack() as stack, ThreadPoolExecutor(jobs) as pool:
        loaders: SimpleQueue[PythonLoader] = SimpleQueue()
        for _ in range(jobs):
            loaders.put(stack.enter_context(PythonLoader(Limits())))

        def load(seed: int) -> CopyResult:
            copy = make_copy(seed, bases, work)
            python = loaders.get()
            try:
                found = None if native is None or copy.kind == ZIP else native(copy.path)
                emulated = native is not None and native.emulated
                return CopyResult(copy, copy.changes(), found, python(copy.path), not emulated)
            finally:
                loaders.put(python)
                copy.path.unlink() if copy.kind == ZIP else shutil.rmtree(copy.path)

        yield from pool.map(load, seeds)
