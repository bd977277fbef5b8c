"""Table of the ONNX files of other projects in ../shared: family, export, detections found.

    python tests/helpers/peers_table.py [NAME ...]

Files without expected detections (random weights) are compared with what the file itself decodes, without
suppression; all others with their `NAME.expected.json`. `pocketdet export FILE` is called alone.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from peer_detections import (
    PEERS,
    PHOTOS,
    Differences,
    decoded_in_the_file,
    differences,
    read_expected,
    run_bundle,
)

COMMAND = (sys.executable, "-c", "from pocketdet.cli.main import main; main()", "export")
RANDOM = '[selection]\nscore_threshold = {}\nnms = "none"\nmax_detections = 3000\n'
# random weights: scores of 0.0007 at most in groups; above the first group, or inside the best 300
PLAIN, END_TO_END, BAND = 5e-4, 6.63e-4, 1e-6


def export(model: Path, folder: Path, *options: str) -> tuple[str, Path]:
    """Export a file; its family, or the error, and the bundle."""
    ran = subprocess.run(
        [*COMMAND, str(model), "--out", str(folder), "--slim", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        return f"exit {ran.returncode}: {ran.stderr.strip().splitlines()[-1]}", folder
    recognised = ran.stdout.splitlines()[0]
    return recognised.rsplit("(", 1)[1].rstrip(")"), folder / f"{model.stem}.pocketdet"


def compare(model: Path, folder: Path) -> tuple[str, Differences | None]:
    """The family of a file, and the differences of its detections."""
    if model.with_suffix(".expected.json").exists():
        family, bundle = export(model, folder)
        expected, threshold, nms_iou = read_expected(model)
        band, iou = 0.01, nms_iou
    else:
        threshold, band, iou = END_TO_END if "end2end" in model.stem else PLAIN, BAND, None
        settings = folder / "settings.toml"
        settings.write_text(RANDOM.format(threshold))
        family, bundle = export(model, folder, "--outputs", str(settings))
        expected = decoded_in_the_file(model, sorted(path.name for path in PHOTOS.iterdir()), threshold)
    if bundle == folder:
        return family, None
    return family, differences(expected, run_bundle(bundle, expected, threshold), threshold, band, iou)


def main(names: Iterable[str]) -> int:
    """Print the table; the number of files that differ."""
    wrong = 0
    sys.stdout.write("| file | family | detections found / expected | others missing | others more |\n")
    sys.stdout.write("|---|---|---|---|---|\n")
    for model in [PEERS / f"{name}.onnx" for name in names] or sorted(PEERS.glob("*.onnx")):
        with tempfile.TemporaryDirectory() as folder:
            family, found = compare(model, Path(folder))
        wrong += found is None or bool(found.missing or found.extra)
        cells = (
            "- | - | -"
            if found is None
            else f"{found.matched} / {found.expected} | {found.missing} | {found.extra}"
        )
        sys.stdout.write(f"| {model.stem} | {family} | {cells} |\n")
        sys.stdout.flush()
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
