"""The reference of a model, of an ONNX file or of a bundle. Only this module lists the kinds of detectors."""

import copy
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from pocketdet.errors import UsageError
from pocketdet.export.onnx_graph.read import read_onnx
from pocketdet.export.reference.base import Identity, Reference
from pocketdet.export.reference.description import Description, read_description
from pocketdet.export.reference.description_checks import OutputEvidence, check_description
from pocketdet.export.reference.module_reference import ModuleReference, find_outputs, prepare_module
from pocketdet.export.reference.one_stage import TorchOneStageReference, selection_postprocessing
from pocketdet.export.reference.onnx_reference import OnnxNetwork, OnnxReference, load_onnx
from pocketdet.export.reference.two_stage import TwoStageReference
from pocketdet.models.build import AnyDetector
from pocketdet.models.checkpoint import load_detector
from pocketdet.models.config import Postprocessing, Preprocessing
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.runtime.bundle.two_stage import TwoStageManifest


def reference_of(model: AnyDetector) -> Reference:
    """The reference of a PyTorch model, which must be in eval mode and on the CPU."""
    return TwoStageReference(model) if isinstance(model, ThunderNet) else TorchOneStageReference(model)


def reference_from_model(
    model: nn.Module,
    description: Description | str | os.PathLike[str] | None = None,
    example: Tensor | None = None,
) -> Reference:
    """The reference of a detector of pocketdet, or of any module with a description of its outputs.

    Args:
        model: on any device and in any mode; it is not changed.
        description: the meaning of the outputs or the file with it, for modules that are no detectors of
            pocketdet.
        example: an input (1, 3, h, w) of such a module.

    Raises:
        UsageError: if `model` is no module or a compiled one, or the description is missing, not needed or
            does not fit.
        ExportError: if the module cannot be copied, run, traced or converted.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"expected a torch.nn.Module, found {_not_a_module(model)}")
    name = type(model).__name__
    if isinstance(model, torch.jit.ScriptModule) or hasattr(model, "_orig_mod"):
        raise UsageError(f"{name} is the result of a compiler: give the torch.nn.Module that was compiled")
    if isinstance(model, AnyDetector):
        if description is not None or example is not None:
            raise UsageError(f"{name} describes its own outputs: leave out description and example")
        # the caller's model keeps its device and mode
        return reference_of(copy.deepcopy(model).cpu().eval())
    if description is None:
        raise UsageError(
            f"{name} is no detector of pocketdet: give description=, which says what its outputs mean "
            "(docs/reference/description.md)"
        )
    if not isinstance(description, Description):
        description = read_description(Path(description))
    return reference_from_module(model, description, example)


def _not_a_module(found: object) -> str:
    """The type of an object, and what to do if it is one that is often given instead of a module."""
    kind = type(found).__name__
    if isinstance(found, str | os.PathLike):
        return f"{kind}; the command pocketdet export reads files of weights and ONNX files: {found}"
    if isinstance(found, type):
        return f"the class {found.__name__}; give an instance of it"
    if isinstance(found, Mapping):
        return f"{kind}; make the module and give it these weights with load_state_dict"
    return kind


def reference_from_onnx(path: Path, description: Description) -> Reference:
    """The reference of an ONNX file; its architecture is the file's name.

    Raises:
        UsageError: if the file or an output does not match the description.
        ExportError: if the file cannot be simplified.
        EngineError: if onnxruntime cannot run it.
    """
    decode = description.spec()
    graph = read_onnx(path, decode.outputs, description.input_size)
    pre = description.preprocessing
    # a manifest's texts are UTF-8 of at most 200 characters; a file's name may be anything
    architecture = path.stem.encode("utf-8", "replace").decode("utf-8")[:200]
    identity = Identity(architecture, description.class_names, description.input_size, pre)
    reference = OnnxReference(OnnxNetwork(graph.model), identity, decode, graph.notes)
    samples = [reference.raw(source) for source in reference.network_inputs()]
    reference.warnings = check_description(path, decode, pre, OutputEvidence(samples, graph.model))
    return reference


def reference_from_module(
    module: nn.Module, description: Description, example: Tensor | None = None
) -> ModuleReference:
    """The reference of any PyTorch module; its architecture is the name of its class.

    Args:
        module: on any device and in any mode; it is not changed.
        description: the meaning of its outputs, which are "output0", "output1", ... in order, or the keys of
            a dict.
        example: an input (1, 3, h, w), by default of the description's size. Its values are not used.

    Raises:
        UsageError: if what the module returns does not match the description, or the example has another
            size.
        ExportError: if the module cannot be copied, run, traced or converted.
    """
    name, (height, width) = type(module).__name__, description.input_size
    if example is not None and tuple(example.shape) != (1, 3, height, width):
        raise UsageError(
            f"the example is {tuple(example.shape)} and the description says {(1, 3, height, width)}: "
            "describe the size that the module is exported for"
        )
    module = prepare_module(module)
    decode = description.spec()
    identity = Identity(name, description.class_names, description.input_size, description.preprocessing)
    outputs = find_outputs(module, torch.zeros(1, 3, height, width))
    reference = ModuleReference(module, outputs, identity, decode)
    sources = reference.network_inputs()
    evidence = OutputEvidence(
        [reference.raw(source) for source in sources], reference.folded()[0].network.onnx_model(sources[0])
    )
    unread = [output.name for output in outputs if output.name not in decode.outputs]
    if unread:
        reference.notes = (f"outputs that the description does not name were dropped: {', '.join(unread)}",)
    reference.warnings = check_description(name, decode, identity.preprocessing, evidence)
    return reference


def reference_of_bundle(
    bundle: Bundle, weights: Path | None = None, module: nn.Module | None = None
) -> Reference | None:
    """The detector that a bundle was made from.

    Args:
        bundle: an open bundle.
        weights: PyTorch weights that replace those in the bundle.
        module: the PyTorch module that the bundle was made from, for bundles of modules.

    Returns:
        The reference, or None if the bundle has no weights and none are given. The reference of a bundle
        that was made from an ONNX file is the ONNX file in it.

    Raises:
        CheckpointError: if the weights cannot be loaded.
        UsageError: if the ONNX file cannot be loaded.
    """
    manifest = bundle.manifest
    if module is not None:
        return _from_module(bundle, module)
    if weights is None and manifest.reference_weights is None:
        return _from_onnx(bundle)
    model = load_detector(
        weights or bundle.path(manifest.reference_weights or ""),
        arch=manifest.architecture,
        class_names=manifest.class_names,
        input_size=(manifest.input.height, manifest.input.width),
    )
    return reference_of(model)


def _from_module(bundle: Bundle, module: nn.Module) -> Reference:
    manifest = bundle.manifest
    if not isinstance(manifest, OneStageManifest) or manifest.reference_weights is not None:
        raise UsageError(
            f"{manifest.name} was made from {manifest.architecture}, a detector of pocketdet: verify it "
            "without a module"
        )
    module = prepare_module(module)
    identity = _identity(manifest)
    outputs = find_outputs(module, torch.zeros(1, 3, *identity.input_size))
    return ModuleReference(module, outputs, identity, manifest.decode)


def _identity(manifest: OneStageManifest) -> Identity:
    size = (manifest.input.height, manifest.input.width)
    preprocessing = Preprocessing(**manifest.preprocessing.model_dump())
    return Identity(manifest.architecture, manifest.class_names, size, preprocessing)


def _from_onnx(bundle: Bundle) -> Reference | None:
    manifest = bundle.manifest
    if not isinstance(manifest, OneStageManifest) or manifest.graphs.model.onnx is None:
        return None
    network = load_onnx(bundle.path(manifest.graphs.model.onnx))
    return OnnxReference(network, _identity(manifest), manifest.decode)


def postprocessing_of_bundle(bundle: Bundle, score: float | None = None) -> Postprocessing:
    """The post-processing of a bundle; `score` replaces its score threshold if given."""
    manifest = bundle.manifest
    if isinstance(manifest, OneStageManifest):
        found = selection_postprocessing(manifest.decode.selection)
    else:
        assert isinstance(manifest, TwoStageManifest)
        found = Postprocessing(**manifest.postprocessing.model_dump())
    return found if score is None else replace(found, score_threshold=score)
