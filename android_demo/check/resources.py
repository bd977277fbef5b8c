"""The app's resources and manifest, compiled and linked by aapt2 against a build of the framework."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from tools import APP, DEMO, FRAMEWORK, FailedError, program, run

NAMESPACE = "http://schemas.android.com/apk/res/android"
RULES = "resources.pro"
# attributes that Debian's framework does not know, and the API level that has them
NEWER_ATTRIBUTES = {"enableOnBackInvokedCallback": 33, "localeConfig": 33}


@dataclass(frozen=True)
class Framework:
    """What resources are linked against: framework-res.apk of Debian, or an SDK's android.jar."""

    path: Path
    level: int


DEBIANS = Framework(Path(FRAMEWORK), 29)


def link(work: Path, framework: Framework) -> tuple[Path, str]:
    """The folder with R.java, and what was linked into resources.apk, of the variant bench.

    aapt2's rules for R8, which keep the classes that manifest and layouts name, are in `work`/`RULES`.
    """
    compiled = work / "resources"
    compiled.mkdir(parents=True, exist_ok=True)
    folders = APP / "main" / "res"
    run(
        [program("aapt2"), "compile", "--dir", folders, "-o", compiled / "all.zip"],
        "aapt2",
        work / "aapt2.log",
    )
    generated = work / "generated"
    generated.mkdir(exist_ok=True)
    command: list[str | Path] = [program("aapt2"), "link", "-I", framework.path, "--java", generated]
    command += ["--proguard", work / RULES]
    command += ["--manifest", _manifest(compiled, framework.level)]
    command += ["--min-sdk-version", gradle_value("minSdk")]
    command += ["--target-sdk-version", gradle_value("targetSdk")]
    command += ["--version-code", "1", "--version-name", _version(), "-o", work / "resources.apk"]
    output = run([*command, compiled / "all.zip"], "linking resources", work / "aapt2-link.log")
    if "warn" in output:
        raise FailedError(f"aapt2 warns: {output.strip()}")
    files = list(folders.rglob("*.xml"))
    languages = sorted(p.parent.name.partition("-")[2] or "en" for p in folders.glob("values*/strings.xml"))
    _check_languages(folders / "xml" / "locales.xml", languages)
    return generated, f"{len(files)} resources and the manifest linked, texts in {', '.join(languages)}"


def _check_languages(path: Path, languages: list[str]) -> None:
    listed = sorted(one.attrib[f"{{{NAMESPACE}}}name"] for one in _parse(path).iter("locale"))
    if listed != languages:
        raise FailedError(
            f"{path}: expected the languages {languages} of values*/strings.xml, found {listed}"
        )


def gradle_value(name: str) -> str:
    """A value that app/build.gradle sets. Raises `FailedError`."""
    path = DEMO / "app" / "build.gradle"
    found = re.search(rf"\b{name}\s*=?\s*['\"]?([\w.]+)", path.read_text(encoding="utf-8"))
    if found is None:
        raise FailedError(f"{path}: expected {name}")
    return found[1]


def _version() -> str:
    text = (DEMO.parent / "src" / "pocketdet" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise FailedError("src/pocketdet/__init__.py: expected __version__")
    return found[1]


def _manifest(folder: Path, level: int) -> Path:
    """The manifests of main and bench as Gradle merges them: package, applicationId, activities."""
    ElementTree.register_namespace("android", NAMESPACE)
    root = _parse(APP / "main" / "AndroidManifest.xml")
    root.set("package", gradle_value("namespace"))
    application = root.find("application")
    assert application is not None
    application.extend(_parse(APP / "bench" / "AndroidManifest.xml").iterfind("application/*"))
    # libraries are mapped from the APK, as AGP has it
    application.set(f"{{{NAMESPACE}}}extractNativeLibs", "false")
    for name, since in NEWER_ATTRIBUTES.items():
        key = f"{{{NAMESPACE}}}{name}"
        if key not in application.attrib:
            raise FailedError(f"AndroidManifest.xml: expected android:{name}")
        if level < since:
            del application.attrib[key]
    path = folder / "AndroidManifest.xml"
    text = ElementTree.tostring(root, encoding="unicode")
    path.write_text(text.replace("${applicationId}", gradle_value("applicationId")), encoding="utf-8")
    return path


def _parse(path: Path) -> ElementTree.Element:
    return ElementTree.parse(path).getroot()  # noqa: S314 - the repository's own file
