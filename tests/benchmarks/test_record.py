"""Record files: a record reads back equal, and other files are refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from bench_records import CPU, STAGES, layer_run, measurement, record, run, snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketdet.benchmarks import record_io
from pocketdet.benchmarks.record import Measurement, Record
from pocketdet.benchmarks.record_io import (
    complete,
    parse_record,
    read_record,
    record_schema,
    to_json,
    write_record,
)
from pocketdet.benchmarks.report.tables import shown_rois
from pocketdet.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]

milliseconds = st.floats(1e-3, 1e6)
words = st.text(min_size=1, max_size=20)
number = st.one_of(st.none(), st.integers(0, 2**40))


@st.composite
def runs(draw: st.DrawFn) -> dict[str, Any]:
    rows = draw(st.lists(st.tuples(*[milliseconds] * len(STAGES)), min_size=1, max_size=12))
    cpus = st.lists(st.integers(-1, 9), min_size=len(rows), max_size=len(rows)).map(tuple)
    counts = st.lists(st.integers(0, 1000), min_size=len(rows), max_size=len(rows)).map(tuple)
    seconds = draw(st.floats(0, 1e6))
    reading = st.fixed_dictionaries(
        {"at_s": st.floats(0, 100), "cpu": st.integers(0, 9), "khz": st.none() | st.integers(1, 2**40)}
    )
    return {
        **run(len(rows)),
        "milliseconds": tuple(rows),
        "cpu_before": draw(cpus),
        "cpu_after": draw(cpus),
        "proposals": draw(counts),
        "detections": draw(counts),
        "affinity": tuple(draw(st.lists(st.integers(0, 9), max_size=4))),
        "measured_s": seconds,
        "clocks": tuple(draw(st.lists(reading, max_size=6))),
        "after": snapshot(draw(st.floats(0, 1e4)), draw(st.floats(0, 1e4))),
    }


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    kind = draw(st.sampled_from(["local", "ssh", "adb", "emulated"]))
    core = st.fixed_dictionaries({"cpu": st.integers(0, 9), "most_khz": number, "capacity": number})
    return measurement(
        target={"kind": kind, "address": draw(words)},
        device={"name": draw(words), "cores": tuple(draw(st.lists(core, min_size=1, max_size=3)))},
        protocol={"quick": draw(st.booleans()), "cpu": draw(st.integers(0, 9))},
        run=draw(st.none() | runs()),
        sustained=draw(st.none() | runs()),
        roi_sweep=tuple(
            {"rois": n, "run": draw(runs())} for n in draw(st.lists(st.integers(1, 1000), max_size=2))
        ),
    )


@given(measurements())
@settings(max_examples=60)
def test_round_trip(made: Measurement) -> None:
    completed = complete(made)
    text = to_json(completed)
    again = parse_record(text.encode(), "r.json")
    assert again == completed
    assert to_json(again) == text


@given(st.data())
@settings(max_examples=150)
def test_a_damaged_record_gives_one_sentence(data: st.DataObject) -> None:
    text = bytearray(to_json(record(run=run(3), protocol={"quick": True})).encode())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        found = parse_record(bytes(text), "r.json")
    except UsageError as error:
        assert str(error).startswith("r.json: ")
        assert "\n" not in str(error)
    else:
        assert isinstance(found, Record)


def test_a_written_file_reads_back(tmp_path: Path) -> None:
    made = record()
    write_record(tmp_path / "r.json", made)
    assert read_record(tmp_path / "r.json") == made
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_a_record_is_never_overwritten(tmp_path: Path) -> None:
    write_record(tmp_path / "r.json", record())
    before = (tmp_path / "r.json").read_bytes()
    with pytest.raises(UsageError, match="never overwritten"):
        write_record(tmp_path / "r.json", record(run=run(ms=10.0)))
    assert (tmp_path / "r.json").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_an_unwritable_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent/r.json: cannot be written: No such file"):
        write_record(tmp_path / "absent" / "r.json", record())


def changed(**fields: Any) -> bytes:
    return json.dumps(
        {**json.loads(to_json(record(run=run(4), protocol={"quick": True}))), **fields}
    ).encode()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "expected JSON"),
        (b"[]", "expected a JSON object, found list"),
        (b"{}", "expected a record of pocketdet bench, found something else"),
        (changed(kind="engine contest"), "found the record of bench-engines"),
        (changed(program="pocketdet-run 0.1.0"), "found the raw output of pocketdet-run bench"),
        (changed(schema_version=4), "schema_version 4 needs a newer pocketdet"),
        (changed(schema_version=0), "schema_version 0 cannot be read any more"),
        (changed(schema_version="1"), "expected a schema_version, found '1'"),
        (changed(schema_version=True), "expected a schema_version, found True"),
        (changed(colour="red"), "field 'colour' is unknown in schema version 3"),
        (changed(target={"kind": "usb", "address": "x"}), "field 'target.kind': expected 'local'"),
        (changed(target={"kind": "ssh"}), "field 'target.address' is missing"),
        (changed(summary=None), "expected a summary if frames were timed"),
        (to_json(record()).replace('"p90":', '"p90": NaN, "x":').encode(), "NaN is not a JSON number"),
        (
            to_json(record()).replace('"kind":', '"kind": "bench", "kind":', 1).encode(),
            "'kind' appears twice",
        ),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_other_documents_are_refused_by_name(data: bytes, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_record(data, "r.json")
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("r.json: ")


def test_an_edited_verdict_is_refused() -> None:
    document = json.loads(to_json(record(run=run(affinity=(1, 2)))))
    document["verdict"]["reasons"] = []
    with pytest.raises(UsageError, match="the verdict does not follow from the samples: it says 'VALID'"):
        parse_record(json.dumps(document).encode(), "r.json")


def test_an_edited_number_is_refused() -> None:
    document = json.loads(to_json(record()))
    document["summary"]["fps"] = 99.0
    with pytest.raises(UsageError, match=r"summary\.fps is 99\.0, the samples say 25\.0"):
        parse_record(json.dumps(document).encode(), "r.json")


def test_samples_of_different_lengths_are_refused() -> None:
    document = json.loads(to_json(record()))
    document["run"]["cpu_after"].append(CPU)
    with pytest.raises(UsageError, match="cpu_after has 1025 entries for 1024 frames"):
        parse_record(json.dumps(document).encode(), "r.json")


def test_an_older_version_is_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(document: dict[str, Any]) -> dict[str, Any]:
        protocol = {k: v for k, v in document["protocol"].items() if k != "core"}
        protocol["cpu"] = document["protocol"]["core"]
        return {**document, "protocol": protocol, "schema_version": 1}

    monkeypatch.setattr(record_io, "MIGRATIONS", {**record_io.MIGRATIONS, 0: rename})
    made = record()
    document = json.loads(to_json(made))
    document["schema_version"] = 0
    document["protocol"]["core"] = document["protocol"].pop("cpu")
    assert parse_record(json.dumps(document).encode(), "r.json") == made


def version_1(**changes: Any) -> dict[str, Any]:
    """A record as schema version 1 had it: no digests, and a verdict that accepts any number of RoIs."""
    made = complete(measurement(**changes), rules=1)
    document = json.loads(to_json(made))
    del document["protocol"]["pictures"][0]["sha256"], document["protocol"]["attempt"]
    del document["verdict"]["rules"]
    return {**document, "schema_version": 1}


def test_version_1_is_read_and_keeps_its_verdict() -> None:
    full = parse_record(json.dumps(version_1()).encode(), "r.json")
    assert full.verdict.valid
    assert full.protocol.pictures[0].sha256 is None
    assert full.protocol.attempt == 1
    few = version_1(run=run(proposals=(10,) * 1024))
    assert few["summary"]["fps"] == pytest.approx(25.0)
    found = parse_record(json.dumps(few).encode(), "r.json")
    assert found.verdict.valid
    assert found.verdict.rules == 1
    assert parse_record(to_json(found).encode(), "r.json") == found
    assert shown_rois(found) == "10 of 200"
    assert not complete(found).verdict.valid
    few["summary"]["fps"] = 99.0
    with pytest.raises(UsageError, match=r"summary\.fps is 99\.0, the samples say 25\.0"):
        parse_record(json.dumps(few).encode(), "r.json")


def test_version_2_is_read_without_the_times_of_the_start() -> None:
    document = json.loads(to_json(record(run={**run(), "load_ms": 31.0, "first_frame_ms": 55.0})))
    assert parse_record(json.dumps(document).encode(), "r.json").run.first_frame_ms == 55.0  # type: ignore[union-attr]
    del document["run"]["load_ms"], document["run"]["first_frame_ms"], document["layers"]
    found = parse_record(json.dumps({**document, "schema_version": 2}).encode(), "r.json")
    assert found.run is not None
    assert (found.run.load_ms, found.run.first_frame_ms, found.layers) == (None, None, None)
    assert found.verdict.valid


@pytest.mark.parametrize(
    ("timed", "problem"),
    [((True,) * 8, "with and without the clock"), ((True, False), "timed has 2 entries for 8 frames")],
)
def test_layers_need_frames_of_both_kinds(timed: tuple[bool, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        record(layers={**layer_run(), "timed": timed})


def test_the_published_schema_is_up_to_date() -> None:
    published = (ROOT / "docs" / "bench-record.schema.json").read_text(encoding="utf-8")
    assert published == record_schema(), "run: python -m pocketdet.benchmarks.record_io"
