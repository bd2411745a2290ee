"""Find the lines and columns of values in the manifests, only for the values that are shown.

Each file is read at most once. A file that was changed or deleted in the meantime is no error: a
value that is no longer there gets line 1.
"""

import re
from collections.abc import Iterable, Iterator

from sendroute.manifests.exact import DocumentDraft, drafts
from sendroute.manifests.sources import ManifestSource
from sendroute.manifests.syntax import TextPiece, YamlText, is_one_document, misread, pieces
from sendroute.model.byte_order_mark import without_mark
from sendroute.model.finding import Finding, Position, Where, located, sort_findings
from sendroute.model.internal_error import is_internal

# A marker alone on its line, then empty lines and comments, then the first key.
_FIRST_KEY = re.compile(r"(?:---[ \t]*\n)?((?:[ \t]*(?:#[^\n]*)?\n)*)[A-Za-z]+:[ \t\n]")


def positions(source: ManifestSource, locations: Iterable[Where]) -> dict[Where, Position]:
    """Find the positions of values. Each file is read at most once.

    Args:
        source: what the values were read from.
        locations: the values.

    Returns:
        The position of each value. A value that is not found, or whose file is no longer available
        or cannot be read exactly because of a bug, has line 1.
    """
    by_file: dict[str, set[Where]] = {}
    for where in locations:
        by_file.setdefault(where.file, set()).add(where)
    position_of = {
        where: Position(where.file) for requested in by_file.values() for where in requested
    }
    for name, data in source.again(sorted(by_file)):
        try:
            position_of.update(_in_file(data, by_file[name]))
        except Exception as error:
            if not is_internal(error):
                raise
    return position_of


def with_positions(source: ManifestSource, findings: Iterable[Finding]) -> list[Finding]:
    """Find the positions of findings that have none yet.

    Args:
        source: what the findings are about.
        findings: the findings, in any order.

    Returns:
        The findings without repetitions, in the order of :func:`sort_findings`.
    """
    findings = list(findings)
    position_of = positions(source, _unknown(findings))
    return sort_findings(dict.fromkeys(located(finding, position_of.get) for finding in findings))


def _unknown(findings: list[Finding]) -> Iterator[Where]:
    for finding in findings:
        if finding.where is not None and finding.position is None:
            yield finding.where
        yield from (related for related in finding.related if isinstance(related, Where))


def _in_file(data: bytes, requested: set[Where]) -> Iterator[tuple[Where, Position]]:
    """Yield the positions that are found in one file."""
    by_document: dict[int, list[Where]] = {}
    for where in requested:
        by_document.setdefault(where.document, []).append(where)
    text = without_mark(data).decode(errors="replace")
    ordinal = 0
    for piece in pieces(text):
        if is_one_document(piece):
            here = by_document.pop(ordinal, None)
            if here is not None:
                yield from _in_piece(piece, here)
            ordinal += 1
        elif misread(YamlText(*piece)) is None:
            for draft in drafts(piece.text, piece.first_line):
                if isinstance(draft, DocumentDraft):
                    for where in by_document.pop(ordinal, ()):
                        yield where, _position(draft, where)
                    ordinal += 1
        if not by_document:
            return


def _in_piece(piece: TextPiece, requested: list[Where]) -> Iterator[tuple[Where, Position]]:
    first_key = _FIRST_KEY.match(piece.text)
    if first_key and not any(where.path for where in requested):
        line = piece.first_line + piece.text.count("\n", 0, first_key.end(1))
        for where in requested:
            yield where, Position(where.file, line, 1)
        return
    for draft in drafts(piece.text, piece.first_line):
        if isinstance(draft, DocumentDraft):
            for where in requested:
                yield where, _position(draft, where)
            return


def _position(draft: DocumentDraft, where: Where) -> Position:
    return Position(where.file, *draft.position(where.path, where.of_key))
