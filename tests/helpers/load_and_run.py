"""A worker that does with a bundle what a user's program would: load, run, read golden.

Paths in; out a line of JSON for each: {"error": type}, {"ran": detections} or {"bug": traceback}.
"""

import json
import sys
import traceback

import numpy as np

from pocketdet.errors import PocketdetError
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.detector import Detector

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def answer(path: str) -> dict[str, object]:
    try:
        with load_bundle(path) as bundle:
            found = Detector(bundle).detect(IMAGE)
            bundle.golden()
    except PocketdetError as error:
        sentence = str(error)
        if "\n" in sentence or len(sentence) > 1000:
            return {"bug": f"not one sentence: {sentence[:2000]}"}
        return {"error": type(error).__name__, "sentence": sentence}
    except Exception:
        return {"bug": traceback.format_exc()}
    return {"ran": len(found)}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
