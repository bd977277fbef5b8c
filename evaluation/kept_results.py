"""What was measured of one detector, kept in a file: a later run measures only what the file lacks."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, get_args

from pydantic import ValidationError

from pocketdet.evaluation.evaluate import Evaluated
from pocketdet.evaluation.report import (
    AccuracyReport,
    DataReport,
    FailedVariant,
    VariantReport,
    measuring_tools,
    variant_report,
)
from pocketdet.evaluation.variants import Backend
from pocketdet.io import atomic_write

CALIBRATION: Final = "int8 calibration"  # among the tools of a report
_INT8: Final = "ncnn-int8"
_ORDER: Final[tuple[Backend, ...]] = get_args(Backend)


@dataclass
class KeptResults:
    """The forms of one detector that were measured on one dataset, and those that could not be.

    Attributes:
        path: the file.
        name, sha256: of the detector, and of its weights.
        data: what it is measured on.
        tools: what measures it, and under `CALIBRATION` what int8 is calibrated on.
        rows, failed: by form.
    """

    path: Path
    name: str
    sha256: str
    data: DataReport
    tools: dict[str, str]
    rows: dict[Backend, VariantReport] = field(default_factory=dict)
    failed: dict[Backend, FailedVariant] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, name: str, sha256: str, data: DataReport, calibration: str | None) -> Self:
        """What a file has of these weights and this data, measured by the tools of today.

        Args:
            path: the file; one that is missing or cannot be read has nothing.
            name, sha256: of the detector, and of its weights.
            data: what it is measured on.
            calibration: what int8 is calibrated on. None keeps a row of int8 whatever that was.
        """
        tools = measuring_tools()
        found = cls(path, name, sha256, data, tools | ({CALIBRATION: calibration} if calibration else {}))
        try:
            report = AccuracyReport.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return found
        calibrated = report.tools.pop(CALIBRATION, None)
        if (report.data, report.tools) != (data, tools) or {r.sha256 for r in report.subjects} != {sha256}:
            return found
        keeps_int8 = calibration in (None, calibrated)
        found.rows = {row.form: row for row in report.subjects if keeps_int8 or row.form != _INT8}
        found.failed = {one.form: one for one in report.failed}
        if calibrated and keeps_int8:
            found.tools[CALIBRATION] = calibrated
        return found

    def add(self, measured: Evaluated) -> None:
        """Take a form that was measured, and write the file."""
        row = variant_report(self.name, self.sha256, measured)
        self.rows[row.form] = row
        self.failed.pop(row.form, None)
        self._write()

    def fail(self, form: Backend, reason: str) -> None:
        """Take a form that could not be measured, and write the file if another one was."""
        self.failed[form] = FailedVariant(target=self.name, form=form, reason=reason)
        self._write()

    def parts(
        self, wanted: Collection[Backend] = _ORDER
    ) -> tuple[tuple[VariantReport, ...], tuple[FailedVariant, ...]]:
        """The measured and the failed forms among `wanted`, PyTorch first."""
        order = [form for form in _ORDER if form in wanted]
        return (
            tuple(self.rows[form] for form in order if form in self.rows),
            tuple(self.failed[form] for form in order if form in self.failed),
        )

    def _write(self) -> None:
        subjects, failed = self.parts()
        if subjects:
            report = AccuracyReport(
                schema_version=1, data=self.data, subjects=subjects, failed=failed, tools=self.tools
            )
            atomic_write(self.path, report.to_json())
