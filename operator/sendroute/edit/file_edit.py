"""One file's edit: the values its documents are to have, those that come, those that go; carried
out on the text, and believed only when the result, read again both ways, says exactly that."""

from typing import Any

from msgspec import Struct, ValidationError, field

from sendroute.edit.documents import Fresh, placed_after, placed_last, taken_out
from sendroute.edit.layout import BOM, Layout
from sendroute.edit.lines import Splice, spliced
from sendroute.edit.rewrite import CannotSpliceError, rewrite, same
from sendroute.edit.style import style_of


class FileEdit(Struct):
    """Documents by their ordinals: ``values`` they are to have, ``added`` behind each (behind
    the last of the file: None), and ``removed``."""

    values: dict[int, dict[str, Any]] = field(default_factory=dict)
    added: dict[int | None, list[Fresh]] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)


class NotEditableError(Exception):
    """``ordinal`` is the document, ``path`` what in it cannot be changed in place."""

    def __init__(self, ordinal: int, path: tuple[str, ...] = ()) -> None:
        super().__init__(ordinal, path)
        self.ordinal = ordinal
        self.path = path


def carry_out(before: Layout, edit: FileEdit, *, bom: bool = False) -> str | None:
    """The text after the edit; None for a file in which no document is left. ``bom``: the file
    begins with a byte-order mark, which ``before`` does not hold, and which stays.

    Raises :class:`NotEditableError` where it cannot be done by changing only what must change.
    """
    values = [
        edit.values.get(number, document.root.value())
        for number, document in enumerate(before.documents)
    ]
    after = _verified(_revalued(before, edit), values, edit)
    if edit.added or edit.removed:
        text = _rearranged(after, edit)
        if text is None:
            return None
        values = _desired(values, edit)
        after = _verified(text, values, edit)
    text = BOM + after.text if bom else after.text
    if not _reads_as(text, values):
        raise NotEditableError(_first(edit))
    return text


def _revalued(layout: Layout, edit: FileEdit) -> str:
    splices: list[Splice] = []
    for ordinal, value in edit.values.items():
        document = layout.documents[ordinal]
        try:
            splices += rewrite(layout.text, document.root, value, style_of(layout, document))
        except CannotSpliceError as error:
            raise NotEditableError(ordinal, error.path) from error
    return _spliced(layout.text, splices, edit)


def _rearranged(layout: Layout, edit: FileEdit) -> str | None:
    splices: list[Splice] = []
    for ordinal in sorted(edit.removed):
        told = taken_out(layout, layout.documents[ordinal])
        if told is None:
            return None
        splices += told
    for after, fresh in edit.added.items():
        try:
            if after is None:
                splices += placed_last(layout, fresh)
            else:
                splices += placed_after(layout, layout.documents[after], fresh)
        except CannotSpliceError as error:
            raise NotEditableError(after or 0, error.path) from error
    return _spliced(layout.text, splices, edit)


def _spliced(text: str, splices: list[Splice], edit: FileEdit) -> str:
    changed = spliced(text, splices)
    if changed is None:
        raise NotEditableError(_first(edit))
    return changed


def _first(edit: FileEdit) -> int:
    after = (each or 0 for each in edit.added)
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
    """The text by its parts; raises where it does not say exactly what is wanted."""
    from yaml import YAMLError

    try:
        layout = Layout(text)
    except YAMLError as error:
        raise NotEditableError(_first(edit)) from error
    found = layout.values()
    if len(found) != len(desired):
        raise NotEditableError(_first(edit))
    for number, (one, other) in enumerate(zip(found, desired, strict=True)):
        if not same(one, other):
            raise NotEditableError(number if number in edit.values else _first(edit))
    return layout


def _reads_as(text: str, desired: list[Any]) -> bool:
    """Whether the program's own readers, the exact one and the fast one, find this in a text."""
    from sendroute.manifests import exact
    from sendroute.manifests.headers import is_ours
    from sendroute.manifests.shapes import decode
    from sendroute.manifests.thorough import read_thoroughly

    ours = {number: value for number, value in enumerate(desired) if is_ours(value)}
    drafts = list(exact.drafts(text.removeprefix(BOM)))
    for number, draft in enumerate(drafts):
        if not isinstance(draft, exact.Draft) or (number in ours and draft.faults):
            return False
        if number in ours and not same(draft.node.value, ours[number]):
            return False
    # Reads with the fast reader wherever that is enough.
    parsed, problems = read_thoroughly("", text.encode())
    try:
        typed = [(number, decode(value)) for number, value in ours.items()]
    except ValidationError:
        return False
    return len(drafts) == len(desired) and not problems.findings and parsed.documents == typed
