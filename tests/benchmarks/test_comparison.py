"""Comparison of engines on a real bundle, and its table, plot and record."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from pocketdet.benchmarks.comparison import (
    ALIGNED,
    FEATURES,
    HEAD,
    NATIVE,
    PLAIN,
    WHOLE,
    Comparison,
    ComparisonReport,
    ComparisonResult,
    EngineCase,
    ExcludedEngine,
    TimedPart,
    compare_engines,
)
from pocketdet.benchmarks.machine import Machine, Peak
from pocketdet.benchmarks.plan import InterleavedPlan
from pocketdet.benchmarks.report.comparison import MOST_BUNDLES, print_report, write_plot
from pocketdet.cli.bench_cases import onnx_cases
from pocketdet.errors import EngineError, UsageError
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.engines import NcnnEngine
from pocketdet.runtime.engines.base import Array, Engine, GraphName
from pocketdet.runtime.ncnn_graph import read_graph
from pocketdet.runtime.precision import Arithmetic

PARTS = (FEATURES, HEAD, WHOLE)
SHORT = InterleavedPlan(rounds=2, burst=2, refill=1, warm_up=0)
MACHINE = Machine("Linux", "a [bold] processor", "x86_64", 2, "performance", 0.5, {"ncnn": "1.0"})


@pytest.fixture(scope="module")
def bundle(small_bundle: Path) -> Iterator[Bundle]:
    with load_bundle(small_bundle) as loaded:
        yield loaded


class ModifiedEngine:
    """ncnn with one value of one output changed, or an error instead."""

    precision: Arithmetic = "fp32"

    def __init__(self, engine: Engine, role: str, by: float) -> None:
        self.engine, self.role, self.by = engine, role, by

    def run(self, graph: GraphName, inputs: Mapping[str, Array]) -> dict[str, Array]:
        found = self.engine.run(graph, inputs)
        if self.role in found:
            if np.isnan(self.by):
                raise EngineError("the engine gave up")
            found[self.role].flat[0] += self.by
        return found


def comparison_of(bundle: Bundle, *more: EngineCase) -> Comparison:
    engine = NcnnEngine(bundle.manifest.graphs.by_name(), bundle.path)
    specs = bundle.manifest.graphs.by_name()
    plain = {name: read_graph(bundle.path(s.param), bundle.path(s.bin)) for name, s in specs.items()}
    others, excluded = onnx_cases(bundle)
    cases = (EngineCase(PLAIN, "its own graphs", engine), *others, *more)
    return Comparison(bundle.manifest, bundle.digest, plain, cases, tuple(excluded))


def test_all_engines_agree_and_are_timed(bundle: Bundle) -> None:
    seen: list[tuple[str, int]] = []
    image = bundle.golden()["image"]
    result = compare_engines(comparison_of(bundle), image, None, SHORT, lambda *step: seen.append(step))
    assert result.failed == {}
    assert [part.name for part in result.parts] == list(PARTS)
    for part in result.parts:
        assert list(part.samples) == [PLAIN, "onnxruntime", "openvino"]
        assert all(s.shape == (2, 1) and (s > 0).all() for s in part.samples.values())
        assert seen.count((part.name, 6)) == 6
    features, head, whole = (part.macs for part in result.parts)
    assert result.rois == 200
    assert head % 200 == 0
    assert whole == features + head // 200 * result.proposals
    few = compare_engines(comparison_of(bundle), image, 7, SHORT)
    assert (few.rois, few.parts[1].macs, few.proposals) == (7, head // 200 * 7, 7)


def test_a_one_stage_detector_has_one_network(tiny_one_stage_template: Path, tmp_path: Path) -> None:
    with load_bundle(tiny_one_stage_template) as bundle:
        specs = bundle.manifest.graphs.by_name()
        engines = [NcnnEngine(specs, bundle.path) for _ in range(2)]
        graphs = {name: read_graph(bundle.path(s.param), bundle.path(s.bin)) for name, s in specs.items()}
        liar = EngineCase("liar", "", ModifiedEngine(engines[0], "rows", 0.5))
        cases = (EngineCase(PLAIN, "", engines[0]), EngineCase("counterpart", "", engines[1]), liar)
        comparison = Comparison(bundle.manifest, bundle.digest, graphs, cases, ())
        image = bundle.golden()["image"]
        result = compare_engines(comparison, image, None, SHORT)
        with pytest.raises(UsageError, match="rois=7: tiny-one-stage is a one-stage detector"):
            compare_engines(comparison, image, 7, SHORT)
    assert [part.name for part in result.parts] == ["model", WHOLE]
    assert [list(part.samples) for part in result.parts] == [[PLAIN, "counterpart"]] * 2
    assert result.parts[0].macs == result.parts[1].macs == 64 * (216 + 144 + 576) + 16 * 112 + 4 * 504
    assert (result.rois, result.proposals, result.detections) == (0, 0, 18)
    assert "model.rows" in result.failed["liar"][0]
    text = printed(report_of(result))
    assert "(18 detections)" in text
    assert "RoIs" not in text
    write_plot(tmp_path / "one.png", report_of(result))
    assert (tmp_path / "one.png").is_file()


@pytest.mark.parametrize(
    ("role", "by", "words"),
    [
        ("sam", 1e3, "features.sam"),
        ("class_logits_and_deltas", 1e3, "head"),
        ("sam", float("nan"), "the engine gave up"),
    ],
)
def test_an_engine_that_disagrees_is_not_timed(bundle: Bundle, role: str, by: float, words: str) -> None:
    engine = NcnnEngine(bundle.manifest.graphs.by_name(), bundle.path)
    comparison = comparison_of(bundle, EngineCase("liar", "", ModifiedEngine(engine, role, by)))
    result = compare_engines(comparison, bundle.golden()["image"], 20, SHORT)
    assert list(result.failed) == ["liar"]
    assert any(words in line for line in result.failed["liar"])
    assert all("liar" not in part.samples for part in result.parts)
    assert not report_of(result).ok


def test_a_failure_of_the_reference_ends_the_comparison(bundle: Bundle) -> None:
    comparison = comparison_of(bundle)
    broken = EngineCase("broken", "", ModifiedEngine(comparison.cases[0].engine, "sam", float("nan")))
    single = Comparison(comparison.manifest, "", comparison.plain, (broken,), ())
    with pytest.raises(EngineError, match="gave up"):
        compare_engines(single, bundle.golden()["image"], 5, SHORT)


def fake_result(bundle: Bundle, failed: dict[str, tuple[str, ...]] | None = None) -> ComparisonResult:
    """Aligned ncnn takes half the time of plain ncnn, native a quarter; onnxruntime is excluded."""
    engine = NcnnEngine(bundle.manifest.graphs.by_name(), bundle.path)
    names = (PLAIN, ALIGNED, NATIVE, *(failed or {}))
    cases = tuple(EngineCase(name, f"{name} [x]", engine) for name in names)
    excluded = (ExcludedEngine("onnxruntime", "not installed: pip"),)
    comparison = Comparison(bundle.manifest, "0" * 64, {}, cases, excluded)
    samples = {name: np.full((4, 3), ms) for name, ms in ((PLAIN, 8.0), (ALIGNED, 4.0), (NATIVE, 2.0))}
    parts = tuple(TimedPart(name, 100_000_000, samples) for name in PARTS)
    return ComparisonResult(comparison, 200, 200, 3, parts, failed or {})


def report_of(*results: ComparisonResult) -> ComparisonReport:
    return ComparisonReport(
        MACHINE, 1.5, Peak("avx2+fma", 90.0, 100.0), InterleavedPlan(rounds=4), "photo.jpg", results
    )


def printed(report: ComparisonReport, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_report(report, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_fits_in_80_columns(bundle: Bundle) -> None:
    text = printed(report_of(fake_result(bundle)))
    assert "…" not in text
    rows = [line.split() for line in text.splitlines() if "aligned ncnn  " in line]
    assert [row[-6:] for row in rows] == [["4.00", "4.00", "2.00", "[2.00,", "2.00]", "50%"]] * 3
    assert "aligned ncnn, image to boxes: 2.00× [2.00, 2.00] as fast as plain ncnn, 0.50×" in text
    assert "native, image to boxes: 4.00× [4.00, 4.00] as fast as plain ncnn, 2.00×" in text
    assert "left out: onnxruntime, not installed: pip" in text
    assert "head, 200 RoIs" in text
    assert "FMA peak of one thread (avx2+fma): 90.0 GFLOP/s before, 100.0 after" in text
    assert "load: 0.50 runnable tasks before, 1.50 after (this run is one)\n" in text
    busy = replace(report_of(fake_result(bundle)), machine=replace(MACHINE, load=1.3))
    assert "others were at work: trust the ratios" in printed(busy)
    assert "a [bold] processor" in text  # names of machines and bundles are not markup


def test_the_table_reports_failed_engines(bundle: Bundle) -> None:
    text = printed(report_of(fake_result(bundle, {"liar": ("-[x] head (200, 8) max abs 1.0",)})))
    assert "liar does not agree with plain ncnn and was not timed:" in text
    assert "  -[x] head (200, 8) max abs 1.0" in text


def test_the_record_holds_every_sample(bundle: Bundle) -> None:
    report = report_of(fake_result(bundle))
    record = json.loads(json.dumps(report.to_json()))
    assert (record["schema_version"], record["ok"], record["threads"]) == (1, True, 1)
    assert record["machine"]["load_after"] == 1.5
    (found,) = record["bundles"]
    assert found["manifest_sha256"] == "0" * 64
    whole = found["parts"][2]
    assert whole["name"] == "image to boxes"
    aligned = whole["entrants"][1]
    assert aligned["name"] == ALIGNED
    assert aligned["milliseconds"]["median"] == 4
    assert aligned["times_as_fast"] == {"value": 2, "low": 2, "high": 2}
    assert aligned["peak_share"] == pytest.approx(0.5)
    assert aligned["samples"] == [[4.0] * 3] * 4


@pytest.mark.slow
def test_the_plot_has_a_fixed_width_and_marks_missing_engines(bundle: Bundle, tmp_path: Path) -> None:
    one, failed = fake_result(bundle), fake_result(bundle, {"liar": ("x",)})
    sizes = []
    for count, results in enumerate(((one,), (one, failed), (one,) * MOST_BUNDLES)):
        write_plot(tmp_path / f"{count}.png", report_of(*results))
        pixels = cv2.imread(str(tmp_path / f"{count}.png"))
        assert pixels is not None
        sizes.append(pixels.shape)
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    assert {width for _, width, _ in sizes} == {1200}
    assert sizes[1][0] > sizes[0][0]  # a row for the one that was not timed
    with pytest.raises(UsageError, match="fit side by side"):
        write_plot(tmp_path / "many.png", report_of(*(one,) * (MOST_BUNDLES + 1)))
    assert not (tmp_path / "many.png").exists()
