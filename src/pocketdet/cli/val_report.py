"""What `pocketdet val` shows and writes: tables in percent, files as shares of one."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pocketdet.errors import CheckFailed, UsageError
from pocketdet.io import atomic_write

if TYPE_CHECKING:
    from pocketdet.datasets import Dataset
    from pocketdet.evaluation.evaluate import Evaluated
    from pocketdet.evaluation.report import AccuracyReport, VariantReport
    from pocketdet.models.config import Postprocessing


MISSES = 24  # images in the gallery
CLASS_WIDTH = 24  # letters of a class name that stay on one line, whatever the terminal


def print_report(report: "AccuracyReport", milliseconds: Sequence[float | None], console: Console) -> None:
    """The table, what each row weighs and how long it took for an image, and what was measured how."""
    from pocketdet.evaluation.variants import NAMES

    first = report.subjects[0]
    several = len({row.target for row in report.subjects} | {one.target for one in report.failed}) > 1
    table = Table(box=None, padding=(0, 1, 0, 0))
    if several:
        table.add_column("target", overflow="fold")
    table.add_column("subject", no_wrap=True)
    for column in ("AP", "AP50", "AP75", "small", "medium", "large", "VOC\n11-pt", "VOC\narea"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("Δ AP", "Δ AP50"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in report.subjects:
        figures = (row.ap, row.ap50, row.ap75, row.ap_small, row.ap_medium, row.ap_large)
        table.add_row(
            *([Text(row.target)] if several else []),
            row.name,
            *(_percent(value) for value in (*figures, row.voc_11, row.voc_area)),
            *([] if row is first else [_points(row.ap, first.ap), _points(row.ap50, first.ap50)]),
        )
    for one in report.failed:
        table.add_row(*([Text(one.target)] if several else []), NAMES[one.form], "failed")
    console.print(Text("average precision in percent; Δ in points against the first row", style="bold"))
    console.print(table)
    console.print(_costs(report, milliseconds))
    for line in _below(report):
        console.print(line, markup=False, soft_wrap=True)


def _costs(report: "AccuracyReport", milliseconds: Sequence[float | None]) -> Table:
    """Megabytes of the network files and the median milliseconds of an image, where they are times."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for column in ("MB", "ms an image here"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("subject", overflow="fold")
    for label, row, time in zip(labels(report.subjects), report.subjects, milliseconds, strict=True):
        size = "-" if row.bytes is None else f"{row.bytes / 1e6:.1f}"
        table.add_row(size, "-" if row.emulated or time is None else f"{time:.1f}", Text(label))
    return table


def _below(report: "AccuracyReport") -> list[str]:
    data = report.data
    ignored = f" and {data.ignored} that do not count" if data.ignored else ""
    absent = sum(not one.objects for one in report.subjects[0].per_class)
    classes = f"{len(data.class_names)} classes"
    if absent:
        classes += f", {absent} of them without objects: what is found of those does not count"
    lines = [f"{data.coverage}, {data.objects} objects{ignored}, {classes}"]
    if data.left_out:
        lines.append(f"{data.left_out} problems of the data were left out (--skip-bad)")
    rules: dict[str, list[str]] = {}
    numbers: dict[str, list[str]] = {}
    for label, row in zip(labels(report.subjects), report.subjects, strict=True):
        rules.setdefault(_words(row.rule), []).append(label)
        numbers.setdefault(f"{row.weights} weights, {row.arithmetic} arithmetic", []).append(label)
    for groups in (rules, numbers):
        lines += [
            words if len(groups) == 1 else f"{words}: {', '.join(who)}" for words, who in groups.items()
        ]
    return lines


def _words(rule: "Postprocessing") -> str:
    nms = {
        "none": "no NMS",
        "hard": f"greedy NMS at IoU {rule.nms_iou:g}",
        "linear": f"linear soft-NMS at IoU {rule.nms_iou:g}",
        "gaussian": f"gaussian soft-NMS with sigma {rule.sigma:g}",
    }
    threshold = f"scores above {rule.score_threshold:g}"
    across = "" if rule.per_class or rule.nms == "none" else " over all classes"
    return f"{threshold}, {nms[rule.nms]}{across}, at most {rule.max_detections} detections an image"


def labels(subjects: "Sequence[VariantReport]") -> list[str]:
    """What to call each variant on its own: its name, and its target where there are several."""
    several = len({variant.target for variant in subjects}) > 1
    return [f"{s.target} {s.name}" if several else s.name for s in subjects]


def print_classes(report: "AccuracyReport", console: Console) -> None:
    """Every class that has objects, the worst of the first variant first; the names of the others."""
    first = report.subjects[0].per_class
    order = sorted((k for k, one in enumerate(first) if one.ap is not None), key=lambda k: first[k].ap or 0.0)
    table = Table(box=None, padding=(0, 1, 0, 0))
    longest = max((len(first[k].name) for k in order), default=0)
    table.add_column("class", overflow="fold", min_width=min(longest, CLASS_WIDTH))
    table.add_column("objects", justify="right", no_wrap=True)
    for label in labels(report.subjects):
        words = "\n".join(label.split())
        # names of files and of classes may hold what rich reads as markup
        table.add_column(Text(f"{words}\nAP"), justify="right", overflow="fold", min_width=5)
        table.add_column(Text("AP50"), justify="right", no_wrap=True, min_width=5)
    for k in order:
        rows = [variant.per_class[k] for variant in report.subjects]
        figures = [_percent(value) for one in rows for value in (one.ap, one.ap50)]
        table.add_row(Text(first[k].name), str(first[k].objects), *figures)
    console.print(Text(f"\nby class, worst first ({report.data.coverage})", style="bold"))
    console.print(table)
    absent = [one.name for one in first if one.ap is None]
    if absent:
        console.print(f"without objects: {', '.join(absent)}", markup=False, soft_wrap=True)


def write_files(
    folder: Path, report: "AccuracyReport", dataset: "Dataset", evaluated: "Sequence[Evaluated]"
) -> list[Path]:
    """Write the numbers, the curves, the worst misses of the first variant, and, of several that have files,
    what their accuracy costs; returns the paths.

    Numbers and curves of a part of the data say so inside, its gallery by its name.
    Raises `UsageError` if a file cannot be written.
    """
    from pocketdet.evaluation import Cost, worst_misses, write_curves, write_gallery, write_trade_off

    part = report.data.pictures < report.data.pictures_listed
    coverage = f"-{report.data.pictures}-of-{report.data.pictures_listed}-images" if part else ""
    paths = [
        folder / name for name in ("accuracy.json", "per_class.csv", "curves.png", f"misses{coverage}.jpg")
    ]
    atomic_write(paths[0], report.to_json())
    atomic_write(paths[1], _csv(report))
    names = [f"{label}, {report.data.coverage}" if part else label for label in labels(report.subjects)]
    curves = {name: one.coco for name, one in zip(names, evaluated, strict=True)}
    write_curves(paths[2], curves, dataset.class_names)
    found = evaluated[0].found
    write_gallery(paths[3], dataset, found, worst_misses(dataset, found, MISSES))
    costs = [
        Cost(name, one.coco.ap, one.variant.bytes / 1e6, None if one.variant.emulated else one.milliseconds)
        for name, one in zip(labels(report.subjects), evaluated, strict=True)
        if one.variant.bytes
    ]
    if len(costs) > 1:
        paths.append(folder / "trade_off.png")
        write_trade_off(paths[-1], costs, report.data.coverage)
    return paths


def _csv(report: "AccuracyReport") -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ("target", "subject", "class", "objects", "ap", "ap50", "voc_11", "voc_area")
    writer.writerow((*head, "pictures", "pictures_listed"))
    coverage = (report.data.pictures, report.data.pictures_listed)
    for variant in report.subjects:
        for one in variant.per_class:
            shares = ("" if v is None else f"{v:.6f}" for v in (one.ap, one.ap50, one.voc_11, one.voc_area))
            writer.writerow((variant.target, variant.name, one.name, one.objects, *shares, *coverage))
    return text.getvalue()


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _points(share: float | None, first: float | None) -> str:
    if share is None or first is None:
        return "-"
    return f"{round(100 * (share - first), 2) + 0.0:+.2f}"  # no minus before a zero


@dataclass(frozen=True)
class Gates:
    """`None` asks for nothing.

    Attributes:
        min_ap: no row has less AP, in percent.
        max_drop: no row is more points of percent of AP under the first one.
    Raises `UsageError` for values out of range; a share such as 0.63 would let everything through.
    """

    min_ap: float | None
    max_drop: float | None

    def __post_init__(self) -> None:
        if self.min_ap is not None and not 1 <= self.min_ap <= 100:
            raise UsageError(f"--min-ap {self.min_ap:g}: expected percent, 1 to 100, as the table shows it")
        if self.max_drop is not None and not 0 <= self.max_drop <= 100:
            raise UsageError(f"--max-drop {self.max_drop:g}: expected points of percent, 0 to 100")

    def expect_rows(self, count: int) -> None:
        """Raises `UsageError` if that many rows leave nothing to compare."""
        if self.max_drop is not None and count < 2:
            raise UsageError("--max-drop compares rows with the first one, and there is only one to measure")

    def check(self, report: "AccuracyReport") -> None:
        """Raises `CheckFailed`, naming every row that could not be measured or does not hold."""
        called = labels(report.subjects)
        points = [100 * (row.ap or 0.0) for row in report.subjects]
        failures = [f"{one.label} could not be measured: {one.reason}" for one in report.failed]
        for label, ap in zip(called, points, strict=True):
            if self.min_ap is not None and ap < self.min_ap:
                failures.append(f"{label} has AP {ap:.2f}, expected {self.min_ap:g} or more")
            if self.max_drop is not None and points[0] - ap > self.max_drop:
                drop = f"{points[0] - ap:.2f} points of AP under {called[0]}"
                failures.append(f"{label} is {drop}, expected {self.max_drop:g} or less")
        if failures:
            raise CheckFailed(f"{'; '.join(failures)} ({report.data.coverage})")
