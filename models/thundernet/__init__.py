"""ThunderNet: Towards Real-time Generic Object Detection on Mobile Devices (ICCV 2019)."""

from pocketdet.models.thundernet.detector import HeadGraph, ThunderNet

__all__ = ["HeadGraph", "ThunderNet"]
