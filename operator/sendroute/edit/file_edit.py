"""The edit of one file: changed, added and removed documents. It is applied to the text and
accepted only if both readers read exactly the intended values from the result."""

from typing import Any

from msgspec import Struct, ValidationError, field
from yaml import YAMLError

from sendroute.edit.documents import NewDocument, append, insert_after, remove_documents
from sendroute.edit.layout import Layout
from sendroute.edit.lines import Splice, apply_splices
from sendroute.edit.rewrite import SpliceError, rewrite, same
from sendroute.edit.style import style_of
from sendroute.manifests.headers import is_ours
from sendroute.manifests.shapes import decode
from sendroute.model.byte_order_mark import BYTE_ORDER_MARK


class FileEdit(Struct):
    """Documents by their position in the file: new ``values``, documents ``added`` behind each
    (None: at the end of the file), and those ``removed``."""

    values: dict[int, dict[str, Any]] = field(default_factory=dict)
    added: dict[int | None, list[NewDocument]] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)


class NotEditableError(Exception):
    """``ordinal`` is the document, ``path`` the part of it that cannot be changed in place."""

    def __init__(self, ordinal: int, path: tuple[str, ...] = ()) -> None:
        super().__init__(ordinal, path)
        self.ordinal = ordinal
        self.path = path


def apply(before: Layout, edit: FileEdit, *, bom: bool = False) -> str | None:
    """Apply an edit to a file's text.

    Args:
        before: the text, without a byte-order mark.
        edit: the changes.
        bom: whether the file begins with a byte-order mark, which is kept.

    Returns:
        The new text; None if no document is left.

    Raises:
        NotEditableError: the layout does not allow the edit without changing other lines.
    """
    values = [
        edit.values.get(number, document.root.value())
        for number, document in enumerate(before.documents)
    ]
    after = _verified(_with_new_values(before, edit), values, edit)
    if edit.added or edit.removed:
        text = _with_documents(after, edit)
        if text is None:
            return None
        values = _desired(values, edit)
        after = _verified(text, values, edit)
    text = BYTE_ORDER_MARK + after.text if bom else after.text
    if not reads_as(text, values):
        raise NotEditableError(_first(edit))
    return text


def _with_new_values(layout: Layout, edit: FileEdit) -> str:
    splices: list[Splice] = []
    for ordinal, value in edit.values.items():
        document = layout.documents[ordinal]
        try:
            splices += rewrite(layout.text, document.root, value, style_of(layout, document))
        except SpliceError as error:
            raise NotEditableError(ordinal, error.path) from error
    return _spliced(layout.text, splices, edit)


def _with_documents(layout: Layout, edit: FileEdit) -> str | None:
    """Add documents, then remove others. None if none is left."""
    splices: list[Splice] = []
    for after, fresh in edit.added.items():
        try:
            if after is None:
                splices += append(layout, fresh)
            else:
                splices += insert_after(layout, layout.documents[after], fresh)
        except SpliceError as error:
            raise NotEditableError(after or 0, error.path) from error
    text = _spliced(layout.text, splices, edit)
    if not edit.removed:
        return text
    numbers = {_shifted(ordinal, edit) for ordinal in edit.removed}
    # What the removal of the first document leaves depends on the one that follows it then.
    for part in (numbers - {0}, numbers & {0}):
        layout = Layout(text)
        removal = remove_documents(layout, part)
        if removal is None:
            return None
        text = _spliced(layout.text, removal, edit)
    return text


def _shifted(ordinal: int, edit: FileEdit) -> int:
    """The number of a document after others were added before it."""
    before = [after for after in edit.added if after is not None and after < ordinal]
    return ordinal + sum(len(edit.added[after]) for after in before)


def _spliced(text: str, splices: list[Splice], edit: FileEdit) -> str:
    changed = apply_splices(text, splices)
    if changed is None:
        raise NotEditableError(_first(edit))
    return changed


def _first(edit: FileEdit) -> int:
    after = (ordinal or 0 for ordinal in edit.added)
    return min([*edit.values, *edit.removed, *after], default=0)


def _desired(values: list[Any], edit: FileEdit) -> list[Any]:
    """The documents that the result must hold, in order."""
    desired = []
    for ordinal, value in enumerate(values):
        if ordinal not in edit.removed:
            desired.append(value)
        desired += [fresh.value for fresh in edit.added.get(ordinal, ())]
    return desired + [fresh.value for fresh in edit.added.get(None, ())]


def _verified(text: str, desired: list[Any], edit: FileEdit) -> Layout:
    """Parse the text; raise NotEditableError if its values are not exactly the desired ones."""
    try:
        layout = Layout(text)
    except YAMLError as error:
        raise NotEditableError(_first(edit)) from error
    values = layout.values()
    if len(values) != len(desired):
        raise NotEditableError(_first(edit))
    for number, (actual, expected) in enumerate(zip(values, desired, strict=True)):
        if not same(actual, expected):
            raise NotEditableError(number if number in edit.values else _first(edit))
    return layout


def reads_as(text: str, desired: list[Any]) -> bool:
    """Whether Sendroute's readers, the exact and the fast one, read these values from the text."""
    from sendroute.manifests import exact
    from sendroute.manifests.piecewise import read_piecewise
    from sendroute.manifests.sources import SourceEntry

    own_documents = {number: value for number, value in enumerate(desired) if is_ours(value)}
    drafts = list(exact.drafts(text.removeprefix(BYTE_ORDER_MARK)))
    for number, draft in enumerate(drafts):
        if not isinstance(draft, exact.DocumentDraft) or (number in own_documents and draft.faults):
            return False
        if number in own_documents and not same(draft.node.value, own_documents[number]):
            return False
    # Uses the fast reader wherever possible.
    parsed, problems = read_piecewise(SourceEntry("", ""), text.encode())
    try:
        typed = [(number, decode(value)) for number, value in own_documents.items()]
    except ValidationError:
        return False
    return len(drafts) == len(desired) and not problems.findings and parsed.documents == typed
