"""Training images made from the data. Each is a pure function of its data and of one random generator."""

from pocketdet.training.augment.pipeline import AugmentPipeline, make_sample

__all__ = ["AugmentPipeline", "make_sample"]
