"""Fixtures of the runtime tests that need neither torch nor the exporter."""

from tiny_bundle import rehash, tiny_bundle, tiny_bundle_template

__all__ = ["rehash", "tiny_bundle", "tiny_bundle_template"]
