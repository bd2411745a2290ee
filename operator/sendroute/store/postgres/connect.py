"""A connection that does not wait forever for a server that hangs.

Statements have no time limit, because a change of a million domains may take a minute. But a server
with stopped processes, or a proxy in front of a dead server, keeps the connection open, and TCP
considers it alive. So after some seconds of silence a second connection is tried. If the server
answers that in any way, it is alive, and the wait continues.
"""

from collections.abc import Generator
from time import monotonic
from typing import Any, TypeVar, cast

import psycopg
from psycopg.abc import PQGen

from sendroute.store.postgres.errors import ConnectFailure, NotConnectedError, why_refused

RV = TypeVar("RV")

# Seconds without a byte before a second connection is tried, and between two such attempts.
# connect_timeout limits each attempt.
_SILENCE = 15.0


def connect(conninfo: str) -> psycopg.Connection:
    """Connect to a server. ``conninfo`` is libpq's connection string.

    Raises :class:`NotConnectedError`; so does each later statement if the server hangs.
    """
    try:
        connection = _Connection.connect(
            conninfo,
            autocommit=True,  # callers begin transactions
            prepare_threshold=None,  # a pooler may send the next statement to another server
        )
    except psycopg.Error as error:
        raise NotConnectedError(why_refused(error)) from None
    except UnicodeError:  # a host with an empty label, or one of more than 63 characters
        raise NotConnectedError(ConnectFailure.NO_NAME) from None
    connection.conninfo = conninfo
    return connection


class _Connection(psycopg.Connection):
    conninfo = ""

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """The driver calls this for each wait
        (https://www.psycopg.org/psycopg3/docs/api/connections.html#psycopg.Connection.wait)."""
        return super().wait(cast("PQGen[RV]", self._checked(gen)), *args, **kwargs)

    def _checked(self, gen: PQGen[RV]) -> Generator[Any, Any, RV]:
        """While nothing is ready, the driver resumes this generator from time to time."""
        deadline = monotonic() + _SILENCE
        try:
            event = next(gen)
            while True:
                ready = yield event
                if ready:
                    deadline = monotonic() + _SILENCE
                elif monotonic() > deadline:
                    self._check_server()
                    deadline = monotonic() + _SILENCE
                event = gen.send(ready)
        except StopIteration as end:
            return cast("RV", end.value)

    def _check_server(self) -> None:
        try:
            psycopg.connect(self.conninfo).close()
        except psycopg.OperationalError as error:
            if why_refused(error) is ConnectFailure.SILENT:
                self.close()
                raise NotConnectedError(ConnectFailure.SILENT) from None
