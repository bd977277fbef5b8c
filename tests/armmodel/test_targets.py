"""Devices and phones by words of their names."""

import pytest

from pocketdet.armmodel.cores import CORES
from pocketdet.armmodel.devices import DEVICES
from pocketdet.armmodel.estimate import Target, find_targets, modelled_device, unpublished_devices
from pocketdet.benchmarks.phones import load_phones
from pocketdet.benchmarks.predict import load_models
from pocketdet.errors import UsageError

MODELS = load_models()


def found(query: str, threads: int = 1) -> list[tuple[str, str, str]]:
    """Name, the device that is modelled, and the cores of the published run."""

    def of(target: Target) -> tuple[str, str, str]:
        device = target.device.name if target.device else ""
        return target.name, device, target.fitted.cores if target.fitted else ""

    return [of(target) for target in find_targets(query, threads, MODELS)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("855+", ("Qualcomm SM8150-AC Snapdragon 855+", "Snapdragon 855+", "big")),
        ("Snapdragon 835", ("Qualcomm MSM8998 Snapdragon 835", "", "big")),
        ("Snapdragon 855", ("Snapdragon 855", "Snapdragon 855", "")),
        ("Snapdragon 845", ("Snapdragon 845", "Snapdragon 845", "")),
        ("Snapdragon 888", ("Snapdragon 888", "Snapdragon 888", "")),
        ("Snapdragon 675", ("Qualcomm MSM6150 Snapdragon 675", "Snapdragon 675", "all")),
        ("Google Tensor", ("Google Tensor", "Google Tensor", "")),
        ("Pixel 4", ("Snapdragon 855", "Snapdragon 855", "")),
        ("Pixel 6a", ("Google Tensor", "Google Tensor", "")),
        ("OnePlus 7T", ("Qualcomm SM8150-AC Snapdragon 855+", "Snapdragon 855+", "big")),
        ("Galaxy S23", ("Qualcomm SM8550-AB Snapdragon 8 Gen 2", "Snapdragon 8 Gen 2, 2.8 GHz", "big")),
    ],
)
def test_a_name_gives_the_best_known_of_a_device(query: str, expected: tuple[str, str, str]) -> None:
    assert found(query) == [expected]


def test_several_threads_are_not_modelled() -> None:
    assert found("Snapdragon 855+", 4) == [("Qualcomm SM8150-AC Snapdragon 855+", "", "big")]
    with pytest.raises(UsageError, match="no published run is of a device 'Snapdragon 845'"):
        found("Snapdragon 845", 4)


def test_devices_with_published_runs_come_first() -> None:
    fitted = [cores != "" for _, _, cores in found("snapdragon")]
    assert fitted == sorted(fitted, reverse=True)
    assert 0 < sum(fitted) < len(fitted)


def test_phones_with_published_runs_come_first_and_else_in_the_order_of_the_table() -> None:
    chips = list(dict.fromkeys(phone.chip.name for phone in load_phones().find("galaxy")))
    targets = find_targets("galaxy", 1, MODELS)
    fitted = [target.fitted is not None for target in targets]
    assert fitted == sorted(fitted, reverse=True)
    for known in (True, False):
        notes = [note for t in targets if (t.fitted is not None) == known for note in t.notes]
        order = [next(i for i, chip in enumerate(chips) if note.endswith(f" the {chip}")) for note in notes]
        assert order == sorted(order)


def test_phones_of_several_chips_name_them() -> None:
    targets = find_targets("galaxy s21", 1, MODELS)
    assert [t.name for t in targets] == ["Snapdragon 888", "Exynos 2100"]
    assert targets[0].notes == ("Samsung Galaxy S21: its chip in some regions is the Snapdragon 888",)


@pytest.mark.parametrize(
    ("query", "threads", "said"),
    [
        (
            "galaxy s20", 1,
            "Samsung Galaxy S20 has the Snapdragon 865, of which no run is published, and its fast core, "
            "Cortex-A77, has no model; Samsung Galaxy S20 has the Exynos 990, ",
        ),
        ("Pixel 5", 2, "Google Pixel 5 has the Snapdragon 765G: .*pass --threads 4"),
        ("Pixel 3", 4, "its fast core, .*, is modelled on one thread alone: pass --threads 1"),
        ("Raspbery Pi 5", 1, "did you mean 'Raspberry Pi 5"),
        ("", 1, "no device or phone is named ''; --list"),
    ],
)  # fmt: skip
def test_what_nothing_is_known_of_gives_one_sentence(query: str, threads: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        found(query, threads)


def test_every_published_run_of_a_modelled_device_is_found() -> None:
    devices = [modelled_device(fitted) for fitted in MODELS.devices]
    for device in DEVICES:
        assert devices.count(device) == 1, device.name


def test_every_clock_of_a_chip_is_of_a_core_with_a_model() -> None:
    assert all(device.core in CORES for device in unpublished_devices())
    assert all(device.like in {"", *(d.name for d in DEVICES)} for device in unpublished_devices())
    compared = {fitted.name for fitted in MODELS.devices if (d := modelled_device(fitted)) and d.published}
    for chip in load_phones().chip:
        assert not (chip.ghz and any(chip.name in name for name in compared)), chip.name
