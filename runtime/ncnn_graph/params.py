"""The `id=value` fields of a .param line: parse them as ncnn does, and write them back.

ncnn decides a value's type from its text alone: a `.`, `e` or `E` makes a float, a leading letter or quote a
string, anything else an int; `-233XX=n,a,b` and `XX=a,b` are both arrays of parameter XX. A layer that asks
for an int and finds a float silently gets the default, so the type is part of the value here and never
converted.
"""

import re
from collections.abc import Iterable

from pocketdet.errors import GraphError

Scalar = int | float
ParamValue = int | float | str | tuple[int, ...] | tuple[float, ...]

MAX_PARAM_ID = 31
_OLD_ARRAY_BASE = -23300
_MAX_NUMBER_CHARS = 127
_MAX_STRING_CHARS = 255
_INT32 = (-(2**31), 2**31 - 1)
_FLOAT_MAX = 3.4028235e38
_INT = re.compile(r"[+-]?[0-9]+\Z")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_FIELD = re.compile(r'[ \t]*([+-]?[0-9]{1,14})=("[^"\r\n]*"|[^ \t"]*)(?=[ \t]|\Z)')
_BARE_STRING = re.compile(r"[A-Za-z][^ \t\",]*\Z")


def parse_params(text: str) -> dict[int, tuple[ParamValue, str]]:
    """Parse what follows the blob names on a layer's line into {id: (value, original field text)}.

    Raises GraphError, without a place in its message, on anything that ncnn would refuse or misread.
    """
    fields: dict[int, tuple[ParamValue, str]] = {}
    position, end = 0, len(text.rstrip(" \t"))
    while position < end:
        match = _FIELD.match(text, position, len(text))
        if match is None:
            raise GraphError(
                f"cannot read a parameter at {text[position:].strip()[:40]!r}, expected id=value"
            )
        position = match.end()
        written_id, written = int(match[1]), match[2]
        old_array = written_id <= _OLD_ARRAY_BASE
        key = _OLD_ARRAY_BASE - written_id if old_array else written_id
        if not 0 <= key <= MAX_PARAM_ID:
            raise GraphError(f"parameter id {written_id} is outside 0..{MAX_PARAM_ID}")
        if key in fields:
            raise GraphError(f"parameter {key} is given twice")
        value = _old_array(key, written) if old_array else _value(key, written)
        fields[key] = (value, match[0].strip(" \t"))
    return fields


def format_param(key: int, value: ParamValue) -> str:
    """One field as text; arrays in the `-233XX=` form that every ncnn release reads."""
    if isinstance(value, tuple):
        return ",".join([f"{_OLD_ARRAY_BASE - key}={len(value)}", *map(_format_number, value)])
    if isinstance(value, str):
        if '"' in value or "\n" in value or "\r" in value or len(value) > _MAX_STRING_CHARS:
            raise GraphError(f"parameter {key}: the string {value[:40]!r} cannot be written in a .param file")
        return f"{key}={value}" if _BARE_STRING.match(value) else f'{key}="{value}"'
    return f"{key}={_format_number(value)}"


def same_value(a: ParamValue, b: ParamValue) -> bool:
    """Equal in type and value: 1 and 1.0 differ for ncnn, and so do 0.0 and -0.0."""
    return type(a) is type(b) and repr(a) == repr(b)


def _format_number(value: Scalar) -> str:
    if isinstance(value, float):
        if not abs(value) <= _FLOAT_MAX:
            raise GraphError(f"the float {value} cannot be written in a .param file")
        return f"{value:.8e}"
    if not _INT32[0] <= value <= _INT32[1]:
        raise GraphError(f"the integer {value} does not fit 32 bits")
    return str(int(value))


def _value(key: int, text: str) -> ParamValue:
    if text.startswith('"'):
        return _checked_string(key, text[1:-1])
    if text[:1].isascii() and text[:1].isalpha():
        return _checked_string(key, text)
    if "," not in text:
        return _number(key, text)
    elements = text.split(",")
    if elements[-1] == "" and len(elements) == 2:
        elements.pop()
    first = _number(key, elements[0])
    if isinstance(first, float):
        return tuple(_as_float(key, element) for element in elements)
    return _one_type(key, [first, *(_number(key, element) for element in elements[1:])])


def _old_array(key: int, text: str) -> ParamValue:
    count, *elements = text.split(",")
    if not _INT.match(count) or len(count) > _MAX_NUMBER_CHARS or int(count) != len(elements):
        raise GraphError(f"parameter {key}: the array says {count[:20]!r} elements and has {len(elements)}")
    return _one_type(key, [_number(key, element) for element in elements])


def _one_type(key: int, numbers: Iterable[Scalar]) -> tuple[int, ...] | tuple[float, ...]:
    values = list(numbers)
    integers = [value for value in values if isinstance(value, int)]
    floats = [value for value in values if isinstance(value, float)]
    if integers and floats:
        raise GraphError(f"parameter {key}: the array mixes ints and floats, which ncnn misreads")
    return tuple(floats) if floats else tuple(integers)


def _number(key: int, text: str) -> Scalar:
    if len(text) <= _MAX_NUMBER_CHARS:
        if _INT.match(text):
            value = int(text)
            if _INT32[0] <= value <= _INT32[1]:
                return value
            raise GraphError(f"parameter {key}: {text[:40]} does not fit 32 bits")
        if _FLOAT.match(text):
            return _as_float(key, text)
    raise GraphError(f"parameter {key}: {text[:40]!r} is not a number")


def _as_float(key: int, text: str) -> float:
    if len(text) > _MAX_NUMBER_CHARS or not _FLOAT.match(text):
        raise GraphError(f"parameter {key}: {text[:40]!r} is not a number")
    value = float(text)
    if abs(value) > _FLOAT_MAX:
        raise GraphError(f"parameter {key}: {text[:40]} is beyond the range of a 32-bit float")
    return value


def _checked_string(key: int, text: str) -> str:
    if len(text.encode()) > _MAX_STRING_CHARS:
        raise GraphError(f"parameter {key}: a string longer than {_MAX_STRING_CHARS} bytes")
    return text
