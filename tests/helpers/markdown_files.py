"""The project's Markdown files: their links, headings and code blocks."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(
    r"(?:^[ ]*<!-- (?P<directive>[^>]*?) -->\n+)?"
    r"^(?P<indent>[ ]*)```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block. `directive` is the comment before it: "slow", "exit: 0 1" or "file: NAME"."""

    language: str
    text: str
    directive: str
    line: int


def markdown_files() -> list[Path]:
    """Every Markdown file that git tracks, except those of other projects."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = [name for name in listed.stdout.splitlines() if "third_party" not in name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def code_blocks(path: Path) -> list[CodeBlock]:
    """The fenced blocks of a file, in order."""
    text = path.read_text("utf-8")
    blocks = []
    for match in _FENCE.finditer(text):
        indent = match["indent"]
        lines = [line.removeprefix(indent) for line in match["text"].splitlines()]
        line = text.count("\n", 0, match.start("language")) + 1
        blocks.append(CodeBlock(match["language"], "\n".join(lines) + "\n", match["directive"] or "", line))
    return blocks


def without_code(path: Path) -> str:
    """The text of a file without its fenced blocks."""
    return _FENCE.sub("", path.read_text("utf-8"))


def links(path: Path) -> list[str]:
    """The targets of all links and images outside of code."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", without_code(path)))


def anchors(path: Path) -> set[str]:
    """The anchors of a file's headings, as GitHub and Python-Markdown make them."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+?)\s*$", without_code(path), re.MULTILINE):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip()))
    return found
