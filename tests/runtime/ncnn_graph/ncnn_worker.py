"""Run graphs in ncnn, one JSON job a line, in a process of its own: ncnn may crash on what it is given.

A job is {"param", "bin", "inputs": {blob: shape}, "outputs": [blob]}; the answer is {"shapes": {blob: shape}}
or {"error": text}.
"""

import json
import sys

import ncnn
import numpy as np


def run(job):
    net = ncnn.Net()
    net.opt.num_threads = 1
    for key, value in job.get("options", {}).items():
        setattr(net.opt, key, value)
    if net.load_param(job["param"]) != 0:
        return {"error": "load_param"}
    if net.load_model(job["bin"]) != 0:
        return {"error": "load_model"}
    extractor = net.create_extractor()
    extractor.set_light_mode(job.get("light", False))
    rng = np.random.default_rng(0)
    for blob, shape in job["inputs"].items():
        array = rng.uniform(-1, 1, shape).astype(np.float32)
        # ncnn.Mat borrows the array's memory, so the array must outlive the copy.
        extractor.input(blob, ncnn.Mat(array).clone())
    shapes = {}
    for blob in job["outputs"]:
        code, mat = extractor.extract(blob)
        if code != 0:
            return {"error": f"extract {blob}: {code}"}
        shapes[blob] = {1: (mat.w,), 2: (mat.h, mat.w), 3: (mat.c, mat.h, mat.w)}.get(
            mat.dims, (mat.c, mat.d, mat.h, mat.w)
        )
        float(np.array(mat).sum())
    return {"shapes": shapes}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write("answer " + json.dumps(run(json.loads(line))) + "\n")
        sys.stdout.flush()
