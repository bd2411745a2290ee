"""History rows: one a change, in bulk."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert

from sendroute.model.change import Change, Kind, State
from sendroute.store.reading import chunks
from sendroute.store.states import as_text
from sendroute.store.tables import history

_BATCH = 10_000


class Recorder:
    """Writes the history of one revision. Equal states are put into JSON once, not a million
    times."""

    def __init__(self, connection: Connection, revision: int) -> None:
        self._connection = connection
        self._revision = revision
        self._texts: dict[State, str] = {}

    def changes(self, changes: Sequence[Change]) -> None:
        for some in chunks(changes, _BATCH):
            self._connection.execute(insert(history), [self._row(change) for change in some])

    def _row(self, change: Change) -> dict[str, object]:
        # The platform is no account's.
        owner = ("", "") if change.kind is Kind.PLATFORM else change.account
        return {
            "revision": self._revision,
            "namespace": owner[0],
            "account": owner[1],
            "kind": change.kind.value,
            "name": change.name,
            "action": change.action.value,
            "before": self._text(change.before),
            "after": self._text(change.after),
            "reason": change.reason,
            "message": change.message,
        }

    def _text(self, state: State | None) -> str | None:
        if state is None:
            return None
        text = self._texts.get(state)
        if text is None:
            text = self._texts[state] = as_text(state)
        return text
