"""Links, anchors, file names, commands and module names in Markdown files refer to something that exists."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer
from markdown_files import ROOT, anchors, code_blocks, links, markdown_files, without_code

from pocketdet.cli.main import app

# pages that the site generates from the program
GENERATED = {
    "docs/reference/command-line.md",
    "docs/reference/bundle-manifest.md",
    "docs/reference/bench-record.md",
    "docs/reference/recipe.md",
}
FILES = markdown_files()
IDS = [str(path.relative_to(ROOT)) for path in FILES]
# where a path in the text may start
BASES = ("", "src/pocketdet", "runtime/native", "android_demo", "android_demo/app", "tests/hostile", "tests")
SUFFIXES = r"(?:py|pyi|md|toml|h|cpp|cmake|json|java|txt|jpg|png|sh|gradle)"
# files of a bundle or of a build, and examples, that are in no checkout
NOT_IN_A_CHECKOUT = re.compile(
    r"^(golden|reference|files|build|demo|bundles|fod_a|src/layer|models/NAME|api)/|NAME|\*|~"
)
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_relative_links_and_anchors_exist(path: Path) -> None:
    for link in links(path):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if str(file.relative_to(ROOT)) in GENERATED:
            assert "docs" in path.relative_to(ROOT).parts, (
                f"{link}: a page of the site, not of the repository"
            )
            continue
        assert file.exists(), f"{path}: {link}"
        assert not anchor or anchor in anchors(file), f"{path}: {link}: no such heading"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_file_names_in_the_text_exist(path: Path) -> None:
    for name in re.findall(rf"`((?:[\w.-]+/)+[\w.-]+\.{SUFFIXES})`", without_code(path)):
        if not NOT_IN_A_CHECKOUT.search(name):
            places = [ROOT / base / name for base in BASES] + [path.parent / name]
            assert any(place.exists() for place in places), f"{path}: `{name}`"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_folders_in_the_text_exist(path: Path) -> None:
    for name in re.findall(r"`((?:[a-z_]+/){2,})`", without_code(path)):
        if not NOT_IN_A_CHECKOUT.search(name):
            assert any((ROOT / base / name).is_dir() for base in BASES), f"{path}: `{name}`"


def commands_of(path: Path) -> list[list[str]]:
    """The words of every command line in the shell blocks of a file, and in backticks of its text."""
    shell = [block.text for block in code_blocks(path) if block.language in ("sh", "bash", "text", "")]
    lines = [line for text in shell for line in text.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`((?:pocketdet|make|python -m pocketdet[\w.]*) [^`\n]*)`", without_code(path))
    found = []
    for line in lines:
        for part in re.split(r"&&|;", re.sub(r"\s+#.*", "", line)):
            words = part.removeprefix("$ ").strip()
            if re.match(r"(sudo |[A-Z_]+=\S+ |\.venv/bin/)*(pocketdet|make|python|python3|torchrun) ", words):
                found.append([w for w in shlex.split(words.replace("…", "")) if not re.match(r"[A-Z_]+=", w)])
    return found


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_commands_in_shell_blocks_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9 -]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    targets = {target for names in targets for target in names.split()}
    for words in commands_of(path):
        if "pocketdet" in words:
            _check_command(path, words[words.index("pocketdet") + 1 :])
        elif words[0] == "make":
            for target in words[1:]:
                assert target in targets or not re.fullmatch(r"[a-z][a-z0-9-]*", target), (
                    f"{path}: make {target}"
                )
        elif "-m" in words and words[words.index("-m") + 1].startswith("pocketdet"):
            module = words[words.index("-m") + 1]
            assert importlib.util.find_spec(module), f"{path}: {module}"


def _check_command(path: Path, words: list[str]) -> None:
    if not words or words[0].startswith("-") or words[0] not in COMMANDS:
        assert not words or words[0] in ("--version", "--help", "COMMAND"), f"{path}: pocketdet {words[0]}"
        return
    options = {flag for param in COMMANDS[words[0]].params for flag in (*param.opts, *param.secondary_opts)}
    for word in words[1:]:
        if word.startswith("--") and word != "--help":
            assert word.split("=")[0] in options, f"{path}: pocketdet {words[0]} {word}"
