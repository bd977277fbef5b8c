"""Benchmark records made by hand: what a quiet phone would give, to be changed by a test."""

from typing import Any

from pocketdet.benchmarks.record import Measurement, Record
from pocketdet.benchmarks.record_io import complete

STAGES = ("preprocess", "features", "proposals", "roi_align", "head", "boxes")
SHARES = (0.05, 0.75, 0.03, 0.05, 0.1, 0.02)
CPU = 7


def ticks(cpu: int, busy: int, idle: int) -> dict[str, int]:
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    return {"cpu": cpu, **dict.fromkeys(names, 0), "user": busy, "idle": idle}


def snapshot(second: float, used_s: float, busy_elsewhere: int = 0) -> dict[str, Any]:
    """At `second`; the process has used `used_s` of its core, others `busy_elsewhere` ticks of core 0."""
    now = round(100 * second)
    return {
        "clocks": ({"cpu": CPU, "khz": 2_803_200, "limit_khz": 2_803_200, "governor": "schedutil"},),
        "thermal": ({"zone": "thermal_zone0", "type": "cpu-1-0", "celsius": 41.5},),
        "power": ({"supply": "battery", "status": "Discharging", "capacity": 80, "celsius": 30.1},),
        "load": 0.4,
        "cpu_times": (ticks(0, busy_elsewhere, now - busy_elsewhere), ticks(CPU, round(100 * used_s), 0)),
        "usage": {
            "user_s": used_s,
            "system_s": 0.0,
            "page_faults": 10,
            "waited": 0,
            "preempted": 2,
            "most_memory_kib": 30_000,
        },
    }


def run(frames: int = 1024, ms: float = 40.0, **changes: Any) -> dict[str, Any]:
    """Frames of `ms` on average, one in ten 20% slower, on core 7 alone."""
    totals = [ms * (1.2 if i % 10 == 9 else 1.0) for i in range(frames)]
    seconds = sum(totals) / 1000
    base: dict[str, Any] = {
        "stages": STAGES,
        "milliseconds": tuple(tuple(t * share for share in SHARES) for t in totals),
        "started_s": tuple(seconds * i / frames for i in range(frames)),
        "cpu_before": (CPU,) * frames,
        "cpu_after": (CPU,) * frames,
        "proposals": (200,) * frames,
        "detections": (12,) * frames,
        "affinity": (CPU,),
        "affinity_after": (CPU,),
        "measured_s": seconds,
        "clocks": tuple({"at_s": float(s), "cpu": CPU, "khz": 2_803_200} for s in range(int(seconds) + 1)),
        "before": snapshot(10.0, 1.0),
        "after": snapshot(10.0 + seconds, 1.0 + seconds),
    }
    return {**base, **changes}


LAYERS = (
    ("features", "conv_0", "Convolution", "backbone.stem.0", 3.0),
    ("features", "relu_1", "ReLU", "", 0.5),
    ("features", "conv_2", "Convolution", "cem.reduce", 1.5),
    ("head", "gemm_0", "Gemm", "head.fc", 5.0),
)


def layer_run(frames: int = 8, without: float = 10.0, cost: float = 0.25) -> dict[str, Any]:
    """Frames in pairs: with and without the clock of `LAYERS`, which costs `cost` milliseconds."""
    timed = tuple(i % 2 == i // 2 % 2 for i in range(frames))
    totals = [without + cost * on for on in timed]
    names = ("stage", "name", "type", "module", "milliseconds")
    return {
        "run": run(frames, milliseconds=tuple(tuple(t * share for share in SHARES) for t in totals)),
        "timed": timed,
        "layers": tuple(dict(zip(names, layer, strict=True)) for layer in LAYERS),
    }


def measurement(**changes: Any) -> Measurement:
    """A VALID measurement of SNet49 on a Snapdragon 845, with whole fields replaced by `changes`."""
    check = {"name": "features.sam", "max_abs": 1e-5, "tolerance": 1e-3, "ok": True, "note": ""}
    boxes = {"name": "image to boxes", "max_abs": 0.012, "tolerance": 0.1, "ok": True, "note": "12/12 agree"}
    base: dict[str, Any] = {
        "schema_version": 3,
        "kind": "bench",
        "created": "2026-11-21T10:00:00Z",
        "source": {"version": "0.1.0", "commit": "0" * 40, "changed": False},
        "target": {"kind": "adb", "address": "0123456789ABCDEF"},
        "device": {
            "name": "OnePlus 6",
            "soc": "Snapdragon 845",
            "system": "Android",
            "release": "11",
            "architecture": "aarch64",
            "emulated": False,
            "memory_bytes": 8 << 30,
            "cpu_features": ("neon", "fp16", "dotprod"),
            "cores": (
                {"cpu": 0, "least_khz": 300_000, "most_khz": 1_766_400, "capacity": 400},
                {"cpu": CPU, "least_khz": 300_000, "most_khz": 2_803_200, "capacity": 1024},
            ),
            "properties": {"platform": "sdm845"},
        },
        "engine": {
            "runner": "pocketdet-run 0.1.0",
            "language": "C++",
            "name": "ncnn",
            "version": "1.0.20261020",
            "flags": "g++ 12, NCNN_OPENMP=OFF",
            "processor": "CPU",
            "cpu_features": ("asimdhp",),
            "threads": 1,
            "precision_requested": "fp32",
            "precision_observed": "fp32",
        },
        "bundle": {
            "name": "thundernet-snet49",
            "architecture": "thundernet-snet49",
            "digest": "a" * 64,
            "input": (320, 320),
            "classes": 80,
            "rois": 200,
            "macs": 263_500_000,
            "weight_storage": "fp32",
            "lanes": 1,
            "layout_target": None,
        },
        "protocol": {
            "quick": False,
            "warm_up": 20,
            "frames": 1024,
            "seconds": 60.0,
            "cool_down_s": 30.0,
            "cpu": CPU,
            "pictures": ({"name": "standard1-0.png", "width": 640, "height": 480, "sha256": "b" * 64},),
        },
        "golden": {"checks": (check, boxes)},
        "run": run(),
        "roi_sweep": (),
        "sustained": None,
    }
    for name, change in changes.items():
        whole = not isinstance(change, dict) or name in ("run", "sustained", "layers")
        base[name] = change if whole else {**base[name], **change}
    return Measurement.model_validate(base)


def record(**changes: Any) -> Record:
    """`measurement`, completed."""
    return complete(measurement(**changes))
