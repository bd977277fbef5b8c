"""PyTorch's answer for one image, as the stage values that parity compares."""

import numpy as np
from numpy.typing import NDArray

from pocketdet.models.postprocess import reference_stages
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.parity import compare
from pocketdet.runtime.stages import StageValues, image_rows


def reference_values(model: ThunderNet, image: NDArray[np.uint8]) -> StageValues:
    """Every stage of `model` in eval mode on an RGB image (H, W, 3), by stage name."""
    stages = reference_stages(model, image)
    return {
        "image": image,
        "image_rows": image_rows(image),
        "resized": stages.resized.numpy(),
        "normalised": stages.normalised.numpy(),
        "rpn_scores": stages.rpn_scores.numpy(),
        "rpn_deltas": stages.rpn_deltas.numpy(),
        "sam": stages.sam.numpy(),
        "proposal_indices": stages.proposal_indices.numpy().astype(np.int32),
        "proposal_boxes": stages.proposal_boxes.numpy(),
        "roi_features": stages.roi_features.numpy(),
        "head": np.concatenate([stages.logits.numpy(), stages.deltas.numpy()], axis=1),
        "boxes": stages.boxes.numpy(),
        "scores": stages.scores.numpy(),
        "labels": stages.labels.numpy().astype(np.int32),
    }


def rounding_cost(before: StageValues, after: StageValues) -> list[str]:
    """What half-precision weights change, a line per network output of one image."""
    lines = []
    for name in ("rpn_scores", "rpn_deltas", "sam"):
        change = compare(name, before[name], after[name])
        share = change.max_abs / float(np.abs(before[name]).max())
        snr = "exact" if change.snr_db is None else f"SNR {change.snr_db:.0f} dB"
        lines.append(f"-[i] fp16 weights change {name} by at most {share:.1%} of its largest value ({snr})")
    return lines
