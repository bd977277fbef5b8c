"""What a detector's two graphs are fed on pictures: the values whose range is measured."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from pocketdet.models.postprocess import reference_stages
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.engines.base import Array


class RangeInputs:
    """Inputs of the features graph as an iterator, and those of the head once that has come to its end.

    Pictures are read one at a time, RGB (H, W, 3) uint8; RoI features are kept, 200 kB a picture.
    """

    def __init__(self, model: ThunderNet, pictures: Iterable[NDArray[np.uint8]]) -> None:
        self._model = model
        self._pictures = pictures
        self.head: list[Array] = []

    def features(self) -> Iterator[Array]:
        """Normalised pictures (3, h, w)."""
        for picture in self._pictures:
            stages = reference_stages(self._model, picture)
            rows = np.ascontiguousarray(stages.roi_features.numpy())
            self.head += [rows] if rows.size else []
            yield np.ascontiguousarray(stages.normalised.numpy())
