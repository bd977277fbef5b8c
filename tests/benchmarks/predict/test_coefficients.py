"""The shipped coefficients, and the search for devices in them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocketdet.benchmarks.predict.coefficients import SHIPPED, DeviceModels, load_models, tokens
from pocketdet.benchmarks.predict.workload import BY_PRECISION
from pocketdet.errors import UsageError


@pytest.fixture(scope="module")
def models() -> DeviceModels:
    return load_models()


def test_the_shipped_file_has_the_classes_of_the_code(models: DeviceModels) -> None:
    assert models.classes == {p: dict(classes) for p, classes in BY_PRECISION.items()}
    for device in models.devices:
        for precision, fit in device.fits.items():
            assert list(fit.rates) == list(BY_PRECISION[precision])
            assert 0 < fit.ratio_low < fit.ratio_high
            assert sum(fit.rates.values()) > 0


def test_no_two_devices_share_name_threads_and_cores(models: DeviceModels) -> None:
    keys = [(d.name, d.threads, d.cores) for d in models.devices]
    assert len(set(keys)) == len(keys)


def test_words_find_a_device_in_any_order_and_case(models: DeviceModels) -> None:
    (found,) = models.find("855+ SNAPDRAGON")
    assert (found.name, found.threads, found.cores) == ("Qualcomm SM8150-AC Snapdragon 855+", 1, "big")
    (four,) = models.find("Snapdragon 855+", threads=4)
    assert four.threads == 4


def test_a_plus_belongs_to_its_number() -> None:
    assert tokens("SM8150-AC Snapdragon 855+") == {"sm8150", "ac", "snapdragon", "855+"}


def test_big_cores_are_preferred_unless_little_is_in_the_query(models: DeviceModels) -> None:
    assert [d.cores for d in models.find("Rockchip RK3399") if d.name == "Rockchip RK3399"] == ["big"]
    assert [d.cores for d in models.find("Rockchip RK3399 little")] == ["little"]


@pytest.mark.parametrize(
    ("words", "threads", "said"),
    [
        ("Snapdragon 855", 1, "did you mean 'Qualcomm SM8150-AC Snapdragon 855\\+'"),
        ("Raspbery Pi 5", 1, "did you mean 'Raspberry Pi 5 Broadcom BCM2712, Cortex-A76'"),
        ("", 1, "no published run is of a device ''; --list shows all"),
        ("???", 1, "--list shows all"),
        ("Nokia 3310", 1, "no published run is of a device 'Nokia 3310'; --list shows all"),
        ("Snapdragon 888", 1, "no run with 1 thread is published; pass --threads 8"),
        ("Snapdragon 855+", 3, "no run with 3 threads is published; pass --threads 1 or 4"),
    ],
)
def test_an_unknown_device_gives_similar_names(
    models: DeviceModels, words: str, threads: int, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        models.find(words, threads)


def change_version(record: dict[str, Any]) -> None:
    record["schema_version"] = 2


def change_rate(record: dict[str, Any]) -> None:
    record["devices"][0]["fits"]["float"]["rates"]["dense_1x1"] = -1.0


def change_key(record: dict[str, Any]) -> None:
    record["devices"][0]["gpu"] = True


@pytest.mark.parametrize(
    ("change", "place"),
    [(change_version, "schema_version"), (change_rate, "dense_1x1"), (change_key, "gpu")],
)
def test_other_versions_and_damage_are_refused_by_name(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], place: str
) -> None:
    record = json.loads(SHIPPED.read_text(encoding="utf-8"))
    change(record)
    path = tmp_path / "other.json"
    path.write_text(json.dumps(record))
    said = rf"other\.json: expected coefficients of schema version 1; .*{place}"
    with pytest.raises(UsageError, match=said):
        load_models(path)


def test_no_file_and_no_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_models(tmp_path / "none.json")
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(UsageError, match=r"text\.json: expected coefficients"):
        load_models(tmp_path / "text.json")
