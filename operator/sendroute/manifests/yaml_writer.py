"""YAML that versions 1.1 and 1.2 read in the same way, so that kubectl and Sendroute agree."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import yaml

# Plain if no YAML version can take it for anything but text: it begins with a letter and is none of
# the words that YAML 1.1 takes for a boolean (https://yaml.org/type/bool.html) or a null.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9./-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})

# A quoted text without escapes, short enough that PyYAML neither folds it nor writes a key of it as
# `? key`. An apostrophe needs no escape within double quotes.
_UNESCAPED = re.compile(r"[ !#-\[\]-~]{0,100}")
_LONGEST_PLAIN = 100
_WIDTH = 1000


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  an alias would be refused
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = None if _is_plain(value) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _is_plain(value: str) -> bool:
    return _PLAIN.fullmatch(value) is not None and value.lower() not in _WORDS


def dump(documents: Iterable[Any]) -> Iterator[str]:
    """Write documents as one YAML stream. The text is that of PyYAML's own emitter, in a third of
    the time. A document with a value that this module does not support is written by PyYAML.

    Args:
        documents: the documents as plain data; their keys keep their order.

    Yields:
        The text of each document, with the ``---`` before it.
    """
    for document in documents:
        lines = ["---\n"]
        try:
            _block(document, "", lines)
        except _LeftToPyYamlError:
            yield slow_dump(document)
        else:
            yield "".join(lines)


def slow_dump(document: Any) -> str:
    """A document as PyYAML writes it."""
    return yaml.dump(
        document,
        Dumper=_Dumper,
        explicit_start=True,
        sort_keys=False,
        allow_unicode=True,
        width=_WIDTH,
    )


class _LeftToPyYamlError(Exception):
    pass


def _block(mapping: Any, indent: str, lines: list[str]) -> None:
    if not isinstance(mapping, dict) or not mapping or len(indent) > _LONGEST_PLAIN:
        raise _LeftToPyYamlError
    for key, value in mapping.items():
        _value(f"{indent}{_common(key)}:", value, indent, lines)


def _value(before: str, value: Any, indent: str, lines: list[str]) -> None:
    """A value behind ``key:`` or ``-``, up to the end of its line or lines."""
    if isinstance(value, str):
        lines.append(f"{before} {_string(value)}\n")
    elif isinstance(value, dict) and value:
        lines.append(f"{before}\n")
        _block(value, indent + "  ", lines)
    elif isinstance(value, list) and value:
        lines.append(f"{before}\n")
        _items(value, indent, lines)
    elif isinstance(value, dict | list):
        lines.append(f"{before} {value}\n")  # {} or []
    else:
        lines.append(f"{before} {_scalar(value)}\n")


def _items(values: list[Any], indent: str, lines: list[str]) -> None:
    """A list in a mapping is not indented further."""
    for value in values:
        if isinstance(value, list):
            raise _LeftToPyYamlError
        if isinstance(value, dict) and value:
            first = len(lines)
            _block(value, indent + "  ", lines)
            lines[first] = f"{indent}- {lines[first][len(indent) + 2 :]}"
        else:
            _value(f"{indent}-", value, indent, lines)


def _string(value: str) -> str:
    if len(value) <= _LONGEST_PLAIN and _is_plain(value):
        return value
    if _UNESCAPED.fullmatch(value):
        return f'"{value}"'
    raise _LeftToPyYamlError


def _scalar(value: Any) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return "null"
    if type(value) is int:
        return str(value)
    raise _LeftToPyYamlError


@lru_cache(1024, typed=True)
def _common(key: Any) -> str:
    """A key as text, cached, because there are few."""
    return _string(key) if isinstance(key, str) else _scalar(key)
