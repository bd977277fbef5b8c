"""pocketdet-run as a test runs it."""

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pocketdet.runtime.parity import Check


@dataclass(frozen=True)
class Runner:
    """The program, on this processor or an emulated one."""

    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str | Path, **settings: Any) -> subprocess.CompletedProcess[bytes]:
        environment = os.environ | self.environment
        command = [*self.command, *map(str, words)]
        return subprocess.run(command, capture_output=True, env=environment, timeout=600, **settings)

    def json(self, *words: str | Path) -> dict[str, Any]:
        """What a run that must succeed wrote."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr.decode()
        return dict(json.loads(done.stdout))

    def error(self, *words: str | Path) -> str:
        """The one sentence of a run that must end with exit code 2, and must not have written a result."""
        done = self.run(*words)
        assert done.returncode == 2, done
        assert done.stdout == b""
        sentence = done.stderr.decode().strip()
        assert sentence
        assert "\n" not in sentence
        return sentence


def assert_same_checks(document: dict[str, Any], checks: list[Check]) -> None:
    """What `verify` wrote is what Python finds."""
    assert document["ok"] is True
    assert [c["name"] for c in document["checks"]] == [c.name for c in checks]
    for ours, theirs in zip(document["checks"], checks, strict=True):
        assert tuple(ours["shape"]) == theirs.shape
        assert ours["tolerance"] == pytest.approx(theirs.tolerance)
        assert ours["max_abs"] == pytest.approx(theirs.max_abs, abs=1e-7)
        assert ours["note"] == theirs.note
