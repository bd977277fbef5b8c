"""`pocketdet val --zoo`: the detectors of the zoo over one dataset, each result kept in a file."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer
from rich.console import Console
from rich.progress import Progress

from pocketdet.cli.arguments import image_files
from pocketdet.cli.val_data import EvaluationData, OpenedSource, read_evaluation_data
from pocketdet.cli.val_report import print_report
from pocketdet.cli.val_run import advancing, described_data, measure, progress_bar
from pocketdet.errors import CheckFailed, EngineError, ExportError, GraphError, UsageError
from pocketdet.io import check_writable
from pocketdet.models.zoo import zoo_names, zoo_weights

if TYPE_CHECKING:
    from pocketdet.evaluation.inputs import EvaluationInput
    from pocketdet.evaluation.kept_results import KeptResults
    from pocketdet.evaluation.report import AccuracyReport
    from pocketdet.evaluation.variants import Backend

INT8: Final = "ncnn-int8"


def refuse_options(*given: Mapping[str, object]) -> None:
    """Raise `UsageError` that names the first option that was given, which --zoo does not have."""
    for name, value in ((n, v) for options in given for n, v in options.items()):
        if value is not None and value is not False and value != []:
            raise UsageError(f"{name} is for named targets: leave it out with --zoo")


@dataclass(frozen=True)
class ZooRun:
    """One evaluation of the zoo.

    Attributes:
        source: the annotated images.
        only: the backends to measure; all of a checkpoint if empty.
        out: folder of the results, required.
        calib: folder of images to calibrate int8 on, None to leave int8 out.
        limit, skip_bad, threads, workers: as the options of `pocketdet val`.
    """

    source: OpenedSource
    only: Sequence[str]
    out: Path | None
    calib: Path | None
    limit: int
    skip_bad: bool
    threads: int
    workers: int

    def __post_init__(self) -> None:
        if self.out is None:
            raise UsageError("--zoo needs --out DIR, the folder that keeps the results")
        if INT8 in self.only and self.calib is None:
            raise UsageError(f"--only {INT8} needs --calib DIR, images to calibrate int8 on")

    def report(self, console: Console) -> "AccuracyReport":
        """Measure what `out` lacks, print the table of all, and return it.

        A form that cannot be exported or run is in `failed`. Raises `PocketdetError` for anything else, and
        if nothing could be measured.
        """
        import torch

        from pocketdet.evaluation.report import AccuracyReport, FailedVariant, VariantReport

        assert self.out is not None
        torch.set_num_threads(self.threads)
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--out {self.out}: no folder can be made there: {error.strerror}") from error
        check_writable(self.out)
        rows: list[VariantReport] = []
        failed: list[FailedVariant] = []
        times: list[float | None] = []
        with progress_bar() as bar:
            for kept, wanted, milliseconds in self._entries(bar):
                measured, not_measured = kept.parts(wanted)
                rows += measured
                failed += not_measured
                times += [milliseconds.get(row.form) for row in measured]
        if failed and not rows:
            raise CheckFailed("; ".join(f"{one.label} could not be measured: {one.reason}" for one in failed))
        if not rows:
            raise UsageError(f"no detector of the zoo has the classes of {self.source}")
        every = AccuracyReport(
            schema_version=1, data=kept.data, subjects=tuple(rows), failed=tuple(failed), tools=kept.tools
        )
        print_report(every, times, console)
        return every

    def _entries(self, bar: Progress) -> "Iterator[tuple[KeptResults, list[Backend], dict[Backend, float]]]":
        """Each detector with the classes of the data, what is wanted of it, and the times measured now."""
        from pocketdet.evaluation.evaluate import check_classes
        from pocketdet.evaluation.inputs import open_input

        test_data: EvaluationData | None = None
        calibration = image_files(self.calib) if self.calib else ()
        for name in zoo_names():
            with open_input(zoo_weights(name)) as target:
                test_data = test_data or read_evaluation_data(
                    self.source,
                    target.class_names,
                    limit=self.limit,
                    skip_bad=self.skip_bad,
                    progress=lambda title, total: advancing(bar, title, total),
                )
                try:
                    check_classes(name, target.class_names, str(self.source), test_data.dataset.class_names)
                except UsageError as error:
                    typer.echo(f"left out: {error}", err=True)
                    continue
                yield self._entry(bar, name, target, test_data, calibration)

    def _entry(
        self,
        bar: Progress,
        name: str,
        target: "EvaluationInput",
        test_data: EvaluationData,
        calibration: Sequence[Path],
    ) -> "tuple[KeptResults, list[Backend], dict[Backend, float]]":
        from pocketdet.evaluation.kept_results import KeptResults

        assert self.out is not None
        wanted: list[Backend] = [b for b in target.backends if not self.only or b in self.only]
        with_int8 = bool(calibration) and (not self.only or INT8 in self.only)
        wanted += [INT8] if with_int8 else []
        data = described_data(self.source, test_data)
        calibrated = _digest(calibration) if with_int8 else None
        kept = KeptResults.read(self.out / f"{name}.json", name, target.digest, data, calibrated)
        milliseconds: dict[Backend, float] = {}
        for form in wanted:
            if form in kept.rows:
                continue
            as_form = _int8(target.path, calibration, bar) if form == INT8 else nullcontext(target)
            try:
                with as_form as one:
                    (found,) = measure(
                        bar, one, [form], test_data.dataset, None, self.threads, self.workers, ()
                    )
            except (CheckFailed, EngineError, ExportError, GraphError) as error:
                kept.fail(form, str(error))
            else:
                kept.add(found)
                milliseconds[form] = found.milliseconds
        return kept, wanted, milliseconds


@contextmanager
def _int8(weights: Path, calibration: Sequence[Path], bar: Progress) -> "Iterator[EvaluationInput]":
    """A checkpoint as a bundle in int8, in a temporary folder."""
    from pocketdet.evaluation.inputs import open_input
    from pocketdet.export import ExportOptions, export_detector
    from pocketdet.models.checkpoint import load_detector

    options = ExportOptions(name=weights.stem, precision="int8", calibration=tuple(calibration), slim=True)
    exporting = bar.add_task(f"{weights.stem}: exporting int8", total=None)
    with tempfile.TemporaryDirectory(prefix="pocketdet-zoo-") as folder:
        try:
            bundle = export_detector(load_detector(weights), Path(folder), options).path
        finally:
            bar.remove_task(exporting)
        with open_input(bundle) as target:
            yield target


def _digest(files: Sequence[Path]) -> str:
    """The number of files, and one SHA-256 of their contents in this order."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return f"{len(files)} images, SHA-256 {digest.hexdigest()}"
