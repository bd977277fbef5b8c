"""Hostile copies of small bundles against pocketdet-run and Python: no crash, no report, one verdict.

    python tests/hostile                            1,000 copies against the build of make native
    python tests/hostile --runner build/native-sanitize/pocketdet-run
    python tests/hostile --runner build/native-aarch64/pocketdet-run --emulate cortex-a57
    python tests/hostile --only 417                 one copy again: its changes and both verdicts

A copy has one to three changes of one kind, and hashes that agree. Exit code 1 if any copy crashes a side,
raises a report of a sanitizer, passes 10 s or 1 GB, or gets different verdicts from the two sides. Zip files
go to Python alone, since pocketdet-run reads folders.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "helpers")]

from copies import KINDS, ZIP  # noqa: E402
from loading import CopyResult, load_all  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import track  # noqa: E402
from rich.table import Table  # noqa: E402
from verdicts import RUNS, Limits, NativeLoader  # noqa: E402

QEMU = "qemu-aarch64-static"
_COLUMNS = ("accepted", "failed", "refused", "crash", "sanitizer", "timeout", "memory", "bug")


def main() -> int:
    """Run them; print the problems and a table; return the exit code."""
    arguments = _parser().parse_args()
    runner, plain = arguments.runner, arguments.plain_runner
    if not runner.exists():
        sys.stderr.write(f"tests/hostile: {runner} is not built: make native, or name one with --runner\n")
        return 2
    emulated = arguments.emulate is not None
    if emulated and shutil.which(QEMU) is None:
        sys.stderr.write(f"tests/hostile: no {QEMU}: on Debian, apt install qemu-user-static\n")
        return 2
    native_limits = Limits(arguments.seconds or (200.0 if emulated else 10.0))
    environment = {"QEMU_CPU": arguments.emulate} if emulated else {}
    command = (QEMU, str(runner)) if emulated else (str(runner),)
    native = NativeLoader(command, native_limits, environment, (str(plain),) if plain else ())
    seeds = range(arguments.seed, arguments.seed + arguments.copies)
    if arguments.only is not None:
        seeds = range(arguments.only, arguments.only + 1)
    console = Console(stderr=True)
    console.width = max(console.width, 120)
    with tempfile.TemporaryDirectory(prefix="hostile-") as work, ExitStack() as stack:
        log = stack.enter_context(arguments.log.open("w")) if arguments.log else None
        results = []
        for result in track(
            load_all(seeds, native, Path(work), arguments.jobs), "copies", len(seeds), console=console
        ):
            results.append(result)
            if log is not None:
                log.write(json.dumps(result.record()) + "\n")
                log.flush()
    for result in results:
        if result.problem or arguments.only is not None:
            console.print(str(result), markup=False, highlight=False)
    console.print(_table(results))
    return int(any(result.problem for result in results))


def _table(results: list[CopyResult]) -> Table:
    table = Table("kind", "side", *_COLUMNS, "differ", title=f"{len(results)} hostile copies")
    for kind in [*dict.fromkeys(KINDS), "all"]:
        rows = [o for o in results if kind in (o.copy.kind, "all")]
        for side in ("native", "python"):
            found = [v for o in rows if (v := getattr(o, side)) is not None]
            counts = Counter(v.kind for v in found)
            differ = sum(o.differs for o in rows) if side == "python" else 0
            if kind == ZIP and side == "native":
                table.add_row(kind, "pocketdet-run", "reads folders only")
            elif rows:
                name = "pocketdet-run" if side == "native" else "Python"
                cells = [str(counts[column] or "") for column in _COLUMNS]
                table.add_row(kind if side == "native" else "", name, *cells, str(differ or ""))
    ran = [v for o in results for v in (o.native, o.python) if v is not None and v.kind in RUNS]
    most = max((v.megabytes for v in ran), default=0.0), max((v.seconds for v in ran), default=0.0)
    table.caption = f"most of those that ran: {most[0]:.0f} MB, {most[1]:.1f} processor seconds"
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tests/hostile", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--copies", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the first; copy i has seed + i")
    parser.add_argument("--only", type=int, metavar="SEED", help="this copy alone, its changes and verdicts")
    parser.add_argument("--jobs", type=int, default=2, help="copies at a time")
    parser.add_argument("--runner", type=Path, default=ROOT / "build" / "native-host" / "pocketdet-run")
    parser.add_argument("--plain-runner", type=Path, help="the normal build, whose memory counts")
    parser.add_argument("--emulate", metavar="CPU", help=f"run it with {QEMU}: cortex-a57, cortex-a76, max")
    parser.add_argument("--seconds", type=float, help="processor time of pocketdet-run (10; emulated: 200)")
    parser.add_argument("--log", type=Path, help="a line of JSON for each copy")
    return parser


if __name__ == "__main__":
    sys.exit(main())
