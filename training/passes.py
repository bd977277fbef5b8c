"""The forward pass in training of each family of detectors."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from pocketdet.models.build import AnyDetector
from pocketdet.models.mimicdet import MimicDet
from pocketdet.models.passd import PASSD
from pocketdet.models.retinanet import RetinaNet
from pocketdet.models.thundernet import ThunderNet
from pocketdet.training.config import Losses, Rule
from pocketdet.training.distributed import ALONE, World
from pocketdet.training.losses import LossTerms
from pocketdet.training.mimicdet_pass import MimicDetPass, MimicDetTerms
from pocketdet.training.one_stage_rules import MimicDetLosses, PASSDLosses, RetinaNetLosses
from pocketdet.training.passd_pass import PASSDPass, PASSDTerms
from pocketdet.training.retinanet_pass import RetinaNetPass, RetinaNetTerms
from pocketdet.training.step import TrainingPass

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Terms(Protocol):
    """The losses of a batch, a scalar in each field; one of them is `accuracy`, which is not minimised."""

    def total(self, rule: Any) -> Tensor:
        """What is minimised, by the table of the configuration that belongs to the family."""
        ...


def training_pass(model: AnyDetector, rule: Rule, world: World = ALONE, autocast: bool = False) -> nn.Module:
    """A module whose `forward(images, truths)` gives the `Terms` of a batch; `rule` is of the family."""
    if isinstance(model, PASSD):
        assert isinstance(rule, PASSDLosses)
        return PASSDPass(model, rule, world, autocast)
    if isinstance(model, RetinaNet):
        assert isinstance(rule, RetinaNetLosses)
        return RetinaNetPass(model, rule, world, autocast)
    if isinstance(model, MimicDet):
        assert isinstance(rule, MimicDetLosses)
        return MimicDetPass(model, rule, world, autocast)
    assert isinstance(model, ThunderNet)
    assert isinstance(rule, Losses)
    return TrainingPass(model, rule, world, autocast)


def term_names(rule: Rule) -> tuple[str, ...]:
    """The names of the terms, in their order."""
    if isinstance(rule, PASSDLosses):
        return _names(PASSDTerms)
    if isinstance(rule, RetinaNetLosses):
        return _names(RetinaNetTerms)
    return _names(MimicDetTerms if isinstance(rule, MimicDetLosses) else LossTerms)


def _names(terms: "type[DataclassInstance]") -> tuple[str, ...]:
    return tuple(field.name for field in fields(terms))
