"""The values of the `id=value` fields of a .param line, and how they are written.

ncnn decides a value's type from its text alone: a `.`, `e` or `E` makes a float, a leading letter or quote a
string, anything else an int; `-233XX=n,a,b` and `XX=a,b` are both arrays of parameter XX. A layer that asks
for an int and finds a float silently gets the default, so the type is part of the value here and never
converted. Parsing is in C++, `runtime/native/graph/params.h`.
"""

import re

from pocketdet.errors import GraphError

Scalar = int | float
ParamValue = int | float | str | tuple[int, ...] | tuple[float, ...]

_OLD_ARRAY_BASE = -23300
_MAX_STRING_CHARS = 255
_INT32 = (-(2**31), 2**31 - 1)
_FLOAT_MAX = 3.4028235e38
_BARE_STRING = re.compile(r"[A-Za-z][^ \t\",]*\Z")


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
