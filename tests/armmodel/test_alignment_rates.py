"""The cost models of channel alignment for ARM: chains of layers, the fit, and the file in the repository."""

from dataclasses import fields
from pathlib import Path

import pytest

from pocketdet.armmodel.alignment_rates import TARGETS, fit_rates, layer_chain, main, make_chains, model_chain
from pocketdet.armmodel.cores import CORES
from pocketdet.armmodel.instrument import find_instrument
from pocketdet.errors import UsageError
from pocketdet.export.passes.channel_alignment.cost import CostRates, Work, layer_work, neon_rates
from pocketdet.runtime.ncnn_graph import Graph, infer_shapes


def works(lanes: int) -> list[Work]:
    """What the chains do, without their first layers."""
    found = []
    for chain in make_chains():
        shapes = infer_shapes(Graph(chain.layers, structure_only=True), {"in0": chain.shape})
        for layer in chain.layers[2:]:
            sides = [[shapes[blob] for blob in blobs] for blobs in (layer.inputs, layer.outputs)]
            found.append(layer_work(layer, *sides, lanes))
    return found


@pytest.mark.parametrize("target", TARGETS)
def test_the_chains_have_every_rate_of_the_file(target: str) -> None:
    rates = neon_rates(target)
    found = works(TARGETS[target][1])
    assert {work.rate for work in found} == {field.name for field in fields(CostRates)}
    fitted = fit_rates((work, work.cost(rates)) for work in found)  # as if the model were exact
    assert fitted == {field.name: getattr(rates, field.name) for field in fields(CostRates)}


def test_a_rate_is_the_median_of_its_layers() -> None:
    layers = [(Work("resize", (8,), 10.0), cycles) for cycles in (10.0, 20.0, 90.0)]
    dense = [(Work("dense", (4, 8), 100.0), 5.0), (Work("dense", (4, 4), 100.0), 7.0)]
    assert fit_rates([*layers, *dense]) == {"resize": {8: 2.0}, "dense": {4: {8: 0.05, 4: 0.07}}}


def test_depthwise_channels_that_are_not_packed_cost_many_times_more() -> None:
    """In half precision ncnn has kernels for 8 packed channels; 4 are as slow as a loop."""
    rates = neon_rates("neon-fp16")
    assert rates.depthwise[1] > 10 * rates.depthwise[8]
    assert rates.depthwise[4] > 5 * rates.depthwise[8]
    assert rates.dense[1][1] < 1.5 * rates.dense[8][8]


def test_a_core_without_a_model_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--core", "cortex-a53", "--out", str(tmp_path / "rates.json")]) == 2
    assert "there is no pipeline model" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_file_is_what_the_model_says() -> None:
    try:
        instrument = find_instrument()
    except UsageError as error:
        pytest.skip(str(error))
    stored = neon_rates("neon-fp16")
    found = fit_rates(model_chain(layer_chain(64, 20), CORES["cortex-a76"], "fp16", 8, instrument))
    assert found["pooling"][8] == pytest.approx(stored.pooling[8], rel=0.1)  # one chain of ten
    assert found["resize"][8] == pytest.approx(stored.resize[8], rel=0.1)
