"""Rendered scenes: hand tools and small parts lying on concrete or asphalt, with their labels.

Everything is drawn by formula from a seed with NumPy and OpenCV; no photograph is involved. Objects are
signed distance functions with procedural surfaces, traced by a slanted pinhole camera; the class names
are those of the FOD-A list.
"""

from .catalog import kinds
from .compose import render_scene
from .layouts import demo_scene, random_scene
from .spec import GroundSpec, Placement, Scene, SceneSpec

__all__ = [
    "GroundSpec",
    "Placement",
    "Scene",
    "SceneSpec",
    "demo_scene",
    "kinds",
    "random_scene",
    "render_scene",
]
