"""PostgreSQL's errors, in our words: by SQLSTATE
(https://www.postgresql.org/docs/current/errcodes-appendix.html), and, for a connection that was
not made and has none, by what the driver knows of it."""

import re
from enum import StrEnum

import psycopg

from sendroute.model.problem import ProblemError
from sendroute.store.errors import damaged, locked, not_ours, problem


class Refusal(StrEnum):
    """Why there is no connection."""

    AWAY = "away"
    SILENT = "silent"
    STARTING = "starting"
    FULL = "full"
    NO_NAME = "no-name"
    PASSWORD = "password"  # noqa: S105
    NO_PASSWORD = "no-password"  # noqa: S105
    NO_DATABASE = "no-database"
    NO_ROLE = "no-role"
    NOT_ALLOWED = "not-allowed"
    NOT_PRIMARY = "not-primary"
    TLS = "tls"
    PARAMETER = "parameter"
    OTHER = "other"


PASSES = frozenset({Refusal.AWAY, Refusal.SILENT, Refusal.STARTING, Refusal.FULL, Refusal.OTHER})
"""What may be gone in a moment; a server that speaks another language may mean that too."""


class NotConnectedError(psycopg.OperationalError):
    """A connection that was not made. It stands for the driver's own error, whose text and
    fields may hold the password."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(f"no connection: {why}")
        self.why = why


# In English, as libpq writes it and most servers do; the rest is told by what libpq knows besides.
# The first that fits counts. Where encryption is only preferred, a user that is refused tries again
# without, so that what is said of pg_hba.conf may be of that second try.
_SAID = (
    (r"could not translate host name|failed to resolve host", Refusal.NO_NAME),
    (r"too many connections|too many clients|remaining connection slots", Refusal.FULL),
    (
        r"the database system is (starting|shutting|in recovery)|not (yet )?accepting",
        Refusal.STARTING,
    ),
    (r"session is (not )?read-only|server is (not )?in hot standby", Refusal.NOT_PRIMARY),
    (r"database \"\" does not exist", Refusal.NO_DATABASE),
    (r"role \"\" does not exist", Refusal.NO_ROLE),
    (r"no password supplied", Refusal.NO_PASSWORD),
    (r"(peer|ident) authentication failed", Refusal.NOT_ALLOWED),
    (r"authentication failed", Refusal.PASSWORD),
    (r"pg_hba\.conf|permission denied for database|not permitted to log in", Refusal.NOT_ALLOWED),
    (
        r"(invalid|bad) .*(value|port number)|unrecognized configuration parameter"
        r"|definition of service",
        Refusal.PARAMETER,
    ),
    # Also amid the words about encryption, which say SSL too.
    (
        r"closed the connection|closed unexpectedly|reset by peer|Broken pipe|EOF detected"
        r"|unexpected eof",
        Refusal.AWAY,
    ),
    (r"certificate|SSL|TLS", Refusal.TLS),
    (r"timeout|timed out", Refusal.SILENT),
    (r"refused|No such file|unreachable|No route", Refusal.AWAY),
)
# A host, a file, a user or a database, which may be called anything.
_NAME = re.compile(r'"[^"]*"')


def why_refused(error: psycopg.Error) -> Refusal:
    text = _NAME.sub('""', str(error))
    for pattern, why in _SAID:
        if re.search(pattern, text, re.IGNORECASE):
            return why
    made = error.pgconn
    if made is not None and made.needs_password:
        return Refusal.NO_PASSWORD
    if made is not None and made.used_password:
        return Refusal.PASSWORD
    return Refusal.OTHER


_REFUSED = {
    Refusal.AWAY: (
        "The server of {} cannot be reached.",
        "Start it, or correct the host and port in the store's URL, the network or the firewall.",
    ),
    Refusal.SILENT: (
        "The server of {} does not answer.",
        "It hangs, its host is down, or a firewall blocks it: check the server and its disk, or"
        " correct the host and port in the store's URL.",
    ),
    Refusal.STARTING: (
        "The server of {} is starting or stopping, and takes nobody now.",
        "Try again in a moment.",
    ),
    Refusal.FULL: (
        "The server of {} has as many connections as it takes.",
        "Try again later, or let it take more: max_connections, or the role's own limit.",
    ),
    Refusal.NOT_PRIMARY: (
        "No server of {} has the role that target_session_attrs asks for.",
        "Try again after the failover, or correct the hosts or the role in the store's URL.",
    ),
    Refusal.NO_NAME: (
        "The host of {} has no address.",
        "Correct the host name in the store's URL, or the name server.",
    ),
    Refusal.PASSWORD: (
        "The server of {} does not accept this user with this password.",
        "Give the right ones: the user in the store's URL, the password in PGPASSWORD or"
        " PGPASSFILE.",
    ),
    Refusal.NO_PASSWORD: (
        "The server of {} wants a password, and none was given.",
        "Give it in PGPASSWORD, in PGPASSFILE or in the store's URL.",
    ),
    Refusal.NO_DATABASE: (
        "The database of {} does not exist.",
        "Create it (CREATE DATABASE … ENCODING 'UTF8'), or correct its name in the store's URL.",
    ),
    Refusal.NO_ROLE: (
        "The server of {} has no such user.",
        "Create it (CREATE ROLE … LOGIN), or correct its name in the store's URL.",
    ),
    Refusal.NOT_ALLOWED: (
        "The server of {} does not let this user in from here.",
        "Allow it: pg_hba.conf on the server, which may require encryption (sslmode in the store's"
        " URL), and the right to CONNECT to the database.",
    ),
    Refusal.TLS: (
        "No encrypted connection to {} could be made.",
        "Check sslmode and sslrootcert in the store's URL, and the server's certificate.",
    ),
    Refusal.PARAMETER: (
        "The URL of {} asks for what there is not.",
        "Correct its port (1 to 65535), its service or the parameter's value.",
    ),
    Refusal.OTHER: (
        "The server of {} refused the connection.",
        "Its own log says why.",
    ),
}

_LOST = (
    "The connection to {} was lost.",
    "Try again when the server answers; its own log says what happened.",
)

# By SQLSTATE, or its first two characters.
_ADVICE = {
    "25006": (
        "The store {} can only be read here: a standby, or a database set read-only.",
        "Nothing was written. Give the primary server in the store's URL.",
    ),
    "42501": (
        "This user has not the right to do this in the store {}.",
        "Use the user that made the store. To make one it needs the right to CREATE in the"
        " database, or an empty schema `sendroute` of its own.",
    ),
    "53100": (
        "The disk of the store {} is full.",
        "Nothing was written. Make room on the server and try again.",
    ),
    "53200": (
        "The server of {} is out of memory.",
        "Nothing was written. Give it more, or try again later.",
    ),
    "53300": _REFUSED[Refusal.FULL],
    "53": (
        "The server of {} has not the means to do this.",
        "Nothing was written. Its own log says what it lacks.",
    ),
    "57014": (
        "The server of {} gave up: it was told to, or its statement_timeout passed.",
        "Nothing was written. Try again; for large stores let statement_timeout be longer.",
    ),
    "40": (
        "Others kept changing the store {} meanwhile.",
        "Nothing was written. Try again.",
    ),
    "57": _LOST,
    "08": _LOST,
    "25P": (
        "The server of {} ended a transaction that had been idle for too long.",
        "Nothing was written. Try again.",
    ),
    "58": (
        "The disk of the store {} failed to read or write.",
        "Nothing was written. Look at the server's log, make room, and try again.",
    ),
}


def no_right(location: str) -> ProblemError:
    return _advice(_ADVICE["42501"], location)


def translate(error: BaseException, location: str) -> ProblemError | None:
    if not isinstance(error, psycopg.Error):
        return None
    if isinstance(error, NotConnectedError):
        return _advice(_REFUSED[error.why], location)
    state = error.sqlstate
    if state is None:
        # The driver's own: of a connection that ended, or a use of it that no person causes.
        return _advice(_LOST, location) if isinstance(error, psycopg.OperationalError) else None
    if state == "55P03":
        return locked(location)
    if state in ("42P01", "42703", "3F000"):  # no such table, column or schema: of ours
        return not_ours(location)
    if state.startswith("XX"):
        return damaged(location)
    for known in (state, state[:3], state[:2]):
        if known in _ADVICE:
            return _advice(_ADVICE[known], location)
    return None


def _advice(advice: tuple[str, str], location: str) -> ProblemError:
    message, hint = advice
    return problem("store-failed", message.format(location), hint)
