"""What pocketdet-run and Python make of a bundle, each in a process with limits of time and memory."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

WORKER, LAUNCHER = (Path(__file__).parent / name for name in ("worker.py", "launcher.py"))
RUNS = ("accepted", "failed")  # the detector was built and ran
_SANITIZER_EXIT = 99
_SANITIZERS = {
    "ASAN_OPTIONS": f"exitcode={_SANITIZER_EXIT}:detect_leaks=0:quarantine_size_mb=8:hard_rss_limit_mb=3000:"
    "allocator_may_return_null=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": f"halt_on_error=1:print_stacktrace=1:exitcode={_SANITIZER_EXIT}",
}


@dataclass(frozen=True)
class Limits:
    """For one bundle. `seconds` are of the processor; the clock gets ten times as many."""

    seconds: float = 10.0
    megabytes: float = 1024.0

    @property
    def clock(self) -> float:
        """Seconds after which a process is ended."""
        return 10 * self.seconds


@dataclass(frozen=True)
class Verdict:
    """`kind`: accepted, failed (a check said no), refused; crash, sanitizer, timeout, memory, bug."""

    kind: str
    sentence: str = ""
    type: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0

    @property
    def is_fault(self) -> bool:
        """Whether a sound program would never give it."""
        return self.kind not in (*RUNS, "refused")


class NativeLoader:
    """pocketdet-run, on this processor or an emulated one.

    Memory counts as it is, with what sanitizers add; a run that passes the limit is repeated with `plain`,
    the normal build, whose memory is what counts.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        limits: Limits,
        environment: dict[str, str] | None = None,
        plain: tuple[str, ...] = (),
    ) -> None:
        self._command, self._limits, self._plain = command, limits, plain
        self._environment = os.environ | _SANITIZERS | (environment or {})
        self.emulated = "QEMU_CPU" in self._environment

    def __call__(self, bundle: Path) -> Verdict:
        """The verdict on a folder."""
        found = self._run(self._command, bundle)
        if found.kind == "memory" and self._plain:
            found = self._run(self._plain, bundle)
        return found

    def _run(self, command: tuple[str, ...], bundle: Path) -> Verdict:
        limits = [str(self._limits.seconds), str(self._limits.clock)]
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), *limits]
        done = subprocess.run(
            [*launcher, *command, "verify", str(bundle)],
            stdout=subprocess.PIPE,
            env=self._environment,
            check=True,
        )
        ended = json.loads(done.stdout)
        kind, sentence = self._kind(**ended)
        return Verdict(kind, sentence, "", ended["seconds"], ended["megabytes"])

    def _kind(self, code: int, out: str, error: str, seconds: float, megabytes: float) -> tuple[str, str]:
        if code in (-signal.SIGXCPU, -signal.SIGKILL) or seconds > self._limits.seconds:
            return "timeout", f"ended by signal {-code} after {seconds:.1f} processor seconds"
        if code == _SANITIZER_EXIT or "Sanitizer" in error or "runtime error:" in error:
            return "sanitizer", error
        if code < 0 or code > 2 or "unexpected:" in error:
            return "crash", f"exit code {code}: {error}"
        if megabytes > self._limits.megabytes or "out of memory" in error:
            return "memory", f"{megabytes:.0f} MB: {error}"
        if code == 2:
            one = error.count("\n") == 1 and error.endswith("\n") and not out
            return (
                ("refused", error.strip()) if one else ("bug", f"not one sentence: {error!r}, {out[:200]!r}")
            )
        try:
            ok = json.loads(out)["ok"]
        except (ValueError, KeyError):
            return "bug", f"exit code {code} and no document: {out[:200]!r}"
        return RUNS[code] if ok is (code == 0) else "bug", error.strip()


class PythonLoader:
    """A worker process, started again when it ends."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, bundle: Path) -> Verdict:
        """The verdict on a folder or a zip file."""
        process = self._started()
        assert process.stdin is not None
        process.stdin.write(json.dumps(str(bundle)) + "\n")
        process.stdin.flush()
        try:
            line = self._answers.get(timeout=self._limits.clock)
        except queue.Empty:
            self._end()
            return Verdict("timeout", f"no answer within {self._limits.clock:.0f} s")
        if not line:
            code = self._end()
            return Verdict("crash", f"the worker ended with {code}")
        answer = json.loads(line)
        found = Verdict(answer.pop("verdict"), **answer)
        if found.seconds > self._limits.seconds:
            return Verdict("timeout", f"{found.seconds:.1f} processor seconds")
        if found.megabytes > self._limits.megabytes:
            return Verdict("memory", f"{found.megabytes:.0f} MB")
        return found

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
            self._process = subprocess.Popen(
                [sys.executable, str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment,
            )
            self._answers = queue.Queue()
            threading.Thread(target=_forward, args=(self._process.stdout, self._answers), daemon=True).start()
        return self._process

    def _end(self) -> int | None:
        if self._process is None:
            return None
        self._process.kill()
        code = self._process.wait()
        self._process = None
        return code


def _forward(lines: Any, answers: queue.Queue[str]) -> None:
    """Lines as they come, and an empty one at the end."""
    for line in lines:
        answers.put(line)
    answers.put("")
