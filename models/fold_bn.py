"""Fold batch normalisation into the convolution or linear layer before it.

With gamma, beta, mu, var, eps of the batch norm and W, b of the layer (b = 0 without bias), per output
channel:

    s  = gamma / sqrt(var + eps)
    W' = W * s
    b' = (b - mu) * s + beta

computed in float64 and stored in the layer's own type. A transposed convolution keeps its output channels in
dimension 1 of W, one block per group; all others in dimension 0. ThunderNet section 4.5: "the batch
normalization layers are merged with the preceding convolutions".
"""

import copy
from collections import Counter
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from pocketdet.models.trace import graph_module

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class Fold:
    """One batch norm that is now part of `into`."""

    batch_norm: str
    into: str

    def __str__(self) -> str:
        return f"-[✓] folded {self.batch_norm} into {self.into}"


@dataclass(frozen=True)
class Refusal:
    """One batch norm that stays, and why."""

    batch_norm: str
    reason: str

    def __str__(self) -> str:
        return f"-[ ] kept {self.batch_norm}: {self.reason}"


@dataclass(frozen=True)
class FoldReport:
    """What was folded and what was refused, in the order of execution."""

    folds: tuple[Fold, ...]
    refusals: tuple[Refusal, ...]


def fold_batch_norm(model: Model, example: Tensor | None = None) -> tuple[Model, FoldReport]:
    """A copy of `model` in eval mode with every foldable batch norm replaced by `nn.Identity`.

    Args:
        model: any module; it is not changed.
        example: an input; required if the control flow depends on shapes or values.

    Raises:
        ExportError: if the model cannot be traced.
    """
    model = copy.deepcopy(model).eval()
    graph = graph_module(model, example).graph
    modules: dict[str, nn.Module] = dict(model.named_modules())
    calls = Counter(id(modules[str(n.target)]) for n in graph.nodes if n.op == "call_module")
    owners = Counter(id(p) for m in modules.values() for p in m.parameters(recurse=False))
    folds: list[Fold] = []
    refusals: list[Refusal] = []
    for node in graph.nodes:
        if node.op == "call_function" and "batch_norm" in getattr(node.target, "__name__", ""):
            refusals.append(Refusal(node.name, "it is a function, not a module"))
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, _BatchNorm):
            continue
        name, source = str(node.target), node.args[0]
        reason = _reason_to_keep(norm, source, modules, calls, owners)
        if reason is not None:
            refusals.append(Refusal(name, reason))
            continue
        layer = modules[str(source.target)]
        _fold_into(layer, norm)
        model.set_submodule(name, nn.Identity())
        folds.append(Fold(name, str(source.target)))
    return model, FoldReport(tuple(folds), tuple(refusals))


def _reason_to_keep(
    norm: _BatchNorm, source: object, modules: dict[str, nn.Module], calls: Counter[int], owners: Counter[int]
) -> str | None:
    if norm.running_mean is None or norm.running_var is None:
        return "it has no running statistics"
    if calls[id(norm)] > 1:
        return f"it is called {calls[id(norm)]} times, after different layers"
    if not isinstance(source, fx.Node) or source.op != "call_module":
        return f"its input is {_describe(source)}, not a convolution or linear layer"
    layer = modules[str(source.target)]
    if not isinstance(layer, (_ConvNd, nn.Linear)):
        return f"its input is {source.target} ({type(layer).__name__}), not a convolution or linear layer"
    if calls[id(layer)] > 1:
        return f"{source.target} is shared: it is called {calls[id(layer)]} times"
    weight = layer._parameters.get("weight")
    if weight is None:
        return f"the weight of {source.target} is computed, not stored"
    if owners[id(weight)] > 1:
        return f"the weight of {source.target} belongs to {owners[id(weight)]} modules"
    if len(source.users) > 1:
        readers = ", ".join(sorted(str(u.target) for u in source.users))
        return f"the output of {source.target} is read {len(source.users)} times ({readers})"
    return None


def _describe(source: object) -> str:
    if isinstance(source, fx.Node):
        return "the model's input" if source.op == "placeholder" else f"the function {source.name}"
    return "not a tensor"


@torch.no_grad()
def _fold_into(layer: nn.Module, norm: _BatchNorm) -> None:
    assert isinstance(layer, (_ConvNd, nn.Linear))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, var = norm.running_mean.double(), norm.running_var.double()
    gamma = norm.weight.double() if norm.weight is not None else torch.ones_like(mean)
    beta = norm.bias.double() if norm.bias is not None else torch.zeros_like(mean)
    scale = gamma / torch.sqrt(var + norm.eps)
    bias = layer.bias.double() if layer.bias is not None else torch.zeros_like(mean)
    dtype = layer.weight.dtype
    layer.weight.copy_((layer.weight.double() * _per_output_channel(layer, scale)).to(dtype))
    layer.bias = nn.Parameter(((bias - mean) * scale + beta).to(dtype))


def _per_output_channel(layer: nn.Module, scale: Tensor) -> Tensor:
    """`scale` (out,) shaped to multiply the layer's weight."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    if not isinstance(layer, _ConvTransposeNd):
        return scale.reshape(-1, *[1] * (weight.dim() - 1))
    # transposed: (in, out / groups, *kernel), input channels of a group are contiguous rows
    per_group = scale.reshape(layer.groups, 1, -1).expand(-1, layer.in_channels // layer.groups, -1)
    return per_group.reshape(weight.shape[0], weight.shape[1], *[1] * (weight.dim() - 2))
