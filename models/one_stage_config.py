"""What a one-stage detector is, apart from its weights and its architecture's own fields.

As `DetectorConfig` for two stages it travels inside every checkpoint, as JSON.
"""

from dataclasses import dataclass, field

from pocketdet.models.config import Preprocessing, check_class_names
from pocketdet.spec.one_stage import Selection
from pocketdet.spec.validated import ValidatedConfig


@dataclass(frozen=True)
class OneStageConfig(ValidatedConfig):
    """Everything that, with the weights, defines a one-stage detector of a known architecture.

    Attributes:
        arch: a name in `build_one_stage.ONE_STAGE`.
        class_names: without background.
        input_size: (height, width); any, maps of odd sides are rounded up.
        base_size: side of the smallest square prior of a cell, in strides; the paper's where it is `None`.
        selection: which candidates become detections; the paper's where it is `None`.
    """

    arch: str
    class_names: tuple[str, ...]
    input_size: tuple[int, int] = (320, 320)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    base_size: float | None = None
    selection: Selection | None = None

    def __post_init__(self) -> None:
        check_class_names(self)
        self._within(1, 4096, "input_size")
        if self.base_size is not None:
            self._within(0.1, 64, "base_size")
