"""The app's resources and manifest, compiled and linked by aapt2 against Debian's build of the framework."""

import re
from pathlib import Path

from tools import APP, DEMO, FRAMEWORK, FailedError, program, run


def link(work: Path) -> tuple[Path, str]:
    """The folder with R.java, and what was linked."""
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
    command: list[str | Path] = [
        program("aapt2"),
        "link",
        "-I",
        FRAMEWORK,
        "--manifest",
        _manifest(compiled),
        "--java",
        generated,
    ]
    command += ["--min-sdk-version", "26", "--target-sdk-version", "29", "-o", work / "resources.apk"]
    output = run([*command, compiled / "all.zip"], "linking resources", work / "aapt2-link.log")
    if "warn" in output:
        raise FailedError(f"aapt2 warns: {output.strip()}")
    files = list(folders.rglob("*.xml"))
    languages = sorted(p.parent.name.partition("-")[2] or "en" for p in folders.glob("values*/strings.xml"))
    return generated, f"{len(files)} resources and the manifest linked, texts in {', '.join(languages)}"


def _manifest(folder: Path) -> Path:
    """The manifest with the package that Gradle takes from build.gradle."""
    gradle = (DEMO / "app" / "build.gradle").read_text()
    namespace = re.search(r"namespace\s*=?\s*['\"]([\w.]+)['\"]", gradle)
    if namespace is None:
        raise FailedError(f"{DEMO / 'app' / 'build.gradle'}: expected a namespace")
    text = (APP / "main" / "AndroidManifest.xml").read_text(encoding="utf-8")
    path = folder / "AndroidManifest.xml"
    path.write_text(
        re.sub(r"<manifest\b", f'<manifest package="{namespace[1]}"', text, count=1), encoding="utf-8"
    )
    return path
