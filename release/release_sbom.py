"""The SBOM of a release, in CycloneDX 1.6 as JSON: what its files contain, and what pip installs with them.

The native code is that of runtime/native/third_party/README.md; the packages are the dependencies in
pyproject.toml with what they depend on, in the versions of constraints.txt that the release was tested with.
"""

import hashlib
import importlib.metadata
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from release_notes import ReleaseError, version

ROOT = Path(__file__).resolve().parents[1]
THIRD_PARTY = ROOT / "runtime" / "native" / "third_party" / "README.md"
_ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)


def write_sbom(path: Path, files: Sequence[Path]) -> None:
    """Write the SBOM of a release.

    Args:
        path: The file to write.
        files: The files of the release, each a component with its SHA-256.

    Raises:
        ReleaseError: If a dependency is not installed here, or has no pinned version.
    """
    root = Component(
        name="pocketdet",
        version=version(),
        type=ComponentType.APPLICATION,
        bom_ref="pocketdet",
        purl=PackageURL("pypi", name="pocketdet", version=version()),
        licenses=[DisjunctiveLicense(id="Apache-2.0")],
    )
    bom = Bom()
    bom.metadata.component = root
    released = [_file(file) for file in files]
    native, packages = list(_native()), list(_packages())
    for component in (*released, *native, *packages):
        bom.components.add(component)
    bom.register_dependency(root, [*native, *packages])
    path.write_text(JsonV1Dot6(bom).output_as_string(indent=1) + "\n", encoding="utf-8")


def _file(path: Path) -> Component:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Component(
        name=path.name,
        type=ComponentType.FILE,
        bom_ref=f"file:{path.name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )


def _native() -> Iterator[Component]:
    """What is compiled into the module and the programs."""
    for name, release, licence in _ROW.findall(THIRD_PARTY.read_text("utf-8")):
        yield Component(
            name=name,
            version=release.strip(),
            bom_ref=f"native:{name}",
            licenses=[DisjunctiveLicense(name=licence.strip())],
        )


def _packages() -> Iterator[Component]:
    """What pip installs for the runtime, in the pinned versions."""
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").split())
    pins = {str(canonicalize_name(name)): pin for name, pin in pins.items()}
    with (ROOT / "pyproject.toml").open("rb") as stream:
        wanted = tomllib.load(stream)["project"]["dependencies"]
    for name in sorted(_closure(wanted)):
        pin = pins.get(name)
        if pin is None:
            raise ReleaseError(f"constraints.txt: expected a version of {name}, found none")
        yield Component(
            name=name,
            version=pin,
            scope=ComponentScope.REQUIRED,
            bom_ref=f"pypi:{name}",
            purl=PackageURL("pypi", name=name, version=pin),
        )


def _closure(requirements: Iterable[str]) -> set[str]:
    """The names of packages and of what they depend on, as installed here."""
    found: set[str] = set()
    queue = [Requirement(text) for text in requirements]
    while queue:
        requirement = queue.pop()
        name = str(canonicalize_name(requirement.name))
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        try:
            queue += map(Requirement, importlib.metadata.requires(name) or [])
        except importlib.metadata.PackageNotFoundError as error:
            raise ReleaseError(f"{name} is not installed, so what it depends on is unknown") from error
    return found
