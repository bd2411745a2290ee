"""The proposed changes of an edit: new values of documents, descriptions, and the new texts."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sendroute.edit.documents import NewDocument, new_file
from sendroute.edit.file_edit import FileEdit, NotEditableError, apply, reads_as
from sendroute.edit.rewrite import same
from sendroute.edit.style import YamlStyle
from sendroute.edit.tree import EditTree
from sendroute.model.byte_order_mark import BYTE_ORDER_MARK
from sendroute.model.codes import Code, finding
from sendroute.model.finding import Finding, Where
from sendroute.model.problem import ProblemError

_NO_NEWLINE = "\\ No newline at end of file\n"


class EditChange(NamedTuple):
    """The description of one change: ``where`` is its position before, None for what is new."""

    where: Where | None
    message: str


class NewFile(NamedTuple):
    fresh: list[NewDocument]
    style: YamlStyle
    json: bool


class TextChange(NamedTuple):
    """A file's text before and after; None if the file does not exist."""

    before: str | None
    after: str | None


class Proposal:
    """Filled by one edit; nothing is written. ``notes`` are findings that do not stop the edit,
    ``expected`` the code of a new finding that the edit is meant to cause. ``profile_names`` are
    the namespaces and names of the tree's SMTPProfile documents and of those that are added."""

    def __init__(self, tree: EditTree) -> None:
        self.tree = tree
        self.changes: list[EditChange] = []
        self.notes: list[Finding] = []
        self.expected: Code | None = None
        self.profile_names = set(tree.profile_names)
        self._files: dict[str, FileEdit] = {}
        self._new: dict[str, NewFile] = {}

    def value(self, where: Where) -> dict[str, Any]:
        """Return the value of the document at ``where``; the caller changes it in place."""
        values = self._file(where.file).values
        if where.document not in values:
            values[where.document] = self.tree.document(where).root.value()
        return values[where.document]

    def spec(self, where: Where) -> dict[str, Any]:
        """The ``spec`` of the document at ``where``; the caller changes it in place."""
        spec: dict[str, Any] = self.value(where)["spec"]
        return spec

    def add(self, after: Where | None, file: str, fresh: NewDocument) -> None:
        """Add a document behind another one, or at the end of a file.

        Args:
            after: the other document; None for the end of the file.
            file: the file.
            fresh: the document to add.
        """
        ordinal = None if after is None else after.document
        self._file(file).added.setdefault(ordinal, []).append(fresh)

    def add_file(self, file: str, fresh: NewDocument, style: YamlStyle, *, json: bool) -> None:
        """Add a file with a document, in YAML or, with ``json``, as one JSON object."""
        if file in self._new:
            self._new[file].fresh.append(fresh)
        else:
            self._new[file] = NewFile([fresh], style, json)

    def remove(self, where: Where) -> None:
        """Remove the document at ``where``. Raises as :meth:`EditTree.layout` does."""
        self.tree.document(where)
        self._file(where.file).removed.add(where.document)

    def describe(self, where: Where | None, message: str) -> None:
        """Describe a change to the user. ``where`` is its position, None for a new document."""
        self.changes.append(EditChange(where, message))

    def texts(self) -> dict[str, TextChange]:
        """Apply the edit to the texts.

        Returns:
            Every file that changes.

        Raises:
            ProblemError: a new value is invalid, or a change is impossible in place
                (``edit-by-hand``), with its position.
        """
        texts: dict[str, TextChange] = {}
        findings: list[Finding] = []
        for file, edit in self._files.items():
            self._drop_unchanged(file, edit)
            if not (edit.values or edit.added or edit.removed):
                continue
            if wrong := list(_invalid(file, edit)):
                findings += wrong
                continue
            before = self.tree.text(file)
            try:
                after = apply(self.tree.layout(file), edit, bom=before.startswith(BYTE_ORDER_MARK))
                texts[file] = TextChange(before, after)
            except NotEditableError as error:
                findings += self._by_hand(file, error)
        if findings:
            raise ProblemError(*findings)
        for file, new in self._new.items():
            text = new_file(new.fresh, new.style, json=new.json)
            if not reads_as(text, [document.value for document in new.fresh]):
                raise ProblemError(*self._by_hand(file, NotEditableError(0)))
            texts[file] = TextChange(None, text)
        return texts

    def _file(self, file: str) -> FileEdit:
        self.tree.layout(file)  # raises for a file with errors
        return self._files.setdefault(file, FileEdit())

    def _drop_unchanged(self, file: str, edit: FileEdit) -> None:
        documents = self.tree.layout(file).documents
        for ordinal in list(edit.values):
            if same(edit.values[ordinal], documents[ordinal].root.value()):
                del edit.values[ordinal]

    def _by_hand(self, file: str, error: NotEditableError) -> Iterator[Finding]:
        """What the user must change by hand."""
        here = Where(file, error.ordinal, error.path)
        described = [(change.where or here, change.message) for change in self.changes]
        of_file = [item for item in described if item[0].file == file]
        of_document = [item for item in of_file if item[0].document == error.ordinal]
        for where, message in of_document or of_file:
            yield finding(
                "edit-by-hand",
                f"{file} cannot be edited in place: {message}.",
                hint="Nothing was written. Make the change by hand.",
                where=here if error.path else where,
            )


def _invalid(file: str, edit: FileEdit) -> Iterator[Finding]:
    """What is wrong with the new values of a file's documents."""
    from sendroute.manifests.problems import problems

    for ordinal, value in edit.values.items():
        for problem in problems(value["kind"], value):
            where = Where(file, ordinal, problem.path)
            yield finding(problem.code, problem.message, hint=problem.hint, where=where)


def unified(texts: Mapping[str, TextChange]) -> Iterator[str]:
    """Yield a unified diff, file by file.

    Args:
        texts: the text of each file before and after, by the file's name; None for a file that does
            not exist.

    Yields:
        The lines of the diff, with their line breaks.
    """
    for file, text in texts.items():
        relative = file.lstrip("/")
        before = "/dev/null" if text.before is None else f"a/{relative}"
        after = "/dev/null" if text.after is None else f"b/{relative}"
        old, new = _lines(text.before), _lines(text.after)
        for line in difflib.unified_diff(old, new, before, after):
            if line.endswith("\n"):
                yield line
            else:
                yield f"{line}\n"
                yield _NO_NEWLINE


def _lines(text: str | None) -> list[str]:
    """Split only at line feeds, as git does."""
    if not text:
        return []
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1].removesuffix("\n")
    return lines if lines[-1] else lines[:-1]
