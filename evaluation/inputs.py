"""What a user names to be evaluated, a checkpoint or a bundle, and the forms that can be made of it.

A checkpoint is exported to see all its forms side by side; a bundle has those that it carries.
"""

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pocketdet.errors import ExportError, UsageError
from pocketdet.evaluation.emulated import in_emulator
from pocketdet.evaluation.variants import Form, Subject, bundle_in_pytorch, in_engine, in_pytorch
from pocketdet.export.exporter import Log, export_detector
from pocketdet.export.options import ExportOptions
from pocketdet.export.reference.factory import reference_of
from pocketdet.export.to_ncnn import WeightStorage
from pocketdet.models.build import AnyDetector, config_of
from pocketdet.models.checkpoint import load_detector
from pocketdet.models.weight_files import PICKLED, SAFE
from pocketdet.runtime.bundle import Bundle, hash_file, load_bundle
from pocketdet.runtime.precision import Storage


class Target(Protocol):
    """What a user names to be evaluated: a checkpoint or a bundle, opened and checked."""

    @property
    def path(self) -> Path:
        """Where it was read."""

    @property
    def digest(self) -> str:
        """SHA-256 of the checkpoint, or of the bundle's manifest, which holds the hashes of its files."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Without background."""

    @property
    def forms(self) -> tuple[Form, ...]:
        """What it can be run as, PyTorch first."""

    def subjects(
        self,
        forms: Collection[Form],
        *,
        score: float | None = None,
        threads: int = 1,
        processors: Sequence[str] = (),
        log: Log = ...,
    ) -> AbstractContextManager[tuple[Subject, ...]]:
        """Those of its forms that are among `forms`, in the order of its own, ready to run.

        `score` replaces the detector's score threshold. `threads` are those of ncnn and onnxruntime;
        PyTorch has one setting for the process. Each ncnn form follows once more on each of `processors`,
        which are emulated. `log` receives the lines of an export.
        Raises what `export_detector`, `Detector` and `DetectorOptions` raise.
        """


def is_checkpoint(path: Path) -> bool:
    """Whether a file of this name is read as weights; anything else is a bundle."""
    return path.suffix.lower() in (SAFE, *PICKLED)


@contextmanager
def open_target(
    path: Path,
    *,
    arch: str | None = None,
    class_names: tuple[str, ...] | None = None,
    input_size: tuple[int, int] | None = None,
) -> Iterator[Target]:
    """Open a checkpoint (.safetensors, .pt, .pth) or a bundle (a folder or zip file), to be closed again.

    The other arguments are those of `load_detector`; a bundle takes none. Raises what `load_detector`
    and `load_bundle` raise, and `UsageError` if there is nothing at `path` or an argument does not apply.
    """
    if not path.exists():
        raise UsageError(
            f"{path}: no such file; expected a checkpoint ({SAFE}, {', '.join(PICKLED)}) or a bundle "
            "(a .pocketdet folder or zip file)"
        )
    if path.is_file() and is_checkpoint(path):
        model = load_detector(path, arch=arch, class_names=class_names, input_size=input_size)
        yield _CheckpointTarget(path, hash_file(path).sha256, model)
        return
    if (arch, class_names, input_size) != (None, None, None):
        raise UsageError(
            f"{path} is a bundle, which says itself what it is: architecture, class names and input size "
            "can only be told for a checkpoint"
        )
    with load_bundle(path) as bundle:
        yield _BundleTarget(path, bundle)


@dataclass(frozen=True, eq=False)
class _CheckpointTarget:
    path: Path
    digest: str
    model: AnyDetector

    @property
    def class_names(self) -> tuple[str, ...]:
        return config_of(self.model).class_names

    @property
    def forms(self) -> tuple[Form, ...]:
        return "pytorch", "onnx", "ncnn-fp32", "ncnn-fp16"

    @contextmanager
    def subjects(
        self,
        forms: Collection[Form],
        *,
        score: float | None = None,
        threads: int = 1,
        processors: Sequence[str] = (),
        log: Log = lambda line: None,
    ) -> Iterator[tuple[Subject, ...]]:
        found = [in_pytorch(reference_of(self.model), score)] if "pytorch" in forms else []
        parts: tuple[tuple[WeightStorage, tuple[Form, ...]], ...] = (
            ("fp32", ("onnx", "ncnn-fp32")),
            ("fp16", ("ncnn-fp16",)),
        )
        with ExitStack() as opened:
            for precision, of_bundle in parts:
                wanted = [form for form in of_bundle if form in forms]
                if wanted:
                    bundle = opened.enter_context(_exported(self.model, precision, log))
                    found += _run_as(bundle, wanted, score, threads, processors)
            yield tuple(found)


@dataclass(frozen=True, eq=False)
class _BundleTarget:
    path: Path
    bundle: Bundle

    @property
    def digest(self) -> str:
        return self.bundle.digest

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.bundle.manifest.class_names

    @property
    def forms(self) -> tuple[Form, ...]:
        manifest = self.bundle.manifest
        forms: list[Form] = ["pytorch"] if manifest.reference_weights else []
        if all(graph.onnx for graph in manifest.graphs.by_name().values()):
            forms.append("onnx")
        ncnn: dict[Storage, Form] = {"fp32": "ncnn-fp32", "fp16": "ncnn-fp16", "int8": "ncnn-int8"}
        return *forms, ncnn[manifest.layout.weight_storage]

    @contextmanager
    def subjects(
        self,
        forms: Collection[Form],
        *,
        score: float | None = None,
        threads: int = 1,
        processors: Sequence[str] = (),
        log: Log = lambda line: None,
    ) -> Iterator[tuple[Subject, ...]]:
        wanted = [form for form in self.forms if form in forms]
        found = [bundle_in_pytorch(self.bundle, score)] if "pytorch" in wanted else []
        engines = [form for form in wanted if form != "pytorch"]
        yield (*found, *_run_as(self.bundle, engines, score, threads, processors))


def _run_as(
    bundle: Bundle, forms: Sequence[Form], score: float | None, threads: int, processors: Sequence[str]
) -> list[Subject]:
    found = [in_engine(bundle, form, score, threads) for form in forms]
    ncnn = [form for form in forms if form != "onnx"]
    return found + [in_emulator(bundle, form, cpu, score) for form in ncnn for cpu in processors]


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
