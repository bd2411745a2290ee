"""Read text exactly: documents with the line of every key and value, and every fault of the text.

Built from libyaml's events without recursion and without resolving anything. Reading stops as soon
as more events could change nothing, so an alias bomb or a million brackets cost next to nothing.
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
    StreamEndEvent,
    StreamStartEvent,
)

from sendroute.manifests.fast import MAX_DEPTH, MAX_FOREIGN_DEPTH, MAX_STRING, MAX_VALUES
from sendroute.manifests.headers import (
    hides_ours,
    is_foreign_already,
    is_list_of,
    is_misspelt,
    is_ours,
    is_secret,
)
from sendroute.manifests.scalars import AMBIGUOUS, meaning, resolve
from sendroute.manifests.syntax import (
    SyntaxFault,
    YamlText,
    is_one_document,
    misread,
    pieces,
    syntax_fault,
    too_deep,
)
from sendroute.model.codes import Code
from sendroute.model.finding import Path
from sendroute.model.unseen import is_seen

_MAX_EVENTS = 4_000_000  # of one file: some seconds
_WRITE_OUT = "Write the value in full wherever it is used."


class YamlNode:
    """A value with its position. ``items`` are the nodes of a mapping or a sequence, ``keys`` the
    positions of a mapping's keys, and ``value`` is the value as plain Python data. ``written`` is
    how a number, true, false or null is written; None for anything else."""

    __slots__ = ("items", "keys", "position", "value", "written")

    def __init__(self, value: Any, position: tuple[int, int]) -> None:
        self.value = value
        self.position = position
        self.items: Any = None
        self.written: str | None = None
        self.keys: dict[str, tuple[int, int]] = {}


class DocumentDraft(NamedTuple):
    """One document. ``blind`` are the paths of values that are written but were not read, so that
    nothing is known about them. ``in_list``: it is an item of a ``List``."""

    node: YamlNode
    faults: list[SyntaxFault]
    blind: set[Path]
    in_list: bool = False

    def position(self, path: Path, of_key: bool) -> tuple[int, int]:
        """Find a value of the document.

        Args:
            path: the keys and indexes that lead to the value.
            of_key: the position of the value's key instead.

        Returns:
            Line and column, in characters, from 1. If there is no such value, those of the nearest
            mapping or list around it.
        """
        node = self.node
        position = node.position
        for step in path:
            if isinstance(node.value, dict) and step in node.keys:
                position = node.keys[str(step)]
                if step not in node.items:
                    return position
                node = node.items[step]
            elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
                position = node.position
            else:
                return node.position
        return position if of_key else node.position


def scalar_text(draft: DocumentDraft, path: Path) -> str:
    """The text of the scalar at a path that the document has."""
    node = draft.node
    for step in path:
        node = node.items[step]
    return node.written or str(node.value)


def written(draft: DocumentDraft, path: Path) -> str | None:
    """How a number, true, false or null of a document is written; None for anything else."""
    node = draft.node
    for step in path:
        try:
            node = node.items[step]
        except (LookupError, TypeError):
            return None
    return node.written


def drafts(text: str, first_line: int = 1) -> Iterator[DocumentDraft | SyntaxFault]:
    """Yield every document that is not empty, the items of a ``List`` one by one. An error of the
    text is a fault, never an exception.

    Args:
        text: one or more documents.
        first_line: the line of the file that ``text`` begins on, from 1.

    Yields:
        The documents in order; if reading ends early, the fault that ended it as the last.
    """
    source = YamlText(text, first_line)
    builder = _Builder(source)
    try:
        for count, event in enumerate(yaml.parse(source.parsed, Loader=yaml.CSafeLoader)):
            if builder.take(event):
                yield from builder.finished()
            if count > _MAX_EVENTS:
                raise _StopReading(_too_many(source, event))
    except _StopReading as stop:
        yield stop.fault
    except yaml.YAMLError as error:
        yield syntax_fault(source, error)


def numbered_drafts(text: str) -> Iterator[tuple[int, DocumentDraft]]:
    """Yield every document of a file with its number, as reading the file numbers them.

    Args:
        text: the whole file, without a byte-order mark.
    """
    number = 0
    for piece in pieces(text):
        first = number
        if misread(YamlText(*piece)) is None:
            for draft in drafts(piece.text, piece.first_line):
                if isinstance(draft, DocumentDraft):
                    yield number, draft
                    number += 1
        if is_one_document(piece):
            number = first + 1


class _StopReading(Exception):  # noqa: N818  (not an error: the way out of the loop)
    def __init__(self, fault: SyntaxFault) -> None:
        self.fault = fault


class _Frame:
    """A mapping or sequence that is being read. ``key`` is None if a key comes next.
    ``in_braces``: it is in YAML's flow style, as all of JSON is. ``repeated_header`` is the header
    of the object that was repeated first."""

    __slots__ = ("dropped", "in_braces", "is_mapping", "key", "node", "repeated_header")

    def __init__(self, node: YamlNode, is_mapping: bool, in_braces: bool) -> None:
        self.node = node
        self.is_mapping = is_mapping
        self.in_braces = in_braces
        self.key: str | None = None
        self.dropped = False
        self.repeated_header: str | None = None


class _Headers:
    """All that a document writes for ``apiVersion`` and ``kind``, also behind the point where it is
    known to be foreign: a key may be written twice."""

    def __init__(self) -> None:
        self._written: dict[str, list[str | None]] = {"apiVersion": [], "kind": []}
        self._positions: dict[str, tuple[int, int]] = {}
        self._repeated: SyntaxFault | None = None
        self._key: str | None = None
        self._is_key = True

    def take(self, event: Any, source: YamlText) -> None:
        """Take an event directly below the document's mapping. (A list has no headers: its items
        only seem to be keys, and are no ``apiVersion`` with a value of ours.)"""
        if isinstance(event, MappingEndEvent | SequenceEndEvent):
            return
        text = event.value if isinstance(event, ScalarEvent) else None
        if self._is_key:
            self._key = text if text in self._written else None
            if self._key is not None:
                self._see(self._key, source.position(event.start_mark))
        elif self._key is not None:
            self._written[self._key].append(text)
        self._is_key = not self._is_key

    def _see(self, key: str, position: tuple[int, int]) -> None:
        first = self._positions.setdefault(key, position)
        if first != position and self._repeated is None:
            self._repeated = _duplicate(key, (), position, first, _next_object(_NEW_DOCUMENT))

    def hidden(self) -> SyntaxFault | None:
        """The fault of a document that was taken for a foreign one and may be one of ours."""
        return self._repeated if hides_ours(self._written) else None


class _Builder:
    """One document at a time."""

    def __init__(self, source: YamlText) -> None:
        self._source = source
        self._reset()

    def _reset(self) -> None:
        self._root: YamlNode | None = None
        self._stack: list[_Frame] = []
        self._faults: list[SyntaxFault] = []
        self._blind: set[Path] = set()
        self._values = 0
        self._depth = 0
        self._aside = 0  # nesting levels inside a value that is skipped
        self._aside_is_key = False
        self._foreign = False
        self._headers = _Headers()

    def take(self, event: Any) -> bool:
        """Take one event; True if it ended a document."""
        if self._depth == 1:
            self._headers.take(event, self._source)
        match event:
            case ScalarEvent():
                if not self._aside and not self._foreign:
                    self._scalar(event)
            case MappingStartEvent() | SequenceStartEvent():
                self._start(event)
            case MappingEndEvent() | SequenceEndEvent():
                self._end(event)
            case AliasEvent():
                if not self._aside and not self._foreign:
                    self._alias(event)
            case DocumentStartEvent():
                self._reset()
            case DocumentEndEvent():
                return True
            case StreamStartEvent() | StreamEndEvent():
                pass
        return False

    def finished(self) -> Iterator[DocumentDraft | SyntaxFault]:
        """Yield the document that ended, or the items of its ``List``."""
        root = self._root
        if self._foreign and root is None:
            root = YamlNode({"apiVersion": "foreign"}, (1, 1))
        if root is None or root.value is None:
            return
        if not is_list_of(root.value):
            fault = None if is_ours(root.value) else self._headers.hidden()
            if fault is not None:
                yield fault
                return
            yield DocumentDraft(root, self._faults, self._blind)
            return
        items = root.items["items"].items
        within: dict[int, list[SyntaxFault]] = {}  # few of a million items have any
        blind: dict[int, set[Path]] = {}
        for fault in self._faults:
            match fault.path:
                case ("items", int(index), *rest) if index < len(items):
                    within.setdefault(index, []).append(fault._replace(path=tuple(rest)))
                case ("items",) if fault.code == Code.DUPLICATE_KEY:
                    yield fault  # the dropped items may have been ours
                case _ if any(is_ours(item) or is_misspelt(item) for item in root.value["items"]):
                    yield fault
        for path in self._blind:
            match path:
                case ("items", int(index), *rest) if index < len(items):
                    blind.setdefault(index, set()).add(tuple(rest))
        for index, node in enumerate(items):
            faults, hidden = within.get(index, []), blind.get(index, set())
            yield DocumentDraft(node, faults, hidden, in_list=True)

    def _scalar(self, event: Any) -> None:
        self._refuse_marks(event)
        plain = not event.style and event.tag is None
        value = resolve(event.value) if plain else event.value
        position = self._source.position(event.start_mark)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.is_mapping and frame.key is None:
            self._key(frame, value, event, plain, position)
            return
        if plain and AMBIGUOUS.fullmatch(event.value):
            self._fault(
                "ambiguous-scalar",
                f"The unquoted value {_head(event.value)} is ambiguous: YAML 1.2 and YAML 1.1,"
                " which kubectl uses, read it differently.",
                _quote_it(event.value),
                position,
            )
        self._check_size(event.value, position)
        node = YamlNode(value, position)
        node.written = None if isinstance(value, str) else event.value
        self._attach(node)

    def _key(
        self, frame: _Frame, value: Any, event: Any, plain: bool, position: tuple[int, int]
    ) -> None:
        self._count(event)
        key: str = event.value
        path = self._path()
        frame.key = key
        if not isinstance(value, str):
            self._fault(
                "invalid-value",
                f"The unquoted key {key[:40] or '(empty)'} is not text, but keys must be text.",
                "Put the key into quotes.",
                position,
            )
        elif plain and key == "<<":
            self._unsupported("merge key (<<)", position)
            self._blind.add(path)
        self._check_size(key, position)
        if key in frame.node.keys:
            frame.dropped = True
            self._blind.add((*path, key))
            self._add_duplicate(key, position, frame.node.keys[key])
        else:
            frame.node.keys[key] = position

    def _add_duplicate(self, key: str, position: tuple[int, int], first: tuple[int, int]) -> None:
        """Report a repeated key. If the separator of two objects is missing, every key of the next
        one is repeated: report only the header that is first, once for each such object."""
        path, hint = self._path(), "Remove one of them."
        frame = self._stack[-1]
        separator = None if frame.in_braces else _separator(path)
        if separator is not None:
            if frame.repeated_header is None and key in _HEADERS:
                frame.repeated_header = key
            if frame.repeated_header not in (None, key):
                return
            if key in _HEADERS:
                hint = _next_object(separator)
        self._add(_duplicate(key, path, position, first, hint))

    def _alias(self, event: Any) -> None:
        position = self._source.position(event.start_mark)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.is_mapping and frame.key is None:
            self._unsupported("alias (*)", position)
            frame.key, frame.dropped = "", True
            return
        self._unsupported("alias (*)", position)
        self._blind.add(self._path())
        self._attach(YamlNode(None, position))

    def _start(self, event: Any) -> None:
        self._depth += 1
        if self._depth > MAX_FOREIGN_DEPTH:
            raise _StopReading(too_deep(self._source.position(event.start_mark)))
        if self._foreign:
            return
        if self._aside:
            self._aside += 1
            return
        self._refuse_marks(event)
        position = self._source.position(event.start_mark)
        stack = self._stack
        if stack and stack[-1].is_mapping and stack[-1].key is None:
            self._fault(
                "invalid-value",
                "A key of the document is a mapping or a list, but keys must be text.",
                None,
                position,
            )
            stack[-1].key, stack[-1].dropped = "", True
            self._aside, self._aside_is_key = 1, True
            return
        in_list = len(stack) >= 2 and stack[0].key == "items" and not stack[1].is_mapping
        if in_list and len(stack) == 2:
            self._values = 0
        if len(stack) >= MAX_DEPTH + (2 if in_list else 0):
            self._fault(
                "yaml-unsupported",
                f"The document is nested deeper than {MAX_DEPTH} levels.",
                "No field of a manifest is nested so deeply.",
                position,
            )
            self._blind.add(self._path())
            self._aside = 1
            return
        node = YamlNode(None, position)
        is_mapping = isinstance(event, MappingStartEvent)
        node.value, node.items = ({}, {}) if is_mapping else ([], [])
        stack.append(_Frame(node, is_mapping, bool(event.flow_style)))

    def _end(self, event: Any) -> None:
        self._depth -= 1
        if self._foreign:
            return
        if self._aside:
            self._aside -= 1
            if not self._aside and self._aside_is_key:
                self._aside_is_key = False
            elif not self._aside:
                self._attach(YamlNode(None, self._source.position(event.start_mark)))
            return
        self._attach(self._stack.pop().node)

    def _attach(self, node: YamlNode) -> None:
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        self._values += 1
        if not frame.is_mapping:
            frame.node.items.append(node)
            frame.node.value.append(node.value)
        elif frame.dropped:
            frame.key, frame.dropped = None, False
        else:
            key, frame.key = frame.key, None
            frame.node.items[key] = node
            frame.node.value[key] = node.value
            if len(self._stack) == 1 and key in ("apiVersion", "kind"):
                self._foreign = is_foreign_already(frame.node.value)

    def _count(self, event: Any) -> None:
        self._values += 1
        if self._values <= MAX_VALUES:
            return
        if not is_secret(self._stack[0].node.value):
            raise _StopReading(_too_many(self._source, event))
        # Foreign documents may hold anything. What was read of it shows that it holds values.
        while self._stack:
            self._attach(self._stack.pop().node)
        self._foreign = True

    def _refuse_marks(self, event: Any) -> None:
        """Refuse anchors and tags: with them, the plain text no longer shows the value."""
        if event.anchor is not None:
            position = self._source.position(event.start_mark)
            self._unsupported("anchor (&)", position)
        if event.tag is not None:
            position = self._source.position(event.start_mark)
            hint = "Remove the tag. To write a number as text, quote it."
            self._unsupported("tag (!)", position, hint)

    def _check_size(self, text: str, position: tuple[int, int]) -> None:
        if len(text) > MAX_STRING // 4 and len(text.encode()) > MAX_STRING:
            self._fault(
                "too-large",
                "The document contains a text that is longer than 64 KiB.",
                "No field accepts so much.",
                position,
            )
            self._blind.add(self._path())

    def _unsupported(self, feature: str, position: tuple[int, int], hint: str = _WRITE_OUT) -> None:
        message = f"The document uses a YAML {feature}, which Sendroute does not accept."
        self._fault("yaml-unsupported", message, hint, position)

    def _fault(
        self,
        code: str,
        message: str,
        hint: str | None,
        position: tuple[int, int],
    ) -> None:
        self._add(SyntaxFault(code, self._path(), position, message, hint))

    def _add(self, fault: SyntaxFault) -> None:
        if len(self._faults) < _MAX_FAULTS:
            self._faults.append(fault)

    def _path(self) -> Path:
        """The path of the node that is being read, or of the mapping whose key comes next."""
        steps: list[str | int] = []
        for frame in self._stack:
            if not frame.is_mapping:
                steps.append(len(frame.node.items))
            elif frame.key is not None:
                steps.append(frame.key)
        return tuple(steps)


def _head(text: str) -> str:
    """A value as a message repeats it: a number may have a million digits."""
    return f"`{text}`" if len(text) <= _REPEATED else f"that begins with `{text[:_REPEATED]}`"


def _quote_it(text: str) -> str:
    """Both things that the author may mean, in the form that is read in one way only."""
    if len(text) > _REPEATED:
        return "Quote a text; write a number in decimal digits."
    match meaning(text):
        case bool(value):
            other = ", true to switch on." if value else ", false to switch off."
        case int(value):
            other = f", {value} for a number."
        case _:
            other = "."
    return f'Write "{text}" for a text{other}'


_HEADERS = ("apiVersion", "kind")  # one of them is the first key of a document, as a rule
_REPEATED = 40  # characters of a key or a value
_MAX_FAULTS = 1_000  # of one document; an author fixes the first ones first


def shown(key: str) -> str:
    """Return a key as a message may repeat it."""
    return key if is_seen(key) and 0 < len(key) <= _REPEATED else "(not shown)"


_NEW_DOCUMENT = "another document begins here, write --- on a line of its own above it"
_NEW_ITEM = "another item of the List begins here, write a dash and a space before it"


def _separator(path: Path) -> str | None:
    """How the next object begins, for a key of a document or of an item of a List; None for a key
    of something in it."""
    match path:
        case (_,):
            return _NEW_DOCUMENT
        case ("items", int(), _):
            return _NEW_ITEM
        case _:
            return None


def _next_object(separator: str) -> str:
    return f"If {separator}. If not, remove one of them."


def _duplicate(
    key: str, path: Path, position: tuple[int, int], first: tuple[int, int], hint: str
) -> SyntaxFault:
    return SyntaxFault(
        "duplicate-key",
        path,
        position,
        f"Duplicate key {shown(key)}; the first one is on line {first[0]}.",
        hint,
        first,
    )


def _too_many(source: YamlText, event: Any) -> SyntaxFault:
    return SyntaxFault(
        "too-large",
        (),
        source.position(event.start_mark),
        f"The document has more than {MAX_VALUES} keys and values.",
        "No manifest needs so many. The rest of the file was not read.",
    )
