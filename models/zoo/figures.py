"""Figures of a detector of the zoo: accuracy, cost and modelled times, in a .json file beside its card.

`python -m pocketdet.armmodel.zoo_figures` writes the files; they are read without PyTorch and the weights.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pocketdet.errors import UsageError
from pocketdet.models.zoo import zoo_weights

PRECISIONS: Final = ("fp32", "fp16", "int8")
Precision = Literal["fp32", "fp16", "int8"]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Measured(_Record):
    """One precision in ncnn: accuracy in [0, 1], and bytes of the network files."""

    precision: Precision
    ap: Share
    ap50: Share
    bytes: Count


class ModelledTime(_Record):
    """Modelled milliseconds of one frame on a core of a device, on one thread. Not measured."""

    precision: Precision
    core: str
    device: str
    milliseconds: Positive


class Failed(_Record):
    """A precision that could not be exported or run, and the error's sentence."""

    precision: Precision
    reason: str


class ZooFigures(_Record):
    """One detector.

    Attributes:
        sha256: of the weights that were measured.
        architecture, detector: as in a manifest.
        input_size: (height, width) in pixels.
        classes: number of classes, without background.
        macs, parameters: of the exported networks; multiply-accumulates with all RoIs.
        data: what accuracy was measured on, in words.
        measured: a row for each precision in ncnn.
        failed: the precisions that could not be measured.
        modelled: a row for each precision and device.
    """

    schema_version: Literal[1] = 1
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    architecture: str
    detector: Literal["two-stage", "one-stage"]
    input_size: tuple[Count, Count]
    classes: Count
    macs: Count
    parameters: Count
    data: str
    measured: tuple[Measured, ...]
    failed: tuple[Failed, ...] = ()
    modelled: tuple[ModelledTime, ...]

    def accuracy(self, precision: Precision) -> Measured | None:
        """The row of a precision, None if it was not measured."""
        return next((row for row in self.measured if row.precision == precision), None)

    def why_missing(self, precision: Precision) -> str | None:
        """Why a precision has no accuracy, None if it has one."""
        if self.accuracy(precision):
            return None
        return next((one.reason for one in self.failed if one.precision == precision), "not measured yet")

    def milliseconds(self, core: str, precision: Precision) -> float | None:
        """Modelled milliseconds on the first device with a core, None if it was not modelled."""
        rows = (row for row in self.modelled if (row.core, row.precision) == (core, precision))
        return next((row.milliseconds for row in rows), None)

    def to_json(self) -> str:
        """The file's content."""
        return self.model_dump_json(indent=2) + "\n"


def figures_path(name: str) -> Path:
    """The file with the figures of a detector of the zoo. Raises `UsageError` for an unknown name."""
    return zoo_weights(name).with_suffix(".json")


def read_figures(name: str) -> ZooFigures | None:
    """The figures of a detector of the zoo, None if nothing was measured yet.

    Raises:
        UsageError: for an unknown name, or a file that cannot be read.
    """
    path = figures_path(name)
    try:
        return ZooFigures.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise UsageError(
            f"{path}: cannot be read as figures of the zoo: {reason}; write it again with "
            "python -m pocketdet.armmodel.zoo_figures"
        ) from error
