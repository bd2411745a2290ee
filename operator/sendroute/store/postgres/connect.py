"""A connection to the server, which does not wait for ever on one that hangs.

No limit is set to a statement: a change of a million domains may take a minute. But a server whose
processes stand still, and a proxy in front of a dead one, keep the connection open, and TCP takes
it as alive. So when nothing has come for some seconds the server is asked for another connection:
whoever answers that, in whatever words, is at work, and is waited for further.
"""

from collections.abc import Generator
from time import monotonic
from typing import Any, TypeVar, cast

import psycopg
from psycopg.abc import PQGen

from sendroute.store.postgres.errors import NotConnectedError, Refusal, why_refused

RV = TypeVar("RV")

# Seconds without a byte before the server is asked, and between two such questions. How long the
# answer may take is connect_timeout's to say.
_SILENCE = 15.0


def connect(conninfo: str) -> psycopg.Connection:
    """Raises :class:`NotConnectedError`; each statement on it too, where the server hangs."""
    try:
        own = _Connection.connect(
            conninfo,
            autocommit=True,  # transactions are begun by whoever uses it
            prepare_threshold=None,  # a pooler may lead the next statement elsewhere
        )
    except psycopg.Error as error:
        raise NotConnectedError(why_refused(error)) from None
    except UnicodeError:  # a host with an empty label, or one of more than 63 characters
        raise NotConnectedError(Refusal.NO_NAME) from None
    own.conninfo = conninfo
    return own


class _Connection(psycopg.Connection):
    conninfo = ""

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """What the driver does at each of its waits
        (https://www.psycopg.org/psycopg3/docs/api/connections.html#psycopg.Connection.wait)."""
        return super().wait(cast("PQGen[RV]", self._asking(gen)), *args, **kwargs)

    def _asking(self, gen: PQGen[RV]) -> Generator[Any, Any, RV]:
        """The driver tells now and then that nothing is ready."""
        deadline = monotonic() + _SILENCE
        try:
            desired = next(gen)
            while True:
                ready = yield desired
                if ready:
                    deadline = monotonic() + _SILENCE
                elif monotonic() > deadline:
                    self._ask()
                    deadline = monotonic() + _SILENCE
                desired = gen.send(ready)
        except StopIteration as end:
            return cast("RV", end.value)

    def _ask(self) -> None:
        try:
            psycopg.connect(self.conninfo).close()
        except psycopg.OperationalError as error:
            if why_refused(error) is Refusal.SILENT:
                self.close()
                raise NotConnectedError(Refusal.SILENT) from None
