"""Folding over a grid of layers, and every reason to refuse."""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pocketdet.errors import ExportError
from pocketdet.export import fold_batch_norm

torch.set_num_threads(1)


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_var is not None:
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.1, 3, generator=generator)
            if module.affine:
                module.weight.data.normal_(generator=generator)
                module.bias.data.normal_(generator=generator)
    return model.eval()


def assert_folds_exactly(model: nn.Module, example: Callable[[torch.Generator], Tensor], folds: int) -> None:
    folded, report = fold_batch_norm(model)
    assert len(report.folds) == folds
    for seed in (1, 2):
        x = example(torch.Generator().manual_seed(seed))
        expected, found = model(x), folded(x)
        assert (expected - found).abs().max() <= 1e-5 * expected.abs().max().clamp(min=1)


@pytest.mark.parametrize(
    ("kind", "groups", "bias", "affine"),
    list(itertools.product((nn.Conv2d, nn.ConvTranspose2d), (1, 2, 8), (False, True), (False, True))),
)
def test_convolutions(kind: type[nn.Conv2d], groups: int, bias: bool, affine: bool) -> None:
    out = 8 if groups == 8 else 6
    conv = kind(8, out, 3, stride=2, padding=1, groups=groups, bias=bias)
    model = randomised(nn.Sequential(conv, nn.BatchNorm2d(out, affine=affine), nn.ReLU()))
    assert_folds_exactly(model, lambda g: torch.randn(2, 8, 9, 7, generator=g), folds=1)


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_convolution_with_a_channel_multiplier(multiplier: int) -> None:
    model = randomised(
        nn.Sequential(
            nn.Conv2d(6, 6 * multiplier, 5, padding=2, groups=6, bias=False), nn.BatchNorm2d(6 * multiplier)
        )
    )
    assert_folds_exactly(model, lambda g: torch.randn(1, 6, 8, 8, generator=g), folds=1)


@pytest.mark.parametrize("bias", [False, True])
def test_linear(bias: bool) -> None:
    model = randomised(nn.Sequential(nn.Linear(10, 7, bias=bias), nn.BatchNorm1d(7)))
    assert_folds_exactly(model, lambda g: torch.randn(5, 10, generator=g), folds=1)


def test_the_original_model_is_untouched() -> None:
    model = randomised(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fold_batch_norm(model)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


class TwoReaders(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.conv(self.first(self.conv(x))))


class AfterFunction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(torch.cat([x, x], 1))


@pytest.mark.parametrize(
    ("model", "channels", "reason"),
    [
        (TwoReaders(), 3, "is read 2 times"),
        (Shared(), 4, "is shared: it is called 2 times"),
        (AfterFunction(), 3, "the function cat"),
        (nn.Sequential(nn.BatchNorm2d(3)), 3, "the model's input"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)), 3, "(ReLU), not a convolution"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)), 3, "no running"),
    ],
)
def test_refusals_give_their_reason_and_change_nothing(model: nn.Module, channels: int, reason: str) -> None:
    model = randomised(model)
    folded, report = fold_batch_norm(model)
    assert not report.folds
    assert reason in report.refusals[0].reason
    x = torch.randn(2, channels, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(x), folded(x))


def test_data_dependent_control_flow_is_a_typed_error() -> None:
    class Branches(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ExportError, match="Branches cannot be traced"):
        fold_batch_norm(Branches())
