"""Inputs of an evaluation: a checkpoint or a bundle, opened, and its variants.

A checkpoint is exported and evaluated on all backends; a bundle on those that it carries.
"""

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pocketdet.errors import ExportError, UsageError
from pocketdet.evaluation.variants import (
    Backend,
    Variant,
    bundle_in_pytorch,
    evaluation_threshold,
    in_emulator,
    in_engine,
    in_pytorch,
)
from pocketdet.export.export_size import Log
from pocketdet.export.exporter import export_detector
from pocketdet.export.options import ExportOptions
from pocketdet.export.reference.factory import reference_of
from pocketdet.export.to_ncnn import WeightStorage
from pocketdet.models.build import AnyDetector, config_of
from pocketdet.models.checkpoint import load_detector
from pocketdet.models.weight_files import PICKLED, SAFE
from pocketdet.runtime.bundle import Bundle, hash_file, load_bundle
from pocketdet.runtime.precision import Storage


class EvaluationInput(Protocol):
    """What a user names to be evaluated: a checkpoint or a bundle, opened and checked."""

    @property
    def path(self) -> Path:
        """Where it was read."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the checkpoint, or of the bundle's manifest, which holds the hashes of its files."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """Without background."""
        ...

    @property
    def backends(self) -> tuple[Backend, ...]:
        """What it can be run as, PyTorch first."""
        ...

    def variants(
        self,
        backends: Collection[Backend],
        *,
        score: float | None = None,
        threads: int = 1,
        processors: Sequence[str] = (),
        log: Log = ...,
    ) -> AbstractContextManager[tuple[Variant, ...]]:
        """Those of its backends that are among `backends`, in the order of its own, ready to run.

        `score` replaces the score threshold: a checkpoint's own, and `evaluation_threshold` of a bundle.
        `threads` are those of ncnn and onnxruntime; PyTorch has one setting for the process. Each ncnn
        backend follows once more on each of `processors`, which are emulated. `log` receives the lines of an
        export.
        Raises what `export_detector`, `Detector` and `DetectorOptions` raise.
        """
        ...


def is_checkpoint(path: Path) -> bool:
    """Whether a file of this name is read as weights; anything else is a bundle."""
    return path.suffix.lower() in (SAFE, *PICKLED)


@contextmanager
def open_input(
    path: Path,
    *,
    arch: str | None = None,
    class_names: tuple[str, ...] | None = None,
    input_size: tuple[int, int] | None = None,
    size: tuple[int, int] | None = None,
) -> Iterator[EvaluationInput]:
    """Open a checkpoint (.safetensors, .pt, .pth) or a bundle (a folder or zip file), to be closed again.

    `size` is for bundles, as in `load_bundle`; the other arguments are for checkpoints, as in
    `load_detector`. Raises what these raise, and `UsageError` if there is nothing at `path` or an argument
    does not apply.
    """
    if not path.exists():
        raise UsageError(
            f"{path}: no such file; expected a checkpoint ({SAFE}, {', '.join(PICKLED)}) or a bundle "
            "(a .pocketdet folder or zip file)"
        )
    if path.is_file() and is_checkpoint(path):
        if size is not None:
            raise UsageError(f"{path} is a checkpoint: its size is --input-size, --size is for bundles")
        model = load_detector(path, arch=arch, class_names=class_names, input_size=input_size)
        yield _CheckpointInput(path, hash_file(path).sha256, model)
        return
    if (arch, class_names, input_size) != (None, None, None):
        raise UsageError(
            f"{path} is a bundle, which says itself what it is: architecture, class names and input size "
            "can only be told for a checkpoint"
        )
    with load_bundle(path, size) as bundle:
        yield _BundleInput(path, bundle)


@dataclass(frozen=True, eq=False)
class _CheckpointInput:
    path: Path
    digest: str
    model: AnyDetector

    @property
    def class_names(self) -> tuple[str, ...]:
        return config_of(self.model).class_names

    @property
    def backends(self) -> tuple[Backend, ...]:
        return "pytorch", "onnx", "ncnn-fp32", "ncnn-fp16"

    @contextmanager
    def variants(
        self,
        backends: Collection[Backend],
        *,
        score: float | None = None,
        threads: int = 1,
        processors: Sequence[str] = (),
        log: Log = lambda line: None,
    ) -> Iterator[tuple[Variant, ...]]:
        found = [in_pytorch(reference_of(self.model), score)] if "pytorch" in backends else []
        parts: tuple[tuple[WeightStorage, tuple[Backend, ...]], ...] = (
            ("fp32", ("onnx", "ncnn-fp32")),
            ("fp16", ("ncnn-fp16",)),
        )
        with ExitStack() as opened:
            for precision, of_bundle in parts:
                wanted: list[Backend] = [backend for backend in of_bundle if backend in backends]
                if wanted:
                    bundle = opened.enter_context(_exported(self.model, precision, log))
                    found += _run_as(bundle, wanted, score, threads, processors)
            yield tuple(found)


@dataclass(frozen=True, eq=False)
class _BundleInput:
    path: Path
    bundle: Bundle

    @property
    def digest(self) -> str:
        return self.bundle.digest

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.bundle.manifest.class_names

    @property
    def backends(self) -> tuple[Backend, ...]:
        manifest = self.bundle.manifest
        backends: list[Backend] = ["pytorch"] if manifest.reference_weights else []
        if all(graph.onnx for graph in manifest.graphs.by_name().values()):
            backends.append("onnx")
        ncnn: dict[Storage, Backend] = {"fp32": "ncnn-fp32", "fp16": "ncnn-fp16", "int8": "ncnn-int8"}
        return *backends, ncnn[manifest.layout.weight_storage]

    @contextmanager
    def variants(
        self,
        backends: Collection[Backend],
        *,
        score: float | None = None,
        threads: int = 1,
        processors: Sequence[str] = (),
        log: Log = lambda line: None,
    ) -> Iterator[tuple[Variant, ...]]:
        score = evaluation_threshold(self.bundle) if score is None else score
        wanted: list[Backend] = [backend for backend in self.backends if backend in backends]
        found = [bundle_in_pytorch(self.bundle, score)] if "pytorch" in wanted else []
        engines: list[Backend] = [backend for backend in wanted if backend != "pytorch"]
        yield (*found, *_run_as(self.bundle, engines, score, threads, processors))


def _run_as(
    bundle: Bundle, backends: Sequence[Backend], score: float | None, threads: int, processors: Sequence[str]
) -> list[Variant]:
    found = [in_engine(bundle, backend, score, threads) for backend in backends]
    ncnn: list[Backend] = [backend for backend in backends if backend != "onnx"]
    return found + [in_emulator(bundle, backend, cpu, score) for backend in ncnn for cpu in processors]


@contextmanager
def _exported(model: AnyDetector, precision: WeightStorage, log: Log) -> Iterator[Bundle]:
    """The bundle of `model`, of which nothing is left afterwards."""
    try:
        scratch = tempfile.TemporaryDirectory(prefix="pocketdet-val-")
    except OSError as error:
        raise ExportError(f"no temporary folder can be made to export into: {error}") from error
    with scratch as folder:
        options = ExportOptions(precision=precision)
        with load_bundle(export_detector(model, Path(folder), options, log=log).path) as bundle:
            yield bundle  # emulated processors read the folder, too
