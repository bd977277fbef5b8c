"""The declarations of the Java and C++ APIs, read from their sources with their comments.

A page has the marker `<!-- java: Detector -->`, which is replaced by the public members of that
class, or `<!-- cpp: PATH -->`, which is replaced by the header's text.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
JAVA = ROOT / "android_demo/pocketdet-android/src/main/java/io/pocketdet"
_JAVA_MARKER = re.compile(r"^<!-- java: (\w+) -->$", re.MULTILINE)
_CPP_MARKER = re.compile(r"^<!-- cpp: (\S+) -->$", re.MULTILINE)
_MEMBER = re.compile(
    r"(?P<doc>/\*\*(?:(?!\*/).)*\*/\s*)?"
    r"^ {4}(?:@Override\s+)?(?P<declaration>public (?![^(;={]*\bclass\b)[^={;]*?)\s*(?P<end>\{|;|=[^;]*;)",
    re.MULTILINE | re.DOTALL,
)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the markers."""
    markdown = _JAVA_MARKER.sub(lambda match: _java_class(match[1]), markdown)
    return _CPP_MARKER.sub(lambda match: _header(match[1]), markdown)


def _header(path: str) -> str:
    text = (ROOT / path).read_text("utf-8").replace("#pragma once\n\n", "")
    return f"```cpp\n{text.rstrip()}\n```"


def _java_class(name: str) -> str:
    text = (JAVA / f"{name}.java").read_text("utf-8")
    head, body = re.split(r"^public [^\n]*\bclass \w+[^{]*\{", text, maxsplit=1, flags=re.MULTILINE)
    comments = re.findall(r"/\*\*.*?\*/", head, re.DOTALL)
    parts = [_javadoc(comments[-1]) if comments else ""]
    for member in _MEMBER.finditer(body):
        declaration = " ".join(member["declaration"].removeprefix("public ").split())
        value = f" {member['end'].rstrip(';')}" if member["end"].startswith("=") else ""
        meaning = _javadoc(member["doc"] or "").replace("\n\n", "\n\n    ")
        parts.append(f"`{declaration}{value}`\n:   {meaning or '&nbsp;'}")
    return "\n\n".join(parts)


def _javadoc(comment: str) -> str:
    """A Javadoc comment as Markdown."""
    inner = comment.strip().removeprefix("/**").removesuffix("*/")
    text = "\n".join(re.sub(r"^\s*\* ?", "", line) for line in inner.split("\n")).strip()
    text = re.sub(r"^@param (\w+) +", r"<p>`\1`: ", text, flags=re.MULTILINE)
    text = re.sub(r"^@throws (\w+) +", r"<p>Throws `\1` ", text, flags=re.MULTILINE)
    text = re.sub(r"^@return +", r"<p>Returns ", text, flags=re.MULTILINE)
    text = re.sub(r"^@deprecated +", r"<p>Deprecated: ", text, flags=re.MULTILINE)
    text = re.sub(r"\{@(?:link|code) ([^}]+)\}", lambda m: f"`{m[1].lstrip('#').replace('#', '.')}`", text)
    return text.replace("<p>", "").replace("<", "&lt;")
