"""Read bytes fast as plain documents, or return None if only the exact reader can be sure.

None is always allowed: :mod:`sendroute.manifests.exact` reads everything. What must never happen
is a value here that the exact reader would not give, or a fault that it would have reported.
"""

import json
import re
from typing import Any, NamedTuple

import ryaml  # its stub imports its names without exporting them
from msgspec import ValidationError

from sendroute.manifests.headers import (
    LeftOut,
    expand,
    is_list,
    is_misspelt,
    is_ours,
    is_secret,
)
from sendroute.manifests.opaque import may_hold_objects
from sendroute.manifests.plain_secrets import plain_fields
from sendroute.manifests.scalars import AMBIGUOUS, AMBIGUOUS_WORDS
from sendroute.manifests.shapes import Document, decode
from sendroute.model.byte_order_mark import BYTE_ORDER_MARK, without_mark
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Path
from sendroute.model.nesting import is_deeper

MAX_DEPTH = 32
MAX_FOREIGN_DEPTH = 999
"""Levels of nesting that a document of any group may have: far more than a person writes, and one
less than libyaml takes since it has a limit, so that every version gives the same finding."""
MAX_STRING = 64 * 1024  # bytes
MAX_VALUES = 50_000  # keys and values in one document

# The fast parser reads an integer of more than 128 bits as a float: one of at least this size.
_WIDE = 2.0**127

# The fast parser resolves anchors and drops tags silently. One can only begin where a token
# can: after white space, an indicator, a line break beyond ASCII, or at the start.
_ANCHOR_OR_TAG = re.compile(rb"(?:\A|[\s\[\]{},:?\x80-\xff-])[&*!]")
# It also reads 0b11 as 3 and -0x1f as -31, and an integer does not show how it was written.
_BASED = re.compile(rb"0[bBoOxX]")
# The line breaks of YAML 1.1 that YAML 1.2 does not have (1.2.2, 5.4): NEL, LS and PS.
_ODD_BREAK = re.compile(rb"\xc2\x85|\xe2\x80[\xa8\xa9]")
_INNER_MARK = b"\n" + BYTE_ORDER_MARK.encode()
# A value of a mapping that YAML 1.1 reads differently is in the bytes as it is, after a colon and
# white space (also line breaks beyond ASCII). Without a match, no string needs to be examined.
_PERHAPS_AMBIGUOUS = re.compile(
    # All that follows begins with one of these: looking ahead for them halves the time.
    rb":[\s\x80-\xff]*(?=[yYnNoO0-9.+-])"
    rb"(?:(?:%b)(?:[\s\]},:\x80-\xff]|\Z)|[-+]?(?:0[0-9_]|[0-9.]+[_:]))"
    % "|".join(AMBIGUOUS_WORDS).encode()
)
# All other metadata is ignored by decoding, and so has no limits.
_READ_METADATA = frozenset({"name", "namespace"})
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BIG = 1 << 20
_MANY_BRACKETS = 2_000
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class ParsedFile(NamedTuple):
    """The content of a file: our documents with their ordinals, the number of foreign documents,
    and the fields of those that hold secrets in plain text, each with its document's ordinal."""

    documents: list[tuple[int, Document]]
    foreign: int
    plain_secrets: tuple[tuple[int, Path], ...] = ()


class FileProblems(NamedTuple):
    """What is wrong with a file.

    ``unread`` are those of the findings because of which something of it was not read, or belongs
    to an unknown account. ``stopped`` are the accounts that its errors stop, each with the names of
    the profiles that documents with errors would define; None means an unreadable name.
    ``ill_formed`` are those of them that have sound documents in it, but the file is not
    well-formed, each with the finding that says why.
    ``platform_seen`` is True if a MailPlatform with errors was left out. ``left_out`` are the
    documents with errors whose account is known. ``omitted`` is the number of findings that are not
    kept.
    """

    findings: list[Finding]
    unread: list[Finding]
    stopped: dict[AccountKey, set[str | None]]
    ill_formed: dict[AccountKey, Finding]
    platform_seen: bool = False
    left_out: tuple[LeftOut, ...] = ()
    omitted: int = 0


def read(data: bytes) -> ParsedFile | None:
    """Read a file whose documents of ours are all valid; None for any other file."""
    values = parse(data)
    if values is None:
        return None
    documents: list[tuple[int, Document]] = []
    foreign = 0
    secrets: list[tuple[int, Path]] = []
    doubtful = is_perhaps_ambiguous(data)
    for value in expand(values):
        if is_ours(value):
            if (doubtful or not _is_bare(value)) and not is_plain(value):
                return None
            try:
                documents.append((len(documents) + foreign, decode(value)))
            except ValidationError:
                return None
        elif is_list(value) or is_misspelt(value) or may_hold_objects(value):
            return None
        else:
            if is_secret(value):
                ordinal = len(documents) + foreign
                secrets += [(ordinal, path) for path in plain_fields(value)]
            foreign += 1
    return ParsedFile(documents, foreign, tuple(secrets))


def parse(data: bytes) -> list[Any] | None:
    """The documents of a file as plain values; see :func:`is_plain` for what is not sure."""
    try:
        text = without_mark(data).decode()
    except UnicodeDecodeError:
        return None
    if is_json(text):
        document = _parse_json(text)
        if document is not None:
            return [document]
    if _is_hazardous(data) or _is_oversized(data):
        return None
    try:
        documents = ryaml.loads_all(text)  # type: ignore[attr-defined]
    except ValueError:  # its own InvalidYamlError, and what Python refuses of its keys
        return None
    return documents or []  # None for an empty stream


def is_json(text: str) -> bool:
    """Whether it begins as JSON does; it may still be YAML's flow style."""
    return text.lstrip()[:1] in ("{", "[")


def _is_hazardous(data: bytes) -> bool:
    if b"<<" in data or b"\0" in data or _INNER_MARK in data or _BASED.search(data):
        return True
    if not data.isascii() and _ODD_BREAK.search(data):
        return True
    marks = b"&" in data or b"*" in data or b"!" in data
    return marks and _ANCHOR_OR_TAG.search(data) is not None


def _is_oversized(data: bytes) -> bool:
    """Whether a single document goes the exact way for its size, which can stop in the middle of
    it: the fast parser takes a minute for a hundred thousand brackets within one another."""
    if len(data) <= _BIG and data.count(b"[") + data.count(b"{") <= _MANY_BRACKETS:
        return False
    for part in data.split(b"\n---"):
        brackets = part.count(b"[") + part.count(b"{")
        if len(part) > _BIG and b"List" not in part:
            return True
        if brackets > _MANY_BRACKETS and (
            b"List" not in part or _may_hide_brackets(part) or _depth(part) > _MANY_BRACKETS
        ):
            return True
    return False


def _may_hide_brackets(part: bytes) -> bool:
    """Whether brackets may be in quoted texts or comments, where they close nothing."""
    return any(mark in part for mark in (b'"', b"'", b"#"))


def _depth(part: bytes) -> int:
    """The nesting depth of the brackets of a part that hides none, at most."""
    brackets = part.translate(None, delete=_NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return MAX_DEPTH + len(brackets)


def _parse_json(text: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    brackets = text.count("[") + text.count("{")
    if brackets > MAX_FOREIGN_DEPTH and is_deeper(value, MAX_FOREIGN_DEPTH):
        return None  # how deep Python itself goes differs from version to version
    if _ESCAPED_SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            return None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def is_perhaps_ambiguous(data: bytes) -> bool:
    """Whether some value of a mapping may be a scalar that YAML 1.1 reads differently."""
    # A comment may be between the colon and the value.
    return b"#" in data or _PERHAPS_AMBIGUOUS.search(data) is not None


def _is_bare(document: dict[Any, Any]) -> bool:
    """Whether it is a sending domain, as nearly all documents are, in which decoding ignores
    nothing: a valid one is then within all limits, and holds no list."""
    metadata = document.get("metadata")
    return (
        document.get("kind") == "SendingDomain"
        and "status" not in document
        and type(metadata) is dict
        and metadata.keys() <= _READ_METADATA
    )


def is_plain(document: dict[Any, Any]) -> bool:
    """Whether a document can be accepted as it is: within the limits, all keys strings, no string
    that might have been an ambiguous scalar (only the exact reader knows its quotes), and no number
    that might have been an integer of more than 128 bits."""
    level: list[Any] = [document]
    values = 0
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for container in level:
            values += len(container)
            if type(container) is dict:
                for key in container:
                    if type(key) is not str or len(key) > MAX_STRING // 4:
                        return False
                container = container.values()
            for value in container:
                kind = type(value)
                if kind is str:
                    if _is_doubtful(value):
                        return False
                elif kind is dict or kind is list:
                    inner.append(value)
                elif kind is float and not -_WIDE < value < _WIDE:
                    return False
        if values > MAX_VALUES // 2:
            return False
        if not inner:
            return True
        level = inner
    return False


def _is_doubtful(text: str) -> bool:
    if len(text) > 3:
        return (text[0] in "+-.0123456789" and AMBIGUOUS.fullmatch(text) is not None) or len(
            text
        ) > MAX_STRING // 4
    return text in AMBIGUOUS_WORDS or AMBIGUOUS.fullmatch(text) is not None
