"""The registry of records: what is taken out of a record before it is sent, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from bench_records import measurement

from pocketdet.benchmarks.images import standard_images
from pocketdet.benchmarks.record import Record
from pocketdet.benchmarks.record_io import complete, read_record, to_json
from pocketdet.benchmarks.registry import check_submission, make_submission, read_registry, write_submission
from pocketdet.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
PICTURES = tuple(image.model_dump() for image in standard_images())


def record(**changes: Any) -> Record:
    """A record of the standard frames with whole fields replaced."""
    changes["protocol"] = {"pictures": PICTURES, **changes.get("protocol", {})}
    return complete(measurement(**changes))


def test_the_records_of_this_repository_are_accepted() -> None:
    entries = read_registry(ROOT / "benchmarks" / "results")
    assert len(entries) == len(list((ROOT / "benchmarks" / "results").iterdir()))
    macs = [entry.record.bundle.macs for entry in entries]
    assert macs == sorted(macs)


@pytest.mark.parametrize(
    ("target", "secret"),
    [
        ({"kind": "adb", "address": "0123456789ABCDEF"}, "0123456789ABCDEF"),
        ({"kind": "ssh", "address": "alice@laboratory"}, "laboratory"),
        ({"kind": "local", "address": "localhost"}, "workstation-7"),
    ],
)
def test_a_submission_keeps_the_samples_and_no_name(
    target: dict[str, str], secret: str, tmp_path: Path
) -> None:
    properties = {"platform": "sdm845", "host": "workstation-7", "serial": "0123456789ABCDEF"}
    measured = record(target=target, device={"properties": properties})
    assert secret in to_json(measured)
    with pytest.raises(UsageError, match="pocketdet bench --submit"):
        check_submission(measured, "a.json")
    path = tmp_path / "a.json"
    write_submission(path, measured)
    sent = read_record(path)
    for text in (secret, "workstation-7", "0123456789ABCDEF"):
        assert text not in path.read_text()
    assert (sent.run, sent.verdict, sent.summary) == (measured.run, measured.verdict, measured.summary)
    assert sent.device.properties == {"platform": "sdm845"}
    assert make_submission(sent) == sent


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"target": {"kind": "emulated", "address": "cortex-a76"}}, "expected a record of a real device"),
        ({"protocol": {"quick": True}}, "found --quick; measure again without it"),
        ({"protocol": {"pictures": PICTURES[:1]}}, "expected the standard frames, found standard1-0.png"),
        ({"source": {"changed": True}}, "checkout with changed files"),
    ],
)
def test_what_nobody_can_compare_is_refused_by_name(
    changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.json"
    with pytest.raises(UsageError, match=rf"mine\.json: .*{sentence}"):
        write_submission(path, record(**changes))
    assert not path.exists()


def test_a_file_that_is_no_record_or_a_second_copy_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("one.json", "two.json"):
        (tmp_path / name).write_text(to_json(make_submission(record())))
    with pytest.raises(UsageError, match=r"two\.json: the same measurement as .*one\.json"):
        read_registry(tmp_path)
    (tmp_path / "two.json").write_text("{}")
    with pytest.raises(UsageError, match=r"two\.json: expected a record of pocketdet bench"):
        read_registry(tmp_path)
    (tmp_path / "two.json").rename(tmp_path / "notes.txt")
    with pytest.raises(UsageError, match=r"notes\.txt: expected records in this folder"):
        read_registry(tmp_path)
