"""Feature pyramids."""

from pocketdet.models.necks.fpn import FeaturePyramid, TopDown

__all__ = ["FeaturePyramid", "TopDown"]
