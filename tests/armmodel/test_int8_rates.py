"""The rates of int8 on ARM: the int8 copy of a graph, the fit, its errors, and what is kept."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from graph_builder import Builder

from pocketdet.armmodel import int8_cycles
from pocketdet.armmodel.cores import CORES, Core
from pocketdet.armmodel.int8_cycles import int8_copy, layer_cycles
from pocketdet.armmodel.int8_rates import SETUPS, Sample, fit_core, fit_rates, left_out, main
from pocketdet.errors import UsageError
from pocketdet.export.quantization.arm_gain import LayerWork
from pocketdet.runtime.ncnn_graph import infer_shapes

TRUE = {
    "fp16": {"1x1": (0.06, 0.1, 0.25), "other": (0.0, 0.15, 0.05)},
    "fp32": {"1x1": (0.12, 0.2, 0.5), "other": (0.0, 0.3, 0.1)},
    "int8, others fp16": {"1x1": (0.03, 0.3, 0.5)},
    "int8, others fp32": {"1x1": (0.032, 0.7, 1.75)},
}


def sample(name: str, seed: int, layers: int = 6) -> Sample:
    """A network whose cycles follow the rates exactly."""
    rng = np.random.default_rng(seed)
    works = []
    for i in range(layers):
        source, out, pixels = (int(n) for n in rng.integers(8, 400, 3))
        works.append(
            LayerWork(f"p{i}", "1x1", (source * out * pixels, source * pixels, out * pixels), int8=True)
        )
        works.append(LayerWork(f"m{i}", "other", (0.0, source * pixels, out * pixels), int8=False))
    cycles = tuple(
        {w.name: float(np.dot(TRUE[w.kind(others, int8=int8)][w.group], w.amounts)) for w in works}
        for others, int8 in SETUPS
    )
    return Sample(name, tuple(works), cycles)


def test_the_fit_finds_the_rates_of_exact_cycles() -> None:
    found = fit_rates([sample("a", 1), sample("b", 2)])
    assert found.keys() == TRUE.keys()
    for kind, groups in TRUE.items():
        for group, expected in groups.items():
            assert found[kind][group] == pytest.approx(expected, rel=1e-3)
    fitted = fit_core("cortex-a76", [sample("a", 1), sample("b", 2)])
    assert fitted.largest_error < 1e-3
    assert fitted.networks == 2


def test_the_error_is_that_of_a_network_that_the_fit_does_not_have() -> None:
    odd = sample("odd", 3)
    half, small, *rest = odd.cycles
    twice = replace(odd, cycles=(half, {name: 2 * cycles for name, cycles in small.items()}, *rest))
    every = [sample("a", 1), sample("b", 2), twice]
    ratios = [ratio for one, ratio in left_out("cortex-a76", every) if one is twice]
    assert ratios == [pytest.approx(2, rel=1e-3), pytest.approx(1, rel=1e-3)]
    assert fit_core("cortex-a76", every).largest_error == pytest.approx(1, rel=1e-3)


def test_a_network_with_a_layer_that_no_other_has_is_left_out_of_the_errors() -> None:
    own = sample("own", 3)
    own = replace(own, works=(replace(own.works[0], group="first"), *own.works[1:]))
    every = [sample("a", 1), sample("b", 2), own]
    assert {one.name for one, _ in left_out("cortex-a76", every)} == {"a", "b"}
    fitted = fit_core("cortex-a76", every)
    assert fitted.networks == 2
    assert all("first" in groups for kind, groups in fitted.rates.items() if kind != "fp32")


def test_a_copy_has_int8_where_an_export_could() -> None:
    b = Builder()
    x = b.conv(b.input(3, 32, 32), 16, 3, 2)
    b.conv(b.depthwise(x, 5), 24, 1)
    graph = b.graph()
    copy = int8_copy(graph, infer_shapes(graph, b.inputs))
    storages = [layer.weights["weight"].storage for layer in copy.layers if layer.weights]
    assert storages == ["int8", "fp32", "int8"]


def test_cycles_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    rois = [200]

    def model(subject: object, cores: Sequence[Core], instrument: object) -> Iterator[SimpleNamespace]:
        for core in cores:
            done.append(core.name)
            layer = SimpleNamespace(
                stage="head", facts=SimpleNamespace(name="gemm"), figures=SimpleNamespace(cycles=7.5)
            )
            yield SimpleNamespace(core=core, layers=[layer], rois=rois[0])

    monkeypatch.setattr(int8_cycles, "model", model)
    runner = tmp_path / "runner"
    runner.write_text("a program")
    bundle = SimpleNamespace(digest="d", source="net", manifest=SimpleNamespace(name="net", max_rois=200))
    cores = [CORES["cortex-a76"], CORES["cortex-a55"]]

    def cycles(arithmetic: str) -> dict[str, dict[str, float]]:
        return layer_cycles(bundle, arithmetic, cores, SimpleNamespace(runner=runner), tmp_path)  # type: ignore[arg-type]

    expected = {core.name: {"head/gemm": 7.5} for core in cores}
    assert cycles("fp16") == cycles("fp16") == expected
    assert len(done) == 2
    cycles("fp32")
    runner.write_text("another program")
    cycles("fp16")
    assert len(done) == 6
    rois[0] = 199
    with pytest.raises(UsageError, match="expected 200 RoIs on its golden image, found 199"):
        cycles("bf16-storage")


def test_one_bundle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        str(tmp_path / "a.pocketdet"),
        "--kept",
        str(tmp_path / "kept"),
        "--out",
        str(tmp_path / "rates"),
    ]
    assert main(words) == 2
    assert "two bundles or more are needed" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
