"""The author's style, derived from the existing text, and new values in that style."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from sendroute.edit.layout import Layout, LayoutDocument, LayoutNode
from sendroute.edit.lines import column, line_start, newline
from sendroute.manifests.scalars import AMBIGUOUS, resolve

_WIDTH = 100

# Text in every version of YAML, provided that it contains a letter, is not a number, and is none of
# the words for booleans (https://yaml.org/type/bool.html) and null in YAML 1.1.
_PLAIN = re.compile(r"[^\W_](?:[\w./-]*[^\W_])?")
_LETTER = re.compile(r"[^\W\d_]")


class YamlStyle(NamedTuple):
    """``inline``: small mappings are written ``{a: b}``, with ``pad`` inside the braces; ``unit``:
    columns per level; ``quote`` is that of keys, ``"`` in JSON; ``spread``: within braces, one
    entry per line (JSON over several lines); ``tight``: no space after colons and commas."""

    inline: bool = True
    unit: int = 2
    quote: str = ""
    pad: str = ""
    spread: bool = False
    tight: bool = False
    newline: str = "\n"

    def key(self, name: str, quote: str | None = None) -> str:
        return scalar(name, self.quote if quote is None else quote)

    def colon(self) -> str:
        return ":" if self.tight else ": "

    def comma(self) -> str:
        return "," if self.tight else ", "


def style_of(layout: Layout, document: LayoutDocument | None) -> YamlStyle:
    """The style of a document, completed from its file if the document shows none."""
    text = layout.text
    if document is None:
        return YamlStyle(newline=newline(text, 0))
    root = document.root
    votes = list(_small_mappings(root)) or [
        node for other in layout.documents for node in _small_mappings(other.root)
    ]
    inside = [node for node in votes if node.flow]
    spec = root.get("spec") or next(iter(root.entries or ()), None)
    style = YamlStyle(
        inline=len(inside) * 2 >= len(votes),
        pad=" " if inside and text[inside[0].start + 1] == " " else "",
        newline=newline(text, root.start),
    )
    if spec is None:
        return style
    if not root.flow:
        return style._replace(unit=_unit(text, spec.key, spec.value) or 2)
    metadata = root.at("metadata")
    return style._replace(
        quote=spec.key.quote,
        unit=_indent(text, spec.key.start) - _indent(text, root.start) or 2,
        spread=metadata is not None and "\n" in text[metadata.start : metadata.end],
        tight=text[spec.key.end : spec.key.end + 2].rstrip("{[\"'") == ":",
    )


def scalar(value: Any, quote: str = "") -> str:
    """A scalar as text: a string in the given quotes, or in those that it needs."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case None:
            return "null"
    text = str(value)
    if quote == "'" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    if not quote and is_plain(text):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def is_plain(text: str) -> bool:
    """Whether a string never needs quotes, for any reader."""
    return (
        _PLAIN.fullmatch(text) is not None
        and _LETTER.search(text) is not None
        and text.lower() not in ("y", "n", "yes", "no", "on", "off")
        and isinstance(resolve(text), str)
        and AMBIGUOUS.fullmatch(text) is None
    )


def flow(value: Any, style: YamlStyle, indent: int = 0) -> str:
    """A value in flow style; over several lines, its closing brace is at column ``indent``."""
    match value:
        case dict():
            pairs = [
                style.key(key) + style.colon() + flow(item, style, indent + style.unit)
                for key, item in value.items()
            ]
            return _enclosed("{", pairs, "}", style, indent)
        case list():
            items = [flow(item, style, indent + style.unit) for item in value]
            return _enclosed("[", items, "]", style, indent)
        case _:
            return scalar(value, style.quote)


def block(key: str, value: Any, style: YamlStyle, indent: int) -> list[str]:
    """The lines of an entry in the block style, its key at column ``indent``."""
    head = " " * indent + style.key(key, "") + ":"
    if not isinstance(value, dict) or not value:
        return [f"{head} {flow(value, style)}"]
    if style.inline and _leaves(value) <= 2:
        line = f"{head} {flow(value, style)}"
        if len(line) <= _WIDTH:
            return [line]
    return [head, *block_lines(value, style, indent + style.unit)]


def _leaves(value: Any) -> int:
    return sum(map(_leaves, value.values())) if isinstance(value, dict) and value else 1


def block_lines(value: dict[str, Any], style: YamlStyle, indent: int) -> list[str]:
    return [line for key, item in value.items() for line in block(key, item, style, indent)]


def _enclosed(left: str, parts: list[str], right: str, style: YamlStyle, indent: int) -> str:
    if not parts:
        return left + right
    if not style.spread:
        return left + style.pad + style.comma().join(parts) + style.pad + right
    inner = style.newline + " " * (indent + style.unit)
    return left + inner + ("," + inner).join(parts) + style.newline + " " * indent + right


def _small_mappings(root: LayoutNode) -> Iterator[LayoutNode]:
    """The mappings that could have been written in either style."""
    pending = [entry.value for entry in root.entries or ()]
    while pending:
        node = pending.pop()
        inner = [entry.value for entry in node.entries or ()]
        if inner and all(not mapping.entries and not mapping.items for mapping in inner):
            if root.get("spec") is None or node is not root.at("spec"):
                yield node
        else:
            pending += inner + (node.items or [])


def _unit(text: str, key: LayoutNode, value: LayoutNode) -> int:
    if value.flow or not value.entries:
        return 0
    return column(text, value.entries[0].key.start) - column(text, key.start)


def _indent(text: str, offset: int) -> int:
    start = line_start(text, offset)
    line = text[start:offset]
    return len(line) - len(line.lstrip(" "))
