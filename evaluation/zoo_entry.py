"""Make an entry of the zoo of a training run: the weights with their card inside, and the card as a page.

    python -m pocketdet.evaluation.zoo_entry RUN --name NAME --data TEXT --licence TEXT --recipe TEXT \
        --accuracy accuracy/accuracy.json --out FOLDER

RUN is the folder of `pocketdet train`, accuracy.json is what `pocketdet val RUN/weights.safetensors --out
accuracy` wrote. The last weights are taken. The limits of the detector are left to be written into the page.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from pocketdet.datasets import VOC_CLASSES
from pocketdet.errors import UsageError, error_exit_code
from pocketdet.evaluation.report import AccuracyReport, VariantReport
from pocketdet.io import atomic_write, read_lines
from pocketdet.models.build import AnyConfig, AnyDetector, config_of
from pocketdet.models.checkpoint import load_detector, read_card, save_checkpoint
from pocketdet.runtime.bundle import hash_file

VOC_MAP: Final = MappingProxyType(
    {"thundernet-snet49": 70.1, "thundernet-snet146": 75.1, "thundernet-snet535": 78.6}
)
"""mAP on the test set of VOC 2007: ThunderNet, Table 2."""
COCO_AP: Final = MappingProxyType(
    {
        "thundernet-snet49": (19.2, 33.7, 19.7),
        "thundernet-snet146": (23.7, 40.3, 24.6),
        "thundernet-snet535": (28.1, 46.2, 29.6),
    }
)
"""AP, AP50 and AP75 on COCO test-dev: ThunderNet, Table 3."""
COCO_CLASSES: Final = 80
SHOWN_CLASSES: Final = 8
LIMITS: Final = "- Not described yet: what it confuses, and which images are unlike those it was trained on."
_FORMS: Final = ("AP", "AP50", "AP75", "small", "medium", "large", "VOC 11-pt", "VOC area", "Δ AP")


def make_entry(run: Path, name: str, facts: dict[str, str], accuracy: Path, out: Path) -> tuple[Path, Path]:
    """Write `out / NAME.safetensors` and `out / NAME.md`.

    Args:
        run: the folder of the run.
        name: of the entry.
        facts: "data", "licence" and "recipe", a sentence each.
        accuracy: accuracy.json of the weights of the run.
        out: the folder of the files.

    Returns:
        Both paths.

    Raises:
        UsageError: if a file is missing, or the accuracy is of other weights.
        CheckpointError: if the weights are damaged.
    """
    weights = run / "weights.safetensors"
    detector, given = load_detector(weights), read_card(weights)
    report = _read_accuracy(accuracy, weights)
    first = report.subjects[0]
    figures = ", ".join(
        f"{title} {_percent(share)}"
        for title, share in (("AP", first.ap), ("AP50", first.ap50), ("AP75", first.ap75))
    )
    card = {
        "name": name,
        **facts,
        "seed": given.get("seed", "unknown"),
        "images seen": given.get("images seen", "unknown"),
        "accuracy": f"{figures} on {report.data.coverage} of {report.data.file} ({first.name})",
    }
    save_checkpoint(out / f"{name}.safetensors", detector, card)
    page = "\n".join(_page(name, detector, card, report, run / "evaluations.csv"))
    atomic_write(out / f"{name}.md", page)
    return out / f"{name}.safetensors", out / f"{name}.md"


def _read_accuracy(path: Path, weights: Path) -> AccuracyReport:
    try:
        report = AccuracyReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(
            f"{path}: cannot be read as accuracy.json: write it with pocketdet val {weights} --data DATA "
            f"--out {path.parent}"
        ) from error
    if report.subjects[0].sha256 != hash_file(weights).sha256:
        raise UsageError(f"{path}: was measured with other weights than {weights}: run pocketdet val again")
    return report


def _page(
    name: str, detector: AnyDetector, card: dict[str, str], report: AccuracyReport, curve: Path
) -> Iterator[str]:
    config = config_of(detector)
    parameters = sum(p.numel() for p in detector.parameters())
    size = "x".join(map(str, config.input_size))
    shown = ", ".join(config.class_names[:SHOWN_CLASSES])
    more = ", ..." if len(config.class_names) > SHOWN_CLASSES else ""
    classes = f"{len(config.class_names)} class{'es' * (len(config.class_names) > 1)}: {shown}{more}"
    yield f"# {name}\n"
    yield f"{config.arch}, {size}, for {classes}. {parameters / 1e6:.1f} million parameters.\n"
    yield "| | |\n|---|---|"
    for key in ("data", "licence", "recipe", "images seen", "seed"):
        yield f"| {key} | {card[key]} |"
    yield "\n## Accuracy\n"
    yield f"{report.data.coverage.capitalize()} of `{report.data.file}`, `pocketdet val {name}`:\n"
    yield f"| form | {' | '.join(_FORMS)} |\n|---|{'---|' * len(_FORMS)}"
    for row in report.subjects:
        yield f"| {row.name} | {' | '.join(_cells(row, report.subjects[0]))} |"
    yield from _paper(config)
    yield from _curve(curve)
    yield f"\n## Limits\n\n{LIMITS}\n"


def _cells(row: VariantReport, first: VariantReport) -> list[str]:
    shares = (row.ap, row.ap50, row.ap75, row.ap_small, row.ap_medium, row.ap_large, row.voc_11, row.voc_area)
    change = "" if row is first else f"{100 * ((row.ap or 0.0) - (first.ap or 0.0)):+.2f}"
    return [*map(_percent, shares), change]


def _paper(config: AnyConfig) -> Iterator[str]:
    """The paper's figure for the same architecture and classes, where it has one."""
    found = ""
    if set(config.class_names) == set(VOC_CLASSES) and config.arch in VOC_MAP:
        found = f"a VOC mAP of {VOC_MAP[config.arch]} on the test set of VOC 2007 (Table 2)"
    elif len(config.class_names) == COCO_CLASSES and config.arch in COCO_AP:
        ap, ap50, ap75 = COCO_AP[config.arch]
        found = f"AP {ap}, AP50 {ap50} and AP75 {ap75} on COCO test-dev (Table 3)"
    if found:
        yield f"\nThe paper has {found}, with a backbone from ImageNet. It was not reproduced here."


def _curve(path: Path) -> Iterator[str]:
    """The evaluations during training, if there were any."""
    if not path.exists():
        return
    rows = list(csv.DictReader(read_lines(path, "evaluations of a run")))
    yield "\n## Curve\n\nCOCO AP of the weights during training:\n"
    yield "| images seen | images measured | AP | AP50 | AP75 |\n|---|---|---|---|---|"
    for row in rows:
        shares = (f"{100 * float(row[column]):.1f}" for column in ("ap", "ap50", "ap75"))
        yield f"| {int(row['images']):,} | {row['pictures']} | {' | '.join(shares)} |"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


@error_exit_code
def main(arguments: Sequence[str] | None = None) -> int:
    """Write an entry.

    Args:
        arguments: The command line; `None` for that of the process.

    Returns:
        The exit code; a `PocketdetError` is written as one sentence.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, help="folder of the run")
    for option in ("name", "data", "licence", "recipe"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--accuracy", type=Path, required=True, help="accuracy.json of pocketdet val --out")
    parser.add_argument("--out", type=Path, required=True, help="folder of the files")
    chosen = parser.parse_args(arguments)
    facts = {"data": chosen.data, "licence": chosen.licence, "recipe": chosen.recipe}
    for path in make_entry(chosen.run, chosen.name, facts, chosen.accuracy, chosen.out):
        sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
