"""The graph of a module whose control flow depends on its input, for folding and for values by module."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from pocketdet.errors import ExportError
from pocketdet.models.fold_bn import fold_batch_norm
from pocketdet.models.trace import capture


class Block(nn.Module):
    """Control flow by shape, a layer that is called twice, and functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.SiLU()
        self.twice = nn.Conv2d(8, 8, 1)
        self.last = nn.BatchNorm2d(8)
        for norm in (self.norm, self.last):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.act(self.norm(self.conv(x)))
        if y.shape[-1] > 4:
            y = y * 2.0
        y = self.last(self.twice(self.twice(y)))
        return {"y": y, "z": torch.cat([y, y], 1)}


@pytest.fixture
def block() -> Block:
    torch.manual_seed(0)
    return Block().eval()


def test_it_needs_an_example(block: Block) -> None:
    with pytest.raises(ExportError, match="Block cannot be traced"):
        fold_batch_norm(block)


def test_batch_norm_is_folded_by_the_recorded_graph(block: Block) -> None:
    x = torch.rand(1, 3, 16, 16)
    folded, report = fold_batch_norm(block, x)
    assert [(fold.batch_norm, fold.into) for fold in report.folds] == [("norm", "conv")]
    assert [str(refusal) for refusal in report.refusals] == [
        "-[ ] kept last: twice is shared: it is called 2 times"
    ]
    for name, value in block(x).items():
        torch.testing.assert_close(folded(x)[name], value, rtol=1e-5, atol=1e-5)


def test_values_have_the_names_of_modules(block: Block) -> None:
    x = torch.rand(1, 3, 16, 16)
    values = {value.source: value.array for value in capture(block, x)}
    assert list(values) == ["conv", "norm", "act", "mul", "twice", "twice#2", "last", "cat"]
    torch.testing.assert_close(torch.from_numpy(values["last"]), block(x)["y"])


def test_a_weight_that_is_computed_or_shared_is_not_folded() -> None:
    computed = nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 4, 1)), nn.BatchNorm2d(4)).eval()
    _, report = fold_batch_norm(computed)
    assert "computed, not stored" in str(report.refusals[0])
    shared = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)).eval()
    shared[2].weight = shared[0].weight
    _, report = fold_batch_norm(shared)
    assert str(report.refusals[0]) == "-[ ] kept 1: the weight of 0 belongs to 2 modules"


class Functional(nn.Module):
    """Batch norm as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("var", torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.batch_norm(self.conv(x), self.mean, self.var)


def test_batch_norm_that_is_a_function_is_reported() -> None:
    _, report = fold_batch_norm(Functional().eval())
    assert str(report.refusals[0]) == "-[ ] kept batch_norm: it is a function, not a module"


class Impossible(nn.Module):
    """Control flow by values, which no graph holds."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum().item() > 0 else x * 2


def test_a_module_that_cannot_be_recorded_is_one_sentence() -> None:
    with pytest.raises(ExportError, match=r"torch\.export cannot record Impossible") as caught:
        fold_batch_norm(Impossible().eval(), torch.rand(1, 3, 4, 4))
    assert "\n" not in str(caught.value)
