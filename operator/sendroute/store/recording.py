"""History rows: one a change, in bulk."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert

from sendroute.model.change import Change, PlatformChange, State
from sendroute.store.bulk import execute_many
from sendroute.store.history import STORE_KIND
from sendroute.store.states import as_text
from sendroute.store.tables import history

COLUMNS = tuple(column for column in history.c.keys() if column != "seq")  # noqa: SIM118


def say(connection: Connection, own: int, action: str, reason: str, message: str) -> None:
    """What is of the store as a whole, and of no account."""
    connection.execute(
        insert(history).values(
            revision=own,
            namespace="",
            account="",
            kind=STORE_KIND,
            name="",
            action=action,
            reason=reason,
            message=message,
        )
    )


class Recorder:
    """Writes the history of one revision. Equal states are put into JSON once, not a million
    times."""

    def __init__(self, connection: Connection, revision: int) -> None:
        self._connection = connection
        self._revision = revision
        self._texts: dict[State, str] = {}

    def changes(self, changes: Sequence[Change]) -> None:
        execute_many(self._connection, insert(history), COLUMNS, map(self._row, changes))

    def _row(self, change: Change) -> tuple[str | int | None, ...]:
        # The platform is no account's.
        owner = ("", "") if isinstance(change, PlatformChange) else change.account
        return (
            self._revision,
            owner[0],
            owner[1],
            change.kind.value,
            change.name,
            change.action.value,
            self._text(change.before),
            self._text(change.after),
            change.reason,
            change.message,
        )

    def _text(self, state: State | None) -> str | None:
        if state is None:
            return None
        text = self._texts.get(state)
        if text is None:
            text = self._texts[state] = as_text(state)
        return text
