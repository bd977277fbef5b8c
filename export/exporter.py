"""Export a trained detector to a bundle: names, checks, input sizes, and the move to its place.

`export_size` has the steps. With several input sizes they run for each, and the bundles are joined. Files of
equal content are then written once: the weights of a convolutional network do not depend on the size, and the
head of a two-stage detector does not at all.
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from pocketdet.errors import CheckFailed, ExportError, UsageError
from pocketdet.export.convert import RequireChecks
from pocketdet.export.export_size import Log, export_size, replay_bundle
from pocketdet.export.options import ExportOptions, calibration_images
from pocketdet.export.reference.base import Reference
from pocketdet.export.reference.description import Description
from pocketdet.export.reference.factory import reference_from_model
from pocketdet.export.to_int8 import Progress
from pocketdet.export.write_bundle import SUFFIX, check_output_path, commit, staging_directory, write_manifest
from pocketdet.models.build import AnyDetector
from pocketdet.models.fold_bn import FoldReport
from pocketdet.runtime.bundle.schema import MAX_SIZES, Manifest, is_safe_path
from pocketdet.runtime.images import as_rgb
from pocketdet.runtime.parity import Check

_INT8_ADVICE = (
    "; give more images like those that the detector will see with --calib, or keep the layers with "
    "the largest errors in fp32 with --max-output-error or --layers"
)


@dataclass(frozen=True)
class ExportResult:
    """The result of an export.

    Attributes:
        path: of the bundle.
        manifest: of the bundle.
        folds: the batch norms that were folded, and those that were not.
        checks: of all steps.
    """

    path: Path
    manifest: Manifest
    folds: FoldReport
    checks: tuple[Check, ...]


def export_detector(
    model: AnyDetector | nn.Module,
    out: str | os.PathLike[str] = "",
    options: ExportOptions | None = None,
    *,
    description: Description | str | os.PathLike[str] | None = None,
    example: Tensor | None = None,
    card: Mapping[str, str] | None = None,
    log: Log = lambda line: None,
    progress: Progress = lambda stage, done, total: None,
) -> ExportResult:
    """Export a model to the bundle `out / <name>.pocketdet`. If a step fails, no file is left.

    Args:
        model: a detector of pocketdet, or any `torch.nn.Module` that `torch.export` accepts, on any device
            and in any mode; it is not changed.
        out: the folder of the bundle, by default the current one; created if missing.
        options: by default `ExportOptions()`.
        description: the meaning of the outputs, or the TOML or JSON file that contains it; required for
            modules that are no detectors of pocketdet.
        example: an input (1, 3, h, w) of such a module; by default zeros of the description's size.
        card: facts about the training, stored in the manifest.
        log: receives a line per folded batch norm, check and pass.
        progress: receives a step of the int8 calibration, and how many items of how many are done.

    Returns:
        The path and manifest of the bundle, and the checks of all steps.

    Raises:
        ExportError: if a step fails or the bundle cannot be written.
        CheckFailed: if a step changes the model's outputs.
        UsageError: if `model` is no module, the name is no file name, a choice matches no layer, int8 cannot
            be calibrated, or a description is missing or does not fit.
        ImageError: if the golden image or a calibration image cannot be read.
    """
    if not isinstance(options, ExportOptions | None):
        raise UsageError(f"options: expected ExportOptions, found {type(options).__name__}")
    reference = reference_from_model(model, description, example)
    return export_reference(reference, Path(out), options, card=card, log=log, progress=progress)


def export_reference(
    whole: Reference,
    out: Path,
    options: ExportOptions | None = None,
    *,
    further: Sequence[Reference] = (),
    card: Mapping[str, str] | None = None,
    log: Log = lambda line: None,
    progress: Progress = lambda stage, done, total: None,
) -> ExportResult:
    """Export a reference detector as `export_detector` exports a model, with the same arguments.

    `further` are the same detector at other input sizes, which the bundle has beside its default one.
    """
    options = options or ExportOptions()
    name = _bundle_name(whole, options, log)
    target = out / (name + SUFFIX + (".zip" if options.archive else ""))
    check_output_path(target, overwrite=options.overwrite)
    references = tuple(one.with_postprocessing(per_class=options.per_class) for one in (whole, *further))
    _check_sizes([reference.identity.input_size for reference in references])
    images = calibration_images(options)
    if options.golden_image is not None:
        options = replace(options, golden_image=as_rgb(options.golden_image))
    for reference in references:
        _reject_weights_not_finite(reference)
    checks: list[Check] = []
    require = _require(name, checks, log)
    with staging_directory(target) as scratch:
        exported = []
        for number, reference in enumerate(references):
            folder = scratch if number == 0 else scratch.with_name(f"size{number}")
            folder.mkdir(exist_ok=True)
            if further:
                log(f"input size {'x'.join(map(str, reference.identity.input_size))}")
            manifest, folds = export_size(
                reference, folder, name, images, options, dict(card or {}), require, log, progress
            )
            exported.append((folder, manifest, folds))
        _, manifest, folds = exported[0]
        if further:
            manifest = join_sizes(scratch, manifest, [(at, other) for at, other, _ in exported[1:]])
            require(replay_bundle(scratch))
        commit(scratch, target, overwrite=options.overwrite)
    return ExportResult(target, manifest, folds, tuple(checks))


def _check_sizes(sizes: Sequence[tuple[int, int]]) -> None:
    if len(set(sizes)) < len(sizes) or len(sizes) > MAX_SIZES:
        found = ", ".join(f"{height}x{width}" for height, width in sizes)
        raise UsageError(f"input sizes {found}: expected at most {MAX_SIZES} sizes, each of them once")


def _require(name: str, checks: list[Check], log: Log) -> RequireChecks:
    """A function that records and logs checks, and stops the export if one of them failed."""

    def require(found: list[Check]) -> None:
        checks.extend(found)
        for check in found:
            log(str(check))
        failed = [c for c in found if not c.ok]
        if failed:
            advice = _INT8_ADVICE if failed[0].name.startswith("int8 ") else ""
            raise CheckFailed(
                f"the export of {name} stopped, {len(failed)} check(s) failed; first: {failed[0]}{advice}"
            )

    return require


def _bundle_name(reference: Reference, options: ExportOptions, log: Log) -> str:
    """The chosen name, or a valid file name made from the architecture, which may be any file's name."""
    given = reference.identity.architecture
    name = _safe_name(given) if options.name is None else options.name
    if not _is_safe_name(name):
        raise UsageError(
            f"bundle name {(given if options.name is None else name)!r}: expected 1 to 100 ASCII letters, "
            "digits, '_', '.' or '-', and a letter, digit or '_' first; choose another with --name"
        )
    if options.name is None and name != given:
        log(f"bundle name {name}, made from {given!r}; --name chooses another")
    return name


def _is_safe_name(name: str) -> bool:
    return is_safe_path(name) and "/" not in name


def _safe_name(text: str) -> str:
    """From "UltraFace v1 (2)" to "UltraFace-v1-2"; empty if `text` has no ASCII letters or digits."""
    if _is_safe_name(text):
        return text
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")[:100].rstrip("-.")


def _reject_weights_not_finite(reference: Reference) -> None:
    for name, values in reference.every_weight():
        count = int(np.count_nonzero(~np.isfinite(values)))
        if count:
            raise ExportError(f"weight {name!r} has {count} NaN or infinite values: the model is damaged")


# Fields of a whole bundle that the exports of two sizes need not agree on.
_OF_FILES = {"files", "reference_weights"}


def join_sizes(scratch: Path, first: Manifest, others: Sequence[tuple[Path, Manifest]]) -> Manifest:
    """Add further input sizes to the bundle in `scratch`, and write its manifest again.

    Further sizes have no ONNX files, which would hold the weights once more.

    Returns:
        The manifest at the default size, with the files of all sizes.

    Raises:
        ExportError: if the detectors differ in more than the size.
    """
    known = {entry.sha256: name for name, entry in first.files.items()}
    joined = []
    for folder, manifest in others:
        _check_same_detector(first, manifest)
        joined.append(_with_shared_files(manifest, folder, scratch, known))
    return write_manifest(scratch, lambda files: first.model_copy(update={"files": files}), joined)


def _check_same_detector(first: Manifest, other: Manifest) -> None:
    for name in type(first).model_fields:
        if name not in (*first.size_fields, *_OF_FILES) and getattr(first, name) != getattr(other, name):
            raise ExportError(
                f"{first.name} at {other.input} differs from {first.input} in {name!r}: one bundle holds the "
                "sizes of one detector"
            )


def _with_shared_files(manifest: Manifest, folder: Path, scratch: Path, known: dict[str, str]) -> Manifest:
    """Copy the files of a size that are new to a folder of its own; `known` has their names by SHA-256."""

    def place(name: str) -> str:
        digest = manifest.files[name].sha256
        if digest not in known:
            known[digest] = f"{manifest.input}/{name}"
            target = scratch / known[digest]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target)
        return known[digest]

    specs = {
        name: spec.model_copy(
            update={
                "param": place(spec.param),
                "bin": place(spec.bin),
                "onnx": None,
                "lane_layouts": place(spec.lane_layouts) if spec.lane_layouts else None,
            }
        )
        for name, spec in manifest.graphs.by_name().items()
    }
    files = {"image": place(manifest.golden.image), "stages": place(manifest.golden.stages)}
    return manifest.model_copy(
        update={"graphs": type(manifest.graphs)(**specs), "golden": manifest.golden.model_copy(update=files)}
    )
