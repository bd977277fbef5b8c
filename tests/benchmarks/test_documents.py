"""Documents of a runner are untrusted: any content becomes a part of a record or an error of one sentence."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_runner import Runner

from pocketdet.benchmarks.record import Device, Engine, Run, Throttling
from pocketdet.benchmarks.targets import PYTHON_RUNNER, documents
from pocketdet.errors import EngineError

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(-1, 3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)


@pytest.fixture(scope="module")
def document(small_bundle: Path) -> dict[str, Any]:
    """A bench document with everything that a phone would add."""
    found = Runner(PYTHON_RUNNER).json("bench", small_bundle, "--frames", "2", "--warmup", "0")
    for moment in ("before", "after"):
        found[moment]["sensors"]["thermal"] = [
            {"zone": "thermal_zone0", "type": "cpu", "millidegrees": 40_000}
        ]
        found[moment]["sensors"]["power"] = [{"supply": "battery", "capacity": 80, "temp": 301}]
    states = {"before": {"status": "none", "headroom": 0.5}, "after": {"status": None, "headroom": None}}
    found["android"] = {"thermal": states}
    return found


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where every value of a document stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


@given(st.data())
@settings(max_examples=300)
def test_any_value_anywhere(document: dict[str, Any], data: st.DataObject) -> None:
    changed = copy.deepcopy(document)
    *way, last = data.draw(st.sampled_from(places(document)[1:]))
    inside: Any = changed
    for key in way:
        inside = inside[key]
    if data.draw(st.booleans()):
        del inside[last]
    else:
        inside[last] = data.draw(values)
    for make, kind in (
        (documents.run_from, Run),
        (documents.engine_from, Engine),
        (lambda d: documents.device_from(d, {}, None), Device),
    ):
        try:
            with documents.parse_errors("document 'bench'", "adb:1"):
                made = make(changed)
        except EngineError as error:
            assert str(error).startswith("adb:1: document 'bench' of the runner")
            assert "\n" not in str(error)
        else:
            assert isinstance(made, kind)


def test_a_document_is_converted(document: dict[str, Any]) -> None:
    run = documents.run_from(document)
    assert run.frames == 2
    assert run.after.power[0].celsius == 30.1
    assert run.after.thermal[0].celsius == 40.0
    assert run.before.throttling == Throttling(status="none", headroom=0.5)
    assert run.after.throttling == Throttling()
    assert documents.engine_from(document).language == "Python"
    assert json.loads(run.model_dump_json())["stages"] == document["stages"]


@pytest.mark.parametrize(
    ("machine", "properties", "name", "expected"),
    [
        ({"model name": ["Xeon"]}, {}, None, ("Xeon", None)),
        ({"Hardware": ["Qualcomm SDM845"]}, {}, None, ("Qualcomm SDM845", "Qualcomm SDM845")),
        ({"device_model": "Raspberry Pi 5"}, {}, None, ("Raspberry Pi 5", None)),
        ({}, {"name": "Acme 1", "soc": "Snapdragon 845"}, None, ("Acme 1", "Snapdragon 845")),
        ({}, {"name": "Acme 1"}, "mine", ("mine", None)),
        ({}, {}, None, ("Linux aarch64", None)),
    ],
)
def test_names_of_devices(
    machine: dict[str, Any], properties: dict[str, str], name: str | None, expected: tuple[str, str | None]
) -> None:
    base = {
        "system": "Linux",
        "release": "6",
        "architecture": "aarch64",
        "emulated": False,
        "memory_bytes": 1,
    }
    document = {"machine": {**base, "cpu_features": [], "cpus": [{"cpu": 0}], **machine}}
    device = documents.device_from(document, properties, name)
    assert (device.name, device.soc) == expected
