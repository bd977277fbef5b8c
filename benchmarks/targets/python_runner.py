"""The runner in Python: commands and documents of pocketdet-run, for this machine.

    python -m pocketdet.benchmarks.targets.python_runner machine|verify|bench [BUNDLE] [options]

It runs the ncnn wheel where pocketdet-run is not built, and PyTorch (`--engine torch --device cuda`). Records
tell all three apart.
"""

import argparse
import gc
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pocketdet.benchmarks.targets.host_sensors import (
    cpu_khz,
    current_cpu,
    describe_machine,
    read_sensors,
    read_usage,
)
from pocketdet.benchmarks.torch_engine import TorchEngine
from pocketdet.errors import PocketdetError, UsageError
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.engines import Engine
from pocketdet.runtime.images import read_image
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.precision import ARITHMETICS
from pocketdet.runtime.verification import compare_stages, golden_stages

CLOCK_EVERY_S: Final = 1.0


def verify(arguments: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Replay golden."""
    with load_bundle(arguments.bundle) as bundle:
        detector = _detector(bundle, arguments)
        checks = compare_stages(golden_stages(bundle), detector)
        ok = all(check.ok for check in checks)
        document = _header("verify", bundle, detector)
        return {**document, "ok": ok, "checks": [check.to_json() for check in checks]}, 0 if ok else 1


def bench(arguments: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Time the detector on one core."""
    if arguments.cpu is not None:
        try:
            os.sched_setaffinity(0, {arguments.cpu})
        except OSError as error:
            raise UsageError(f"--cpu {arguments.cpu}: {error.strerror}") from error
    with load_bundle(arguments.bundle) as bundle:
        detector = _detector(bundle, arguments, arguments.rois)
        names = [Path(name).name for name in arguments.images] or ["golden"]
        images = [read_image(name) for name in arguments.images] or [bundle.golden()["image"]]
        for i in range(arguments.warmup):
            detector.detect(images[i % len(images)])
        proposals = [detector.pipeline.count_proposals(image) for image in images]
        gc.collect()
        gc.disable()
        affinity = sorted(os.sched_getaffinity(0))
        before = {"sensors": read_sensors(), "usage": read_usage()}
        recording = _measure(detector, images, *_limits(arguments))
        after = {"sensors": read_sensors(), "usage": read_usage()}
        frames = len(recording["samples"]["started_s"])
        recording["samples"]["rois"] = [proposals[i % len(images)] for i in range(frames)]
        return {
            **_header("bench", bundle, detector),
            "machine": describe_machine(),
            "images": [
                {"image": name, "width": image.shape[1], "height": image.shape[0]}
                for name, image in zip(names, images, strict=True)
            ],
            "affinity": affinity,
            "before": before,
            "after": after,
            "affinity_after": sorted(os.sched_getaffinity(0)),
            "stages": detector.stages,
            **recording,
        }, 0


def _detector(bundle: Bundle, arguments: argparse.Namespace, rois: int | None = None) -> Detector:
    options = DetectorOptions(precision=arguments.precision, rois=rois)
    engine = TorchEngine(bundle, arguments.device) if arguments.engine == "torch" else None
    return Detector(bundle, options, engine=engine)


def _limits(arguments: argparse.Namespace) -> tuple[float, float]:
    """Frames and seconds: with one of the two given, that one alone."""
    if arguments.frames is None and arguments.seconds is None:
        return 1024, 60.0
    return arguments.frames or math.inf, arguments.seconds or math.inf


def _measure(
    detector: Detector, images: Sequence[NDArray[np.uint8]], frames: float, seconds: float
) -> dict[str, Any]:
    samples: dict[str, list[Any]] = {
        name: [] for name in ("milliseconds", "started_s", "cpu_before", "cpu_after", "detections")
    }
    clocks, next_clock, i, start = [], 0.0, 0, time.perf_counter()
    while i < frames:
        now = time.perf_counter() - start
        if i and now >= seconds:
            break
        if now >= next_clock:
            cpu = current_cpu()
            clocks.append({"at_s": now, "cpu": cpu, "khz": cpu_khz(cpu)})
            next_clock = now + CLOCK_EVERY_S
        samples["started_s"].append(time.perf_counter() - start)
        samples["cpu_before"].append(current_cpu())
        found = detector.detect(images[i % len(images)])
        samples["cpu_after"].append(current_cpu())
        samples["milliseconds"].append([found.milliseconds[stage] for stage in detector.stages])
        samples["detections"].append(len(found))
        i += 1
    return {"measured_s": time.perf_counter() - start, "samples": samples, "clocks": clocks}


def _header(command: str, bundle: Bundle, detector: Detector) -> dict[str, Any]:
    return {
        **_program(command),
        "bundle": {"name": bundle.manifest.name, "digest": bundle.digest},
        "engine": {
            **_versions(detector.engine),
            "cpu_features": [],
            "threads": detector.options.threads,
            "precision_asked": detector.requested_precision,
            "precision": detector.precision,
        },
    }


def _versions(engine: Engine) -> dict[str, str]:
    if isinstance(engine, TorchEngine):
        return {"torch": engine.version, "processor": engine.processor}
    return {"ncnn": f"ncnn {version('ncnn')} (Python wheel)"}


def _program(command: str) -> dict[str, Any]:
    return {"schema_version": 1, "program": f"pocketdet-python {version('pocketdet')}", "command": command}


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pocketdet-python")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("machine")
    for name in ("verify", "bench"):
        command = commands.add_parser(name)
        command.add_argument("bundle")
        command.add_argument("--precision", choices=ARITHMETICS)
        command.add_argument("--digest", default="")
        command.add_argument("--engine", choices=("ncnn", "torch"), default="ncnn")
        command.add_argument("--device", default="cpu")
    command.add_argument("images", nargs="*")
    command.add_argument("--frames", type=int)
    command.add_argument("--seconds", type=float)
    command.add_argument("--warmup", type=int, default=20)
    command.add_argument("--cpu", type=int)
    command.add_argument("--rois", type=int)
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Write one JSON document to standard output; return the exit code of pocketdet-run."""
    arguments = _parse(words)
    if not hasattr(os, "sched_setaffinity"):
        sys.stderr.write("pinning to a core needs Linux: measure on a Linux or Android device\n")
        return 2
    try:
        if arguments.command == "machine":
            document, code = (
                {**_program("machine"), "machine": describe_machine(), "sensors": read_sensors()},
                0,
            )
        else:
            document, code = (verify if arguments.command == "verify" else bench)(arguments)
    except PocketdetError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    json.dump(document, sys.stdout, allow_nan=False)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
