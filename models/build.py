"""Architectures by name."""

import difflib
from types import MappingProxyType

from pocketdet.errors import UsageError
from pocketdet.models.config import DetectorConfig
from pocketdet.models.snet import SNET49, SNET146, SNET535, SNetChannels
from pocketdet.models.thundernet import ThunderNet

ARCHITECTURES: MappingProxyType[str, SNetChannels] = MappingProxyType(
    {"thundernet-snet49": SNET49, "thundernet-snet146": SNET146, "thundernet-snet535": SNET535}
)


def build_detector(config: DetectorConfig) -> ThunderNet:
    """A detector with fresh weights, in eval mode.

    Raises `UsageError` for an unknown architecture or an input size that does not fit the strides.
    """
    channels = ARCHITECTURES.get(config.arch)
    if channels is None:
        near = difflib.get_close_matches(config.arch, ARCHITECTURES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(ARCHITECTURES)}"
        raise UsageError(f"unknown architecture {config.arch!r}: {hint}")
    return ThunderNet(config, channels).eval()
