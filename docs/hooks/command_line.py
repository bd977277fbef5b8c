"""The page reference/command-line.md, generated from the program's own commands and help texts."""

import re
from collections.abc import Iterator

import click
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from pocketdet.cli.main import app

PAGE = "reference/command-line.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, PAGE, content="\n".join(_page())))
    return files


def _page() -> Iterator[str]:
    program = typer.main.get_command(app)
    yield "# Command line\n"
    yield f"{_paragraphs(program.help or '')}\n"
    yield "| command | what it does |\n|---|---|"
    commands = dict(program.commands)  # type: ignore[attr-defined]
    visible = {name: command for name, command in commands.items() if not command.hidden}
    for name, command in visible.items():
        summary = (command.help or "").split("\n\n", 1)[0].replace("\n", " ")
        yield f"| [`pocketdet {name}`](#pocketdet-{name}) | {_cell(summary)} |"
    yield ""
    for name, command in visible.items():
        yield from _command(name, command)


def _command(name: str, command: click.Command) -> Iterator[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not getattr(p, "hidden", False)]
    usage = " ".join(_argument_name(a) if a.required else f"[{_argument_name(a)}]" for a in arguments)
    yield f"## pocketdet {name}\n"
    yield f"```text\npocketdet {name} [OPTIONS] {usage}\n```\n"
    yield f"{_paragraphs(command.help or '')}\n"
    if arguments:
        yield "| argument | meaning |\n|---|---|"
        for argument in arguments:
            yield f"| `{_argument_name(argument)}` | {_cell(getattr(argument, 'help', '') or '')} |"
        yield ""
    yield "| option | value | default | meaning |\n|---|---|---|---|"
    for option in options:
        names = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
        yield f"| {names} | {_value(option)} | {_default(option)} | {_cell(getattr(option, 'help', '') or '')} |"
    yield ""


def _argument_name(argument: click.Parameter) -> str:
    name = (argument.metavar or argument.name or "").strip("[]{}").upper()
    return f"{name}..." if argument.nargs == -1 else name


def _value(option: click.Parameter) -> str:
    if getattr(option, "is_flag", False):
        return ""
    if isinstance(option.type, click.Choice):
        return " ".join(f"`{getattr(choice, 'value', choice)}`" for choice in option.type.choices)
    return f"`{(option.metavar or option.type.name).upper()}`" + (" (repeatable)" if option.multiple else "")  # type: ignore[attr-defined]


def _default(option: click.Parameter) -> str:
    value = option.default
    if value is None or callable(value) or isinstance(value, bool) or value == ():
        return ""
    return f"`{value}`"


def _paragraphs(text: str) -> str:
    """The help text; its "Example:" paragraphs become code blocks."""
    paragraphs = text.replace("\b", "").split("\n\n")
    return "\n\n".join(
        re.sub(r"\AExample: (.*)\Z", r"```sh\n\1\n```", paragraph.strip(), flags=re.DOTALL)
        for paragraph in paragraphs
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
