"""PyTorch's answer for one image, as the stage values that parity compares."""

import numpy as np
from numpy.typing import NDArray

from pocketdet.models.postprocess import reference_stages
from pocketdet.models.thundernet import ThunderNet
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
