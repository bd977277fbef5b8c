"""Print the release notes of a version: its section of CHANGELOG.md.

python release/release_notes.py                  of this version
python release/release_notes.py --tag v0.2.0     the same, and fail if the tag is of another version
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION_FILE = ROOT / "src" / "pocketdet" / "__init__.py"
CHANGELOG = ROOT / "CHANGELOG.md"


class ReleaseError(Exception):
    """What keeps a release from being built, in one sentence."""


def version() -> str:
    """Return the version of this checkout, from the line that the package and the programs have it from."""
    found = re.search(r'^__version__ = "(.+)"$', VERSION_FILE.read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise ReleaseError(f'{VERSION_FILE}: expected a line __version__ = "X.Y.Z", found none')
    return found[1]


def notes(of: str | None = None, changelog: Path = CHANGELOG) -> str:
    """Cut the section of a version out of the changelog.

    Args:
        of: The version; by default that of this checkout.
        changelog: The file, with headings such as `## 0.1.0` or `## 0.1.0 (2026-11-29)`.

    Returns:
        The section as Markdown, without its heading.

    Raises:
        ReleaseError: If the file has no such section, or an empty one.
    """
    wanted = of or version()
    sections = re.split(r"^## ", changelog.read_text("utf-8"), flags=re.MULTILINE)[1:]
    for section in sections:
        heading, _, text = section.partition("\n")
        if heading.split()[0] == wanted:
            if not text.strip():
                raise ReleaseError(f"{changelog}: the section {wanted} is empty")
            return f"{text.strip()}\n"
    raise ReleaseError(
        f"{changelog}: expected a section '## {wanted}', found "
        f"{', '.join(section.split()[0] for section in sections)}; rename 'Unreleased' for the release"
    )


def main() -> int:
    """Print the notes; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tag", help="git tag of the release, v and the version")
    arguments = parser.parse_args()
    try:
        if arguments.tag is not None and arguments.tag != f"v{version()}":
            raise ReleaseError(f"--tag {arguments.tag}: this checkout is version {version()}")
        sys.stdout.write(notes())
    except ReleaseError as error:
        sys.stderr.write(f"release notes: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
