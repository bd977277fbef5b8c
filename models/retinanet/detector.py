"""RetinaNet (Lin et al. 2017) with or without light branches at its finest level."""

from torch import Tensor

from pocketdet.models.backbones import ResNet
from pocketdet.models.necks import FeaturePyramid
from pocketdet.models.one_stage import OneStageDetector, Predictor, PredictorKind
from pocketdet.models.retinanet.config import RetinaNetConfig
from pocketdet.models.retinanet.decode import retinanet_spec
from pocketdet.models.retinanet.head import PRIOR_PROBABILITY, Branch
from pocketdet.spec.one_stage import OneStageSpec


class RetinaNet(OneStageDetector):
    """Normalised image (N, 3, H, W) -> raw maps by name, "classes_l" and "boxes_l" for l = 3 to 7.

    Classes are (N, anchors * classes, h, w) logits of a sigmoid, boxes (N, anchors * 4, h, w), each with the
    anchor outermost; `retinanet_spec` says so to the decode.
    """

    def __init__(self, config: RetinaNetConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = ResNet(config.backbone)
        self.neck = FeaturePyramid(self.backbone.channels[1:], config.width)
        outputs = config.anchors * config.num_classes
        self.classes = Branch(config.light.classes, config.width, config.depth, outputs)
        self.boxes = Branch(config.light.boxes, config.width, config.depth, config.anchors * 4)
        self.classes.set_prior(PRIOR_PROBABILITY)

    def spec(self) -> OneStageSpec:
        """`retinanet_spec` of the configuration."""
        return retinanet_spec(self.config)

    def predictors(self) -> list[Predictor]:
        """The layers whose outputs the decode reads."""
        parts: list[tuple[PredictorKind, Branch]] = [("sigmoid", self.classes), ("deltas", self.boxes)]
        return [Predictor(kind, layer) for kind, part in parts for layer in part.last_layers()]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """All levels' maps."""
        maps = self.neck(self.backbone(image)[1:])
        found = {f"classes_{i}": x for i, x in enumerate(self.classes(maps), 3)}
        return found | {f"boxes_{i}": x for i, x in enumerate(self.boxes(maps), 3)}
