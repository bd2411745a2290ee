"""Text → documents in which every key and value has its position in the text.

Built from libyaml's events like :mod:`sendroute.manifests.exact`, but only for valid texts, and
with end positions. Documents are numbered as in :class:`~sendroute.model.finding.Where`.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from yaml import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from sendroute.manifests.headers import is_list_of
from sendroute.manifests.scalars import resolve
from sendroute.manifests.syntax import YamlText


class LayoutNode:
    """A value as it is written: ``text[start:end]``, without comments or breaks after it.

    ``quote`` is a scalar's style: empty for a plain one, ``"``, ``'``, ``|`` or ``>``. A mapping
    has ``entries``, a sequence ``items``; ``flow`` is true for
    ``{…}`` and ``[…]``, false for the block style.
    """

    __slots__ = ("end", "entries", "flow", "items", "quote", "scalar", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.flow = False
        self.quote = ""
        self.scalar: Any = None
        self.entries: list[LayoutEntry] | None = None
        self.items: list[LayoutNode] | None = None

    @property
    def is_block(self) -> bool:
        """A collection in block style: it ends where its last item does."""
        return not self.flow and (self.entries is not None or self.items is not None)

    def get(self, key: str) -> "LayoutEntry | None":
        """A mapping's entry."""
        return next((entry for entry in self.entries or () if entry.key.scalar == key), None)

    def entry(self, *path: str) -> "LayoutEntry":
        """The entry at a path of keys.

        Args:
            path: the keys, at least one.

        Returns:
            The entry of the last key.

        Raises:
            KeyError: the text has no such path.
        """
        *parents, key = path
        node = self.at(*parents)
        entry = node.get(key) if node is not None else None
        if entry is None:
            raise KeyError(path)
        return entry

    def at(self, *path: str) -> "LayoutNode | None":
        """The value at a path of keys; None if the text has no such path."""
        node: LayoutNode | None = self
        for key in path:
            entry = node.get(key) if node is not None else None
            node = entry.value if entry else None
        return node

    def value(self) -> Any:
        """The value as plain data."""
        if self.entries is not None:
            return {_hashable(entry.key): entry.value.value() for entry in self.entries}
        if self.items is not None:
            return [item.value() for item in self.items]
        return self.scalar


class LayoutEntry(NamedTuple):
    key: LayoutNode
    value: LayoutNode


class YamlDocument(NamedTuple):
    """One YAML document of a file: from its ``---`` (or its first token, if it has none) to
    the end of its content. ``explicit``: it has a ``---``."""

    start: int
    explicit: bool
    root: LayoutNode
    end: int


class LayoutDocument(NamedTuple):
    """A document as manifests count them: the YAML document with this ``number``, or an ``item``
    of it, by index, if it is a ``List``."""

    root: LayoutNode
    number: int
    item: int | None


class Layout:
    """A text without byte-order mark, and everything in it. Raises
    ``yaml.YAMLError`` if the text is not valid YAML."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.yaml_documents = list(_yaml_documents(text))
        self.documents: list[LayoutDocument] = []
        for number, yaml_document in enumerate(self.yaml_documents):
            value = yaml_document.root.value()
            if is_list_of(value):
                items = self.list_of(number).items or []
                self.documents += [
                    LayoutDocument(item, number, index)
                    for index, item in enumerate(items)
                    if item.value() is not None
                ]
            elif value is not None:
                self.documents.append(LayoutDocument(yaml_document.root, number, None))

    def list_of(self, number: int) -> LayoutNode:
        """The ``items`` of the YAML document with this number, a ``List``."""
        return self.yaml_documents[number].root.entry("items").value

    def values(self) -> list[Any]:
        """The documents as plain data, in order."""
        return [document.root.value() for document in self.documents]


def _yaml_documents(text: str) -> Iterator[YamlDocument]:
    source = YamlText(text)
    stack: list[LayoutNode] = []
    done: LayoutNode | None = None  # the node read last; at the end, the document
    keys: list[
        LayoutNode | None
    ] = []  # for each collection in the stack, the key whose value follows
    start, explicit = 0, False
    for event in yaml.parse(source.parsed, Loader=yaml.CSafeLoader):
        begin, end = source.offset(event.start_mark), source.offset(event.end_mark)
        match event:
            case DocumentStartEvent():
                start, explicit, done = begin, bool(event.explicit), None
            case DocumentEndEvent():
                root = done or LayoutNode(begin, begin)
                last = end if event.explicit else max(root.end, start)
                yield YamlDocument(start, explicit, root, last)
            case ScalarEvent() | AliasEvent():
                done = _leaf(event, text, begin, end)
                _attach(done, stack, keys)
            case MappingStartEvent() | SequenceStartEvent():
                node = LayoutNode(begin, end)
                node.flow = bool(event.flow_style)
                if isinstance(event, MappingStartEvent):
                    node.entries = []
                else:
                    node.items = []
                stack.append(node)
                keys.append(None)
            case MappingEndEvent() | SequenceEndEvent():
                done = stack.pop()
                keys.pop()
                done.end = end if done.flow else _end_of_block(done)
                _attach(done, stack, keys)


def _leaf(event: Any, text: str, begin: int, end: int) -> LayoutNode:
    node = LayoutNode(begin, end)
    if isinstance(event, AliasEvent):  # in a document that is not ours
        return node
    node.quote = event.style or ""
    plain = not node.quote and event.tag is None
    node.scalar = resolve(event.value) if plain else event.value
    if node.quote in ("|", ">"):  # its end mark is behind the following line breaks
        node.end = begin + len(text[begin:end].rstrip())
    return node


def _attach(node: LayoutNode, stack: list[LayoutNode], keys: list[LayoutNode | None]) -> None:
    if not stack:
        return
    parent, key = stack[-1], keys[-1]
    if parent.items is not None:
        parent.items.append(node)
    elif key is None:
        keys[-1] = node
    elif parent.entries is not None:
        parent.entries.append(LayoutEntry(key, node))
        keys[-1] = None


def _end_of_block(node: LayoutNode) -> int:
    if node.entries:
        return max(node.entries[-1].value.end, node.entries[-1].key.end + 1)
    return node.items[-1].end if node.items else node.end


def _hashable(key: LayoutNode) -> Any:
    """A key as plain data. A key that is a collection, in a foreign document, becomes its
    position."""
    return key.scalar if key.entries is None and key.items is None else (key.start, key.end)
