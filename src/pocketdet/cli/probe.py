"""Try one native library in a process of its own: `python -m pocketdet.cli.probe NAME` prints what it found.

A library built for another processor ends its process; `doctor` runs this module as a child, so that the end
of the child is a line in its report.
"""

import json
import sys
from collections.abc import Callable


def probe_core() -> dict[str, object]:
    """The C++ core of pocketdet: two boxes that overlap, of which NMS must keep one."""
    import numpy as np

    from pocketdet.runtime import _core

    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9]], np.float32)
    kept = _core.nms(boxes, np.array([0.9, 0.8], np.float32), 0.5)
    _expect(list(kept), [0])
    return {"features": list(_core.cpu_features())}


def probe_ncnn() -> dict[str, object]:
    """ncnn: a 1x1 convolution that doubles its input."""
    import ncnn
    import numpy as np

    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    layers = "Input in 0 1 in0 0=2 1=2 2=1\nConvolution conv 1 1 in0 out0 0=1 1=1 6=1\n"
    _expect(net.load_param_mem(f"7767517\n2 2\n{layers}"), 0)
    net.load_model_mem(bytes(4) + np.float32(2).tobytes())
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(np.arange(4, dtype=np.float32).reshape(1, 2, 2)))
    status, result = extractor.extract("out0")
    _expect(status, 0)
    _expect(np.array(result).ravel().tolist(), [0, 2, 4, 6])
    supported = [name for name in dir(ncnn) if name.startswith("cpu_support_") and getattr(ncnn, name)()]
    return {"features": [name.removeprefix("cpu_support_") for name in supported]}


def probe_native() -> dict[str, object]:
    """The C++ detector: its library loads, and is of this version."""
    from pocketdet.runtime.engines.native_library import load_library

    load_library()
    return {"features": []}


def probe_onnxruntime() -> dict[str, object]:
    """onnxruntime: a one-node graph, y = relu(x)."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(_relu_model(), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"x": np.array([-1, 2], np.float32)})
    _expect(result.tolist(), [0, 2])
    return {"features": list(onnxruntime.get_available_providers())}


def _relu_model() -> bytes:
    """An ONNX file of one Relu on float32[2], written by hand since the onnx package may be missing."""

    def field(number: int, value: bytes | int) -> bytes:  # protocol buffers; every length here is below 128
        kind, payload = (2, bytes([len(value)]) + value) if isinstance(value, bytes) else (0, bytes([value]))
        return bytes([number << 3 | kind]) + payload

    tensor = field(1, 1) + field(2, field(1, field(1, 2)))  # float32, one dimension of 2
    kind = field(2, field(1, tensor))
    node = field(1, b"x") + field(2, b"y") + field(4, b"Relu")
    graph = (
        field(1, node) + field(2, b"g") + field(11, field(1, b"x") + kind) + field(12, field(1, b"y") + kind)
    )
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))  # IR version 8, operator set 13


def _expect(found: object, expected: object) -> None:
    if found != expected:
        raise RuntimeError(f"a test run returned {found}, expected {expected}")


PROBES: dict[str, Callable[[], dict[str, object]]] = {
    "core": probe_core,
    "ncnn": probe_ncnn,
    "native": probe_native,
    "onnxruntime": probe_onnxruntime,
}

if __name__ == "__main__":
    print(json.dumps(PROBES[sys.argv[1]]()))
