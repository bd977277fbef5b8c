"""The loss of MimicDet: refinement, two heads on adjusted anchors, the mimic loss. Sections 3 and 4.1."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from pocketdet.models.mimicdet import MimicDet, TeacherAnswer, TrainingMaps, mimicdet_spec
from pocketdet.models.ops import clip_boxes, encode_boxes
from pocketdet.models.ops.one_stage_boxes import decode_step
from pocketdet.spec.one_stage import Four
from pocketdet.training.loss_config import MimicDetLossConfig
from pocketdet.training.loss_functions import UNIT, DetectorLoss, Priors, accuracy, by_prior, make_priors
from pocketdet.training.matching import GROUND, Targets, best_iou, covered, match_by_centre
from pocketdet.training.thundernet_loss import draw, quick_nms

OBJECTS = 4  # one proposal in so many of the T-head's is an object


@dataclass(frozen=True)
class Proposed:
    """Proposals of one image: anchors (R,) by index, adjusted boxes (R, 4), classes (R,), deltas (R, 4).

    The class is 0 for ground and -1 for ignored ones; deltas, divided by the std, lead to the
    object.
    """

    anchors: Tensor
    boxes: Tensor
    classes: Tensor
    deltas: Tensor

    def part(self, chosen: Tensor) -> "Proposed":
        """Those of the given indices."""
        return Proposed(self.anchors[chosen], self.boxes[chosen], self.classes[chosen], self.deltas[chosen])


def propose(
    objectness: Tensor,
    adjusted: Tensor,
    size: tuple[int, int],
    target: Targets,
    settings: MimicDetLossConfig,
    std: Four,
) -> Proposed:
    """Objectness (P,) and adjusted anchors (P, 4) of an image, both on the CPU -> proposals, best first."""
    order = objectness.sort(descending=True, stable=True).indices
    boxes = clip_boxes(adjusted[order], size)
    sound = torch.isfinite(boxes).all(dim=1) & ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)
    order, boxes = order[sound], boxes[sound]
    keep = quick_nms(boxes, settings.proposal_iou, settings.proposals)
    order, boxes = order[keep], boxes[keep]
    iou, owner = best_iou(boxes, target.boxes)
    is_object = iou >= settings.positive_iou
    classes, deltas = torch.zeros(len(boxes), dtype=torch.int64), torch.zeros(len(boxes), 4)
    classes[covered(boxes, target.ignored)] = -1
    if len(target.boxes):
        classes[is_object] = target.labels[owner[is_object]] + 1
        deltas[is_object] = encode_boxes(target.boxes[owner[is_object]], boxes[is_object], std)
    return Proposed(order, boxes, classes, deltas)


def sample_proposals(proposed: Proposed, settings: MimicDetLossConfig, generator: Generator) -> Tensor:
    """Indices of the proposals that the T-head sees: `samples` of them, a quarter objects at most."""
    objects = draw((proposed.classes > 0).nonzero()[:, 0], settings.samples // OBJECTS, generator)
    ground = draw((proposed.classes == 0).nonzero()[:, 0], settings.samples - len(objects), generator)
    return torch.cat([objects, ground])


SCALES = (1.0, 2.0)  # eta of section 3.2


@dataclass(frozen=True)
class MimicDetTerms:
    """One value each; `accuracy` is the share of proposals on an object that get its class from the S-head.

    `mimic` is equation 1 whether it is minimised or not, 0 without a T-head: from 0 (all alike) to 4.
    """

    objectness: Tensor
    refine: Tensor
    student_class: Tensor
    student_box: Tensor
    teacher_class: Tensor
    teacher_box: Tensor
    mimic: Tensor
    accuracy: Tensor

    def total(self, settings: MimicDetLossConfig) -> Tensor:
        """What is minimised: L_R + L_S + L_T + L_mimic."""
        student = self.student_class + self.student_box
        loss = self.objectness + self.refine + student + settings.mimic_weight * self.mimic
        return loss + self.teacher_class + self.teacher_box


class MimicDetLoss(DetectorLoss[MimicDet, MimicDetLossConfig]):
    """One forward pass: all losses of a batch."""

    def forward(self, images: Tensor, targets: list[Targets]) -> MimicDetTerms:
        """Normalised images (N, 3, H, W) on the model's device, and their targets -> losses."""
        size = (images.shape[2], images.shape[3])
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._autocast):
            maps = self.model.training_maps(images)
        priors = make_priors(mimicdet_spec(replace(self.model.config, input_size=size)))
        objectness, deltas = _flat(maps.objectness)[..., 0], _flat(maps.refine)
        generators = [Generator().manual_seed(target.seed) for target in targets]
        proposed = self._proposals(objectness, deltas, priors, targets)
        samples = [
            p.part(sample_proposals(p, self._settings, g)) for p, g in zip(proposed, generators, strict=True)
        ]
        student = self._student(maps, proposed, generators)
        teacher_class = teacher_box = mimic = objectness.new_zeros(())
        if self._settings.teacher:
            answer = self._teach(maps, samples, priors)
            teacher_class, teacher_box = self._teacher(answer, samples)
            mimic = self._mimic(maps, answer, samples)
        refined = self._refinement(objectness, deltas, priors, targets)
        return MimicDetTerms(*refined, *student[:2], teacher_class, teacher_box, mimic, student[2])

    @torch.no_grad()
    def _proposals(
        self, objectness: Tensor, deltas: Tensor, priors: Priors, targets: list[Targets]
    ) -> list[Proposed]:
        coding, std = self.model.spec().codings[0], self.model.config.student_std
        found = []
        for scores, codes, target in zip(objectness.cpu(), deltas.cpu(), targets, strict=True):
            adjusted = decode_step(codes, priors.boxes, priors.strides, coding, priors.size)
            found.append(propose(scores, adjusted, priors.size, target, self._settings, std))
        return found

    def _refinement(
        self, objectness: Tensor, deltas: Tensor, priors: Priors, targets: list[Targets]
    ) -> tuple[Tensor, Tensor]:
        """Cross entropy over all anchors and L1 over those on an object, both divided by the latter."""
        matched = torch.stack(
            [
                match_by_centre(priors.boxes, SCALES, t.boxes, t.ignored, self._settings.shrink)
                for t in targets
            ]
        )
        image, anchor = (matched >= 0).nonzero(as_tuple=True)
        owner = matched[image, anchor]
        boxes = torch.cat([t.boxes[owner[image == i]] for i, t in enumerate(targets)])
        wanted = encode_boxes(boxes, priors.boxes[anchor], UNIT).to(deltas.device)
        is_object = (matched >= 0).to(objectness)
        counted = ((matched >= 0) | (matched == GROUND)).to(objectness)
        entropy = F.binary_cross_entropy_with_logits(objectness, is_object, reduction="none") * counted
        divisor = self._context.loss_normalizer(is_object.sum())
        return entropy.sum() / divisor, (deltas[image, anchor] - wanted).abs().sum() / divisor

    def _student(
        self, maps: TrainingMaps, proposed: Sequence[Proposed], generators: Sequence[Generator]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """S-head: the `samples` proposals of each image with the most loss, and `regressed` objects."""
        logits, deltas = _flat([x.logits for x in maps.student]), _flat([x.deltas for x in maps.student])
        losses, found, wanted, right, objects = [], [], [], [], []
        for i, (own, generator) in enumerate(zip(proposed, generators, strict=True)):
            classes = own.classes.to(logits.device)
            scores = logits[i, own.anchors]
            loss = F.cross_entropy(scores, classes, reduction="none", ignore_index=-1)
            losses.append(loss.topk(min(self._settings.samples, len(loss))).values)
            chosen = draw((own.classes > 0).nonzero()[:, 0], self._settings.regressed, generator)
            found.append(deltas[i, own.anchors[chosen]])
            wanted.append(own.deltas[chosen].to(deltas.device))
            right.append(scores.detach().argmax(dim=1) == classes)
            objects.append(classes > 0)
        entropy = torch.cat(losses)
        box = self._l1(torch.cat(found), torch.cat(wanted), len(entropy))
        return self._mean(entropy), box, accuracy(torch.cat(right), torch.cat(objects), self._context)

    def _teach(self, maps: TrainingMaps, samples: Sequence[Proposed], priors: Priors) -> TeacherAnswer:
        level = torch.repeat_interleave(torch.arange(len(priors.counts)), torch.tensor(priors.counts))
        device = maps.staggered[0].device
        image_index = torch.cat([torch.full_like(s.anchors, i) for i, s in enumerate(samples)]).to(device)
        rois = torch.cat([s.boxes for s in samples]).to(device)
        levels = torch.cat([level[s.anchors] for s in samples]).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._autocast):
            return self.model.teach(maps, rois, image_index, levels)

    def _teacher(self, answer: TeacherAnswer, samples: Sequence[Proposed]) -> tuple[Tensor, Tensor]:
        classes = torch.cat([s.classes for s in samples]).to(answer.logits.device)
        objects = classes > 0
        wanted = torch.cat([s.deltas for s in samples]).to(answer.deltas.device)
        loss = F.cross_entropy(answer.logits.float(), classes, reduction="none")
        return self._mean(loss), self._l1(answer.deltas.float()[objects], wanted[objects], len(classes))

    def _mimic(self, maps: TrainingMaps, answer: TeacherAnswer, samples: Sequence[Proposed]) -> Tensor:
        """Equation 1 on the logits and the box features of all samples (section 3.3 names these two).

        The T-head is the target: it gets no gradient from here.
        """
        logits = _flat([x.logits for x in maps.student])
        features = _flat([x.box_features for x in maps.student])
        own = [torch.cat([x[i, s.anchors] for i, s in enumerate(samples)]) for x in (logits, features)]
        theirs = [answer.logits.detach().float(), answer.box_features.detach().float()]
        unlike = [1 - F.cosine_similarity(a, b, dim=1) for a, b in zip(own, theirs, strict=True)]
        return self._mean(unlike[0] + unlike[1])

    def _mean(self, values: Tensor) -> Tensor:
        return values.sum() / self._context.loss_normalizer(
            torch.tensor(float(len(values)), device=values.device)
        )

    def _l1(self, found: Tensor, wanted: Tensor, samples: int) -> Tensor:
        """L1 of the deltas (M, 4) of objects, divided by the samples that are classified (Fast R-CNN)."""
        divisor = self._context.loss_normalizer(torch.tensor(float(samples), device=found.device))
        return (found - wanted).abs().sum() / divisor


def _flat(maps: Sequence[Tensor]) -> Tensor:
    """Maps (N, E, h, w) of all levels -> (N, P, E), float32 or better."""
    values = torch.cat([by_prior(x, 1) for x in maps], dim=1)
    return values.to(torch.promote_types(values.dtype, torch.float32))
