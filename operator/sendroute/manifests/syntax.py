"""Text in the form that libyaml accepts, positions in it, and libyaml's errors as sentences."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from yaml.reader import ReaderError

from sendroute.manifests.fast import MAX_DEPTH, MAX_FOREIGN_DEPTH, is_json
from sendroute.model.byte_order_mark import BYTE_ORDER_MARK
from sendroute.model.finding import Path
from sendroute.model.merge_mark import conflict_in, merge_mark

LineColumn = tuple[int, int]


class SyntaxFault(NamedTuple):
    """An error of the text itself. ``path`` leads to it; ``position`` is its line and column."""

    code: str
    path: Path
    position: LineColumn
    message: str
    hint: str | None = None
    related: LineColumn | None = None


# Two \u escapes that are one character beyond U+FFFF (RFC 8259, section 7), which libyaml refuses.
_SURROGATES = re.compile(r"(\\\\)|\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_SHORTER_BY = len(r"\ud83d\ude00") - len(r"\U0001f600")
# What libyaml counts as one line break, so that its lines are ours: YAML 1.1, section 4.1.4.
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
# Characters outside the printable set of YAML 1.2.2, 5.1.
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class YamlText:
    """A text, or a piece of a file that begins on ``first_line``, with the positions of its
    marks."""

    def __init__(self, text: str, first_line: int = 1) -> None:
        self.written = text
        self.first_line = first_line
        self._shortened: list[int] = []
        self.parsed = self._joined(text) if is_json(text) and "\\u" in text else text

    def _joined(self, text: str) -> str:
        """Replace JSON's surrogate pairs by the single escape that YAML has for the character."""

        def join(match: re.Match[str]) -> str:
            if match[1]:  # an escaped backslash: what follows is no escape
                return match[1]
            self._shortened.append(match.start() - _SHORTER_BY * len(self._shortened))
            high, low = int(match[2], 16), int(match[3], 16)
            return f"\\U{0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF):08x}"

        return _SURROGATES.sub(join, text)

    def position(self, mark: Any) -> LineColumn:
        """Return line and column of one of libyaml's marks, in characters, from 1."""
        column = mark.column + 1
        if self._shortened:
            first = bisect_left(self._shortened, mark.index - mark.column)
            column += _SHORTER_BY * (bisect_left(self._shortened, mark.index) - first)
        return mark.line + self.first_line, column

    def offset(self, mark: Any) -> int:
        """Return the offset of one of libyaml's marks in the text as written, in characters."""
        index: int = mark.index
        return index + _SHORTER_BY * bisect_left(self._shortened, index)

    def position_in_text(self, mark: Any) -> LineColumn:
        """Like :meth:`position`, but never after the last line that is not empty."""
        end = len(self.parsed.rstrip())
        if mark.index < end or not end:
            return self.position(mark)
        return self.position_of(len(self.written.rstrip()) - 1)

    def line(self, position: LineColumn) -> str:
        """Return the line at a position, without its line break."""
        index = position[0] - self.first_line
        return _BREAK.split(self.written, index + 1)[index]

    def position_of(self, offset: int) -> LineColumn:
        """Return line and column of an offset in characters, from 1."""
        before = self.written[:offset]
        return _lines(before) + self.first_line, offset - _line_start(before) + 1


def syntax_fault(source: YamlText, error: yaml.YAMLError) -> SyntaxFault:
    """Return libyaml's error as a sentence, with its position."""
    if isinstance(error, ReaderError):
        return _unprintable(source)
    problem = getattr(error, "problem", None) or "it cannot be parsed"
    mark = getattr(error, "problem_mark", None)
    if _OWN_LIMIT.search(problem):
        return too_deep(
            source.position_in_text(mark) if mark is not None else (source.first_line, 1)
        )
    context, began = getattr(error, "context", None), getattr(error, "context_mark", None)
    if began is not None and _BEGAN_BEFORE.search(problem):
        mark = began
    position = source.position_in_text(mark) if mark is not None else (source.first_line, 1)
    if merge_mark(source.line(position), malformed=True) is not None:
        return _conflict_at(position)
    message = f"Invalid YAML: {problem}"
    if context and began is not None and source.position(began)[0] < position[0]:
        message += f", {context} (from line {source.position(began)[0]})"
    elif context:
        message += f", {context}"
    hint = _hint(f"{problem}, {context}", source, position)
    return SyntaxFault("yaml-syntax", (), position, f"{message}.", hint)


# A newer libyaml stops at a nesting limit of its own, with an error like that of its grammar. It
# scans ahead, so it may get there before our own limit does.
_OWN_LIMIT = re.compile("maximum nesting depth")


def too_deep(position: LineColumn) -> SyntaxFault:
    """The fault for nesting beyond a limit, ours or that of a parser."""
    return SyntaxFault(
        "yaml-unsupported",
        (),
        position,
        f"The document is nested deeper than {MAX_FOREIGN_DEPTH} levels.",
        f"Sendroute's documents nest at most {MAX_DEPTH} levels. The rest of the file was not"
        " read.",
    )


# libyaml reports these at the end of the file, or on the line after the one to fix.
_BEGAN_BEFORE = re.compile(r"could not find expected ':'|unexpected (?:end of|document)")


def misread(source: YamlText) -> SyntaxFault | None:
    """The fault for what a parser may take for content: the marks of a merge, and the byte-order
    mark of a file that was joined to another; None if there is none. In YAML such a line may be a
    plain text of its own, and the document behind it seem to be another program's."""
    offset = merge_mark(source.written)
    if offset is not None:
        return _conflict_at(source.position_of(offset))
    inner = source.written.find(f"\n{BYTE_ORDER_MARK}")
    return None if inner < 0 else _mark_at(source.position_of(inner + 1))


_ODD_BREAK = re.compile("[\x85\u2028\u2029]")


def odd_break(source: YamlText) -> SyntaxFault | None:
    """The fault for the first line break of YAML 1.1 that is none in YAML 1.2 (1.2.2, 5.4): what
    people and other programs see as one line, or as the end of a comment, kubectl and libyaml read
    as two. None if there is no such character."""
    match = _ODD_BREAK.search(source.written)
    if match is None:
        return None
    return SyntaxFault(
        "yaml-syntax",
        (),
        source.position_of(match.start()),
        f"U+{ord(match[0]):04X} is a line break in YAML 1.1, which kubectl uses, and none in YAML"
        " 1.2.",
        "Remove the invisible character, or begin a new line there.",
    )


def _mark_at(position: LineColumn) -> SyntaxFault:
    return SyntaxFault(
        "yaml-syntax",
        (),
        position,
        "The line begins with a byte-order mark, which only the first line of a file may.",
        "Remove the invisible character U+FEFF: some editors write it, and joined files keep it.",
    )


def _conflict_at(position: LineColumn) -> SyntaxFault:
    hint = "Resolve the conflict, and remove its markers."
    return SyntaxFault("yaml-syntax", (), position, conflict_in("The file"), hint)


def _unprintable(source: YamlText) -> SyntaxFault:
    match = _UNPRINTABLE.search(source.written)
    offset = match.start() if match else 0
    code = f"U+{ord(match[0]):04X}" if match else "a character"
    return SyntaxFault(
        "yaml-syntax",
        (),
        source.position_of(offset),
        f"Invalid YAML: {code} is a control character.",
        "Remove the character. Compressed and binary files are not accepted.",
    )


_HINTS = (
    ("tab character", "Indent with spaces, not tabs."),
    ("block sequence entries", "Begin the list on a line of its own, below its key."),
    ("while scanning an alias", "Quote a value that begins with *."),
    ("while scanning an anchor", "Quote a value that begins with &."),
    ("while scanning a tag", "Quote a value that begins with !."),
    ("while scanning a block scalar", "Begin the text of | or > on the next line."),
    ("while scanning a directive", "Remove the line: it begins with % and is no directive."),
    ("incompatible YAML document", "Write %YAML 1.2, or remove the line."),
    ("',' or", "A bracket or brace is not closed, or a comma is missing."),
    ("expected node content", "A bracket or brace is not closed, or a value is missing."),
    ("unexpected end of stream", "A quote, bracket or brace is not closed."),
    ("unexpected document indicator", "A quote, bracket or brace is not closed before ---."),
    (
        "invalid Unicode character escape",
        "Write both halves of the surrogate pair, or the character itself.",
    ),
    (
        "unknown escape",
        "In double quotes, a backslash begins an escape. Write \\\\, or use single quotes.",
    ),
)
_INDENTED = re.compile(r" *(?:- +)*")


def _hint(problem: str, source: YamlText, position: LineColumn) -> str:
    """The next step for a problem of libyaml, which names what it missed and not what is wrong."""
    line, column = source.line(position), position[1]
    if "mapping values are not allowed" in problem:
        return _key_hint(source, position)
    if "cannot start any token" in problem:
        tab = line[column - 1 : column] == "\t"
        return (
            "Indent with spaces, not tabs." if tab else "Quote a value that begins with @, ` or %."
        )
    if "could not find expected ':'" in problem:
        if _NEARLY_BOUNDARY.match(line):
            return "The line between two documents is three hyphens: ---."
        item = re.match(r" *-[^ -]", line)
        return f"A {'dash' if item else 'key'} needs a {'space' if item else _COLON} after it."
    if "did not find expected key" in problem:
        if not line[: column - 1].strip():
            return f"Compare the indentation of line {position[0]} with the lines above."
        if line[column - 1 : column] in ("}", "]"):
            return "Remove the bracket or brace: it closes nothing."
        return "Nothing may follow a closing quote or bracket. Quote the whole value once."
    return next(
        (hint for part, hint in _HINTS if part in problem),
        "Check the quotes, brackets and indentation of the line and the line above.",
    )


_NEARLY_BOUNDARY = re.compile(r" *-{2,} *$")
_COLON = "colon and a space"
_LINES_ABOVE = 50  # are searched for the last one that is not empty


def _key_hint(source: YamlText, position: LineColumn) -> str:
    """The hint for a key where none can be: within a value, below a line that is no key, or too
    far to the right."""
    number, column = position
    line = source.line(position)
    start = _indentation(line)
    if re.search(r":\s", line[start : column - 1]):
        return "Quote a value that contains a colon and a space."
    above = next(
        (
            (upper, text)
            for upper in range(number - 1, max(source.first_line, number - _LINES_ABOVE) - 1, -1)
            if (text := source.line((upper, 1))).strip() and not text.lstrip().startswith("#")
        ),
        None,
    )
    if above is None:
        return f"Compare the indentation of line {number} with the lines above."
    upper, text = above
    expected = _indentation(text)
    if not re.search(r":(?:\s|$)", text[expected:]) and expected == start:
        return f"The key on line {upper} needs a {_COLON} after it."
    if line.lstrip().startswith("- "):
        expected = len(text) - len(text.lstrip())
    return (
        f"Line {number} is indented too far: begin it in column {expected + 1}, like line {upper}."
    )


def _indentation(line: str) -> int:
    """How many characters are before the key of a line."""
    indented = _INDENTED.match(line)
    return indented.end() if indented else 0


# At the start of a line, --- always begins a document, even within quotes and brackets, where it
# is an error (YAML 1.2.2, 9.1.2). With directives or "...", a text cannot be cut there.
_BOUNDARY = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_UNSPLITTABLE = re.compile(r"^(?:%|\.\.\.)", re.MULTILINE)


class TextPiece(NamedTuple):
    """A part of a text that can be read separately, and the line it begins on."""

    text: str
    first_line: int


def pieces(text: str) -> Iterator[TextPiece]:
    """Yield a text cut at its document markers, or whole if it cannot be cut."""
    if _UNSPLITTABLE.search(text):
        yield TextPiece(text, 1)
        return
    start, line = 0, 1
    for boundary in _BOUNDARY.finditer(text):
        if boundary.start() > start:
            part = text[start : boundary.start()]
            yield TextPiece(part, line)
            line += _lines(part)
            start = boundary.start()
    yield TextPiece(text[start:], line)


# A mapping in block style with a kind, and not a List.
_KIND = re.compile(r"^kind:[ \t]", re.MULTILINE)
# Perhaps more than one document, in a text that could not be split, or line breaks that the split
# ignores.
_MAYBE_MORE = re.compile(r"List|^(?:%|\.\.\.)|\n---|[\r\x85\u2028\u2029]", re.MULTILINE)


def is_one_document(piece: TextPiece) -> bool:
    """Whether a piece is exactly one document, seen without parsing it. It counts as one also if
    its syntax is wrong, so that those behind it have the same numbers whether it is parsed or
    not."""
    return not _MAYBE_MORE.search(piece.text) and _KIND.search(piece.text) is not None


def _lines(text: str) -> int:
    """Count line breaks as libyaml does."""
    if "\r" not in text and text.isascii():
        return text.count("\n")
    return sum(1 for _ in _BREAK.finditer(text))


def _line_start(text: str) -> int:
    """The offset after the last line break."""
    return max(text.rfind(line_break) for line_break in "\r\n\x85\u2028\u2029") + 1
