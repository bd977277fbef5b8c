"""What a record says of the program and of the bundle: found here, not on the device."""

import shutil
import subprocess
from pathlib import Path

from pocketdet import __version__
from pocketdet.benchmarks.record import BundleInfo, Source
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.ncnn_graph import count_macs, infer_shapes, read_graph

_ROOT = Path(__file__).resolve().parents[1]


def read_source(root: Path = _ROOT) -> Source:
    """The version of pocketdet; its commit, and whether files were changed since, if `root` is a git tree."""
    commit, changed = None, None
    if _git(root, "rev-parse", "--show-toplevel") == str(root):
        commit = _git(root, "rev-parse", "HEAD")
        changed = bool(_git(root, "status", "--porcelain", "--untracked-files=no")) if commit else None
    return Source(version=__version__, commit=commit, changed=changed)


def bundle_info(bundle: Bundle) -> BundleInfo:
    """What a record says of a bundle. MACs are counted on its ncnn graphs, padding included."""
    m = bundle.manifest
    macs = 0
    for spec in m.graphs.by_name().values():
        graph = read_graph(bundle.path(spec.param))
        shapes = infer_shapes(graph, spec.input_shapes(m.max_rois))
        macs += sum(cost.macs or 0 for cost in count_macs(graph, shapes))
    return BundleInfo(
        name=m.name,
        architecture=m.architecture,
        digest=bundle.digest,
        input=(m.input.height, m.input.width),
        classes=len(m.class_names),
        rois=m.max_rois,
        macs=macs,
        weight_storage=m.layout.weight_storage,
        lanes=m.layout.lanes,
        layout_target=m.layout.target,
    )


def _git(root: Path, *words: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    done = subprocess.run([program, "-C", str(root), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
