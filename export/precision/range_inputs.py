"""What a detector's graphs are fed on pictures: the values whose range is measured."""

from collections.abc import Iterable, Iterator

import numpy as np

from pocketdet.export.reference import Picture, Reference
from pocketdet.runtime.engines.base import Array


class RangeInputs:
    """Inputs of the first graph as an iterator, and those of the others once that has come to its end.

    Pictures are read one at a time, RGB (H, W, 3) uint8; RoI features are kept, 200 kB a picture.
    """

    def __init__(self, reference: Reference, pictures: Iterable[Picture]) -> None:
        self._reference = reference
        self._pictures = pictures
        self.others: dict[str, list[Array]] = {name: [] for name in list(reference.networks())[1:]}

    def first(self) -> Iterator[Array]:
        """Normalised pictures (3, h, w)."""
        for picture in self._pictures:
            own, *others = self._reference.inputs(picture).items()
            for name, rows in others:
                self.others[name] += [np.ascontiguousarray(rows)] if rows.size else []
            yield np.ascontiguousarray(own[1])
