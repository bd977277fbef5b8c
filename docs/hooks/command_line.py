"""The page reference/command-line.md, generated from the program's own commands and help texts."""

import enum
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from pocketdet.cli.main import app

PAGE = "reference/command-line.md"
_TYPE_NAMES = {"str": "TEXT", "int": "INTEGER", "float": "NUMBER", "Path": "PATH"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, PAGE, content="\n".join(_page())))
    return files


def _page() -> Iterator[str]:
    program: Any = typer.main.get_command(app)
    yield "# Command line\n"
    yield f"{_paragraphs(program.help or '')}\n"
    yield "| command | what it does |\n|---|---|"
    visible = {name: command for name, command in program.commands.items() if not command.hidden}
    for name, command in visible.items():
        summary = (command.help or "").split("\n\n", 1)[0]
        yield f"| [`pocketdet {name}`](#pocketdet-{name}) | {_cell(summary)} |"
    yield ""
    for name, command in visible.items():
        yield from _command(name, command)


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option" and not param.hidden]
    usage = " ".join(_argument(each) if each.required else f"[{_argument(each)}]" for each in arguments)
    yield f"## pocketdet {name}\n"
    yield f"```text\npocketdet {name} [OPTIONS] {usage}\n```\n"
    yield f"{_paragraphs(command.help or '')}\n"
    if arguments:
        yield "| argument | meaning |\n|---|---|"
        yield from (f"| `{_argument(each)}` | {_cell(each.help)} |" for each in arguments)
        yield ""
    yield "| option | value | default | meaning |\n|---|---|---|---|"
    for option in options:
        names = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
        yield f"| {names} | {_value(option)} | {_default(option.default)} | {_cell(option.help)} |"
    yield ""


def _argument(argument: Any) -> str:
    name = (argument.metavar or argument.name).upper()
    return f"{name}..." if argument.nargs == -1 else name


def _value(option: Any) -> str:
    """What the option takes: its choices, or the name of its type."""
    if option.is_flag:
        return ""
    (kind,) = _members(option.type_descriptor.annotation)
    if typing.get_origin(kind) is typing.Literal:
        value = ", ".join(f"`{choice}`" for choice in typing.get_args(kind))
    elif isinstance(kind, enum.EnumMeta):
        value = ", ".join(f"`{member.value}`" for member in kind)
    else:
        value = f"`{option.metavar or _TYPE_NAMES[kind.__name__]}`"
    return f"{value} (repeatable)" if option.multiple else value


def _members(annotation: Any) -> Iterator[Any]:
    """The types of an annotation without Annotated, None and list."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _members(typing.get_args(annotation)[0])
    elif origin in (list, typing.Union, types.UnionType):
        for each in typing.get_args(annotation):
            yield from _members(each)
    elif annotation is not type(None):
        yield annotation


def _default(value: object) -> str:
    return "" if value is None or isinstance(value, bool) or value in ((), []) else f"`{value}`"


def _paragraphs(text: str) -> str:
    """The help text; its "Example:" paragraphs become code blocks."""
    return "\n\n".join(
        re.sub(r"\AExample: (.*)\Z", r"```sh\n\1\n```", paragraph.strip(), flags=re.DOTALL)
        for paragraph in text.split("\n\n")
    )


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
