"""Convert the JSON documents of a runner, pocketdet-run or `python_runner`, to parts of a record.

The documents come from a device and are untrusted: one that does not fit is an error that names the device.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from pydantic import ValidationError

from pocketdet.benchmarks.layers import LayerNames
from pocketdet.benchmarks.record import (
    ClockReading,
    Core,
    CoreClock,
    CpuTime,
    Device,
    Engine,
    EngineName,
    Golden,
    GoldenCheck,
    Image,
    LayerRun,
    LayerTime,
    Run,
    Snapshot,
    Supply,
    Throttling,
    Usage,
    Zone,
)
from pocketdet.errors import EngineError

Document = Mapping[str, Any]
_TICKS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_VERSION = re.compile(r"(\w+) (\S+) ?\(?(.*?)\)?", re.DOTALL)


@contextmanager
def parse_errors(what: str, where: str) -> Iterator[None]:
    """Context in which a document is parsed.

    Raises:
        EngineError: If the document lacks a field, or a field has another type than expected.
    """
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(map(str, first["loc"]))
        raise EngineError(f"{where}: {what} of the runner: {path}: {first['msg']}") from None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise EngineError(
            f"{where}: {what} of the runner cannot be read: {type(error).__name__} {error}; "
            "the runner may be of another version: rebuild it"
        ) from error


def device_from(document: Document, properties: Mapping[str, str], name: str | None) -> Device:
    """Convert a `machine` document.

    Args:
        document: The document.
        properties: What the target reports about the device.
        name: Name of the device in tables; `None` for its own name.
    """
    machine = document["machine"]
    soc = properties.get("soc") or _first(machine, "Hardware")
    own = properties.get("name") or machine.get("device_model") or _first(machine, "model name") or soc
    return Device(
        name=name or str(own or f"{machine['system']} {machine['architecture']}"),
        soc=soc or None,
        system=properties.get("system") or machine["system"],
        release=properties.get("release") or machine["release"],
        architecture=machine["architecture"],
        emulated=machine["emulated"],
        memory_bytes=machine["memory_bytes"],
        cpu_features=tuple(machine["cpu_features"]),
        cores=tuple(_core(core) for core in machine["cpus"]),
        properties={k: v for k, v in properties.items() if v},
    )


def engine_from(document: Document) -> Engine:
    """Convert the header of a document about a bundle.

    Args:
        document: A `verify` or `bench` document.
    """
    engine, program = document["engine"], document["program"]
    name: EngineName = "torch" if "torch" in engine else "ncnn"
    found = _VERSION.fullmatch(engine[name])
    if found is None or found[1] != name:
        raise ValueError(f"{engine[name][:60]!r} is no version of {name}")
    return Engine(
        runner=program,
        language="Python" if "python" in program.lower() else "C++",
        name=name,
        version=found[2],
        flags=found[3],
        processor=engine.get("processor", "CPU"),
        cpu_features=tuple(engine["cpu_features"]),
        threads=engine["threads"],
        precision_requested=engine["precision_asked"],
        precision_observed=engine["precision"],
    )


def golden_from(document: Document) -> Golden:
    """Convert a `verify` document."""
    names = ("name", "max_abs", "tolerance", "ok", "note")
    return Golden(
        checks=tuple(
            GoldenCheck(**{n: check[n] for n in names}, proved=check.get("proved", True))
            for check in document["checks"]
        )
    )


def images_from(document: Document) -> tuple[Image, ...]:
    """Convert the images of a `bench` document.

    Returns:
        Name, size and digest of each image.
    """
    return tuple(
        Image(
            name=image["image"].rpartition("/")[2],
            width=image["width"],
            height=image["height"],
            sha256=image["sha256"],
        )
        for image in document["images"]
    )


def run_from(document: Document) -> Run:
    """Convert the samples of a `bench` document, and the state of the device before and after them."""
    samples = document["samples"]
    throttling = document.get("android", {"thermal": {}})["thermal"]
    return Run(
        stages=tuple(document["stages"]),
        milliseconds=tuple(tuple(float(ms) for ms in row) for row in samples["milliseconds"]),
        started_s=tuple(float(s) for s in samples["started_s"]),
        cpu_before=tuple(samples["cpu_before"]),
        cpu_after=tuple(samples["cpu_after"]),
        proposals=tuple(samples["rois"]),
        detections=tuple(samples["detections"]),
        affinity=tuple(document["affinity"]),
        affinity_after=tuple(document["affinity_after"]),
        measured_s=float(document["measured_s"]),
        clocks=tuple(
            ClockReading(at_s=float(c["at_s"]), cpu=c["cpu"], khz=c["khz"] or None)
            for c in document["clocks"]
        ),
        before=_snapshot(document["before"], throttling.get("before")),
        after=_snapshot(document["after"], throttling.get("after")),
        load_ms=float(document["load_ms"]),
        first_frame_ms=float(document["first_frame_ms"]),
    )


def layers_from(document: Document, names: LayerNames) -> LayerRun:
    """Convert a `bench` document with the times of layers.

    Args:
        document: The document.
        names: Type and PyTorch module of every layer, by stage and name.

    Returns:
        The run, and the median of every layer.
    """
    found = document["layers"]
    keys = [(layer["stage"], layer["name"]) for layer in found["names"]]
    timed = tuple(found["timed"])
    times = np.asarray(found["nanoseconds"], np.float64)
    if times.shape != (sum(timed), len(keys)):
        raise ValueError(f"times of {times.shape} for {sum(timed)} frames and {len(keys)} layers")
    medians = np.median(times, axis=0) / 1e6
    layers = (
        LayerTime(stage=key[0], name=key[1], type=names[key][0], module=names[key][1], milliseconds=ms)
        for key, ms in zip(keys, medians.tolist(), strict=True)
    )
    return LayerRun(run=run_from(document), timed=timed, layers=tuple(layers))


def _snapshot(document: Document, throttling: Document | None) -> Snapshot:
    sensors, usage = document["sensors"], document["usage"]
    load = str(sensors.get("loadavg", "")).split()
    return Snapshot(
        clocks=tuple(CoreClock(**_only(CoreClock, cpu)) for cpu in sensors["cpus"]),
        thermal=tuple(
            Zone(zone=z["zone"], type=_text(z.get("type")), celsius=_scaled(z.get("millidegrees"), 1000))
            for z in sensors["thermal"]
        ),
        power=tuple(
            Supply(
                supply=s["supply"],
                type=_text(s.get("type")),
                status=_text(s.get("status")),
                capacity=s.get("capacity"),
                celsius=_scaled(s.get("temp"), 10),  # tenths of a degree, says the kernel's ABI
                online=s.get("online"),
            )
            for s in sensors.get("power", ())
        ),
        load=float(load[0]) if load else None,
        cpu_times=tuple(filter(None, map(_cpu_time, sensors.get("jiffies", ())))),
        usage=Usage(
            user_s=float(usage["user_s"]),
            system_s=float(usage["system_s"]),
            page_faults=usage["page_faults"],
            waited=usage["switched_out_itself"],
            preempted=usage["switched_out_by_others"],
            most_memory_kib=usage["most_memory_kib"],
        ),
        throttling=None if throttling is None else Throttling(**throttling),
    )


def _cpu_time(line: str) -> CpuTime | None:
    """Parse one line of /proc/stat; `None` for the line that sums up all cores."""
    name, *ticks = line.split()
    if name == "cpu":
        return None
    padded = [*map(int, ticks), *[0] * len(_TICKS)]
    return CpuTime(cpu=int(name.removeprefix("cpu")), **dict(zip(_TICKS, padded, strict=False)))


def _core(document: Document) -> Core:
    midr = document.get("midr")
    return Core(
        cpu=document["cpu"],
        least_khz=document.get("least_khz"),
        most_khz=document.get("most_khz"),
        capacity=document.get("capacity"),
        midr=_text(midr),
    )


def _only(part: type[CoreClock], document: Document) -> dict[str, Any]:
    return {name: document[name] for name in part.model_fields if name in document}


def _first(machine: Document, field: str) -> str:
    values = machine.get(field) or [""]
    return str(values[0])


def _text(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _scaled(value: object, divisor: int) -> float | None:
    return value / divisor if isinstance(value, int) else None
