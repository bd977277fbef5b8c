"""A process that does in Python what `pocketdet-run verify` does: load a bundle, replay its golden.

Paths in, a line of JSON each; out a line of JSON for each: the verdict, processor seconds and peak memory.
"""

import json
import re
import sys
import time
import traceback
from pathlib import Path

from pocketdet.errors import PocketdetError
from pocketdet.runtime.verification import replay


def verdict(path: str) -> dict[str, object]:
    """ "accepted", "failed" (a check ran and its answer is no) or "refused", with type and sentence."""
    try:
        report = replay(path)
    except PocketdetError as error:
        sentence = str(error)
        if "\n" in sentence or len(sentence) > 2000:
            return {"verdict": "bug", "sentence": f"not one sentence: {sentence[:2000]!r}"}
        return {"verdict": "refused", "type": type(error).__name__, "sentence": sentence}
    except Exception:
        return {"verdict": "bug", "sentence": traceback.format_exc()}
    return {"verdict": "accepted" if report.ok else "failed"}


def peak_megabytes() -> float:
    """Peak resident memory since `forget_peak`."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def forget_peak() -> None:
    """Begin to measure anew, as Linux offers it."""
    Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    for line in sys.stdin:
        forget_peak()
        start = time.process_time()
        answer = verdict(json.loads(line))
        answer |= {"seconds": time.process_time() - start, "megabytes": peak_megabytes()}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
