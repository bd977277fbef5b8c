"""Engines to compare the runtime with: OpenVINO on the ONNX graphs, PyTorch on the original networks.

The runtime itself uses neither.
"""

import functools
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pocketdet.errors import EngineError
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines.base import Array, GraphName, check_inputs
from pocketdet.runtime.precision import Arithmetic

if TYPE_CHECKING:
    import torch

    from pocketdet.models.build import AnyDetector

    Network = Callable[..., dict[str, torch.Tensor]]

_FEATURE_OUTPUTS = ("rpn_scores", "rpn_deltas", "sam")  # in the order in which ThunderNet returns them


class OpenVinoEngine:
    """Run the ONNX graphs of a bundle on OpenVINO's CPU device: fp32, optimised for latency, one thread.

    Calls from several threads wait for each other.

    Args:
        graphs: The graphs of the bundle by name.
        locate: Returns the path of a file of the bundle by its name.

    Raises:
        EngineError: If OpenVINO is not installed, refuses a graph, or ignores a setting.
    """

    precision: Arithmetic = "fp32"

    def __init__(self, graphs: Mapping[str, GraphSpec], locate: Callable[[str], Path]) -> None:
        core = _core()
        self._graphs = dict(graphs)
        self._requests = {}
        self._lock = threading.Lock()
        for name, spec in self._graphs.items():
            if spec.onnx is None:
                raise EngineError("the bundle has no ONNX files: export it without --slim")
            try:
                compiled = core.compile_model(core.read_model(locate(spec.onnx)), "CPU", _engine_config())
            except Exception as error:  # OpenVINO raises a plain RuntimeError
                message = " ".join(str(error).split())
                # the reason comes last, after its place in OpenVINO's sources
                message = message if len(message) <= 130 else f"...{message[-130:]}"
                raise EngineError(f"openvino refuses {spec.onnx}: {message}") from error
            _check_settings(compiled)
            self._requests[name] = compiled.create_infer_request()

    def run(self, graph: GraphName, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run one graph (`Engine.run`)."""
        spec = self._graphs[graph]
        problem = check_inputs(graph, {i.role: i.shape for i in spec.inputs}, inputs)
        if problem:
            raise EngineError(problem)
        batched = spec.is_batched
        feed = {i.role: inputs[i.role][None] if batched else inputs[i.role] for i in spec.inputs}
        with self._lock:
            try:
                # inputs are shared; outputs are copies, because the next run overwrites its own
                outputs = self._requests[graph].infer(feed, share_inputs=True, share_outputs=False)
            except Exception as error:  # OpenVINO raises a plain RuntimeError
                raise EngineError(f"openvino failed in graph {graph!r}: {error}") from error
        values = {o.role: np.asarray(outputs[o.role], np.float32) for o in spec.outputs}
        return {role: value[0] if batched else value for role, value in values.items()}


@functools.cache
def _core() -> Any:
    """Return the only core of this process.

    The CPU plugin of a core replaces the thread's stack for signals, and restores the previous one when it is
    deleted: of two cores, the second would restore what the first has freed, and the next signal would crash.
    """
    try:
        import openvino
    except ImportError as error:
        raise EngineError(
            "engine 'openvino' needs the openvino package: pip install 'pocketdet[bench]'"
        ) from error
    return openvino.Core()


def _engine_config() -> dict[Any, Any]:
    from openvino import Type, properties
    from openvino.properties import hint

    return {
        hint.inference_precision: Type.f32,
        hint.performance_mode: hint.PerformanceMode.LATENCY,
        hint.enable_cpu_pinning: False,  # the system may move it to a free core, as with the other engines
        properties.inference_num_threads: 1,
        properties.num_streams: 1,
    }


def _check_settings(compiled: Any) -> None:
    """Raise `EngineError` unless OpenVINO uses the settings that affect the comparison."""
    from openvino import Type, properties
    from openvino.properties import hint

    for key, expected in (
        (hint.inference_precision, Type.f32),
        (properties.inference_num_threads, 1),
        (properties.num_streams, 1),
    ):
        found = compiled.get_property(key)
        if found != expected:
            raise EngineError(f"openvino runs with {key()} = {found}, expected {expected}")


class TorchEngine:
    """Run the PyTorch networks that a bundle was exported from, batch norm folded, in fp32 without TF32.

    Inputs and outputs are in host memory; a run ends when the outputs are there. On the CPU one thread is
    used. The rest of the detector is that of the runtime.

    Args:
        bundle: A bundle with PyTorch weights.
        device: A device of torch, such as "cpu", "cuda" or "cuda:1".

    Raises:
        EngineError: If torch or the device is missing, or the bundle has no PyTorch weights.
    """

    precision: Arithmetic = "fp32"

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        try:
            import torch
        except ImportError as error:
            raise EngineError("engine 'torch' needs PyTorch: pip install 'pocketdet[export]'") from error
        self._torch, self._graphs = torch, bundle.manifest.graphs.by_name()
        self._device = _find_device(device)
        torch.set_num_threads(1)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self._networks = _networks(_load(bundle).to(self._device))
        self.version = f"torch {torch.__version__}"
        self.processor = _processor(self._device)

    def run(self, graph: GraphName, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run one graph (`Engine.run`)."""
        spec, torch = self._graphs[graph], self._torch
        problem = check_inputs(graph, {i.role: i.shape for i in spec.inputs}, inputs)
        if problem:
            raise EngineError(problem)
        batched = spec.is_batched
        with torch.inference_mode():
            tensors = [torch.from_numpy(inputs[i.role]).to(self._device) for i in spec.inputs]
            try:
                results = self._networks[graph](*(t[None] if batched else t for t in tensors))
            except RuntimeError as error:  # out of memory, or a kernel that failed
                raise EngineError(f"torch failed in graph {graph!r}: {error}") from error
            outputs = {role: value[0] if batched else value for role, value in results.items()}
        return {role: np.ascontiguousarray(value.cpu().numpy()) for role, value in outputs.items()}


def _networks(model: "AnyDetector") -> dict[str, "Network"]:
    """Return the graphs of a bundle as functions of its model, with outputs by role."""
    import torch

    from pocketdet.models.one_stage import OneStageDetector

    if isinstance(model, OneStageDetector):
        return {"model": model}
    return {
        "features": lambda image: dict(zip(_FEATURE_OUTPUTS, model(image), strict=True)),
        "head": lambda rows: {"class_logits_and_deltas": torch.cat(list(model.head(rows)), dim=1)},
    }


def _load(bundle: Bundle) -> "AnyDetector":
    from pocketdet.models.checkpoint import load_detector
    from pocketdet.models.fold_bn import fold_batch_norm
    from pocketdet.models.one_stage import OneStageDetector

    manifest = bundle.manifest
    if manifest.reference_weights is None:
        raise EngineError("the bundle carries no PyTorch weights: export it without --slim")
    model = load_detector(
        bundle.path(manifest.reference_weights),
        arch=manifest.architecture,
        class_names=manifest.class_names,
        input_size=(manifest.input.height, manifest.input.width),
    )
    model = model.for_inference() if isinstance(model, OneStageDetector) else model
    return fold_batch_norm(model)[0]


def _find_device(name: str) -> "torch.device":
    import torch

    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EngineError(f"--device {name}: torch cannot use it here: {reason}") from error
    return device


def _processor(device: "torch.device") -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
