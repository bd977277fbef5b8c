"""Values of a torch graph by their module, and blobs matched to them by value."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pocketdet.export.layer_map import match_values, relative_difference
from pocketdet.models.ops.deform_conv import DeformConv2d
from pocketdet.models.trace import Value, capture


class Block(nn.Module):
    """A module that is called, one used twice, a function, an operator and an identity."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)
        self.skip = nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.conv(x))
        return self.relu(torch.cat([y, self.skip(x)], dim=1)) + 1


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Block()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.block(x)
        return y * self.scale, y.mean(dim=(2, 3))


def values() -> list[Value]:
    torch.manual_seed(0)
    return capture(Net().eval(), torch.randn(1, 2, 3, 4))


def test_every_value_is_named_by_its_module_in_order() -> None:
    found = values()
    sources = [v.source for v in found]
    assert sources[:2] == ["block.conv", "block.relu"]
    assert sources[3] == "block.relu#2"
    assert "block.skip" not in sources  # it changes nothing
    assert len(sources) == len(set(sources)) == 7
    assert all(v.array.dtype == np.float32 for v in found)
    assert found[-1].array.shape == (1, 4)


def test_values_are_what_the_modules_give() -> None:
    torch.manual_seed(0)
    net, image = Net().eval(), torch.randn(1, 2, 3, 4)
    found = {v.source: v.array for v in capture(net, image)}
    with torch.no_grad():
        np.testing.assert_array_equal(found["block.conv"], net.block.conv(image).numpy())
        np.testing.assert_array_equal(found["block.relu"], net.block.conv(image).relu().numpy())
        scaled, means = net(image)
    outputs = list(found.values())
    assert any(a.shape == scaled.shape and np.array_equal(a, scaled.numpy()) for a in outputs)
    assert any(a.shape == means.shape and np.array_equal(a, means.numpy()) for a in outputs)


def test_values_do_not_change_with_what_comes_after() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu = nn.Conv2d(1, 1, 1), nn.ReLU(inplace=True)
            nn.init.constant_(self.conv.weight, -1)
            nn.init.zeros_(self.conv.bias)

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.conv(x))

    found = {v.source: v.array for v in capture(InPlace().eval(), torch.ones(1, 1, 2, 2))}
    assert np.all(found["conv"] == -1)
    assert np.all(found["relu"] == 0)


def array(*numbers: float) -> NDArray[np.float32]:
    return np.array(numbers, np.float32)


def test_the_closest_value_wins_then_the_earliest() -> None:
    known = [
        Value("far", array(1, 2, 3.3)),
        Value("near", array(1, 2, 3.001)),
        Value("counterpart", array(1, 2, 3.001)),
        Value("short", array(1, 2)),
    ]
    blobs = {"a": array(1, 2, 3), "b": array(9, 9, 9), "c": array(1, 2), "d": array(1, 2, 3.3)}
    assert match_values(blobs, known, 1e-2) == {"a": "near", "c": "short", "d": "far"}


def test_shapes_may_differ_by_axes_of_one() -> None:
    known = [Value("pooled", array(1, 2).reshape(1, 2, 1, 1))]
    assert match_values({"blob": array(1, 2)}, known, 0) == {"blob": "pooled"}


def test_nothing_matches_nothing() -> None:
    assert match_values({"blob": array(1)}, [], 1) == {}
    assert match_values({}, values(), 1) == {}


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_values_that_are_not_finite_match_nothing(wrong: float) -> None:
    assert match_values({"blob": array(1, wrong)}, [Value("v", array(1, 2))], 1e9) == {}
    assert match_values({"blob": array(1, 2)}, [Value("v", array(1, wrong))], 1e9) == {}


def test_relative_difference_by_hand() -> None:
    assert relative_difference(array(2, -4), array(2, -3)) == 0.25
    assert relative_difference(array(0, 0), array(0, 0.5)) == 0.5
    assert relative_difference(array(), array()) == 0


def test_deformable_convolutions_are_one_value_and_chunks_may_be_walked_over() -> None:
    class Sampled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fields = nn.Conv2d(2, 36, 1)
            self.attend = nn.ModuleList(DeformConv2d(2, 3, 3) for _ in range(2))

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            fields = list(self.fields(x).chunk(2, dim=1))
            parts = [attend(x, field) for attend, field in zip(self.attend, fields, strict=True)]
            return {"parts": torch.cat(parts, dim=1)}

    torch.manual_seed(0)
    model, image = Sampled().eval(), torch.randn(1, 2, 5, 4)
    found = {v.source: v.array for v in capture(model, image)}
    with torch.no_grad():
        expected = model(image)["parts"].numpy()
    np.testing.assert_array_equal(np.concatenate([found["attend.0"], found["attend.1"]], axis=1), expected)
    assert {v.source.split("#")[0] for v in capture(model, image)} <= {
        "fields", "chunk", "getitem", "attend.0", "attend.1", "cat"
    }  # fmt: skip
