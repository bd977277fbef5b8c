"""pocketdet-run as a test runs it, and what Python finds in the same images."""

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from same_detections import PlainDetections

from pocketdet.runtime.detector import Detector
from pocketdet.runtime.options import DetectorOptions, EngineName
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


def raw_pixels(image: NDArray[np.uint8], layout: str) -> bytes:
    """An RGB image as packed pixels: rgb, bgr, rgba or bgra."""
    alpha = np.full((*image.shape[:2], 1), 9, np.uint8)
    packed = {
        "rgb": image,
        "bgr": image[..., ::-1],
        "rgba": np.concatenate([image, alpha], -1),
        "bgra": np.concatenate([image[..., ::-1], alpha], -1),
    }
    return packed[layout].tobytes()


def read_ppm(path: Path) -> NDArray[np.uint8]:
    """The pixels of a binary PPM without comments."""
    magic, size, most, pixels = path.read_bytes().split(b"\n", 3)
    assert (magic, most) == (b"P6", b"255")
    width, height = map(int, size.split())
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def by_python(
    bundle: Path, images: list[NDArray[np.uint8]], engine: EngineName = "ncnn", **options: Any
) -> list[PlainDetections]:
    """The detections of the Python runtime."""
    with Detector(bundle, DetectorOptions(engine, **options)) as detector:
        results = [detector.detect(image) for image in images]
    return [PlainDetections(r.boxes, r.scores, r.labels) for r in results]
