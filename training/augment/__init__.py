"""Training pictures made from the data. Each is a pure function of its data and of one random generator."""

from pocketdet.training.augment.compose import Recipe, make_picture

__all__ = ["Recipe", "make_picture"]
