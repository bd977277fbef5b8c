"""Engines against each other on a real bundle, and what is printed, drawn and written of it."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from pocketdet.benchmarks.contest import Plan
from pocketdet.benchmarks.engine_contest import (
    ALIGNED,
    FEATURES,
    HEAD,
    PLAIN,
    WHOLE,
    Entrant,
    Field,
    LeftOut,
    Outcome,
    Part,
    compete,
)
from pocketdet.benchmarks.engine_plot import MOST_BUNDLES, write_plot
from pocketdet.benchmarks.engine_report import EngineReport
from pocketdet.benchmarks.engine_table import print_report
from pocketdet.benchmarks.entrants import onnx_entrants
from pocketdet.benchmarks.machine import Machine, Peak
from pocketdet.errors import EngineError, UsageError
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.engines import NcnnEngine
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.ncnn_graph import read_graph

PARTS = (FEATURES, HEAD, WHOLE)
SHORT = Plan(rounds=2, burst=2, refill=1, warm_up=0)
MACHINE = Machine("Linux", "a [bold] processor", "x86_64", 2, "performance", 0.5, {"ncnn": "1.0"})


@pytest.fixture(scope="module")
def bundle(small_bundle: Path) -> Iterator[Bundle]:
    with load_bundle(small_bundle) as loaded:
        yield loaded


class Lying:
    """ncnn with one value of one output changed, or an error in its place."""

    precision = "fp32"

    def __init__(self, engine: NcnnEngine, role: str, by: float) -> None:
        self.engine, self.role, self.by = engine, role, by

    def run(self, graph: GraphName, inputs: Mapping[str, Array]) -> dict[str, Array]:
        found = self.engine.run(graph, inputs)
        if self.role in found:
            if np.isnan(self.by):
                raise EngineError("the engine gave up")
            found[self.role].flat[0] += self.by
        return found


def field_of(bundle: Bundle, *more: Entrant) -> Field:
    engine = NcnnEngine(bundle.manifest.graphs.by_name(), bundle.path)
    specs = bundle.manifest.graphs.by_name()
    plain = {name: read_graph(bundle.path(s.param), bundle.path(s.bin)) for name, s in specs.items()}
    others, left_out = onnx_entrants(bundle)
    entrants = (Entrant(PLAIN, "its own graphs", engine), *others, *more)
    return Field(bundle.manifest, bundle.digest, plain, entrants, tuple(left_out))


def test_all_engines_agree_and_are_timed(bundle: Bundle) -> None:
    seen: list[tuple[str, int]] = []
    image = bundle.golden()["image"]
    outcome = compete(field_of(bundle), image, None, SHORT, lambda *step: seen.append(step))
    assert outcome.failed == {}
    assert [part.name for part in outcome.parts] == list(PARTS)
    for part in outcome.parts:
        assert list(part.samples) == [PLAIN, "onnxruntime", "openvino"]
        assert all(s.shape == (2, 1) and (s > 0).all() for s in part.samples.values())
        assert seen.count((part.name, 6)) == 6
    features, head, whole = (part.macs for part in outcome.parts)
    assert outcome.rois == 200
    assert head % 200 == 0
    assert whole == features + head // 200 * outcome.proposals
    few = compete(field_of(bundle), image, 7, SHORT)
    assert (few.rois, few.parts[1].macs, few.proposals) == (7, head // 200 * 7, 7)


def test_a_one_stage_detector_has_one_network(tiny_one_stage_template: Path, tmp_path: Path) -> None:
    with load_bundle(tiny_one_stage_template) as bundle:
        specs = bundle.manifest.graphs.by_name()
        engines = [NcnnEngine(specs, bundle.path) for _ in range(2)]
        graphs = {name: read_graph(bundle.path(s.param), bundle.path(s.bin)) for name, s in specs.items()}
        liar = Entrant("liar", "", Lying(engines[0], "rows", 0.5))
        entrants = (Entrant(PLAIN, "", engines[0]), Entrant("twin", "", engines[1]), liar)
        field = Field(bundle.manifest, bundle.digest, graphs, entrants, ())
        image = bundle.golden()["image"]
        outcome = compete(field, image, None, SHORT)
        with pytest.raises(UsageError, match="rois=7: tiny-one-stage is a one-stage detector"):
            compete(field, image, 7, SHORT)
    assert [part.name for part in outcome.parts] == ["model", WHOLE]
    assert [list(part.samples) for part in outcome.parts] == [[PLAIN, "twin"]] * 2
    assert outcome.parts[0].macs == outcome.parts[1].macs == 64 * (216 + 144 + 576) + 16 * 112 + 4 * 504
    assert (outcome.rois, outcome.proposals, outcome.detections) == (0, 0, 18)
    assert "model.rows" in outcome.failed["liar"][0]
    text = printed(report_of(outcome))
    assert "(18 detections)" in text
    assert "RoIs" not in text
    write_plot(tmp_path / "one.png", report_of(outcome))
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
    field = field_of(bundle, Entrant("liar", "", Lying(engine, role, by)))
    outcome = compete(field, bundle.golden()["image"], 20, SHORT)
    assert list(outcome.failed) == ["liar"]
    assert any(words in line for line in outcome.failed["liar"])
    assert all("liar" not in part.samples for part in outcome.parts)
    assert not report_of(outcome).ok


def test_a_first_engine_that_fails_ends_it(bundle: Bundle) -> None:
    field = field_of(bundle)
    broken = Entrant("broken", "", Lying(field.entrants[0].engine, "sam", float("nan")))
    with pytest.raises(EngineError, match="gave up"):
        compete(Field(field.manifest, "", field.plain, (broken,), ()), bundle.golden()["image"], 5, SHORT)


def made_up(bundle: Bundle, failed: dict[str, tuple[str, ...]] | None = None) -> Outcome:
    """Aligned takes half of plain's time; onnxruntime does not take part."""
    engine = NcnnEngine(bundle.manifest.graphs.by_name(), bundle.path)
    entrants = tuple(Entrant(name, f"{name} [x]", engine) for name in (PLAIN, ALIGNED, *(failed or {})))
    field = Field(bundle.manifest, "0" * 64, {}, entrants, (LeftOut("onnxruntime", "not installed: pip"),))
    samples = {PLAIN: np.full((4, 3), 8.0), ALIGNED: np.full((4, 3), 4.0)}
    parts = tuple(Part(name, 100_000_000, samples) for name in PARTS)
    return Outcome(field, 200, 200, 3, parts, failed or {})


def report_of(*outcomes: Outcome) -> EngineReport:
    return EngineReport(MACHINE, 1.5, Peak("avx2+fma", 90.0, 100.0), Plan(rounds=4), "photo.jpg", outcomes)


def printed(report: EngineReport, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_report(report, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_says_it_all_in_80_columns(bundle: Bundle) -> None:
    text = printed(report_of(made_up(bundle)))
    assert "…" not in text
    rows = [line.split() for line in text.splitlines() if "aligned ncnn  " in line]
    assert [row[-6:] for row in rows] == [["4.00", "4.00", "2.00", "[2.00,", "2.00]", "50%"]] * 3
    assert "aligned ncnn, image to boxes: 2.00× [2.00, 2.00] as fast as plain ncnn" in text
    assert "left out: onnxruntime, not installed: pip" in text
    assert "head, 200 RoIs" in text
    assert "FMA peak of one thread (avx2+fma): 90.0 GFLOP/s before, 100.0 after" in text
    assert "load: 0.50 runnable tasks before, 1.50 after (this run is one)\n" in text
    busy = replace(report_of(made_up(bundle)), machine=replace(MACHINE, load=1.3))
    assert "others were at work: trust the ratios" in printed(busy)
    assert "a [bold] processor" in text  # what a machine or a bundle is called is not markup


def test_the_table_shows_who_failed(bundle: Bundle) -> None:
    text = printed(report_of(made_up(bundle, {"liar": ("-[x] head (200, 8) max abs 1.0",)})))
    assert "liar does not agree with plain ncnn and was not timed:" in text
    assert "  -[x] head (200, 8) max abs 1.0" in text


def test_the_record_holds_every_sample(bundle: Bundle) -> None:
    report = report_of(made_up(bundle))
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


def test_the_plot_grows_no_wider_and_marks_who_is_missing(bundle: Bundle, tmp_path: Path) -> None:
    one, failed = made_up(bundle), made_up(bundle, {"liar": ("x",)})
    sizes = []
    for count, outcomes in enumerate(((one,), (one, failed), (one,) * MOST_BUNDLES)):
        write_plot(tmp_path / f"{count}.png", report_of(*outcomes))
        pixels = cv2.imread(str(tmp_path / f"{count}.png"))
        sizes.append(pixels.shape)
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    assert {width for _, width, _ in sizes} == {1200}
    assert sizes[1][0] > sizes[0][0]  # a row for the one that was not timed
    with pytest.raises(UsageError, match="fit side by side"):
        write_plot(tmp_path / "many.png", report_of(*(one,) * (MOST_BUNDLES + 1)))
    assert not (tmp_path / "many.png").exists()
