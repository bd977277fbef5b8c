"""The loss of ThunderNet: objectness and boxes of the RPN, classes and boxes of the head.

Anchors and RoIs are matched to true boxes; `anchor_targets` and `roi_targets` say which of them count.

If several processes share a batch, the mean over them of each value is that of the batch: counts are over all
of them, and so is the choice of hard examples.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from pocketdet.models.config import DetectorConfig
from pocketdet.models.ops import box_iou, clip_boxes, decode_boxes, encode_boxes, make_anchors
from pocketdet.models.thundernet import ThunderNet
from pocketdet.training.distributed import SINGLE_PROCESS, DistributedContext
from pocketdet.training.loss_config import ThunderNetLossConfig
from pocketdet.training.loss_functions import UNIT, DetectorLoss
from pocketdet.training.matching import Targets, covered, match_anchors

POSITIVE_IOU = 0.5  # of a RoI: Fast R-CNN section 2.3
PROPOSAL_IOU = 0.7
MAX_POSITIVE_ANCHORS = 128
JITTER_SHIFT, JITTER_SCALE = 0.18, 0.3


@dataclass(frozen=True)
class AnchorTargets:
    """Chosen anchors of one image: objects (P,) with their deltas (P, 4), and ground (Q,)."""

    positive: Tensor
    deltas: Tensor
    negative: Tensor


@dataclass(frozen=True)
class RoITargets:
    """RoIs (R, 4) of one image, classes (R,) with 0 for ground and -1 for padding, deltas (R, 4)."""

    rois: Tensor
    classes: Tensor
    deltas: Tensor


def anchor_targets(
    logits: Tensor,
    anchors: Tensor,
    boxes: Tensor,
    ignored: Tensor,
    settings: ThunderNetLossConfig,
    generator: Generator,
) -> AnchorTargets:
    """Targets of the RPN for one image; `logits` (A,) are its objectness, which say what is hard.

    Anchors that lie on an `ignored` box (K, 4) for more than half are no ground.
    """
    matched, ground = match_anchors(anchors, boxes, settings.rpn_positive, settings.rpn_negative)
    ground &= ~covered(anchors, ignored)
    positive = draw((matched >= 0).nonzero()[:, 0], MAX_POSITIVE_ANCHORS, generator)
    deltas = encode_boxes(boxes[matched[positive]], anchors[positive], UNIT) if len(positive) else anchors[:0]
    candidates = ground.nonzero()[:, 0]
    hard = logits[candidates].topk(min(settings.rpn_hard, len(candidates))).indices
    drawn = torch.randint(max(len(candidates), 1), (settings.rpn_random,), generator=generator)
    chosen = torch.cat([hard, drawn if len(candidates) else drawn[:0]])
    return AnchorTargets(positive, deltas, candidates[chosen])


def training_proposals(
    logits: Tensor, deltas: Tensor, anchors: Tensor, size: tuple[int, int], settings: ThunderNetLossConfig
) -> Tensor:
    """Objectness (A,), deltas (A, 4), anchors (A, 4) -> boxes (P, 4) after NMS, best first."""
    top = logits.topk(min(settings.pre_nms, len(logits))).indices
    boxes = clip_boxes(decode_boxes(deltas[top], anchors[top], UNIT), size)
    sound = torch.isfinite(boxes).all(dim=1) & ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)
    boxes = boxes[sound]
    return boxes[quick_nms(boxes, PROPOSAL_IOU, settings.proposals)]


def quick_nms(boxes: Tensor, threshold: float, limit: int) -> Tensor:
    """Greedy NMS of boxes (N, 4), best first: which to keep, at most `limit`. As `ops.nms`, in numpy."""
    x1, y1, x2, y2 = np.ascontiguousarray(boxes.numpy().T)
    areas = (x2 - x1) * (y2 - y1)
    order = np.arange(len(boxes))
    chosen: list[np.int64] = []
    while len(order) and len(chosen) < limit:
        first, rest = order[0], order[1:]
        chosen.append(first)
        sides_x = np.minimum(x2[first], x2[rest]) - np.maximum(x1[first], x1[rest])
        sides_y = np.minimum(y2[first], y2[rest]) - np.maximum(y1[first], y1[rest])
        inter = np.maximum(sides_x, 0) * np.maximum(sides_y, 0)
        order = rest[inter <= threshold * (areas[first] + areas[rest] - inter)]
    return torch.tensor(np.array(chosen, np.int64))


def roi_targets(
    proposals: Tensor,
    boxes: Tensor,
    labels: Tensor,
    ignored: Tensor,
    size: tuple[int, int],
    settings: ThunderNetLossConfig,
    std: tuple[float, float, float, float],
    generator: Generator,
) -> RoITargets:
    """`settings.rois` RoIs of one image: proposals and shaken true boxes, at most half of them objects."""
    rois = torch.cat([boxes, clip_boxes(_shaken(boxes, settings.jitter, generator), size), proposals])
    if len(boxes):
        best, owner = box_iou(rois, boxes).max(dim=1)
    else:
        best, owner = torch.zeros(len(rois)), torch.zeros(len(rois), dtype=torch.int64)
    is_object = best >= POSITIVE_IOU
    positive = draw(is_object.nonzero()[:, 0], settings.rois // 2, generator)
    ground = (~is_object & ~covered(rois, ignored)).nonzero()[:, 0]
    negative = draw(ground, settings.rois - len(positive), generator)
    chosen = torch.cat([positive, negative])
    missing = settings.rois - len(chosen)
    padding = torch.tensor([[0.0, 0.0, 16.0, 16.0]]).expand(missing, 4)
    classes = torch.full((settings.rois,), -1)
    classes[: len(chosen)] = 0
    deltas = torch.zeros(settings.rois, 4)
    if len(positive):
        classes[: len(positive)] = labels[owner[positive]] + 1
        deltas[: len(positive)] = encode_boxes(boxes[owner[positive]], rois[positive], std)
    return RoITargets(torch.cat([rois[chosen], padding]), classes, deltas)


def _shaken(boxes: Tensor, copies: int, generator: Generator) -> Tensor:
    """(G, 4) -> (G * copies, 4), moved by up to 18% of a side and scaled by up to exp(0.3)."""
    many = boxes.repeat(copies, 1)
    sides = many[:, 2:] - many[:, :2]
    noise = torch.rand(len(many), 4, generator=generator) * 2 - 1
    centers = many[:, :2] + 0.5 * sides + noise[:, :2] * sides * JITTER_SHIFT
    half = 0.5 * sides * torch.exp(noise[:, 2:] * JITTER_SCALE)
    return torch.cat([centers - half, centers + half], dim=1)


def draw(indices: Tensor, limit: int, generator: Generator) -> Tensor:
    """At most `limit` of `indices`, all as likely."""
    if len(indices) <= limit:
        return indices
    return indices[torch.randperm(len(indices), generator=generator)[:limit]]


def dense_ps_roi_align(
    features: Tensor, rois: Tensor, stride: int, pool_size: int, sampling_ratio: int
) -> Tensor:
    """Features (N, alpha*p*p, h, w), RoIs (N, R, 4) finite, input pixels -> (N*R, alpha*p*p).

    Differentiable with respect to `features` only. Definition: docs/reference/definitions.md, "PSRoI align".
    """
    n, channels, h, w = features.shape
    count, p = rois.shape[1], pool_size
    alpha = channels // (p * p)
    boxes = rois.detach().reshape(-1, 4)
    wy = axis_weights(boxes[:, 1], boxes[:, 3], stride, p, sampling_ratio, h)
    wx = axis_weights(boxes[:, 0], boxes[:, 2], stride, p, sampling_ratio, w)
    wy = wy.reshape(n, count, p, h).permute(0, 2, 3, 1)  # n i h R
    wx = wx.reshape(n, count, p, w).permute(0, 2, 3, 1)  # n j w R

    planes = features.reshape(n, alpha, p, p, h, w).permute(0, 2, 3, 1, 5, 4)  # n i j alpha w h
    rows = wy[:, :, None].expand(n, p, p, h, count).reshape(n * p * p, h, count)
    columns = torch.bmm(planes.reshape(n * p * p, alpha * w, h), rows)
    columns = columns.reshape(n, p, p, alpha, w, count)
    bins = (columns * wx[:, None, :, None]).sum(dim=4)  # n i j alpha R
    return bins.permute(0, 4, 3, 1, 2).reshape(n * count, channels)


def axis_weights(low: Tensor, high: Tensor, stride: int, bins: int, samples: int, size: int) -> Tensor:
    """Starts and ends (R,) of one axis in pixels -> the weight (R, bins, size) of each cell in each bin."""
    scale = 1.0 / stride
    start, end = low * scale - 0.5, high * scale - 0.5
    bin_size = ((end - start) / bins)[:, None, None]
    j = torch.arange(bins, device=low.device)[None, :, None]
    k = torch.arange(samples, device=low.device)[None, None, :]
    at = start[:, None, None] + j * bin_size + (k + 0.5) * bin_size / samples
    inside = (at >= -1) & (at <= size)
    cells = torch.arange(size, device=low.device)
    tent = (1 - (at.clamp(0, size - 1)[..., None] - cells).abs()).clamp(min=0)
    return (tent * inside[..., None]).mean(dim=2)


RPN_BETA = 1 / 9  # where smooth L1 turns linear (Faster R-CNN)


@dataclass(frozen=True)
class ThunderNetTerms:
    """One value each, before weights; `accuracy` is the share of object RoIs that get their class."""

    rpn_class: Tensor
    rpn_box: Tensor
    head_class: Tensor
    head_box: Tensor
    accuracy: Tensor

    def total(self, settings: ThunderNetLossConfig) -> Tensor:
        """The scalar to minimise."""
        boxes = self.rpn_box + self.head_box
        return self.rpn_class + settings.class_weight * self.head_class + settings.box_weight * boxes


def rpn_losses(
    logits: Tensor,
    deltas: Tensor,
    positive: Tensor,
    negative: Tensor,
    wanted: Tensor,
    context: DistributedContext = SINGLE_PROCESS,
) -> tuple[Tensor, Tensor]:
    """Objectness (M,) and deltas (M, 4) of all anchors of a batch; chosen indices; deltas wanted (P, 4).

    Objects and ground each have half of the classification loss, whatever their numbers. Two-class cross
    entropy of (background, foreground) is binary cross entropy of their difference.
    """
    counts = torch.tensor([len(positive), len(negative)], dtype=torch.float32, device=logits.device)
    objects, ground = context.loss_normalizer(counts)
    missed, imagined = F.softplus(-logits[positive]).sum(), F.softplus(logits[negative]).sum()
    box = F.smooth_l1_loss(deltas[positive], wanted, beta=RPN_BETA, reduction="sum")
    return 0.5 * (missed / objects) + 0.5 * (imagined / ground), box / objects


def head_losses(
    logits: Tensor,
    deltas: Tensor,
    classes: Tensor,
    wanted: Tensor,
    settings: ThunderNetLossConfig,
    context: DistributedContext = SINGLE_PROCESS,
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (R, C), deltas (R, 4), classes (R,) with -1 for padding -> class loss, box loss, accuracy.

    The box loss is divided by the objects among the RoIs that count (`hardest`), as the class loss is by all.
    """
    used, is_object = classes >= 0, classes > 0
    ce = F.cross_entropy(
        logits, classes.clamp(min=0), reduction="none", label_smoothing=settings.label_smoothing
    ) * used.to(logits.dtype)
    box = F.smooth_l1_loss(deltas, wanted, beta=settings.box_beta, reduction="none").sum(dim=1)
    box = box * is_object.to(logits.dtype)
    right = (logits.detach().argmax(dim=1) == classes) & is_object
    object_count = is_object.sum()
    if settings.ohem:
        hardness = torch.where(used, (ce + box).detach(), torch.full_like(ce, -1.0))
        hard = hardest(hardness, settings, context)
        ce, box, used, is_object = ce[hard], box[hard], used[hard], is_object[hard]
    counts = torch.stack([used.sum(), is_object.sum(), object_count]).to(torch.float32)
    rois, objects, all_objects = context.loss_normalizer(counts)
    return ce.sum() / rois, box.sum() / objects, right.sum() / all_objects


def hardest(
    hardness: Tensor, settings: ThunderNetLossConfig, context: DistributedContext = SINGLE_PROCESS
) -> Tensor:
    """Hardness (R,), the same R in every process -> indices of the RoIs that the loss keeps (OHEM).

    `settings.ohem` of every `settings.rois` RoIs of the whole batch, padding included and at least one, are
    kept: those with the greatest loss (Shrivastava et al. 2016). All processes rank the same values in the
    same order, so they agree on ties.
    """
    everywhere = context.gathered(hardness)
    count = max(1, min(settings.ohem * len(everywhere) // settings.rois, len(everywhere)))
    chosen: Tensor = everywhere.topk(count).indices - context.rank * len(hardness)
    return chosen[(chosen >= 0) & (chosen < len(hardness))]


class ThunderNetLoss(DetectorLoss[ThunderNet, ThunderNetLossConfig]):
    """`loss_terms` as a module, so that DistributedDataParallel also wraps the head."""

    def forward(self, images: Tensor, targets: list[Targets]) -> ThunderNetTerms:
        """Normalised images (N, 3, H, W) on the model's device, and their targets -> losses."""
        return loss_terms(self.model, images, targets, self._settings, self._context, self._autocast)


def loss_terms(
    model: ThunderNet,
    images: Tensor,
    targets: list[Targets],
    settings: ThunderNetLossConfig,
    context: DistributedContext = SINGLE_PROCESS,
    autocast: bool = False,
) -> ThunderNetTerms:
    """Normalised images (N, 3, H, W) on the model's device, and their targets -> losses with a gradient.

    The RoI features come from the SAM map, so the head's gradient reaches the RPN's feature through the
    attention (section 3.2); proposals themselves carry none. With `autocast` the network runs in bfloat16;
    boxes, RoI features and losses are float32 in any case. Targets are made on the CPU.
    """
    size = (images.shape[2], images.shape[3])
    with torch.autocast(images.device.type, torch.bfloat16, enabled=autocast):
        scores, deltas, sam = map(_full, model(images))
    logits, flat = flatten_rpn(scores, deltas)
    config = model.config
    grid = (scores.shape[2], scores.shape[3])
    anchors = make_anchors(grid, config.anchors.stride, config.anchors.sizes())

    rpn, rois = [], []
    with torch.no_grad():
        outputs = zip(targets, logits.detach().cpu(), flat.detach().cpu(), strict=True)
        for target, objectness, coded in outputs:
            generator, boxes = Generator().manual_seed(target.seed), target.boxes
            rpn.append(anchor_targets(objectness, anchors, boxes, target.ignored, settings, generator))
            proposals = training_proposals(objectness, coded, anchors, size, settings)
            std = config.head.delta_std
            rois.append(
                roi_targets(proposals, boxes, target.labels, target.ignored, size, settings, std, generator)
            )
    rpn_class, rpn_box = _rpn_terms(logits, flat, rpn, context)
    features, classes, wanted = _roi_inputs(model.config, sam, rois)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=autocast):
        head_logits, head_deltas = map(_full, model.head(features))
    head_class, head_box, accuracy = head_losses(head_logits, head_deltas, classes, wanted, settings, context)
    return ThunderNetTerms(rpn_class, rpn_box, head_class, head_box, accuracy)


def _full(values: Tensor) -> Tensor:
    """In float32 if they have fewer bits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def flatten_rpn(scores: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (N, 2A, h, w), deltas (N, 4A, h, w) -> objectness (N, h*w*A), deltas (N, h*w*A, 4)."""
    n, double, h, w = scores.shape
    count = double // 2
    logits = (scores[:, count:] - scores[:, :count]).permute(0, 2, 3, 1).reshape(n, -1)
    return logits, deltas.reshape(n, count, 4, h, w).permute(0, 3, 4, 1, 2).reshape(n, -1, 4)


def _rpn_terms(
    logits: Tensor, deltas: Tensor, targets: list[AnchorTargets], context: DistributedContext
) -> tuple[Tensor, Tensor]:
    per_image, device = logits.shape[1], logits.device
    positive = torch.cat([t.positive + i * per_image for i, t in enumerate(targets)]).to(device)
    negative = torch.cat([t.negative + i * per_image for i, t in enumerate(targets)]).to(device)
    wanted = torch.cat([t.deltas for t in targets]).to(device)
    return rpn_losses(logits.flatten(), deltas.flatten(0, 1), positive, negative, wanted, context)


def _roi_inputs(
    config: DetectorConfig, sam: Tensor, targets: list[RoITargets]
) -> tuple[Tensor, Tensor, Tensor]:
    """RoI features, classes and wanted deltas of all images, on the map's device."""
    head, device = config.head, sam.device
    rois = torch.stack([t.rois for t in targets]).to(device)
    features = dense_ps_roi_align(sam, rois, config.anchors.stride, head.pool_size, head.sampling_ratio)
    classes = torch.cat([t.classes for t in targets]).to(device)
    wanted = torch.cat([t.deltas for t in targets]).to(device)
    return features, classes, wanted
