"""A wider ThunderNet that computes what a trained, narrower one does."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from own_data import NAMES, write_coco

from pocketdet.errors import UsageError
from pocketdet.models.build import build_detector
from pocketdet.models.checkpoint import load_checkpoint, read_card, save_checkpoint
from pocketdet.models.config import Anchors, DetectorConfig
from pocketdet.models.random_init import random_thundernet
from pocketdet.models.thundernet import ThunderNet
from pocketdet.training.start import initialise
from pocketdet.training.widen import _least_squares, choose_places, fit_context, main, passes, widen

CONFIG = DetectorConfig("thundernet-snet49", NAMES, (96, 64))


def fresh(arch: str, config: DetectorConfig = CONFIG) -> ThunderNet:
    model = build_detector(replace(config, arch=arch))
    initialise(model, 1, 4.0)
    return model


@pytest.fixture(scope="module")
def snet49() -> ThunderNet:
    return random_thundernet(CONFIG, seed=3)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(4, 3, 96, 64, generator=torch.Generator().manual_seed(2))


def test_a_channel_is_placed_where_it_is_passed_on_as_often() -> None:
    assert [passes(place, 8, 3) for place in (0, 1, 2, 3, 4, 7, 8, 15)] == [3, 3, 2, 2, 1, 1, 0, 0]
    wanted = range(1, 60, 2)
    places = choose_places(wanted, 30, 66, 7)
    assert len(set(places)) == len(places)
    for narrow, wide in zip(wanted, places, strict=True):
        assert wide % 2 == 1
        assert passes(narrow, 30, 7) == passes(wide, 66, 7)
    with pytest.raises(UsageError, match="60 channels do not fit among 40"):
        choose_places(wanted, 30, 20, 7)


@torch.no_grad()
def test_c4_of_snet146_holds_that_of_snet49(snet49: ThunderNet, images: torch.Tensor) -> None:
    wide = fresh("thundernet-snet146")
    widen(snet49, wide)
    expected = snet49.cem.c4(snet49.backbone(images)[0])
    torch.testing.assert_close(wide.cem.c4(wide.backbone(images)[0]), expected, rtol=1e-4, atol=1e-4)
    for name, values in snet49.head.state_dict().items():
        assert torch.equal(wide.head.state_dict()[name], values)


@torch.no_grad()
def test_a_widened_snet146_is_the_same_detector(images: torch.Tensor) -> None:
    narrow = random_thundernet(replace(CONFIG, arch="thundernet-snet146"), seed=4)
    wide = fresh("thundernet-snet535")
    widen(narrow, wide)
    for found, expected in zip(wide(images), narrow(images), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_every_new_channel_can_be_learned(snet49: ThunderNet, images: torch.Tensor) -> None:
    """No layer of the backbone is cut off: the gradient reaches new channels through those that read them."""
    wide = fresh("thundernet-snet146").train()
    widen(snet49, wide)
    with torch.no_grad():
        wide.cem.c4[0].weight.add_(1e-3)
    sum(x.square().mean() for x in wide(images)).backward()
    for name, parameter in wide.backbone.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@torch.no_grad()
def test_context_without_conv5_is_fitted(snet49: ThunderNet) -> None:
    batches = torch.randn(6, 8, 3, 96, 64, generator=torch.Generator().manual_seed(5))
    wide = fresh("thundernet-snet146")
    widen(snet49, wide)

    def error() -> float:
        wide.backbone.train()  # the fit is to maps that are normalised as in training
        found = wide.cem.c5(wide.backbone(batches[0])[1])
        wide.backbone.eval()
        expected = snet49.cem.c5(snet49.backbone(batches[0])[1])
        return float((found - expected).square().mean() / expected.var())

    before = error()
    fit_context(snet49, wide, list(batches))
    assert error() < 0.5 < before


def test_least_squares_finds_a_linear_map() -> None:
    generator = torch.Generator().manual_seed(6)
    kernel, bias = torch.randn(3, 5, 1, 1, generator=generator), torch.randn(3, generator=generator)
    maps = [torch.randn(2, 5, 8, 8, generator=generator) for _ in range(4)]
    found, offset = _least_squares([(x, torch.conv2d(x, kernel, bias)) for x in maps])
    torch.testing.assert_close(found, kernel, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(offset, bias, rtol=1e-2, atol=1e-2)


def test_what_does_not_fit_is_refused(snet49: ThunderNet) -> None:
    with pytest.raises(UsageError, match="not narrower in every stage"):
        widen(random_thundernet(replace(CONFIG, arch="thundernet-snet146"), 1), fresh("thundernet-snet49"))
    other = replace(CONFIG, anchors=Anchors(scales=(16, 64)))
    with pytest.raises(UsageError, match="has other classes, anchors, parts or another head"):
        widen(snet49, fresh("thundernet-snet146", other))


def test_a_checkpoint_for_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_coco(tmp_path / "data")
    recipe = tmp_path / "run.toml"
    text = (
        'out = "run"\narch = "thundernet-snet146"\ninput_size = [64, 64]\nanchor_scales = [16, 32]\n'
        '[[data]]\nannotations = "data/annotations/instances_train.json"\nimages = "data/train"\n'
        "[schedule]\nsizes = [64]\n"
    )
    recipe.write_text(text)
    anchors = Anchors(scales=(16, 32))
    given = random_thundernet(replace(CONFIG, input_size=(64, 64), anchors=anchors), seed=3)
    save_checkpoint(tmp_path / "given.safetensors", given)
    out = tmp_path / "wide.safetensors"
    assert main([str(recipe), str(tmp_path / "given.safetensors"), str(out)]) == 0
    assert load_checkpoint(out).config.arch == "thundernet-snet146"
    assert read_card(out) == {"widened from": "given.safetensors"}
    recipe.write_text(text.replace("snet146", "snet49"))
    assert main([str(recipe), str(tmp_path / "given.safetensors"), str(out)]) == 2
    assert "not narrower in every stage" in capsys.readouterr().err
