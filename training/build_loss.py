"""The training loss of each family of detectors."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from pocketdet.models.build import AnyDetector
from pocketdet.models.mimicdet import MimicDet
from pocketdet.models.passd import PASSD
from pocketdet.models.retinanet import RetinaNet
from pocketdet.models.thundernet import ThunderNet
from pocketdet.training.distributed import SINGLE_PROCESS, DistributedContext
from pocketdet.training.loss_config import (
    LossConfig,
    MimicDetLossConfig,
    PASSDLossConfig,
    RetinaNetLossConfig,
    ThunderNetLossConfig,
)
from pocketdet.training.mimicdet_loss import MimicDetLoss, MimicDetTerms
from pocketdet.training.one_stage_loss import PASSDLoss, PASSDTerms, RetinaNetLoss, RetinaNetTerms
from pocketdet.training.thundernet_loss import ThunderNetLoss, ThunderNetTerms

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class LossTerms(Protocol):
    """The losses of a batch, a scalar in each field; one of them is `accuracy`, which is not minimised."""

    def total(self, settings: Any) -> Tensor:
        """The scalar to minimise, weighted by the loss settings of the family."""
        ...


def build_loss(
    model: AnyDetector,
    settings: LossConfig,
    context: DistributedContext = SINGLE_PROCESS,
    autocast: bool = False,
) -> nn.Module:
    """The loss module of the model's family.

    Args:
        model: the detector to train; the loss runs it.
        settings: the loss settings of the same family.
        context: the processes that share a batch.
        autocast: whether the network runs in bfloat16; targets and losses are float32 in any case.

    Returns:
        A module. Its `forward(images, targets)` takes normalised images (N, 3, H, W) on the model's device
        and a list of `Targets`, and returns `LossTerms`.
    """
    if isinstance(model, PASSD):
        assert isinstance(settings, PASSDLossConfig)
        return PASSDLoss(model, settings, context, autocast)
    if isinstance(model, RetinaNet):
        assert isinstance(settings, RetinaNetLossConfig)
        return RetinaNetLoss(model, settings, context, autocast)
    if isinstance(model, MimicDet):
        assert isinstance(settings, MimicDetLossConfig)
        return MimicDetLoss(model, settings, context, autocast)
    assert isinstance(model, ThunderNet)
    assert isinstance(settings, ThunderNetLossConfig)
    return ThunderNetLoss(model, settings, context, autocast)


def term_names(settings: LossConfig) -> tuple[str, ...]:
    """The names of the terms, in their order."""
    if isinstance(settings, PASSDLossConfig):
        return _names(PASSDTerms)
    if isinstance(settings, RetinaNetLossConfig):
        return _names(RetinaNetTerms)
    return _names(MimicDetTerms if isinstance(settings, MimicDetLossConfig) else ThunderNetTerms)


def _names(terms: "type[DataclassInstance]") -> tuple[str, ...]:
    return tuple(field.name for field in fields(terms))
