"""The one place in the runtime where the kinds of detectors part, once the manifest is read."""

from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.runtime.bundle.schema import Manifest
from pocketdet.runtime.bundle.two_stage import TwoStageManifest
from pocketdet.runtime.engines.base import Engine
from pocketdet.runtime.one_stage import OneStagePipeline
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.pipeline import Pipeline
from pocketdet.runtime.two_stage import TwoStagePipeline


def make_pipeline(manifest: Manifest, engine: Engine, options: DetectorOptions) -> Pipeline:
    """The stages of a bundle. Raises `UsageError` for an option that its kind does not have."""
    if isinstance(manifest, OneStageManifest):
        return OneStagePipeline(manifest, engine, options)
    assert isinstance(manifest, TwoStageManifest)
    return TwoStagePipeline(manifest, engine, options)
