"""Fixtures of the runtime tests: bundles made by hand."""

from tiny_bundle import rehash, tiny_bundle, tiny_bundle_template
from tiny_one_stage import tiny_one_stage, tiny_one_stage_template
from tiny_sizes import tiny_sizes, tiny_sizes_template

__all__ = [
    "rehash",
    "tiny_bundle",
    "tiny_bundle_template",
    "tiny_one_stage",
    "tiny_one_stage_template",
    "tiny_sizes",
    "tiny_sizes_template",
]
