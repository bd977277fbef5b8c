"""Bundles: networks, post-processing and golden data of a detector in one folder or zip file.

with load_bundle("snet49.pocketdet") as bundle:
    print(bundle.manifest.class_names, bundle.path(bundle.manifest.graphs.features.param))
"""

from pocketdet.runtime.bundle.files import hash_file
from pocketdet.runtime.bundle.golden import write_golden
from pocketdet.runtime.bundle.load import Bundle, load_bundle
from pocketdet.runtime.bundle.manifest import manifest_schema, manifest_to_json, parse_manifest

__all__ = [
    "Bundle",
    "hash_file",
    "load_bundle",
    "manifest_schema",
    "manifest_to_json",
    "parse_manifest",
    "write_golden",
]
