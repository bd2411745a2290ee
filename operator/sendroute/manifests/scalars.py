"""The meaning of plain scalars: as the fast reader reads YAML 1.2, and where YAML 1.1 differs."""

import re
from math import isinf

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(
        (f"{sign}.{inf}" for sign in ("", "+") for inf in ("inf", "Inf", "INF")), float("inf")
    ),
    **dict.fromkeys((f"-.{inf}" for inf in ("inf", "Inf", "INF")), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
# YAML 1.2.2, 10.3.2, except numbers with a leading zero, which the fast reader leaves as strings
# (and which are ambiguous in every field of a manifest).
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED = re.compile(r"([-+]?)(0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
# Python refuses to convert thousands of digits (sys.set_int_max_str_digits). No field
# accepts nearly as many digits as these; the shortened number is too large as well.
_MAX_DIGITS = 100
_STARTS = frozenset("+-.0123456789")

# YAML 1.1: https://yaml.org/type/bool.html, int.html, float.html. Words, octal and binary numbers,
# underscores in numbers, base 60 numbers. Dates are left out: kubectl reads them as strings.
_WORD = r"y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF"
AMBIGUOUS_WORDS = frozenset(_WORD.split("|"))
AMBIGUOUS = re.compile(
    rf"{_WORD}"
    r"|[-+]?0[0-9_]+"
    r"|[-+]?0[bB][01_]+|[-+]?0[oO][0-7_]+"
    r"|(?!0x[0-9a-fA-F]+\Z)[-+]?0[xX][0-9a-fA-F_]+"
    r"|[-+]?[0-9][0-9_]*_[0-9_]*"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|(?=[^_]*_)[-+]?(?:[0-9][0-9_]*)?\.[0-9_]*[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
)


def resolve(text: str) -> Scalar:
    """Return the value of a plain scalar without a tag, as the fast reader does (YAML 1.2.2, 10.3).

    Args:
        text: the scalar as it is written.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _STARTS:
        return text
    if _INT.fullmatch(text):
        return int(text[:_MAX_DIGITS])
    if based := _BASED.fullmatch(text):
        value = int(based[2][:_MAX_DIGITS], 0)
        return -value if based[1] == "-" else value
    if _FLOAT.fullmatch(text):
        number = float(text)
        return text if isinf(number) else number
    return text


def meaning(text: str) -> bool | int | None:
    """The number or truth value that an ambiguous scalar seems to mean; None if it cannot be
    either, such as ``1:30``."""
    if text in AMBIGUOUS_WORDS:
        return text.lower() in ("y", "yes", "on")
    plain = text.replace("_", "")
    try:
        return int(plain, 0 if re.match("[-+]?0[xXbBoO]", plain) else 10)
    except ValueError:
        return None
