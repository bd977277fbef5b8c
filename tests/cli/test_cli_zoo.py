"""`pocketdet zoo` lists the weights of the package with their figures, on 80 columns."""

import json
from collections.abc import Callable

import pytest
from command_line import Ending, command

from pocketdet.models.zoo import FOD, zoo_names
from pocketdet.models.zoo.figures import Failed, Measured, ModelledTime, ZooFigures

__all__ = ["command"]

Command = Callable[..., Ending]


def figures(ap: float, macs: int) -> ZooFigures:
    return ZooFigures(
        sha256="0" * 64,
        architecture="thundernet-snet49",
        detector="two-stage",
        input_size=(320, 320),
        classes=31,
        macs=macs,
        parameters=1_000_000,
        data="all 699 images of test.json",
        measured=(
            Measured(precision="fp32", ap=ap, ap50=0.851, bytes=4_500_000),
            Measured(precision="fp16", ap=ap - 0.001, ap50=0.85, bytes=2_300_000),
        ),
        failed=(Failed(precision="int8", reason="a check failed"),),
        modelled=(
            ModelledTime(precision="fp16", core="cortex-a76", device="Snapdragon 855+", milliseconds=8.04),
            ModelledTime(precision="fp16", core="cortex-a55", device="RK3566", milliseconds=1041.26),
        ),
    )


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector with figures of many digits, and one without figures."""
    known = {"thundernet-snet146-fod": figures(0.6477, 12_345_600_000), "new-net": None}
    monkeypatch.setattr("pocketdet.models.zoo.zoo_names", lambda: tuple(known))
    monkeypatch.setattr("pocketdet.models.zoo.figures.read_figures", known.__getitem__)


@pytest.mark.usefixtures("two")
def test_the_table(command: Command) -> None:
    ending = command("zoo")
    assert (ending.code, ending.err) == (0, "")
    head, known, unknown, *notes = ending.out.splitlines()
    assert head.split()[:3] == ["name", "classes", "AP"]
    assert known.split() == [
        "thundernet-snet146-fod", "31", "64.7", "85.0", "12,346", "M", "2.3", "8.0", "1041.3",
    ]  # fmt: skip
    assert unknown.split() == ["new-net", *"-------"]
    assert all(len(line.rstrip()) <= 80 for line in (head, known, unknown))
    assert notes[0] == "object detection; AP in percent, ncnn fp16, all 699 images of test.json"
    assert "modelled, not measured: cortex-a76 of the Snapdragon 855+" in notes[1]
    assert notes[2:] == ["new-net, fp16: not measured yet"]


@pytest.mark.usefixtures("two")
def test_another_precision_and_json(command: Command) -> None:
    assert command("zoo", "--precision", "fp32").out.splitlines()[1].split()[2:] == [
        "64.8", "85.1", "12,346", "M", "4.5", "-", "-",
    ]  # fmt: skip
    ending = command("zoo", "--precision", "int8")
    assert ending.out.splitlines()[1].split()[2:] == ["-", "-", "12,346", "M", "-", "-", "-"]
    assert "thundernet-snet146-fod, int8: a check failed" in ending.out
    known, unknown = json.loads(command("zoo", "--json").out)
    assert ZooFigures.model_validate_json(json.dumps(known["figures"])) == figures(0.6477, 12_345_600_000)
    assert unknown == {"name": "new-net", "figures": None}


def test_the_weights_of_the_package(command: Command) -> None:
    listed = [line.split()[0] for line in command("zoo").out.splitlines()[1 : 1 + len(zoo_names())]]
    assert listed == list(zoo_names())
    assert FOD in listed
