"""Pages of the site that live elsewhere in the repository, and the links between them and docs/.

Links in Markdown files are relative to the file in the repository, so that they work where the repository is
browsed. This hook adds the files of `REPOSITORY_PAGES` to the site under their repository path and rewrites
every link that crosses the border of docs/.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY_PAGES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "android_demo/README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "models" / "zoo").glob("*.md")),
    "tests/hostile/README.md",
)
_LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")
_FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2[^\S\n]*$", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that live outside docs/."""
    for path in REPOSITORY_PAGES:
        files.append(File.generated(config, path, content=(ROOT / path).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links between docs/ and the rest of the repository to links of the site."""
    source = page.file.src_uri
    repository_path = source if source in REPOSITORY_PAGES else f"docs/{source}"

    def rewrite(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(repository_path), match[2]))
        site = posixpath.relpath(_site_path(target), posixpath.dirname(source) or ".")
        return f"{match[1]}{site}{match[3] or ''}{match[4]}"

    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(rewrite, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(rewrite, markdown[end:])])


def _site_path(repository_path: str) -> str:
    if repository_path == "README.md":
        return "index.md"
    return repository_path.removeprefix("docs/")
