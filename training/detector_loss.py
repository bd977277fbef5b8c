"""What the training losses of all families hold: the model, their settings and the processes."""

from typing import Generic, TypeVar

from torch import nn

from pocketdet.training.distributed import SINGLE_PROCESS, DistributedContext

ModelT = TypeVar("ModelT", bound=nn.Module)
SettingsT = TypeVar("SettingsT")


class DetectorLoss(nn.Module, Generic[ModelT, SettingsT]):
    """A model with the loss of its family, as one module that DistributedDataParallel can wrap.

    Args:
        model: the detector to train; the loss runs it.
        settings: the loss settings of its family.
        context: the processes that share a batch.
        autocast: whether the network runs in bfloat16; targets and losses are float32 in any case.
    """

    def __init__(
        self,
        model: ModelT,
        settings: SettingsT,
        context: DistributedContext = SINGLE_PROCESS,
        autocast: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self._settings, self._context, self._autocast = settings, context, autocast
