"""The types and members of an API text in metalava's format 2.0, such as Android's api/current.txt.

A type that comes twice has the members of both.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_CLASS = re.compile(
    r"^(?P<modifiers>.*?)(?P<kind>class|interface|@interface|enum) (?P<name>[\w.]+)(?P<rest>.*)\{$"
)
_CALLABLE = re.compile(r"^(?P<before>[^(]*?)(?P<name>[\w.]+)\((?P<parameters>.*?)\)(?P<after>[^)]*);$")
_ANNOTATION = re.compile(r"@(?!interface\b)(?P<name>[\w.]+)")
# Abstract in one parent, default in the other, and left out by the text.
_LEFT_OUT = {"android.content.res.XmlResourceParser": ["method public String getAttributeNamespace(int);"]}


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

    @property
    def full_name(self) -> str:
        """With the package."""
        return f"{self.package}.{self.name}"


@dataclass(frozen=True)
class Callable:
    """A method or constructor."""

    before: str  # modifiers, type variables and the type that it returns
    name: str
    parameters: tuple[str, ...]  # types
    after: str  # throws ..., default ...


def outermost_types(text: str) -> list[Type]:
    """All types of an API text, nested ones within theirs, with every method that a class must have."""
    types: dict[str, Type] = {}
    for one in parse(text):
        if one.full_name in types:  # what a supplement adds
            types[one.full_name].members += one.members
        else:
            types[one.full_name] = one
    for one in types.values():
        one.members += _LEFT_OUT.get(one.full_name, []) + _missing(one, types)
    outermost: list[Type] = []
    for one in types.values():
        outer = types.get(one.full_name.rpartition(".")[0])
        (outermost if outer is None else outer.inner).append(one)
    return outermost


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
    text, at = "", 0
    for found in _ANNOTATION.finditer(words):
        quoted = words.count('"', 0, found.start()) % 2 == 1
        if found.start() < at or quoted:
            continue
        text += words[at : found.start()]
        at = found.end()
        if words[at : at + 1] == "(":
            at = _closing(words, at) + 1
        if found["name"] == "Deprecated":
            text += found[0]
        elif words[at : at + 1] == " ":
            at += 1
    return text + words[at:]


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


def callable_of(words: str) -> Callable:
    """A method or constructor without its keyword. Raises `ValueError`."""
    found = _CALLABLE.match(words)
    if found is None:
        raise ValueError(f"neither a method nor a constructor: {words}")
    parameters = tuple(split(parameter, " ")[0] for parameter in split(found["parameters"], ","))
    return Callable(found["before"], found["name"], parameters, found["after"])


def is_abstract(one: Type, method: Callable) -> bool:
    """Whether a method of this type has no body."""
    words = method.before.split()
    return "abstract" in words or (
        one.kind == "interface" and "default" not in words and "static" not in words
    )


def _missing(one: Type, types: dict[str, Type]) -> list[str]:
    """Methods that a class must have and that the text leaves out, since they only implement inherited ones.

    Methods are distinguished by name and number of parameters.
    """
    if one.kind != "class" or " abstract " in f" {one.modifiers}":
        return []
    done: set[tuple[str, int]] = set()
    wanted: dict[tuple[str, int], str] = {}
    for current in _ancestors(one, types):
        for member in current.members:
            keyword, _, words = member.partition(" ")
            if keyword != "method":
                continue
            method = callable_of(words)
            key = (method.name, len(method.parameters))
            if not is_abstract(current, method) and key not in wanted:
                done.add(key)
            elif key not in done:
                wanted.setdefault(key, re.sub(r"\babstract ", "", member))
    return [member for key, member in wanted.items() if key not in done]


def _ancestors(one: Type, types: dict[str, Type]) -> list[Type]:
    """A class, its superclasses, then the interfaces of all of them; each before those that it extends."""
    ranks: dict[str, int] = {}

    def rank(current: Type) -> int:
        highest = max(map(rank, _parents_of(current, types)), default=0) + 1
        ranks[current.full_name] = highest
        return highest

    rank(one)
    ordered = sorted(ranks, key=lambda name: (types[name].kind != "class", -ranks[name]))
    return [types[name] for name in ordered]


def _parents_of(one: Type, types: dict[str, Type]) -> list[Type]:
    names = [re.sub("<.*", "", word) for word in split(one.parents, " ")]
    found = [types[name] for name in names if name in types]
    root = types["java.lang.Object"]
    return found if found or one is root else [root]


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
