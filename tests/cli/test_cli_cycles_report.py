"""The tables, JSON and pictures of `pocketdet cycles`, from a model made by hand."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_records import layer_run, record
from rich.console import Console

from pocketdet.armmodel.cores import CORES
from pocketdet.armmodel.modelled import Figures, LayerFigures, Modelled, NamedFigures
from pocketdet.armmodel.plots import plot_layers, plot_validation
from pocketdet.armmodel.subject import LayerFacts
from pocketdet.armmodel.validation import Point, Validation, errors_of, known_errors, one_factor
from pocketdet.benchmarks.record import Record
from pocketdet.benchmarks.record_io import write_record
from pocketdet.cli.cycles import print_side_by_side, read_measured, with_measured
from pocketdet.cli.cycles_report import Clock, print_modelled, print_pair, record_of
from pocketdet.errors import UsageError
from pocketdet.io import atomic_write
from pocketdet.runtime.bundle import load_bundle

FUNCTION = "ncnn::convolution_im2col_gemm_fp16sa(ncnn::Mat const&, ncnn::Option const&)"
FACTS = LayerFacts("conv_12", "Convolution", "backbone.stage2.0.branch.0.2", (32, 80, 80), 1_000_000, "fp16")
A76 = CORES["cortex-a76"]
LINES = 100_000


@pytest.fixture
def modelled() -> Modelled:
    conv = Figures(1.5e6, 3_000_000, 1_000_000, FACTS.limit(A76))
    other = Figures(0.5e6, 1_000_000)
    return Modelled(
        "thundernet-snet49",
        A76,
        "fp16",
        200,
        Figures(2.0e6, 4_000_000, 1_000_000, FACTS.limit(A76), LINES),
        (NamedFigures("preprocess", other), NamedFigures("features", conv)),
        (LayerFigures("features", FACTS, conv, ((FUNCTION, 1.5e6),)),),
        (NamedFigures(FUNCTION, conv), NamedFigures("__memcpy_generic", other)),
        0.001,
        0.002,
    )


def printed(show: object, *arguments: object) -> str:
    stream = io.StringIO()
    show(*arguments, Console(file=stream, width=80, highlight=False))  # type: ignore[operator]
    return stream.getvalue()


CLOCKS = [Clock("Snapdragon 855+", A76, 2.96, 1.5), Clock("Raspberry Pi 5", A76, 2.4)]
ON_855 = 2.0 / 2.96 + 1.5 * LINES / 1e6
"""2 M cycles at 2.96 GHz, and the lines."""


def test_a_model_in_80_columns(modelled: Modelled) -> None:
    text = printed(print_modelled, modelled, CLOCKS, 12)
    assert "thundernet-snet49 on cortex-a76 (LLVM's neoverse-n1), fp16, 200 RoIs: modelled" in text
    assert f"{ON_855:.2f}" in text
    assert "convolution_im2col" in text
    assert "Modelled, not measured" in text
    assert max(map(len, text.splitlines()[1:])) <= 80


def test_milliseconds_say_whether_they_include_memory(modelled: Modelled) -> None:
    known, unknown = CLOCKS
    for clocks, expected in (
        (CLOCKS, {known.label: "include", unknown.label: "do not include"}),
        ([known], {known.label: "include"}),
        ([Clock(A76.name, A76, None)], {}),
    ):
        for show, models in ((print_modelled, [modelled]), (print_pair, [modelled, modelled])):
            words = " ".join(printed(show, *models, clocks, 12).split())
            found = dict(re.findall(r"Milliseconds on the (.+?) ((?:do not )?include)\b", words))
            assert found == expected


def test_two_models_side_by_side(modelled: Modelled) -> None:
    half = replace(modelled, total=Figures(1.0e6, 2_000_000), functions=modelled.functions[:1])
    text = printed(print_pair, modelled, half, CLOCKS, 12)
    assert "2.00" in text
    assert "-1.00" in text
    assert "__memcpy_generic" in text
    assert "Modelled, not measured" in text


def test_json_cannot_be_taken_for_a_measurement(modelled: Modelled) -> None:
    record = json.loads(json.dumps(record_of(modelled, CLOCKS)))
    assert record["measured"] is False
    assert record["modelled_cycles"] == 2.0e6
    assert record["modelled_ms"] == {
        "Snapdragon 855+": pytest.approx(ON_855),
        "Raspberry Pi 5": pytest.approx(2.0 / 2.4),
    }
    assert record["layers"][0]["module"] == FACTS.module
    assert record["lines_from_memory"] == LINES
    assert not any("fps" in key for key in record)


def with_layers(**changes: Any) -> Record:
    """A record whose layers were timed; conv_0 is the layer of the model."""
    timed = layer_run()
    first = {**timed["layers"][0], "name": FACTS.name, "module": FACTS.module}
    return record(layers={**timed, "layers": (first, *timed["layers"][1:])}, **changes)


def test_modelled_and_measured_stand_in_columns_of_their_own(modelled: Modelled) -> None:
    text = printed(print_side_by_side, modelled, with_layers(), CLOCKS, 12)
    assert "measured on OnePlus 6, fp32" in text
    assert "modelled in fp16, measured in fp32: other work" in text
    row = next(line for line in text.splitlines() if line.startswith("backbone.stage2"))
    assert row.split()[1:] == ["1.500", "0.507", "0.625", "3.000"]
    features = next(line for line in text.splitlines() if line.startswith("features"))
    assert features.split()[-1] == "30.000"  # three quarters of 40 ms
    assert "the clock of the layers costs" in " ".join(text.split())
    found = with_measured(record_of(modelled, CLOCKS), with_layers())
    assert found["layers"][0]["measured_ms"] == 3.0
    assert found["layers"][0]["modelled_cycles"] == 1.5e6
    assert found["measured_on"] == "OnePlus 6"
    assert found["measured"] is False


def test_a_record_of_something_else_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    with load_bundle(tiny_bundle) as bundle:
        write_record(path, record())
        with pytest.raises(UsageError, match="expected a record of tiny"):
            read_measured(path, bundle)
        path.unlink()
        write_record(path, record(bundle={"digest": bundle.digest}))
        with pytest.raises(UsageError, match="its layers were not timed"):
            read_measured(path, bundle)


def test_the_limit_of_a_layer() -> None:
    assert FACTS.limit(A76) == 1_000_000 / 16
    assert replace(FACTS, kind="int8").limit(CORES["cortex-a710"]) == 1_000_000 / 64


@pytest.fixture
def validation() -> Validation:
    points = [
        Point(network="a", core="cortex-a76", precision="fp16", cycles=2.96e6, lines=0),
        Point(network="b", core="cortex-a76", precision="fp16", cycles=29.6e6, lines=0),
        Point(network="c", core="cortex-a76", precision="fp16", cycles=None, failure="no such layer"),
    ]
    found = Validation(llvm="19", points=points, ratios={})
    found.compare({"Snapdragon 855+": {"a": 1.0, "b": 8.0, "c": 3.0}})
    return found


def test_errors_against_published_times(validation: Validation, tmp_path: Path) -> None:
    ratios = validation.ratios["Snapdragon 855+"]
    assert ratios == {"a": pytest.approx(1.0), "b": pytest.approx(1.25)}
    assert errors_of(ratios)[0] == pytest.approx(0.125)
    assert errors_of(ratios)[2] == pytest.approx(0.25)
    assert max(errors_of(one_factor(ratios))) == pytest.approx(1 / 9)
    path = tmp_path / "validation.json"
    atomic_write(path, validation.model_dump_json())
    assert known_errors(A76, path) == [
        "Snapdragon 855+ (fp16): median error 12.5%, 90th percentile 22%, 2 networks"
    ]
    assert known_errors(CORES["oryon"], path) == []


def test_pictures(modelled: Modelled, validation: Validation, tmp_path: Path) -> None:
    plot_layers(tmp_path / "layers.png", [modelled, modelled])
    plot_validation(tmp_path / "validation.png", validation)
    for name in ("layers.png", "validation.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
