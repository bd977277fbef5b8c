"""The runner in Python: commands and documents of pocketdet-run, for this machine.

    python -m pocketdet.benchmarks.targets.python_runner machine|verify|bench [BUNDLE] [options]

It runs the ncnn wheel if pocketdet-run is not built, and PyTorch (`--engine torch --device cuda`). Records
distinguish all three.
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

from pocketdet import __version__
from pocketdet.benchmarks.engines import TorchEngine
from pocketdet.benchmarks.images import describe_image
from pocketdet.benchmarks.machine import cpu_khz, current_cpu, describe_machine, read_sensors, read_usage
from pocketdet.errors import PocketdetError, UsageError
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.engines import Engine
from pocketdet.runtime.images import read_image
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.precision import ARITHMETICS
from pocketdet.runtime.verification import golden_checks

CLOCK_EVERY_S: Final = 1.0


def verify(arguments: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Run the golden test.

    Returns:
        The document, and the exit code: 1 if a check failed.
    """
    with load_bundle(arguments.bundle, _size(arguments)) as bundle:
        detector = _detector(bundle, arguments)
        (checks,) = golden_checks(bundle, {"": detector}).values()
        ok = all(check.ok for check in checks)
        document = {
            **_header("verify", bundle, detector),
            "ok": ok,
            "not_proved": [check.name for check in checks if check.ok and not check.proved],
            "checks": [check.to_json() for check in checks],
        }
        return document, 0 if ok else 1


def bench(arguments: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Time the detector on one core.

    Returns:
        The document, and exit code 0.

    Raises:
        UsageError: If the core cannot be used.
    """
    if arguments.cpu is not None:
        try:
            os.sched_setaffinity(0, {arguments.cpu})
        except OSError as error:
            raise UsageError(f"--cpu {arguments.cpu}: {error.strerror}") from error
    start = time.perf_counter()
    with load_bundle(arguments.bundle, _size(arguments)) as bundle:
        detector = _detector(bundle, arguments, arguments.rois)
        load_ms = 1000 * (time.perf_counter() - start)
        names = [Path(name).name for name in arguments.images] or ["golden"]
        images = [read_image(name) for name in arguments.images] or [bundle.golden()["image"]]
        warm_up = [
            detector.detect(images[i % len(images)]).total_milliseconds for i in range(arguments.warmup)
        ]
        proposals = [detector.pipeline.count_proposals(image) for image in images]
        gc.collect()
        gc.disable()
        affinity = sorted(os.sched_getaffinity(0))
        before = {"sensors": read_sensors(), "usage": read_usage()}
        samples = _measure(detector, images, *_limits(arguments))
        after = {"sensors": read_sensors(), "usage": read_usage()}
        frames = len(samples["samples"]["started_s"])
        first_frame_ms = warm_up[0] if warm_up else sum(samples["samples"]["milliseconds"][0])
        samples["samples"]["rois"] = [proposals[i % len(images)] for i in range(frames)]
        return {
            **_header("bench", bundle, detector),
            "machine": describe_machine(),
            "images": [_image(name, pixels) for name, pixels in zip(names, images, strict=True)],
            "affinity": affinity,
            "before": before,
            "after": after,
            "affinity_after": sorted(os.sched_getaffinity(0)),
            "stages": detector.stages,
            "load_ms": load_ms,
            "first_frame_ms": first_frame_ms,
            **samples,
        }, 0


def _image(name: str, pixels: NDArray[np.uint8]) -> dict[str, Any]:
    found = describe_image(name, pixels)
    return {"image": name, "width": found.width, "height": found.height, "sha256": found.sha256}


def _detector(bundle: Bundle, arguments: argparse.Namespace, rois: int | None = None) -> Detector:
    options = DetectorOptions("ncnn", precision=arguments.precision, rois=rois)
    engine = TorchEngine(bundle, arguments.device) if arguments.engine == "torch" else None
    return Detector(bundle, options, engine=engine)


def _size(arguments: argparse.Namespace) -> tuple[int, int] | None:
    """The input size, which the protocol gives as HEIGHTxWIDTH."""
    if arguments.size is None:
        return None
    height, _, width = arguments.size.partition("x")
    return int(height), int(width)


def _limits(arguments: argparse.Namespace) -> tuple[float, float]:
    """Limits in frames and seconds; if one of the two is given, only that one."""
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
        detections = detector.detect(images[i % len(images)])
        samples["cpu_after"].append(current_cpu())
        samples["milliseconds"].append([detections.milliseconds[stage] for stage in detector.stages])
        samples["detections"].append(len(detections))
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
            "own_layers": False,
            "precision_asked": detector.requested_precision,
            "precision": detector.precision,
        },
    }


def _versions(engine: Engine) -> dict[str, str]:
    if isinstance(engine, TorchEngine):
        return {"torch": engine.version, "processor": engine.processor}
    return {"ncnn": f"ncnn {version('ncnn')} (Python wheel)"}


def _program(command: str) -> dict[str, Any]:
    return {"schema_version": 1, "program": f"pocketdet-python {__version__}", "command": command}


def _parse(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pocketdet-python")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("machine")
    for name in ("verify", "bench"):
        command = commands.add_parser(name)
        command.add_argument("bundle")
        command.add_argument("--precision", choices=ARITHMETICS)
        command.add_argument("--digest", default="")
        command.add_argument("--size")
        command.add_argument("--engine", choices=("ncnn", "torch"), default="ncnn")
        command.add_argument("--device", default="cpu")
    command.add_argument("images", nargs="*")
    command.add_argument("--frames", type=int)
    command.add_argument("--seconds", type=float)
    command.add_argument("--warmup", type=int, default=20)
    command.add_argument("--cpu", type=int)
    command.add_argument("--rois", type=int)
    return parser.parse_args(args)


def main(args: Sequence[str]) -> int:
    """Write one JSON document to standard output.

    Returns:
        The exit code of pocketdet-run.
    """
    arguments = _parse(args)
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
