"""Step 6c of the export: say what int8 gains on ARM cores, and keep it with the reference files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pocketdet.export.quantization.arm_gain import CoreGain, arm_rates, layer_works, predict_gain
from pocketdet.runtime.bundle.schema import Graphs
from pocketdet.runtime.ncnn_graph import infer_shapes, read_graph
from pocketdet.runtime.precision import narrowest

GAIN_FILE: Final = "reference/gain.int8.json"
_TITLE: Final = (
    "int8 on ARM, predicted from modelled cycles, not measured: M cycles of the networks on one core, and "
    "how many times as fast as in fp16"
)
_HEAD: Final = ("core", "fp16", "int8, others fp16", "int8, others fp32")


def write_int8_gain(graphs: Graphs, rois: int, folder: Path) -> list[str]:
    """Predict the cycles of the finished graphs in fp16 and int8, and write `GAIN_FILE`.

    Args:
        graphs: of the detector.
        rois: rows of the input of a graph of RoIs.
        folder: of the bundle, with the files of the graphs.

    Returns:
        Lines of a table. If no fitted network has layers like these, one sentence, and there is no file.
    """
    works = []
    for spec in graphs.by_name().values():
        graph = read_graph(folder / spec.param)
        works += layer_works(graph, infer_shapes(graph, spec.input_shapes(rois)))
    gains = predict_gain(works)
    if not gains:
        return ["what int8 gains on ARM is not predicted: no fitted network has layers like these"]
    document = {
        "measured": False,
        "method": "predicted from modelled cycles of other networks; one thread, the networks alone",
        "rois": rois,
        "cores": [_record(gain) for gain in gains],
    }
    (folder / GAIN_FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    asked = narrowest(spec.arithmetic for spec in graphs.by_name().values())
    advice = "" if asked == "fp16" else "; --precision fp16 overrides that"
    others = f"others: layers that are not int8; this bundle asks for {asked} in them{advice}"
    return [_TITLE, *_table(gains), _errors(), others]


def _record(gain: CoreGain) -> dict[str, Any]:
    """A JSON object whose keys cannot be mistaken for a measurement."""
    rates = next(core for core in arm_rates().cores if core.core == gain.core)
    return {
        "core": gain.core,
        "predicted_cycles_fp16": round(gain.fp16),
        "predicted_cycles_int8_others_fp16": round(gain.int8),
        "predicted_cycles_int8_others_fp32": round(gain.int8_fp32),
        "median_error": rates.median_error,
        "largest_error": rates.largest_error,
    }


def _table(gains: Sequence[CoreGain]) -> list[str]:
    rows = [_HEAD, *map(_row, gains)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _row(gain: CoreGain) -> tuple[str, ...]:
    speeds = (f"{cycles / 1e6:.1f}, {gain.fp16 / cycles:.2f} times" for cycles in (gain.int8, gain.int8_fp32))
    return gain.core, f"{gain.fp16 / 1e6:.1f}", *speeds


def _errors() -> str:
    cores = arm_rates().cores
    errors = "; ".join(f"{c.core} {c.median_error:.0%}, at most {c.largest_error:.0%}" for c in cores)
    return f"error of the times, median of {cores[0].networks} networks that a fit had not seen: {errors}"
