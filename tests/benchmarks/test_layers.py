"""Measured layers: names, documents of the runner, what the clock costs, tables, the command line."""

import copy
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_records import LAYERS, layer_run, record, run
from command_line import Ending, command
from hypothesis import given, settings
from hypothesis import strategies as st
from native_runner import Runner
from needs import NATIVE
from rich.console import Console

from pocketdet.benchmarks.layers import clock_cost, layer_names, times_by_type
from pocketdet.benchmarks.record import LayerRun
from pocketdet.benchmarks.record_io import parse_record, read_record, to_json
from pocketdet.benchmarks.report.tables import layer_tables
from pocketdet.benchmarks.targets import PYTHON_RUNNER, documents
from pocketdet.cli.bench_display import print_records
from pocketdet.errors import EngineError
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.native_build import X86_64
from pocketdet.runtime.ncnn_graph import read_graph

__all__ = ["command"]

BUILT = X86_64.runner
NAMES = {(stage, name): (kind, module) for stage, name, kind, module, _ in LAYERS}


@pytest.fixture(scope="module")
def document(small_bundle: Path) -> dict[str, Any]:
    """A bench document of four frames with four layers."""
    found = Runner(PYTHON_RUNNER).json("bench", small_bundle, "--frames", "4", "--warmup", "0")
    found["layers"] = {
        "names": [{"stage": stage, "name": name} for stage, name in NAMES],
        "timed": [True, False, False, True],
        "nanoseconds": [[3_000_000, 500_000, 1_000_000, 0], [5_000_000, 700_000, 2_000_000, 0]],
    }
    return found


def test_a_document_is_converted(document: dict[str, Any]) -> None:
    found = documents.layers_from(document, NAMES)
    assert [layer.milliseconds for layer in found.layers] == [4.0, 0.6, 1.5, 0.0]
    assert [layer.module for layer in found.layers] == [module for *_, module, _ in LAYERS]
    assert found.run.frames == 4
    assert found.run.load_ms is not None
    assert found.run.load_ms > 0
    assert found.run.first_frame_ms == pytest.approx(sum(found.run.milliseconds[0]))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"timed": [True, True, False, True]}, "times of (2, 4) for 3 frames and 4 layers"),
        ({"names": [{"stage": "features", "name": "other"}]}, "times of (2, 4) for 2 frames and 1 layers"),
        ({"names": [{"stage": "head", "name": "other"}] * 4}, "KeyError ('head', 'other')"),
        ({"nanoseconds": [[1, 2, 3, "x"]] * 2}, "could not convert string to float"),
    ],
)
def test_documents_that_do_not_fit_are_refused(
    document: dict[str, Any], changes: dict[str, Any], problem: str
) -> None:
    changed = {**document, "layers": {**document["layers"], **changes}}
    with (
        pytest.raises(EngineError) as caught,
        documents.parse_errors("document 'bench'", "adb:1"),
    ):
        documents.layers_from(changed, NAMES)
    assert problem in str(caught.value)


values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8), st.just([])
)


@given(st.data())
@settings(max_examples=100)
def test_any_value_anywhere(document: dict[str, Any], data: st.DataObject) -> None:
    changed = copy.deepcopy(document)
    field = data.draw(st.sampled_from(["names", "timed", "nanoseconds"]))
    place = data.draw(st.sampled_from([None, 0, 1]))
    if place is None:
        changed["layers"][field] = data.draw(values)
    else:
        changed["layers"][field][place] = data.draw(values)
    try:
        with documents.parse_errors("document 'bench'", "adb:1"):
            assert isinstance(documents.layers_from(changed, NAMES), LayerRun)
    except EngineError as error:
        assert "\n" not in str(error)


def test_layers_have_the_names_of_modules(small_bundle: Path) -> None:
    with load_bundle(small_bundle) as bundle:
        names = layer_names(bundle)
        sources = bundle.manifest.graphs.by_name()["features"].layer_sources
    modules = {module for (stage, _), (_, module) in names.items() if stage == "features" and module}
    assert modules <= set(sources.values())
    assert {stage for stage, _ in names} == {"features", "head"}
    assert sum(bool(module) for _, module in names.values()) > len(names) / 2


def test_the_cost_of_the_clock_is_that_of_pairs() -> None:
    found = record(layers=layer_run(9)).layers
    assert found is not None
    cost = clock_cost(found)
    assert (cost.with_clock, cost.without_clock) == (pytest.approx(10.25), pytest.approx(10.0))
    assert cost.difference == pytest.approx(0.25)
    assert (cost.low, cost.high) == (pytest.approx(0.25), pytest.approx(0.25))
    assert "costs +0.250 ms (+2.5%) of a frame, 95% interval [+0.250, +0.250]" in str(cost)
    assert "disturbed" not in str(cost)
    below = replace(cost, difference=-1.0, low=-1.5, high=-0.5)
    assert str(below).endswith("; a cost below 0 shows that another load disturbed the run")


def test_the_interval_of_the_cost_is_that_of_the_median() -> None:
    found = record(layers=layer_run(200)).layers
    assert found is not None
    times = np.array(found.run.milliseconds)
    pair = np.arange(200) // 2
    times[np.array(found.timed), 0] += pair[np.array(found.timed)]  # differences of 0.25 + 0 to 99 ms
    cost = clock_cost(found.model_copy(update={"run": found.run.model_copy(update={"milliseconds": times})}))
    # 40 and 59 of 100: the binomial distribution has 95% within 0.98 * sqrt(100) of the middle
    assert (cost.low, cost.difference, cost.high) == pytest.approx((40.25, 49.75, 59.25))


def test_types_are_added_up() -> None:
    found = record(layers=layer_run()).layers
    assert found is not None
    assert [(one.type, one.count, one.milliseconds) for one in times_by_type(found)] == [
        ("Gemm", 1, 5.0),
        ("Convolution", 2, 4.5),
        ("ReLU", 1, 0.5),
    ]


def test_tables_of_records_with_layers() -> None:
    timed, plain = record(layers=layer_run()), record()
    slowest, types = layer_tables([plain, timed], ["A", "B"])
    assert [row[3] for row in slowest.rows] == ["head.fc", "backbone.stem.0", "cem.reduce", "ReLU relu_1"]
    assert slowest.rows[0] == ("thundernet-snet49", "B", "head", "head.fc", "Gemm", "5.000", "50.0%")
    assert types.rows[1] == ("thundernet-snet49", "B", "Convolution", "2", "4.500", "45.0%")
    assert "the clock of the layers costs" in slowest.notes[0]
    assert not layer_tables([plain], ["A"])[0].rows
    emulated = record(layers=layer_run(), target={"kind": "emulated", "address": "cortex-a76"})
    assert not any(table.rows for table in layer_tables([emulated], ["B"]))
    stream = io.StringIO()
    print_records([(Path("r.json"), timed)], Console(file=stream, width=80, highlight=False))
    assert "thundernet-snet49 on OnePlus 6: Measured milliseconds of layers by type" in stream.getvalue()
    assert "head.fc" in stream.getvalue()
    assert parse_record(to_json(timed).encode(), "r.json") == timed


def test_the_start_is_in_the_table_of_times() -> None:
    from pocketdet.benchmarks.report import Entry, make_tables
    from pocketdet.benchmarks.report.write import to_csv

    entry = Entry(Path("r.json"), record(run={**run(), "load_ms": 31.25, "first_frame_ms": 55.0}))
    times = make_tables([entry])[1]
    shown = dict(zip(times.head, times.rows[0], strict=True))
    assert (shown["first frame"], shown["load"]) == ("55.0", "31.2")
    assert "first_frame_ms,load_ms" in to_csv([entry])
    assert ",55.0,31.25," in to_csv([entry])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "layers are timed by pocketdet-run, which is not built: make native"),
        (("--engine", "torch"), "--layers: the layers are those of ncnn"),
    ],
)
def test_layers_need_the_native_runner(
    command: Callable[..., Ending],
    small_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.setattr("pocketdet.runtime.native_build.ROOT", tmp_path)
    monkeypatch.delenv("POCKETDET_RUN", raising=False)
    ending = command("bench", small_bundle, "--quick", "--layers", "--out", tmp_path / "records", *options)
    assert ending.code == 2
    assert words in ending.err


def test_a_record_with_layers(command: Callable[..., Ending], small_bundle: Path, tmp_path: Path) -> None:
    if not BUILT.is_file():
        pytest.skip(NATIVE)
    ending = command("bench", small_bundle, "--quick", "--layers", "--out", tmp_path, "--runner", BUILT)
    assert ending.code in (0, 1), ending.err
    (path,) = tmp_path.iterdir()
    found = read_record(path).layers
    assert found is not None
    with load_bundle(small_bundle) as bundle:
        for stage, spec in bundle.manifest.graphs.by_name().items():
            graph = read_graph(bundle.path(spec.param))
            expected = [layer.name for layer in graph.layers if layer.type != "Input"]
            assert [layer.name for layer in found.layers if layer.stage == stage] == expected
    assert all(layer.milliseconds > 0 for layer in found.layers)
    assert "Measured milliseconds of layers by type" in ending.out
