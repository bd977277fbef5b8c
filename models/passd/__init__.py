"""PASSD, the propose-and-attend single shot detector (Jang et al. 2020)."""

from pocketdet.models.passd.config import PASSDConfig, passd_spec
from pocketdet.models.passd.detector import PASSD

__all__ = ["PASSD", "PASSDConfig", "passd_spec"]
