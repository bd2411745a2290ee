"""Adding and removing whole documents: in a YAML stream, in a ``List``, in a JSON file."""

import re
from collections import defaultdict
from collections.abc import Iterator, Set
from typing import Any, NamedTuple

from sendroute.edit.layout import Layout, LayoutDocument, LayoutNode, YamlDocument
from sendroute.edit.lines import (
    Splice,
    block_end,
    column,
    is_comment,
    line_end,
    line_start,
    merged,
    next_line,
    with_lines,
)
from sendroute.edit.rewrite import SpliceError, insert_in_flow, removed_items
from sendroute.edit.style import YamlStyle, block, block_lines, flow, style_of

_BARE_MARKER = re.compile(r"---[ \t]*\r?\n")


class NewDocument(NamedTuple):
    """A document to add. ``body``, if given, holds the lines of its spec after ``account``, moved
    from elsewhere and not indented; ``remark`` is a comment for its name."""

    value: dict[str, Any]
    body: tuple[str, ...] = ()
    remark: str = ""


def can_follow(layout: Layout, document: LayoutDocument) -> bool:
    """Whether another document can follow this one: in JSON only within a ``List``."""
    if document.item is not None:
        return True
    return not (document.root.flow and style_of(layout, document).quote)


def insert_after(
    layout: Layout, document: LayoutDocument, fresh: list[NewDocument]
) -> Iterator[Splice]:
    """Yield the splices that insert documents behind another one, in its style.

    Raises:
        SpliceError: the layout does not allow it.
    """
    style = style_of(layout, document)
    if document.item is not None:
        yield from _into_list(layout, document, fresh, style)
        return
    if not can_follow(layout, document):
        raise SpliceError
    yield _into_stream(layout, document.number, fresh, style)


def append(layout: Layout, fresh: list[NewDocument]) -> Iterator[Splice]:
    """Yield the splices that append documents to a file, which may be empty."""
    if layout.documents:
        yield from insert_after(layout, layout.documents[-1], fresh)
        return
    style = style_of(layout, None)
    lines = [line for document in fresh for line in ("---", *written(document, style))]
    yield with_lines(layout.text, len(layout.text), lines)


def new_file(fresh: list[NewDocument], style: YamlStyle, *, json: bool) -> str:
    """The text of a new file; with ``json``, one JSON object."""
    if json:
        (document,) = fresh
        content = flow(document.value, style._replace(quote='"', spread=True, tight=False))
        return content + style.newline
    parts = [style.newline.join(written(document, style)) + style.newline for document in fresh]
    return f"---{style.newline}".join(parts)


def remove_documents(layout: Layout, numbers: Set[int]) -> list[Splice] | None:
    """Remove documents from a file.

    Args:
        layout: the file.
        numbers: their numbers among the file's documents.

    Returns:
        The splices; None if the file would be empty and can be deleted.

    Raises:
        SpliceError: the layout does not allow it.
    """
    if len(numbers) == len(layout.documents):
        return None
    items: defaultdict[int, list[int]] = defaultdict(list)
    splices: list[Splice] = []
    for number in sorted(numbers):
        document = layout.documents[number]
        if document.item is None:
            splices += _without_yaml_document(layout, document.number)
        else:
            items[document.number].append(document.item)
    for number, removed in items.items():
        entry = layout.yaml_documents[number].root.entry("items")
        splices += removed_items(layout.text, entry, removed)
    return merged(splices)


def written(fresh: NewDocument, style: YamlStyle, indent: int = 0) -> list[str]:
    """The lines of a document in the block style."""
    lines = []
    for key, value in fresh.value.items():
        if key == "metadata" and fresh.remark:
            lines += _with_remark(block(key, value, style, indent), fresh.remark)
        elif key == "spec" and fresh.body:
            inner = indent + style.unit
            lines += [
                " " * indent + "spec:",
                *block_lines({"account": value["account"]}, style, inner),
                *(" " * inner + line if line else "" for line in fresh.body),
            ]
        elif key == "spec":
            lines += [
                " " * indent + "spec:",
                *block_lines(value, style, indent + style.unit),
            ]
        else:
            lines += block(key, value, style, indent)
    return lines


def _with_remark(lines: list[str], remark: str) -> list[str]:
    number = 0 if len(lines) == 1 else 1  # ``name`` is the first in ``metadata``
    return [f"{line}  {remark}" if n == number else line for n, line in enumerate(lines)]


# --- a List -------------------------------------------------------------------------------------


def _into_list(
    layout: Layout, document: LayoutDocument, fresh: list[NewDocument], style: YamlStyle
) -> Iterator[Splice]:
    text, root = layout.text, document.root
    if layout.list_of(document.number).flow:
        indent = column(text, root.start)
        items = [flow(added.value, style, indent) for added in fresh]
        if not style.quote:
            items = [flow(added.value, style) for added in fresh]
        if style.spread:
            yield from insert_in_flow(text, root.start, root.end, items, style)
        else:
            yield Splice(root.end, root.end, "".join(style.comma() + item for item in items))
        return
    dash = text.rindex("-", 0, root.start + 1)
    if text[dash + 1 : root.start].strip():
        raise SpliceError
    indent = column(text, root.start)
    lines = []
    for added in fresh:
        first, *rest = written(added, style, indent)
        lines += [" " * column(text, dash) + text[dash : root.start] + first.lstrip(" "), *rest]
    yield with_lines(text, block_end(text, root.end, column(text, dash)), lines)


# --- a stream of documents ----------------------------------------------------------------------


def _into_stream(layout: Layout, number: int, fresh: list[NewDocument], style: YamlStyle) -> Splice:
    text = layout.text
    before, after = _blank_lines(layout)
    lines: list[str] = []
    for added in fresh:
        lines += [*[""] * before, "---", *[""] * after, *written(added, style)]
    return with_lines(text, _end_of(text, layout.yaml_documents[number]), lines)


def _end_of(text: str, yaml_document: YamlDocument) -> int:
    """The end of a document with the comments directly below it."""
    offset = next_line(text, yaml_document.end)
    if text[line_start(text, yaml_document.end) : yaml_document.end] == "...":
        return offset
    while offset < len(text) and is_comment(text[offset : line_end(text, offset)]):
        offset = next_line(text, offset)
    return offset


def _blank_lines(layout: Layout) -> tuple[int, int]:
    """The number of empty lines before and after the file's ``---``."""
    text = layout.text
    for yaml_document in layout.yaml_documents[1:]:
        if not yaml_document.explicit:
            continue
        before = 0
        offset = line_start(text, yaml_document.start)
        while offset and not text[line_start(text, offset - 1) : offset].strip():
            before += 1
            offset = line_start(text, offset - 1)
        after = 0
        offset = next_line(text, yaml_document.start)
        while offset < len(text) and not text[offset : line_end(text, offset)].strip():
            after += 1
            offset = next_line(text, offset)
        return before, after
    return 0, 0


def _without_yaml_document(layout: Layout, number: int) -> Iterator[Splice]:
    text = layout.text
    yaml_document = layout.yaml_documents[number]
    follows = layout.yaml_documents[number + 1] if number + 1 < len(layout.yaml_documents) else None
    start = (
        line_start(text, yaml_document.start)
        if yaml_document.explicit
        else _first_start(text, yaml_document.root)
    )
    until = line_start(text, follows.start) if follows else len(text)
    end = _tail_to_keep(text, _end_of(text, yaml_document), until)
    if follows is None and end == until:
        while start and not text[line_start(text, start - 1) : start].strip():
            start = line_start(text, start - 1)
    yield Splice(start, end, "")
    headless = number == 0 and not yaml_document.explicit
    if headless and follows and end == until and _BARE_MARKER.match(text, until):
        yield Splice(until, next_line(text, until), "")


def _first_start(text: str, root: LayoutNode) -> int:
    """Where a first document without ``---`` begins, including the comments directly above it;
    comments above an empty line belong to the file."""
    offset = line_start(text, root.start)
    while offset and is_comment(text[line_start(text, offset - 1) : offset]):
        offset = line_start(text, offset - 1)
    return offset


def _tail_to_keep(text: str, offset: int, until: int) -> int:
    """Where an empty line begins that unindented comments follow: they belong to the next
    document."""
    gap: int | None = None
    while offset < until:
        if not text[offset : line_end(text, offset)].strip():
            gap = offset if gap is None else gap
        elif gap is not None and text[offset] == "#":
            return gap
        else:
            gap = None
        offset = next_line(text, offset)
    return until
