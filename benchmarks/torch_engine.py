"""PyTorch as an engine, for comparison and for a GPU: the runtime itself does not use it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pocketdet.errors import EngineError
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.engines.base import Array, GraphName, check_inputs
from pocketdet.runtime.precision import Arithmetic

if TYPE_CHECKING:
    import torch

    from pocketdet.models.thundernet import ThunderNet

_OUTPUTS: Mapping[GraphName, tuple[str, ...]] = {  # in the order in which the networks return them
    "features": ("rpn_scores", "rpn_deltas", "sam"),
    "head": ("class_logits_and_deltas",),
}


class TorchEngine:
    """Runs the networks that a bundle was made from, batch norm folded by torch, in fp32 without TF32.

    `device` is a word of torch's, such as "cpu", "cuda" or "cuda:1"; on the CPU one thread is used. Arrays
    come and go by the host's memory, and a run ends when they are there. The rest of the detector is the
    runtime's own. Raises `EngineError` if torch or the device is missing, or the bundle is without its
    PyTorch weights.
    """

    precision: Arithmetic = "fp32"

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        try:
            import torch
            from torch.fx.experimental.optimization import fuse
        except ImportError as error:
            raise EngineError("engine 'torch' needs PyTorch: pip install 'pocketdet[export]'") from error
        self._torch, self._graphs = torch, bundle.manifest.graphs.by_name()
        self._device = _find_device(device)
        torch.set_num_threads(1)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        model = _load(bundle)
        self._networks = {
            "features": fuse(model).to(self._device),
            "head": model.head.to(self._device),
        }
        self.version = f"torch {torch.__version__}"
        self.processor = _processor(self._device)

    def run(self, graph: GraphName, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Engine.run`. The features graph has a batch axis of 1 in torch."""
        spec, torch = self._graphs[graph], self._torch
        problem = check_inputs(graph, {i.role: i.shape for i in spec.inputs}, inputs)
        if problem:
            raise EngineError(problem)
        batched = spec.is_batched
        with torch.inference_mode():
            given = [torch.from_numpy(inputs[i.role]).to(self._device) for i in spec.inputs]
            try:
                made = self._networks[graph](*(g[None] if batched else g for g in given))
            except RuntimeError as error:  # out of memory, or a kernel that failed
                raise EngineError(f"torch failed in graph {graph!r}: {error}") from error
            outputs = [value[0] for value in made] if batched else [torch.cat(list(made), dim=1)]
        arrays = (np.ascontiguousarray(value.cpu().numpy()) for value in outputs)
        return dict(zip(_OUTPUTS[graph], arrays, strict=True))


def _load(bundle: Bundle) -> "ThunderNet":
    from pocketdet.models.checkpoint import load_checkpoint

    manifest = bundle.manifest
    if manifest.reference_weights is None:
        raise EngineError("the bundle carries no PyTorch weights: export it without --slim")
    return load_checkpoint(
        bundle.path(manifest.reference_weights),
        arch=manifest.architecture,
        class_names=manifest.class_names,
        input_size=(manifest.input.height, manifest.input.width),
    )


def _find_device(word: str) -> "torch.device":
    import torch

    try:
        device = torch.device(word)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EngineError(f"--device {word}: torch cannot use it here: {reason}") from error
    return device


def _processor(device: "torch.device") -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
