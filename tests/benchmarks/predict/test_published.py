"""Published runs: names, settings, excluded runs, refused files."""

import json
from pathlib import Path
from typing import Any

import pytest

from pocketdet.benchmarks.predict.published import read_runs, read_workloads, short_name
from pocketdet.errors import UsageError


def run(header: str, **changes: Any) -> dict[str, Any]:
    record = {"hdr": header, "num_threads": 1, "powersave": 0, "gpu_device": -1, "d": {"vgg16": [2.0, 3.0]}}
    return {**record, **changes}


def write(folder: Path, *records: dict[str, Any]) -> Path:
    (folder / "benchncnn_runs.json").write_text(json.dumps(records))
    return folder


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (
            "Qualcomm SM8150-AC Snapdragon 855+ (Kyro485 2.96 GHz + 2.42 GHz x 3 + Adreno 640)",
            "Qualcomm SM8150-AC Snapdragon 855+",
        ),
        ("Station P2, Rockchip RK3568 (ARMv8) (Cortex-A55 2.0GHz x 4)", "Station P2, Rockchip RK3568"),
        ("HUAWEI KunPeng 920 2251K (x8 cores)", "HUAWEI KunPeng 920 2251K"),
        ("MacBook Air (13-inch, M3, 2024)", "MacBook Air (13-inch, M3, 2024)"),
        ("AWS c5.4xlarge Instance", "AWS c5.4xlarge Instance"),
        ("(1 GHz)", "(1 GHz)"),
    ],
)
def test_a_name_is_the_headline_without_clocks(header: str, name: str) -> None:
    assert short_name(header) == name


def test_runs_keep_their_setting_and_the_least_time(tmp_path: Path) -> None:
    folder = write(tmp_path, run("A (2 GHz)", num_threads=4, powersave=2, d={"mobilenet-ssd": [1.5, 9.0]}))
    (found,) = read_runs(folder)
    assert (found.name, found.published_as, found.threads, found.cores) == ("A", "A (2 GHz)", 4, "big")
    assert found.milliseconds == {"mobilenet_ssd": 1.5}


def test_the_same_device_twice_gets_a_number(tmp_path: Path) -> None:
    twice = run("A (2 GHz)"), run("A (2 GHz)"), run("A (2 GHz)", num_threads=2), run("A (3 GHz)")
    assert [r.name for r in read_runs(write(tmp_path, *twice))] == ["A", "A [2]", "A", "A [3]"]


def test_gpus_and_runs_without_a_device_are_excluded(tmp_path: Path) -> None:
    records = run("A", gpu_device=0), run("nice -20 ./benchncnn 4 1"), run("B", gpu_device=None)
    folder = write(tmp_path, *records)
    assert [r.name for r in read_runs(folder)] == ["B"]


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"benchncnn_runs\.json: expected the published runs"):
        read_runs(tmp_path)
    with pytest.raises(UsageError, match=r"benchmark_params: expected the \.param files"):
        read_workloads(tmp_path)
    with pytest.raises(UsageError, match="a run lacks what was expected"):
        read_runs(write(tmp_path, {"hdr": "A", "d": {}}))
    with pytest.raises(UsageError, match="a run lacks what was expected"):
        read_runs(write(tmp_path, run("A", powersave=7)))
