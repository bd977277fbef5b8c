"""Java sources with the signatures of an API text (metalava's format 2.0) and no behaviour.

    python android_demo/check/stubs.py current.txt FOLDER

Every class gets a hidden constructor that each other one calls, since the text does not say what a
constructor hands to its superclass. What javac then compiles against it, it would compile against the
real thing.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

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
_CLASS = re.compile(
    r"^(?P<modifiers>.*?)(?P<kind>class|interface|@interface|enum) (?P<name>[\w.]+)(?P<rest>.*)\{$"
)
_MEMBER = re.compile(r"^(?P<before>[^(]*?)(?P<name>[\w.]+)\((?P<parameters>.*?)\)(?P<after>[^)]*);$")
_ANNOTATION = re.compile(r"@(?!interface\b)(?P<name>[\w.]+)")
# Abstract in one parent, default in the other, and left out by the text.
_LEFT_OUT = {"android.content.res.XmlResourceParser": ["method public String getAttributeNamespace(int);"]}
_SIMPLE_NAME = re.compile(r"(?<![\w.$])[A-Z]\w*(?![\w.])")


@dataclass
class Type:
    """A class, interface, enum or annotation type, as the text has it."""

    package: str
    modifiers: str
    kind: str
    name: str  # with those of its outer types: Manifest.permission
    parameters: str  # <T extends android.view.View>
    parents: str  # extends ... implements ...
    members: list[str] = field(default_factory=list)
    inner: list["Type"] = field(default_factory=list)


def write_stubs(text: str, folder: Path) -> int:
    """Write one source per outermost type; return their number."""
    types = list(parse(text))
    by_name = {f"{one.package}.{one.name}": one for one in types}
    lang = {one.name for one in types if one.package == "java.lang" and "." not in one.name}
    outermost = []
    for one in types:
        one.members += _LEFT_OUT.get(f"{one.package}.{one.name}", []) + _missing(one, by_name)
    for one in types:
        outer = by_name.get(f"{one.package}.{one.name.rpartition('.')[0]}")
        (outer.inner if outer is not None else outermost).append(one)
    for one in outermost:
        _write(folder, one.package, one.name, f"package {one.package};\n\n{_source(one, lang, set())}")
    for name, source in ((HIDDEN, HIDDEN_SOURCE), (LAMBDAS, LAMBDAS_SOURCE)):
        package, _, simple = name.rpartition(".")
        _write(folder, package, simple, source)
    return len(outermost)


def parse(text: str) -> Iterator[Type]:
    """The types of an API text, in its order."""
    package = ""
    current: Type | None = None
    for line in text.splitlines():
        words = line.strip()
        if words.startswith("package "):
            package = words.split()[1]
        elif words == "}" and current is not None:
            yield current
            current = None
        elif current is None and words.endswith("{"):
            current = _type(package, without_annotations(words))
        elif current is not None and words:
            current.members.append(without_annotations(words))


def without_annotations(words: str) -> str:
    """A line with no annotation but @Deprecated."""
    kept = ""
    at = 0
    while (found := _ANNOTATION.search(words, at)) is not None and words.count(
        '"', 0, found.start()
    ) % 2 == 0:
        kept += words[at : found.start()]
        at = found.end()
        if words[at : at + 1] == "(":
            at = _closing(words, at) + 1
        kept += "@Deprecated" if found["name"] == "Deprecated" else ""
        at += words[at : at + 1] == " " and found["name"] != "Deprecated"
    return kept + words[at:]


def split(words: str, separator: str) -> list[str]:
    """The parts between separators that stand outside of every <>."""
    parts, depth = [""], 0
    for letter in words:
        depth += (letter == "<") - (letter == ">")
        if letter == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _missing(one: Type, by_name: dict[str, Type]) -> list[str]:
    """Methods that a class must have and that the text leaves out, since they only implement inherited ones.

    Methods are told apart by name and number of parameters.
    """
    if one.kind != "class" or " abstract " in f" {one.modifiers}":
        return []
    done: set[tuple[str, int]] = set()
    wanted: dict[tuple[str, int], str] = {}
    for current in _ancestors(one, by_name):
        for member in current.members:
            keyword, _, words = member.partition(" ")
            if keyword != "method":
                continue
            before, name, parameters, _ = _parts(words)
            key = (name, len(split(parameters, ",")))
            if not _is_abstract(current, before) and key not in wanted:
                done.add(key)
            elif key not in done:
                wanted.setdefault(key, re.sub(r"\babstract ", "", member))
    return [member for key, member in wanted.items() if key not in done]


def _ancestors(one: Type, by_name: dict[str, Type]) -> list[Type]:
    """A class, its superclasses, then the interfaces of all of them; each before those that it extends."""
    ranks: dict[str, int] = {}

    def rank(current: Type) -> int:
        highest = max(map(rank, _parents_of(current, by_name)), default=0) + 1
        ranks[f"{current.package}.{current.name}"] = highest
        return highest

    rank(one)
    ordered = sorted(ranks, key=lambda name: (by_name[name].kind != "class", -ranks[name]))
    return [by_name[name] for name in ordered]


def _parents_of(one: Type, by_name: dict[str, Type]) -> list[Type]:
    names = [re.sub("<.*", "", word) for word in split(one.parents, " ")]
    found = [by_name[name] for name in names if name in by_name]
    root = by_name["java.lang.Object"]
    return found if found or one is root else [root]


def _is_abstract(one: Type, modifiers: str) -> bool:
    words = modifiers.split()
    return "abstract" in words or (
        one.kind == "interface" and "default" not in words and "static" not in words
    )


def _closing(words: str, opening: int) -> int:
    depth, quoted = 0, False
    for at in range(opening, len(words)):
        quoted ^= words[at] == '"'
        depth += (not quoted) * ((words[at] == "(") - (words[at] == ")"))
        if depth == 0:
            return at
    raise ValueError(f"no end of the annotation in: {words}")


def _type(package: str, line: str) -> Type:
    found = _CLASS.match(line)
    if found is None:
        raise ValueError(f"not a type: {line}")
    rest = found["rest"].strip()
    parameters = ""
    if rest.startswith("<"):
        parameters = split(rest, " ")[0] if " " in rest else rest
        rest = rest[len(parameters) :].strip()
    return Type(package, found["modifiers"], found["kind"], found["name"], parameters, rest)


def _source(one: Type, lang: set[str], outer_variables: set[str]) -> str:
    variables = outer_variables | _variables(one.parameters)
    simple = one.name.rpartition(".")[2]
    head = f"{one.modifiers}{one.kind} {simple}{one.parameters}{_parents(one)} {{\n"
    members = [m for m in one.members if m.startswith("enum_constant ")]
    body = (
        ", ".join(m.rstrip(";").split(";")[0].split()[-1] for m in members) + ";\n"
        if one.kind == "enum"
        else ""
    )
    for member in one.members:
        text = _member(one, simple, member)
        if text:
            names = variables | _variables(member) | {simple}
            body += _qualified(text, lang - names) + "\n"
    if one.kind == "class":
        body += f"protected {simple}({HIDDEN} h) {{ {_up(one)}}}\n"
    inner = "".join(_source(nested, lang, variables) for nested in one.inner)
    return _qualified(head, lang - variables - {simple}) + body + inner + "}\n"


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
    return (
        f"{declared} = {HIDDEN}.any();"
        if " final " in f" {declared} " or one.kind != "class"
        else f"{declared};"
    )


def _parts(words: str) -> tuple[str, str, str, str]:
    found = _MEMBER.match(words)
    if found is None:
        raise ValueError(f"neither a method nor a constructor: {words}")
    parameters = [
        split(p, " ")[0]
        for p in split(
            found["parameters"].replace("? super ", "?super~").replace("? extends ", "?extends~"), ","
        )
    ]
    listed = ", ".join(f"{p} p{i}" for i, p in enumerate(parameters))
    listed = listed.replace("?super~", "? super ").replace("?extends~", "? extends ")
    return found["before"], found["name"], listed, found["after"]


def _constructor(one: Type, simple: str, words: str) -> str:
    before, _, parameters, after = _parts(words)
    if one.kind == "enum":
        return ""
    own = _variables(one.parameters)
    undeclared = sorted(set(re.findall(r"<([A-Z])>", parameters)) - own)
    generic = f"<{', '.join(undeclared)}> " if undeclared else ""
    return f"{before}{generic}{simple}({parameters}){after} {{ {_up(one)}}}"


def _method(one: Type, words: str) -> str:
    before, name, parameters, after = _parts(words)
    modifiers = before.split()
    if one.kind == "enum" and name in ("values", "valueOf") and "static" in modifiers:
        return ""
    if one.kind == "@interface":
        return f"{before}{name}(){after};"
    if _is_abstract(one, before):
        return f"{before}{name}({parameters}){after};"
    return f"{before}{name}({parameters}){after} {{ throw null; }}"


def _qualified(words: str, lang: set[str]) -> str:
    """java.lang's names in full, since a package may have a class of the same name."""
    parts = re.split(r'("(?:[^"\\]|\\.)*")', words)
    fix = lambda found: f"java.lang.{found[0]}" if found[0] in lang else found[0]  # noqa: E731
    return "".join(p if p.startswith('"') else _SIMPLE_NAME.sub(fix, p) for p in parts)


def _write(folder: Path, package: str, name: str, text: str) -> None:
    path = folder.joinpath(*package.split(".")) / f"{name}.java"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.stdout.write(
        f"{write_stubs(Path(sys.argv[1]).read_text(encoding='utf-8'), Path(sys.argv[2]))} types\n"
    )
