"""PyTorch as an engine, for comparison and for a GPU: the runtime itself does not use it."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pocketdet.errors import EngineError
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.engines.base import Array, GraphName, check_inputs
from pocketdet.runtime.precision import Arithmetic

if TYPE_CHECKING:
    import torch

    from pocketdet.models.build import AnyDetector

    Network = Callable[..., dict[str, torch.Tensor]]

_MAPS = ("rpn_scores", "rpn_deltas", "sam")  # in the order in which ThunderNet returns them


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
        except ImportError as error:
            raise EngineError("engine 'torch' needs PyTorch: pip install 'pocketdet[export]'") from error
        self._torch, self._graphs = torch, bundle.manifest.graphs.by_name()
        self._device = _find_device(device)
        torch.set_num_threads(1)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        model = _load(bundle).to(self._device)
        example = torch.zeros(1, 3, bundle.manifest.input.height, bundle.manifest.input.width)
        self._networks = _networks(fold(model, example.to(self._device)))
        self.version = f"torch {torch.__version__}"
        self.processor = _processor(self._device)

    def run(self, graph: GraphName, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Engine.run`. In torch, all but RoIs have a batch axis of 1."""
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
            outputs = {role: value[0] if batched else value for role, value in made.items()}
        return {role: np.ascontiguousarray(value.cpu().numpy()) for role, value in outputs.items()}


def _networks(model: "AnyDetector") -> dict[str, "Network"]:
    """The graphs of a bundle as calls into its model, outputs by role."""
    import torch

    from pocketdet.models.one_stage import OneStageDetector

    if isinstance(model, OneStageDetector):
        return {"model": model}
    return {
        "features": lambda image: dict(zip(_MAPS, model(image), strict=True)),
        "head": lambda rows: {"class_logits_and_deltas": torch.cat(list(model.head(rows)), dim=1)},
    }


def fold(model: "AnyDetector", example: "torch.Tensor") -> "AnyDetector":
    """The model with each batch norm merged, by torch, into the convolution whose output it is given.

    Which that is shows in a run on `example` (1, 3, h, w). One that is called more than once, or on anything
    else, stays as it is. That nothing else reads the convolution's output is not checked: golden would fail.
    """
    import torch
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    sources: dict[int, tuple[str, int]] = {}
    pairs: dict[str, str] = {}
    calls, kept = Counter[str](), []

    def note(name: str, module: nn.Module, given: Any, made: Any) -> None:
        calls[name] += 1
        if isinstance(module, nn.Conv2d):
            sources[id(made)] = name, made._version
            kept.append(made)  # so that no other tensor gets its identity
            return
        conv, version = sources.get(id(given[0]), ("", 0))
        if conv and given[0]._version == version:  # else an activation wrote into it
            pairs[name] = conv

    convs = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    norms = {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    hooks = [m.register_forward_hook(partial(note, n)) for n, m in {**convs, **norms}.items()]
    with torch.no_grad():  # in inference mode, tensors have no version
        model(example)
    for hook in hooks:
        hook.remove()
    for norm, conv in pairs.items():
        if calls[norm] == calls[conv] == 1:
            model.set_submodule(conv, fuse_conv_bn_eval(convs[conv], norms[norm]))
            model.set_submodule(norm, nn.Identity())
    return model


def _load(bundle: Bundle) -> "AnyDetector":
    from pocketdet.models.checkpoint import load_detector
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
    return model.for_inference() if isinstance(model, OneStageDetector) else model


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
