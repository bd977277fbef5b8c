"""What an evaluation measured, as one JSON file: everything that a table or a later comparison needs.

It holds no date and no duration, so the same evaluation on the same machine writes the same file.
"""

import importlib.metadata
import math
import platform
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import cv2
from pydantic import BaseModel, ConfigDict, Field

from pocketdet.datasets import Dataset
from pocketdet.datasets.records import coverage_text
from pocketdet.evaluation.evaluate import Evaluated
from pocketdet.evaluation.variants import NAMES, Backend
from pocketdet.export.write_bundle import tool_versions
from pocketdet.models.config import Postprocessing
from pocketdet.runtime.precision import Arithmetic, Storage

SCHEMA_VERSION: Final = 1

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None  # None: no object to measure it on
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataReport(_Record):
    """What was measured on. `pictures` of the `pictures_listed` in the annotations took part.

    `objects` count, `ignored` ones (crowds, VOC's difficult ones) do not; `left_out` is how many problems of
    the data --skip-bad passed over.
    """

    file: str
    split: str | None
    sha256: Sha256
    pictures: Count
    pictures_listed: Count
    left_out: Count
    objects: Count
    ignored: Count
    class_names: tuple[str, ...]

    @property
    def coverage(self) -> str:
        """Which part of the data was measured, in words."""
        return coverage_text(self.pictures, self.pictures_listed)


class ClassReport(_Record):
    """One class of one variant: COCO's numbers and VOC's at IoU 0.5."""

    name: str
    objects: Count
    ap: Share
    ap50: Share
    voc_11: Share
    voc_area: Share


class VariantReport(_Record):
    """One row of the table; see `Variant`, `CocoAccuracy` and `VocAccuracy` for its numbers, in [0, 1].

    `bytes` are those of its network files, `emulated` the processor if it was not this machine's.
    """

    target: str
    sha256: Sha256
    form: Backend
    name: str
    weights: Storage
    arithmetic: Arithmetic
    bytes: Count | None = None
    emulated: str | None = None
    rule: Postprocessing
    ap: Share
    ap50: Share
    ap75: Share
    ap_small: Share
    ap_medium: Share
    ap_large: Share
    ar100: Share
    voc_11: Share
    voc_area: Share
    per_class: tuple[ClassReport, ...]


class FailedVariant(_Record):
    """A form of a target that could not be exported or run, and the error's sentence."""

    target: str
    form: Backend
    reason: str

    @property
    def label(self) -> str:
        """The target and the form, as people read them."""
        return f"{self.target} {NAMES[self.form]}"


class AccuracyReport(_Record):
    """One evaluation: subjects in the order of the table, and what could not be measured."""

    schema_version: Literal[1]
    data: DataReport
    subjects: Annotated[tuple[VariantReport, ...], Field(min_length=1)]
    failed: tuple[FailedVariant, ...] = ()
    tools: dict[str, str]

    def to_json(self) -> str:
        """The file's content."""
        return self.model_dump_json(indent=2) + "\n"


def data_report(dataset: Dataset, *, file: str, split: str | None, sha256: str, listed: int) -> DataReport:
    """Describe `dataset`, which came from `file` of that hash; `listed` images stand in it."""
    ignored = sum(int(image.ignored.sum()) for image in dataset.images)
    return DataReport(
        file=file,
        split=split,
        sha256=sha256,
        pictures=len(dataset.images),
        pictures_listed=listed,
        left_out=len(dataset.problems),
        objects=dataset.objects - ignored,
        ignored=ignored,
        class_names=dataset.class_names,
    )


def variant_report(target: str, sha256: str, one: Evaluated) -> VariantReport:
    """The row of one variant of the target of that name and hash."""
    coco, voc, variant = one.coco, one.voc, one.variant
    return VariantReport(
        target=target,
        sha256=sha256,
        form=variant.backend,
        name=variant.name,
        weights=variant.weights,
        arithmetic=variant.arithmetic,
        bytes=variant.bytes,
        emulated=variant.emulated,
        rule=variant.rule,
        ap=_share(coco.ap),
        ap50=_share(coco.ap50),
        ap75=_share(coco.ap75),
        ap_small=_share(coco.ap_small),
        ap_medium=_share(coco.ap_medium),
        ap_large=_share(coco.ap_large),
        ar100=_share(coco.ar100),
        voc_11=_share(voc.map_11),
        voc_area=_share(voc.map_area),
        per_class=tuple(
            ClassReport(
                name=c.name,
                objects=c.objects,
                ap=_share(c.ap),
                ap50=_share(c.ap50),
                voc_11=_share(v.ap_11),
                voc_area=_share(v.ap_area),
            )
            for c, v in zip(coco.per_class, voc.per_class, strict=True)
        ),
    )


def accuracy_report(data: DataReport, subjects: Sequence[VariantReport]) -> AccuracyReport:
    """All of it, with the tools that took part."""
    return AccuracyReport(
        schema_version=SCHEMA_VERSION, data=data, subjects=tuple(subjects), tools=measuring_tools()
    )


def measuring_tools() -> dict[str, str]:
    """The versions of the tools that take part in an evaluation, and the machine that runs them."""
    return tool_versions() | {
        "opencv": cv2.__version__,
        "pycocotools": importlib.metadata.version("pycocotools"),
        "machine": platform.machine(),
    }


def _share(value: float) -> float | None:
    return None if math.isnan(value) else min(value, 1.0)  # a mean of ones may round to more than one
