"""The detectors whose modelled cycles are shown and guarded, as bundles that are made once in a folder."""

from pathlib import Path
from types import MappingProxyType

from pocketdet.datasets.standard_frames import standard_frames
from pocketdet.export import ExportOptions, export_detector
from pocketdet.export.passes.channel_alignment import DEFAULT_TARGET
from pocketdet.export.quantization import QuantizeSettings
from pocketdet.models.build import AnyDetector
from pocketdet.models.checkpoint import load_detector
from pocketdet.models.config import DetectorConfig, Postprocessing
from pocketdet.models.random_init import BATCH_NORM_BIAS, random_thundernet
from pocketdet.models.zoo import FOD, zoo_names, zoo_weights
from pocketdet.runtime.bundle import hash_file
from pocketdet.runtime.images import write_image

BACKBONES = ("thundernet-snet49", "thundernet-snet146", "thundernet-snet535")
FULL_SIZE = (320, 320)
CLASSES = 80  # as in COCO
NO_DETECTIONS = 0.99  # a score threshold
MOST_ERROR = 0.19  # of an output of random weights in int8; the export refuses 0.2, which SNet535 has
_TRAINED = MappingProxyType({"thundernet-snet49": FOD, "passd-mobilenet": "passd-mobilenet-fod"})


def make_bundle(
    arch: str,
    folder: Path,
    *,
    int8: bool = False,
    size: tuple[int, int] = FULL_SIZE,
    target: str | None = DEFAULT_TARGET,
) -> Path:
    """The bundle of a detector: trained weights where the project has them, else random ones.

    Args:
        arch: Name of an architecture, or of trained weights of the zoo.
        folder: Where bundles are kept; one that it has is not made again. Those of trained weights have a
            folder of their own in it, so that other weights have another bundle.
        int8: Whether convolutions and products are quantized, on the standard frames of benchmarks.
        size: (height, width) of the network's input.
        target: The machines that channels are aligned for, None for no alignment.

    Returns:
        Its path.

    Raises:
        PocketdetError: If the export fails.
    """
    words = [arch, "x".join(map(str, size)), *(["int8"] if int8 else []), *([] if target else ["plain"])]
    weights = _trained_weights(arch)
    place = folder / hash_file(weights).sha256[:12] if weights else folder
    path = place / f"{'-'.join(words)}.pocketdet"
    if path.exists():
        return path
    frames = standard_frame_files(folder)
    options = ExportOptions(
        name=path.stem,
        precision="int8" if int8 else "fp32",
        calibration=tuple(frames) if int8 else (),
        int8=QuantizeSettings(max_output_error=MOST_ERROR) if int8 and not weights else None,
        target=target,
        slim=True,
    )
    model = load_detector(weights, input_size=size) if weights else _random(arch, size, int8=int8)
    return export_detector(model, place, options).path


def standard_frame_files(folder: Path) -> list[Path]:
    """The standard frames of benchmarks as files; those that the folder has are not written again."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, image in standard_frames().items():
        files.append(folder / f"{name}.png")
        if not files[-1].exists():
            write_image(files[-1], image)
    return files


def _trained_weights(arch: str) -> Path | None:
    name = _TRAINED.get(arch, arch)
    return zoo_weights(name) if name in zoo_names() else None


def _random(arch: str, size: tuple[int, int], *, int8: bool) -> AnyDetector:
    names = tuple(f"class {i}" for i in range(1, CLASSES + 1))
    # random weights have detections that nearly tie, which int8 changes: the networks alone are compared
    boxes = Postprocessing(score_threshold=NO_DETECTIONS) if int8 else Postprocessing()
    config = DetectorConfig(arch, names, input_size=size, postprocessing=boxes)
    return random_thundernet(config, seed=7, batch_norm_bias=BATCH_NORM_BIAS)
