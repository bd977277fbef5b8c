"""Java sources with the signatures of an API text (metalava's format 2.0) and no behaviour.

    python android_demo/check/stubs.py current.txt FOLDER

Every class gets a hidden constructor that each other one calls, since the text does not say what a
constructor hands to its superclass. What javac then compiles against it, it would compile against the
real thing.
"""

import re
import sys
from pathlib import Path

from signatures import Callable, Type, callable_of, is_abstract, outermost_types, split

HIDDEN = "stub.Hidden"
HIDDEN_SOURCE = """package stub;

public final class Hidden {
    private Hidden() {}
    public static <T> T any() { throw null; }
}
"""
# What javac compiles a lambda to; Android's build tools replace it, so its API does not list it.
LAMBDAS = "java.lang.invoke.LambdaMetafactory"
LAMBDAS_SOURCE = """package java.lang.invoke;

public class LambdaMetafactory {
    public static CallSite metafactory(MethodHandles.Lookup caller, String name, MethodType invoked,
            MethodType sam, MethodHandle implementation, MethodType instantiated) { throw null; }
    public static CallSite altMetafactory(MethodHandles.Lookup caller, String name, MethodType invoked,
            Object... others) { throw null; }
}
"""
# The library's annotations for Kotlin, in place of the JSpecify that Gradle compiles against.
NULLNESS = {
    "Nullable": "TYPE_USE",
    "NullMarked": "PACKAGE",
}
NULLNESS_SOURCE = """package org.jspecify.annotations;

@java.lang.annotation.Target(java.lang.annotation.ElementType.{target})
public @interface {name} {{}}
"""
_SIMPLE_NAME = re.compile(r"(?<![\w.$])[A-Z]\w*(?!\w|\.\w)")


def write_stubs(text: str, folder: Path) -> int:
    """Write one source per outermost type; return their number."""
    types = outermost_types(text)
    lang = {one.name for one in types if one.package == "java.lang"}
    for one in types:
        _write(folder, one.full_name, f"package {one.package};\n\n{_source(one, lang, set())}")
    _write(folder, HIDDEN, HIDDEN_SOURCE)
    _write(folder, LAMBDAS, LAMBDAS_SOURCE)
    write_nullness(folder)
    return len(types)


def write_nullness(folder: Path) -> None:
    """Write the sources of `NULLNESS` alone."""
    for name, target in NULLNESS.items():
        source = NULLNESS_SOURCE.format(name=name, target=target)
        _write(folder, f"org.jspecify.annotations.{name}", source)


def _source(one: Type, lang: set[str], outer_variables: set[str]) -> str:
    variables = outer_variables | _variables(one.parameters)
    simple = one.name.rpartition(".")[2]
    head = f"{one.modifiers}{one.kind} {simple}{one.parameters}{_parents(one)} {{\n"
    body = _constants(one) if one.kind == "enum" else ""
    for member in one.members:
        text = _member(one, simple, member)
        if text:
            names = variables | _variables(member) | {simple}
            body += _qualified(text, lang - names) + "\n"
    if one.kind == "class":
        body += f"protected {simple}({HIDDEN} h) {{ {_up(one)}}}\n"
    inner = "".join(_source(nested, lang, variables) for nested in one.inner)
    return _qualified(head, lang - variables - {simple}) + body + inner + "}\n"


def _constants(one: Type) -> str:
    lines = [member for member in one.members if member.startswith("enum_constant ")]
    return ", ".join(line.partition(";")[0].split()[-1] for line in lines) + ";\n"


def _variables(words: str) -> set[str]:
    """Names of type variables that a declaration may introduce: capitals and digits alone."""
    return set(re.findall(r"[<,]\s*([A-Z][A-Z0-9_]*)\b(?!\.)", words))


def _parents(one: Type) -> str:
    """`extends` and `implements` with commas."""
    words, text = split(one.parents, " "), ""
    for before, word in zip(["", *words], words, strict=False):
        keyword = word in ("extends", "implements")
        text += f" {word}" if keyword or before in ("extends", "implements") else f", {word}"
    return text


def _up(one: Type) -> str:
    """The call of the superclass's hidden constructor."""
    return "" if (one.package, one.name) == ("java.lang", "Object") else f"super(({HIDDEN}) null); "


def _member(one: Type, simple: str, member: str) -> str:
    keyword, _, words = member.partition(" ")
    if keyword == "field":
        return _field(one, words)
    if keyword == "ctor":
        return _constructor(one, simple, words)
    return _method(one, words) if keyword == "method" else ""


def _field(one: Type, words: str) -> str:
    declared, _, value = words.partition(" = ")
    declared = declared.partition(";")[0]
    literal = re.match(r'("(?:[^"\\]|\\.)*"|[^;"]+);', value)
    if literal is not None:
        return f"{declared} = {literal[1]};"
    constant = " final " in f" {declared} " or one.kind != "class"
    return f"{declared} = {HIDDEN}.any();" if constant else f"{declared};"


def _constructor(one: Type, simple: str, words: str) -> str:
    if one.kind == "enum":
        return ""
    made = callable_of(words)
    # the text leaves out a constructor's own type variables
    undeclared = set(re.findall(r"<([A-Z])>", words)) - _variables(one.parameters)
    generic = f"<{', '.join(sorted(undeclared))}> " if undeclared else ""
    return f"{made.before}{generic}{simple}({_listed(made)}){made.after} {{ {_up(one)}}}"


def _method(one: Type, words: str) -> str:
    method = callable_of(words)
    if one.kind == "enum" and method.name in ("values", "valueOf") and "static" in method.before.split():
        return ""
    declared = f"{method.before}{method.name}({_listed(method)}){method.after}"
    bodiless = one.kind == "@interface" or is_abstract(one, method)
    return f"{declared};" if bodiless else f"{declared} {{ throw null; }}"


def _listed(made: Callable) -> str:
    return ", ".join(f"{kind} p{i}" for i, kind in enumerate(made.parameters))


def _qualified(words: str, lang: set[str]) -> str:
    """java.lang's names in full, since a package may have a class of the same name."""
    parts = re.split(r'("(?:[^"\\]|\\.)*")', words)
    fix = lambda found: f"java.lang.{found[0]}" if found[0] in lang else found[0]  # noqa: E731
    return "".join(p if p.startswith('"') else _SIMPLE_NAME.sub(fix, p) for p in parts)


def _write(folder: Path, full_name: str, text: str) -> None:
    package, _, name = full_name.rpartition(".")
    path = folder.joinpath(*package.split(".")) / f"{name}.java"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    found = write_stubs(Path(sys.argv[1]).read_text(encoding="utf-8"), Path(sys.argv[2]))
    sys.stdout.write(f"{found} types\n")
