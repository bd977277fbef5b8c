"""The command `pocketdet predict`, with stored cycles and on a machine on which nothing can be modelled."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ending, command
from stored_cycles import stored_model
from tiny_bundle import rehash, tiny_bundle, tiny_bundle_template
from tiny_one_stage import tiny_one_stage_template

from pocketdet.benchmarks.predict import bundle_work
from pocketdet.runtime.bundle import load_bundle

__all__ = ["command", "rehash", "tiny_bundle", "tiny_bundle_template", "tiny_one_stage_template"]

CLOCK = "its clock is from general knowledge (phones.toml), not from a published run"
Command = Callable[..., Ending]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nothing was built."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def instrument(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that can model cycles."""
    monkeypatch.setattr("pocketdet.armmodel.instrument.find_instrument", object)
    monkeypatch.setattr("pocketdet.armmodel.estimate.model", stored_model)


@pytest.mark.usefixtures("instrument")
def test_the_table_names_the_method(command: Command, tiny_bundle: Path) -> None:
    names = "Snapdragon 855+", "Snapdragon 835", "pixel 3"
    words = [word for name in names for word in ("--device", name)]
    ending = command("predict", tiny_bundle, *words, "--precision", "fp16")
    assert (ending.code, ending.err.strip()) == (0, "")
    assert "tiny.pocketdet: not measured" in ending.out
    rows = [re.split(" {2,}", line.strip()) for line in ending.out.splitlines()]
    methods = {row[0]: row[-2] for row in rows if len(row) > 5}
    assert methods == {
        "device": "method",
        "Qualcomm SM8150-AC Snapdragon 855+, big cores": "modelled",
        "Qualcomm MSM8998 Snapdragon 835, big cores": "predicted",
        "Snapdragon 845, big cores": "modelled",
    }
    assert "Google Pixel 3: its chip is the Snapdragon 845" in ending.out
    assert "Cortex-A75 has no model" in ending.out
    assert "Not measured. Times and bands are those of the networks alone" in ending.out
    assert "fps" not in ending.out


def test_without_the_instrument_one_sentence_says_so(command: Command, tiny_bundle: Path) -> None:
    ending = command("predict", tiny_bundle, "--device", "Snapdragon 855+", "--device", "raspberry pi 5")
    assert ending.code == 0
    assert ending.err.startswith(
        "predicted from published runs alone: what `make arm-model` builds is missing"
    )
    assert ending.err.count("\n") == 1
    assert "modelled" not in ending.out.partition("Not measured")[0]
    assert "Snapdragon 855+, big cores" in ending.out
    assert "Raspberry Pi 5" in ending.out
    assert "outside what was fitted, band doubled" in ending.out
    assert "left out" in command("predict", tiny_bundle, "--device", "snapdragon").err
    ending = command("predict", tiny_bundle, "--device", "Snapdragon 835")
    assert ending.err == ""  # its core has no model


def test_a_one_stage_bundle(command: Command, tiny_one_stage_template: Path) -> None:
    ending = command("predict", tiny_one_stage_template, "--device", "raspberry pi 5")
    assert ending.code == 0
    assert "58% of the MACs are in layers that no fitted model has" in " ".join(ending.out.split())
    with load_bundle(tiny_one_stage_template) as bundle:
        work = bundle_work(bundle)
    assert work.macs == pytest.approx((64 * (216 + 144 + 576) + 16 * 112 + 4 * 504) / 1e6)


@pytest.mark.usefixtures("instrument")
def test_json_keys_say_predicted(command: Command, tiny_bundle: Path) -> None:
    ending = command("predict", tiny_bundle, "--device", "snapdragon", "--json")
    records = json.loads(ending.out)
    assert [record["method"] for record in records].count("predicted") == 5
    assert len(records) == 15
    for record in records:
        assert (record["predicted_frame_ms"] is None) == (record["method"] == "predicted")
        assert record["measured"] is False
        assert record["predicted_low_ms"] < record["predicted_ms"] < record["predicted_high_ms"]
        assert not any(key.endswith("ms") and "predicted" not in key for key in record)


@pytest.mark.usefixtures("instrument")
def test_one_device_named_twice_is_one_line(command: Command, tiny_bundle: Path) -> None:
    twice = "--device", "Snapdragon 855+", "--device", "855+", "--json"
    assert len(json.loads(command("predict", tiny_bundle, *twice).out)) == 1


def test_all_devices_can_be_listed(command: Command) -> None:
    shown = command("predict", "--list")
    assert "Qualcomm SM8150-AC Snapdragon 855+" in shown.out
    assert "most at a clock from general knowledge: Snapdragon 855, " in shown.out.replace("\n", " ")
    assert "Snapdragon 888," in shown.out  # its runs have 8 threads
    assert "31 more with other numbers of threads, such as --threads 4" in shown.out
    assert "phones by name, for example: --list --device pixel" in shown.out
    lines = shown.out.splitlines()
    assert len(lines) < 100
    assert "…" not in shown.out
    assert max(map(len, shown.out.partition("Error:")[0].splitlines())) <= 80
    listed = json.loads(command("predict", "--list", "--json").out)
    assert len(listed["devices"]) == 204
    assert {"name": "Snapdragon 888", "core": "cortex-x1", "ghz": 2.84, "note": CLOCK} in listed[
        "modelled_without_published_run"
    ]


def test_the_list_can_be_filtered(command: Command) -> None:
    shown = command("predict", "--list", "--device", "snapdragon")
    assert shown.out.count("Qualcomm") == 8
    assert "Raspberry" not in shown.out
    assert len(json.loads(command("predict", "--list", "--device", "888", "--json").out)["devices"]) == 1
    assert "Snapdragon 888" in command("predict", "--list", "--device", "888", "--threads", 8).out
    phones = command("predict", "--list", "--device", "galaxy s9").out
    assert phones.splitlines() == ["Samsung Galaxy S9: Snapdragon 845", "Samsung Galaxy S9: Exynos 9810"]
    unknown = command("predict", "--list", "--device", "nokia")
    assert (unknown.code, unknown.out) == (2, "")
    assert "no device or phone is named 'nokia'; --list shows all" in unknown.err
    assert "did you mean 'Google Pixel 8'" in command("predict", "--list", "--device", "pixl 8").err


@pytest.mark.usefixtures("instrument")
def test_a_phone_is_predicted_by_its_chip(command: Command, tiny_bundle: Path) -> None:
    by_phone, by_chip = (
        json.loads(command("predict", tiny_bundle, "--device", name, "--json").out)
        for name in ("galaxy s23", "Snapdragon 8 Gen 2")
    )
    assert by_phone[0]["notes"][0] == "Samsung Galaxy S23: its chip is the Snapdragon 8 Gen 2"
    by_phone[0]["notes"] = by_phone[0]["notes"][1:]
    assert by_phone == by_chip
    several = json.loads(command("predict", tiny_bundle, "--device", "pixel", "--json").out)
    assert [record["notes"][0].partition(":")[0] for record in several] == [
        "Google Pixel", "Google Pixel 2", "Google Pixel 3", "Google Pixel 4", "Google Pixel 5",
        "Google Pixel 6", "Google Pixel 7", "Google Pixel 8", "Google Pixel 9",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--device", "Raspbery Pi 5"), "did you mean 'Raspberry Pi 5"),
        (
            ("--device", "Nokia 3310"),
            "'Nokia 3310'; --list shows all; for another phone, name its chip",
        ),
        (("--device", "Galaxi S23"), "did you mean 'Samsung Galaxy S23'"),
        (
            ("--device", "Pixel 8"),
            "Google Tensor G3: no run of ncnn's benchmark is published, and nothing can be modelled: what "
            "`make arm-model` builds is missing",
        ),
        (("--device", "Pixel 5", "--threads", 2), "pass --threads 4"),
        (("--device", "Snapdragon 845", "--threads", 4), "no published run is of a device"),
        ((), "name a bundle and a --device; --list shows the devices"),
    ],
)
def test_what_cannot_be_predicted_gives_one_sentence(
    command: Command, tiny_bundle: Path, arguments: tuple[object, ...], said: str
) -> None:
    ending = command("predict", tiny_bundle, *arguments)
    assert (ending.code, ending.out) == (2, "")
    assert said in " ".join(ending.err.split())


def test_a_thundernet_has_the_work_of_the_paper(bundle_of: Callable[[str], Path]) -> None:
    """262 million MACs in Table 1; lanes add a little to them. The head's 62.7 million are rows of RoIs."""
    with load_bundle(bundle_of("thundernet-snet49")) as bundle:
        work = bundle_work(bundle)
    assert 262 * 0.99 < work.macs < 262 * 1.12
    assert work.unlike > 62.7 * 0.99
    assert bundle.manifest.layout.lanes == 8
