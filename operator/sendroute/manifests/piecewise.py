"""One file, piece by piece: valid pieces are read fast, and only the others exactly."""

from msgspec.structs import replace

from sendroute.manifests import fast, opaque
from sendroute.manifests.diagnosis import diagnose, from_fault, hides_objects, unusable_list
from sendroute.manifests.exact import DocumentDraft, drafts
from sendroute.manifests.fast import FileProblems, ParsedFile
from sendroute.manifests.headers import (
    LeftOut,
    account_of_document,
    is_list,
    is_misspelt,
    is_ours,
    is_secret,
)
from sendroute.manifests.kept_findings import MOST_OF_FILE, KeptFindings
from sendroute.manifests.opaque import opacity_of
from sendroute.manifests.plain_secrets import plain_fields
from sendroute.manifests.shapes import Document, MailPlatform, decode
from sendroute.manifests.sources import SourceEntry
from sendroute.manifests.syntax import (
    SyntaxFault,
    TextPiece,
    YamlText,
    is_one_document,
    misread,
    odd_break,
    pieces,
)
from sendroute.model.byte_order_mark import without_mark
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Path, Position, Where


def read_piecewise(entry: SourceEntry, data: bytes) -> tuple[ParsedFile, FileProblems]:
    """Read a file that the fast reader refused.

    Args:
        entry: the file.
        data: its bytes.

    Returns:
        The documents without errors, and every problem of the others. A file that is not UTF-8 has
        no documents and one problem.
    """
    data = without_mark(data)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        fault = _not_utf8(entry, data, error.start)
        return ParsedFile([], 0), FileProblems([fault], [fault], {}, {})
    reader = _PieceReader(entry)
    for piece in pieces(text):
        reader.piece(piece)
    return reader.result()


class _PieceReader:
    def __init__(self, entry: SourceEntry) -> None:
        self._entry = entry
        self._documents: list[tuple[int, Document]] = []
        self._count = 0
        self._foreign = 0
        self._secrets: list[tuple[int, Path]] = []
        self._kept = KeptFindings(MOST_OF_FILE)
        self._stopped: dict[AccountKey, set[str | None]] = {}
        self._first_fault: Finding | None = None  # because of which the file is not well-formed
        self._platform_seen = False
        self._no_objects = 0
        self._left_out: list[LeftOut] = []

    def piece(self, piece: TextPiece) -> None:
        first = self._count
        self._read(piece)
        if is_one_document(piece):
            self._count = first + 1

    def _read(self, piece: TextPiece) -> None:
        fault = misread(YamlText(*piece))
        if fault is not None:
            self._fault(fault)
            return
        parsed = fast.read(piece.text.encode())
        if parsed is not None:
            self._documents += [
                (self._count + ordinal, document) for ordinal, document in parsed.documents
            ]
            self._secrets += [
                (self._count + ordinal, path) for ordinal, path in parsed.plain_secrets
            ]
            self._count += len(parsed.documents) + parsed.foreign
            self._foreign += parsed.foreign
            return
        source = YamlText(*piece)
        has_ours = False
        for draft in drafts(piece.text, piece.first_line):
            match draft:
                case SyntaxFault():
                    self._fault(draft)
                case DocumentDraft():
                    has_ours |= self._draft(draft)
                    self._count += 1
        fault = odd_break(source) if has_ours else None
        if fault is not None:
            self._fault(fault)

    def _fault(self, fault: SyntaxFault) -> None:
        item = from_fault(fault, self._entry.where())
        self._first_fault = self._first_fault or item
        self._kept.add(item, is_unread=True)

    def _draft(self, draft: DocumentDraft) -> bool:
        """Take one document. Returns whether it is, or may hold, one of ours."""
        where = self._entry.where(self._count)
        value = draft.node.value
        if is_ours(value) or is_misspelt(value):
            self._ours(draft, where)
        elif draft.in_list and not isinstance(value, dict) and self._passes_over():
            pass
        elif is_list(value) or hides_objects(draft):
            for item in unusable_list(draft, where):
                self._kept.add(item, is_unread=True)
        elif reason := opacity_of(value):
            self._kept.add(opaque.finding_of(where, reason), is_unread=True)
        else:
            if is_secret(value):
                self._secrets += [(self._count, path) for path in plain_fields(value, draft.blind)]
            self._foreign += 1
            return False
        return True

    def _passes_over(self) -> bool:
        """Count an item of a List that is no object. Returns whether enough are reported: what the
        file holds is unknown by then, and more of them change nothing."""
        self._no_objects += 1
        if self._no_objects <= MOST_OF_FILE:
            return False
        self._kept.omitted += 1
        return True

    def _ours(self, draft: DocumentDraft, where: Where) -> None:
        diagnosis = diagnose(draft, where)
        if not diagnosis.findings:
            self._documents.append((self._count, decode(draft.node.value)))
            return
        for item in diagnosis.findings:
            self._kept.add(item, is_unread=not diagnosis.account_known)
        self._platform_seen |= draft.node.value.get("kind") == "MailPlatform"
        if diagnosis.account:
            self._stopped.setdefault(diagnosis.account, set()).update(diagnosis.profiles)
            kind = draft.node.value["kind"]
            self._left_out.append(LeftOut(diagnosis.account, kind, diagnosis.domain, where))

    def result(self) -> tuple[ParsedFile, FileProblems]:
        """The documents and problems. A file that is not well-formed may be half written, or have
        the markers of a merge conflict, so even its readable part may be unintended. It is used to
        check references, but its accounts are stopped, and a MailPlatform in it is left out."""
        documents = self._documents
        ill_formed: dict[AccountKey, Finding] = {}
        if self._first_fault is not None:
            documents = [item for item in documents if not isinstance(item[1], MailPlatform)]
            self._platform_seen |= len(documents) < len(self._documents)
            for _, document in documents:
                account = account_of_document(document)
                if account is not None:
                    self._stopped.setdefault(account, set())
                    ill_formed[account] = self._first_fault
        problems = FileProblems(
            self._kept.findings,
            self._kept.unread,
            self._stopped,
            ill_formed,
            self._platform_seen,
            tuple(self._left_out),
            self._kept.omitted,
        )
        return ParsedFile(documents, self._foreign, tuple(self._secrets)), problems


def _not_utf8(entry: SourceEntry, data: bytes, offset: int) -> Finding:
    before = data[:offset]
    line_start = before.rfind(b"\n") + 1
    position = before.count(b"\n") + 1, len(before[line_start:].decode(errors="replace")) + 1
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        hint = "The file is UTF-16 or UTF-32. Save it as UTF-8."
    elif data.startswith(b"\x1f\x8b"):
        hint = "The file is compressed with gzip. Unpack it."
    else:
        hint = "Save the file as UTF-8."
    byte = f"0x{data[offset]:02x}"
    message = f"The file {entry.name} is not UTF-8 text: it contains the invalid byte {byte}."
    error = finding("not-utf8", message, hint=hint, where=entry.where())
    return replace(error, position=Position(entry.name, *position))
