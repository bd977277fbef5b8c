"""Reports: records as tables, files and plots; and records that cannot be compared."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import cv2
import pytest
from bench_records import CPU, record, run

from pocketdet.benchmarks.record import Record
from pocketdet.benchmarks.record_io import write_record
from pocketdet.benchmarks.report import (
    Entry,
    check_comparable,
    comparable_groups,
    latest_runs,
    make_tables,
    read_entries,
    write_report,
)
from pocketdet.benchmarks.report.plots import Line
from pocketdet.benchmarks.report.tables import ARM, GPU, TABLE_9, X86, paper_device, paper_fps
from pocketdet.benchmarks.report.write import to_csv, to_markdown
from pocketdet.errors import UsageError

XEON = {"name": "Xeon E5-2690", "soc": None, "system": "Linux", "architecture": "x86_64"}
LOCAL = {"kind": "local", "address": "localhost"}
PICTURE = {"name": "standard1-0.png", "width": 640, "height": 480}


def of(model: str, ms: float = 40.0, **changes: Any) -> Record:
    name = f"thundernet-{model}"
    macs = {"snet49": 263_500_000, "snet146": 502_300_000, "snet535": 1_299_300_000}[model]
    bundle = {"name": name, "architecture": name, "digest": model.encode().hex().ljust(64, "0"), "macs": macs}
    extra = changes.pop("bundle", {})
    return record(**{"run": run(ms=ms), "bundle": {**bundle, **extra}, **changes})


def entries(*records: Record) -> tuple[Entry, ...]:
    return tuple(Entry(Path(f"{i}.json"), r) for i, r in enumerate(records))


def full() -> tuple[Entry, ...]:
    """Two devices, three models; the phone's largest moved between cores and the sweep is short."""
    kept = {10: 10, 100: 100, 1000: 560}
    sweep = tuple({"rois": n, "run": run(8, 30 + n / 50, proposals=(kept[n],) * 8)} for n in (10, 100, 1000))
    moved = run(ms=172.0, cpu_after=(*(CPU,) * 1023, 4))
    on_xeon = {"device": XEON, "target": LOCAL}
    return entries(
        of("snet49", 41.0, roi_sweep=sweep, sustained=run(300, 41.0)),
        of("snet146", 72.0),
        of("snet535", run=moved),
        of("snet49", 20.0, **on_xeon),
        of("snet146", 31.0, **on_xeon),
    )


def test_table_9_has_the_papers_figures() -> None:
    arm = [row.fps[ARM] for row in TABLE_9.values()]
    x86 = [row.fps[X86] for row in TABLE_9.values()]
    gpu = [row.fps[GPU] for row in TABLE_9.values()]
    assert (arm, x86, gpu) == ([24.1, 13.8, 5.8], [47.3, 32.3, 15.3], [267, 248, 214])


def test_paper_figures_match_model_device_and_input_size() -> None:
    def theirs(record: Record) -> float | None:
        return paper_fps(record.bundle, paper_device(record))

    assert theirs(of("snet146")) == 13.8
    assert theirs(of("snet146", device=XEON)) == 32.3
    assert theirs(of("snet146", device={"architecture": "riscv64"})) is None
    assert theirs(of("snet146", bundle={"input": (224, 224)})) is None
    assert theirs(of("snet146", bundle={"architecture": "mine"})) is None


def test_table_9() -> None:
    table = make_tables(full())[0]
    parity = "✓ 2/2, 0.012 px"
    assert table.head == (
        "model", "MMACs",
        "OnePlus 6, Snapdragon 845: fps", "RoIs", "paper, Snapdragon 845", "parity with PyTorch",
        "Xeon E5-2690: fps", "RoIs", "paper, Xeon E5-2682v4", "parity with PyTorch",
    )  # fmt: skip
    assert table.rows == (
        ("thundernet-snet49", "264", "24.4", "200", "24.1", parity, "50.0", "200", "47.3", parity),
        ("thundernet-snet146", "502", "13.9", "200", "13.8", parity, "32.3", "200", "32.3", parity),
        ("thundernet-snet535", "1299", "INVALID", "200", "5.8", parity, "-", "-", "-", "-"),
    )
    assert table.notes[1] == (
        "thundernet-snet535 on OnePlus 6: INVALID: moved between cores: ran on cores 4, 7, 7 was asked for"
    )


def test_pytorch_on_a_gpu_has_its_own_columns() -> None:
    torch = {"name": "torch", "version": "2.13.0", "runner": "pocketdet-python 0.1.0", "language": "Python"}
    on_gpu = {"device": XEON, "target": LOCAL, "engine": {**torch, "processor": "NVIDIA H200"}}
    on_cpu = {"device": XEON, "target": LOCAL, "engine": {**torch, "processor": "CPU"}}
    shown = entries(of("snet49", 40.0), of("snet49", 4.0, **on_gpu), of("snet49", 80.0, **on_cpu))
    check_comparable(shown)
    table = make_tables(shown)[0]
    assert table.head[6:9] == ("NVIDIA H200, PyTorch: fps", "RoIs", "paper, GeForce 1080Ti")
    assert table.head[10:13] == ("Xeon E5-2690, PyTorch: fps", "RoIs", "paper, Xeon E5-2682v4")
    figures = [table.rows[0][i] for i in (2, 4, 6, 8, 10, 12)]
    assert figures == ["25.0", "24.1", "250.0", "267.0", "12.5", "47.3"]


def one_stage(ms: float = 50.0, stages: tuple[str, ...] = ("preprocess", "model", "boxes")) -> Record:
    """Nine tenths of the time in the network."""
    frames = 1024
    rows = tuple((0.06 * ms, 0.9 * ms, 0.04 * ms) for _ in range(frames))
    timed = run(frames, ms, stages=stages, milliseconds=rows, proposals=(0,) * frames)
    info = {"name": "passd", "architecture": "passd-mobilenet", "digest": "c" * 64, "macs": 900_000_000}
    return record(run=timed, bundle={**info, "rois": 0})


def test_one_and_two_stage_detectors_share_a_table(tmp_path: Path) -> None:
    both = entries(one_stage(), of("snet49", 40.0))
    check_comparable(both)
    frames, _, stages, _ = make_tables(both)
    assert "200 RoIs in two-stage detectors. " in frames.notes[0]
    assert [row[2] for row in frames.rows] == ["25.0", "20.0"]
    head = ("preprocess", "features", "proposals", "roi_align", "head", "model", "boxes")
    assert set(stages.head[2:]) == {"RoIs", *head}
    found = [dict(zip(stages.head, row, strict=True)) for row in stages.rows]
    assert [row["RoIs"] for row in found] == ["-", "200"]
    assert [row["model"] for row in found] == ["45.00", "-"]
    assert [row["boxes"] for row in found] == ["2.00", "0.80"]
    assert [row["features"] for row in found] == ["-", "30.00"]
    for order in (both, both[::-1]):
        place = make_tables(order)[2].head.index
        assert place("preprocess") < place("features") < place("head") < place("boxes")
        assert place("preprocess") < place("model", 1) < place("boxes")
    assert (tmp_path / "stages.png") in write_report(tmp_path, both)


def test_one_stage_detectors_alone_have_no_rois() -> None:
    table = make_tables(entries(one_stage()))[0]
    assert "RoIs" not in table.notes[0]


def test_one_stage_detectors_timed_by_other_stages_are_refused() -> None:
    other = one_stage(stages=("preprocess", "network", "boxes"))
    with pytest.raises(UsageError, match="the division into stages of one-stage detectors is preprocess, "):
        check_comparable(entries(of("snet49"), one_stage(), other))


def test_the_actual_number_of_rois_is_shown() -> None:
    table = next(t for t in make_tables(full()) if "RoIs" in t.title)
    assert table.head[2:] == ("10", "100", "1000")
    assert table.rows[0][2:] == ("30.20", "32.00", "50.00 (560)")


def test_times_of_an_emulator_are_not_shown(tmp_path: Path) -> None:
    target = {"kind": "emulated", "address": "cortex-a76"}
    emulated = of("snet49", 2345.6, target=target, device={"name": "emulated cortex-a76", "emulated": True})
    files = {path.name: path for path in write_report(tmp_path, entries(emulated))}
    assert sorted(files) == ["report.csv", "report.html", "report.md"]
    for path in files.values():
        text = path.read_text(encoding="utf-8")
        assert "emulated" in text
        assert not re.search(r"\b234[56]\b|\b0\.4\b", text)
    table = make_tables(entries(emulated))[0]
    assert table.rows[0][2] == "no time"
    assert table.notes[1] == "thundernet-snet49 on emulated cortex-a76: results proved, no time"


def test_the_papers_other_device_comes_last() -> None:
    table = make_tables(entries(of("snet49", 20.0, device=XEON, target=LOCAL)))[0]
    assert table.head[2:] == (
        "Xeon E5-2690: fps", "RoIs", "paper, Xeon E5-2682v4", "parity with PyTorch", "paper, Snapdragon 845",
    )  # fmt: skip
    assert table.rows[0][2:] == ("50.0", "200", "47.3", "✓ 2/2, 0.012 px", "24.1")


def test_quick_is_marked() -> None:
    table = make_tables(entries(of("snet49", run=run(100), protocol={"quick": True})))[0]
    assert table.rows[0][2] == "25.0 quick"


def test_devices_of_the_same_name_have_their_address() -> None:
    other = of("snet49", target={"kind": "adb", "address": "SECOND"})
    table = make_tables(entries(of("snet49"), other))[0]
    assert table.head[2] == "OnePlus 6 (0123456789ABCDEF), Snapdragon 845: fps"
    assert table.head[6] == "OnePlus 6 (SECOND), Snapdragon 845: fps"


def test_a_failed_golden_test_has_no_times() -> None:
    check = {"name": "head", "max_abs": 0.5, "tolerance": 1e-3, "ok": False, "note": ""}
    failed = of("snet49", golden={"checks": (check,)}, run=None)
    tables = make_tables(entries(failed))
    assert [t.title for t in tables][1:] == ["Where the numbers come from"]
    assert tables[0].rows[0][2:] == ("INVALID", "-", "24.1", "✗ 0/1", "47.3")


def test_csv_has_all_digits() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(full()))))
    assert len(rows) == 5
    assert float(rows[0]["fps"]) == pytest.approx(1000 / 41)
    assert (rows[0]["rois"], rows[0]["rois_kept"]) == ("200", "200")
    assert (rows[0]["paper_device"], rows[0]["paper_fps"]) == ("Snapdragon 845", "24.1")
    assert (rows[2]["valid"], rows[2]["fps"]) == ("False", "")
    assert rows[2]["reasons"].startswith("moved between cores")


def test_untrusted_names_are_escaped(tmp_path: Path) -> None:
    name = "a|b <script>alert(1)</script> `x` $y$"
    named = of("snet49", bundle={"name": name}, device={"name": name})
    assert "<script>" not in to_markdown(make_tables(entries(named))).replace("\\<script\\>", "")
    page = next(p for p in write_report(tmp_path, entries(named)) if p.suffix == ".html")
    assert "<script" not in page.read_text(encoding="utf-8")


def test_the_page_is_self_contained(tmp_path: Path) -> None:
    files = write_report(tmp_path / "new", full())
    names = ["report.md", "report.csv", "report.html"]
    plots = ["latency.png", "stages.png", "rois.png", "sustained.png", "fps.png"]
    assert [p.name for p in files] == names + plots
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(names + plots)
    page = files[2].read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == len(plots)
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    for path in files[3:]:
        image = cv2.imread(str(path))
        assert image is not None
        assert image.shape[1] == 1200
        assert image.std() > 5
    # a report may be made again
    assert write_report(tmp_path / "new", full()) == files


def test_lines_of_plots_have_their_rois_and_a_mark() -> None:
    few = of("snet49", run=run(proposals=(58,) * 1024))
    names = [Line("Xeon", record).name for record in (of("snet49"), few, one_stage())]
    assert names == [
        "thundernet-snet49 (200 RoIs), Xeon",
        "thundernet-snet49 (58 of 200 RoIs, INVALID), Xeon",
        "passd, Xeon",
    ]


def test_records_are_read_by_device_and_size(tmp_path: Path) -> None:
    for i, entry in enumerate(reversed(full())):
        write_record(tmp_path / f"{i}.json", entry.record)
    found = [(e.record.device.name, e.record.bundle.name) for e in read_entries([tmp_path])]
    xeon = [("Xeon E5-2690", f"thundernet-{m}") for m in ("snet49", "snet146")]
    assert found == xeon + [("OnePlus 6", f"thundernet-{m}") for m in ("snet49", "snet146", "snet535")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bundle": {"input": (224, 224)}}, "the input size is 320x320 in 0.json and 224x224 in 1.json"),
        ({"bundle": {"rois": 100}}, "the number of RoIs is 200 in 0.json and 100 in 1.json"),
        ({"engine": {"threads": 4}}, "the threads is 1 in 0.json and 4 in 1.json"),
        ({"engine": {"precision_observed": "fp16"}}, "the arithmetic is fp32 in 0.json and fp16 in 1.json"),
        ({"engine": {"version": "1.0.1"}}, "the ncnn version is 1.0.20261020 in 0.json and 1.0.1 in 1.json"),
        ({"engine": {"runner": "pocketdet-python 0.1.0"}}, "the runner is pocketdet-run 0.1.0 in 0.json"),
        (
            {"protocol": {"pictures": ({"name": "photo", "width": 640, "height": 480},)}},
            "the set of images is standard1-0.png 640x480 bbbbbbbb in 0.json and photo 640x480 in 1.json",
        ),
        (
            {"protocol": {"pictures": ({**PICTURE, "sha256": "c" * 64},)}},
            "standard1-0.png 640x480 bbbbbbbb in 0.json and standard1-0.png 640x480 cccccccc in 1.json",
        ),
    ],
)
def test_records_of_different_settings_are_refused(changes: dict[str, Any], words: str) -> None:
    pair = entries(of("snet49"), of("snet146", **changes))
    with pytest.raises(UsageError, match="these records cannot be compared: the ") as caught:
        check_comparable(pair)
    assert words in str(caught.value)
    assert comparable_groups(pair) == (pair[:1], pair[1:])


def test_records_are_grouped_as_reports_accept_them() -> None:
    small = {"bundle": {"input": (224, 224), "digest": "e" * 64}}
    made = entries(of("snet49"), of("snet49", **small), of("snet146"), of("snet49", 41.0))
    groups = comparable_groups(made)
    assert groups == ((made[0], made[2]), (made[1],), (made[3],))
    for group in groups:
        check_comparable(group)


def test_rois_below_those_of_the_bundle_are_shown(tmp_path: Path) -> None:
    few = entries(of("snet49", run=run(proposals=(58,) * 1024)))
    tables = make_tables(few)
    assert tables[0].rows[0][2:4] == ("INVALID", "58 of 200")
    assert [t.rows[0][t.head.index("RoIs")] for t in tables[1:3]] == ["58 of 200"] * 2
    assert "few RoIs: the median frame has 58 proposals" in tables[0].notes[1]


def test_two_bundles_of_one_name_are_refused() -> None:
    other = of("snet49", bundle={"digest": "f" * 64}, device=XEON, target=LOCAL)
    with pytest.raises(UsageError, match="thundernet-snet49 is the bundle 736e65743439 in 0.json and ffffff"):
        check_comparable(entries(of("snet49"), other))


def test_one_device_twice_is_refused() -> None:
    with pytest.raises(UsageError, match=r"is there twice, in 0\.json and 1\.json: leave one of them out"):
        check_comparable(entries(of("snet49"), of("snet49", 41.0)))


def at(hour: int, ms: float = 40.0, **changes: Any) -> Record:
    return of("snet49", ms, created=f"2026-11-30T{hour:02}:00:00Z", **changes)


def test_the_latest_valid_run_is_chosen() -> None:
    moved = run(cpu_after=(*(CPU,) * 1023, 4))
    made = entries(at(8, 41.0), of("snet146"), at(10, 40.0), at(9, 39.0), at(11, run=moved))
    shown = latest_runs(made)
    assert [(e.path.name, [o.path.name for o in e.others]) for e in shown] == [
        ("2.json", ["0.json", "3.json", "4.json"]),
        ("1.json", []),
    ]
    table = make_tables(shown)[0]
    assert [row[2] for row in table.rows] == ["25.0", table.rows[1][2]]
    assert table.notes[1:] == (
        "thundernet-snet49 on OnePlus 6: 2.json is the latest VALID one of 4 runs; the others: "
        "median 41.00 ms (0.json), median 39.00 ms (3.json), INVALID (4.json)",
    )
    check_comparable(shown)


def test_the_latest_run_is_chosen_if_none_is_valid() -> None:
    moved = run(cpu_after=(*(CPU,) * 1023, 4))
    (shown,) = latest_runs(entries(at(9, run=moved), at(8, run=moved)))
    assert shown.path.name == "0.json"
    note = make_tables((shown,))[0].notes[-1]
    assert note.endswith("0.json is the latest one of 2 runs; the others: INVALID (1.json)")


def test_runs_that_differ_in_more_than_time_are_not_merged() -> None:
    others = (of("snet49", engine={"threads": 4}), of("snet49", device=XEON, target=LOCAL))
    another = of("snet49", bundle={"digest": "f" * 64})
    assert len(latest_runs(entries(of("snet49"), *others, another))) == 4


def test_no_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected records, found no \.json file"):
        read_entries([tmp_path])
    with pytest.raises(UsageError, match="at least one record"):
        check_comparable(())


def test_an_unwritable_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="file: the report cannot be written"):
        write_report(tmp_path / "file", full())


def test_the_published_records_are_valid_and_comparable() -> None:
    published = read_entries([Path(__file__).resolve().parents[2] / "benchmarks" / "results"])
    groups = comparable_groups(published)
    for group in groups:
        check_comparable(group)
    assert list(TABLE_9) in [[e.record.bundle.name for e in group] for group in groups]
    for entry in published:
        assert entry.record.verdict.valid
        assert not entry.record.verdict.quick
        assert not entry.record.source.changed
