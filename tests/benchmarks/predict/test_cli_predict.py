"""The command `pocketdet predict`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ending, command
from tiny_bundle import rehash, tiny_bundle, tiny_bundle_template
from tiny_one_stage import tiny_one_stage_template

from pocketdet.benchmarks.predict import bundle_work
from pocketdet.runtime.bundle import load_bundle

__all__ = ["command", "rehash", "tiny_bundle", "tiny_bundle_template", "tiny_one_stage_template"]

Command = Callable[..., Ending]


def test_the_table_says_predicted(command: Command, tiny_bundle: Path) -> None:
    ending = command("predict", tiny_bundle, "--device", "Snapdragon 855+", "--device", "raspberry pi 5")
    assert ending.code == 0
    assert "tiny.pocketdet: predicted, not measured" in ending.out
    assert "predicted ms" in ending.out
    assert "Snapdragon 855+, big cores" in ending.out
    assert "Raspberry Pi 5" in ending.out
    assert "outside what was fitted, band doubled" in ending.out
    assert "Predicted, not measured; the networks alone, without resizing" in ending.out
    assert "fps" not in ending.out


def test_a_one_stage_bundle(command: Command, tiny_one_stage_template: Path) -> None:
    ending = command("predict", tiny_one_stage_template, "--device", "raspberry pi 5")
    assert ending.code == 0
    assert "58% of the MACs are in layers that no fitted model has" in " ".join(ending.out.split())
    with load_bundle(tiny_one_stage_template) as bundle:
        work = bundle_work(bundle)
    assert work.macs == pytest.approx((64 * (216 + 144 + 576) + 16 * 112 + 4 * 504) / 1e6)


def test_json_keys_say_predicted(command: Command, tiny_bundle: Path) -> None:
    ending = command("predict", tiny_bundle, "--device", "snapdragon", "--json")
    records = json.loads(ending.out)
    assert len(records) == 9
    for record in records:
        assert record["measured"] is False
        assert record["predicted_low_ms"] < record["predicted_ms"] < record["predicted_high_ms"]
        assert not any(key.endswith("ms") and "predicted" not in key for key in record)


def test_one_device_named_twice_is_one_line(command: Command, tiny_bundle: Path) -> None:
    twice = "--device", "Snapdragon 855+", "--device", "855+", "--json"
    assert len(json.loads(command("predict", tiny_bundle, *twice).out)) == 1


def test_a_derived_device_prints_its_reasoning(command: Command, tiny_bundle: Path) -> None:
    ending = command("predict", tiny_bundle, "--device", "Snapdragon 845")
    assert ending.code == 0
    assert "no published run:" in ending.out
    assert "Cortex-A75 at 2.8 GHz" in ending.out


def test_all_devices_can_be_listed(command: Command) -> None:
    shown = command("predict", "--list")
    assert "Qualcomm SM8150-AC Snapdragon 855+" in shown.out
    assert "from neighbours: Qualcomm SDM845 Snapdragon 845 (derived)" in shown.out
    assert "Snapdragon 888" not in shown.out  # its runs have 8 threads
    assert "31 more with other numbers of threads, such as --threads 4" in shown.out
    assert "phones by name, for example: --list --device pixel" in shown.out
    lines = shown.out.splitlines()
    assert len(lines) < 75
    assert max(map(len, shown.out.partition("Error:")[0].splitlines())) <= 80
    assert len(json.loads(command("predict", "--list", "--json").out)["devices"]) == 204


def test_the_list_can_be_filtered(command: Command) -> None:
    shown = command("predict", "--list", "--device", "snapdragon")
    assert shown.out.count("Snapdragon") == 9
    assert "Raspberry" not in shown.out
    assert len(json.loads(command("predict", "--list", "--device", "888", "--json").out)["devices"]) == 1
    assert "Snapdragon 888" in command("predict", "--list", "--device", "888", "--threads", 8).out
    phones = command("predict", "--list", "--device", "galaxy s9").out
    assert phones.splitlines() == ["Samsung Galaxy S9: Snapdragon 845", "Samsung Galaxy S9: Exynos 9810"]
    unknown = command("predict", "--list", "--device", "nokia")
    assert (unknown.code, unknown.out) == (2, "")
    assert "no device or phone is named nokia" in unknown.err


def test_a_phone_is_predicted_by_its_chip(command: Command, tiny_bundle: Path) -> None:
    by_phone, by_chip = (
        json.loads(command("predict", tiny_bundle, "--device", name, "--json").out)
        for name in ("galaxy s23", "Snapdragon 8 Gen 2")
    )
    assert by_phone[0]["notes"][0] == "Samsung Galaxy S23: its chip is the Snapdragon 8 Gen 2"
    by_phone[0]["notes"] = by_phone[0]["notes"][1:]
    assert by_phone == by_chip
    ending = command("predict", tiny_bundle, "--device", "galaxy s9")
    assert "Samsung Galaxy S9: its chip in some regions is the Snapdragon 845" in ending.out
    several = json.loads(command("predict", tiny_bundle, "--device", "pixel", "--json").out)
    assert [record["notes"][0].partition(":")[0] for record in several] == [
        "Google Pixel", "Google Pixel 2", "Google Pixel 3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--device", "Snapdragon 855"), "did you mean 'Qualcomm SM8150-AC Snapdragon 855+'"),
        (
            ("--device", "Pixel 8"),
            "Google Pixel 8 has the Google Tensor G3, of which no run is published; its fast core, "
            "Cortex-X3, is also in Snapdragon 8 Gen 2",
        ),
        (("--device", "Pixel 5"), "Google Pixel 5 has the Snapdragon 765G: "),
        (("--device", "Pixel 5"), "pass --threads 4"),
        (("--device", "Snapdragon 888"), "pass --threads 8"),
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
