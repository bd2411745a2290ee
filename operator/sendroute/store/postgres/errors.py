"""Translates errors of PostgreSQL into findings: by SQLSTATE
(https://www.postgresql.org/docs/current/errcodes-appendix.html), or, for a failed connection, which
has none, by the text and state of libpq."""

import re
from enum import StrEnum

import psycopg

from sendroute.model.problem import ProblemError
from sendroute.store.errors import UNDONE, damaged, locked, not_ours, problem


class ConnectFailure(StrEnum):
    """Why a connection failed."""

    UNAVAILABLE = "unavailable"
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
    NO_AUTHORITY = "no-authority"
    UNTRUSTED = "untrusted"
    OTHER_HOST = "other-host"
    TLS = "tls"
    PARAMETER = "parameter"
    OTHER = "other"


MAY_PASS = frozenset(
    {
        ConnectFailure.UNAVAILABLE,
        ConnectFailure.SILENT,
        ConnectFailure.STARTING,
        ConnectFailure.FULL,
        ConnectFailure.OTHER,
    }
)
"""Refusals after which a retry may succeed. OTHER is among them, because messages in other
languages are not recognised."""


class NotConnectedError(psycopg.OperationalError):
    """A failed connection. It replaces the error of the driver, whose text and fields may contain
    the password."""

    def __init__(self, reason: ConnectFailure) -> None:
        super().__init__(f"no connection: {reason}")
        self.reason = reason


# Messages of libpq and of most servers, in English; other cases are recognised by the state of
# libpq. The first match counts. If encryption is only preferred, libpq tries again without it, so a
# message about pg_hba.conf may be from that second attempt.
_MESSAGES = (
    (
        # Of libpq, of the driver, and of getaddrinfo(3) alone, which older drivers show.
        r"could not translate host name|failed to resolve host|Name or service not known"
        r"|No address associated with hostname|failure in name resolution",
        ConnectFailure.NO_NAME,
    ),
    (r"too many connections|too many clients|remaining connection slots", ConnectFailure.FULL),
    (
        r"the database system is (starting|shutting|in recovery)|not (yet )?accepting",
        ConnectFailure.STARTING,
    ),
    (r"session is (not )?read-only|server is (not )?in hot standby", ConnectFailure.NOT_PRIMARY),
    (r"database \"\" does not exist", ConnectFailure.NO_DATABASE),
    (r"role \"\" does not exist", ConnectFailure.NO_ROLE),
    (r"no password supplied", ConnectFailure.NO_PASSWORD),
    (r"(peer|ident) authentication failed", ConnectFailure.NOT_ALLOWED),
    (r"authentication failed", ConnectFailure.PASSWORD),
    (
        r"pg_hba\.conf|permission denied for database|not permitted to log in",
        ConnectFailure.NOT_ALLOWED,
    ),
    (
        r"(invalid|bad) .*(value|port number)|unrecognized configuration parameter"
        r"|definition of service",
        ConnectFailure.PARAMETER,
    ),
    # Before the messages about encryption, because these messages may also contain SSL.
    (
        r"closed the connection|closed unexpectedly|reset by peer|Broken pipe|EOF detected"
        r"|unexpected eof",
        ConnectFailure.UNAVAILABLE,
    ),
    (r"root certificate", ConnectFailure.NO_AUTHORITY),
    (r"certificate verify failed", ConnectFailure.UNTRUSTED),
    (r"certificate .*does not match host name", ConnectFailure.OTHER_HOST),
    (r"certificate|SSL|TLS", ConnectFailure.TLS),
    (r"timeout|timed out", ConnectFailure.SILENT),
    (r"refused|No such file|unreachable|No route", ConnectFailure.UNAVAILABLE),
)
# The name of a host, file, user or database, which could match any pattern.
_NAME = re.compile(r'"[^"]*"')


def why_refused(error: psycopg.Error) -> ConnectFailure:
    """Why the connection failed that raised this error of the driver."""
    text = _NAME.sub('""', str(error))
    for pattern, reason in _MESSAGES:
        if re.search(pattern, text, re.IGNORECASE):
            return reason
    state = error.pgconn
    if state is not None and state.needs_password:
        return ConnectFailure.NO_PASSWORD
    if state is not None and state.used_password:
        return ConnectFailure.PASSWORD
    return ConnectFailure.OTHER


_REFUSED = {
    ConnectFailure.UNAVAILABLE: (
        "The server of {} cannot be reached.",
        "Start the server, or correct the host and port in the store's URL, the network or the"
        " firewall.",
    ),
    ConnectFailure.SILENT: (
        "The server of {} does not answer.",
        "The server hangs, its host is down, or a firewall blocks it: check the server and its"
        " disk, or correct the host and port in the store's URL.",
    ),
    ConnectFailure.STARTING: (
        "The server of {} is starting or stopping, and accepts no connections now.",
        "Try again in a moment.",
    ),
    ConnectFailure.FULL: (
        "The server of {} has no free connections.",
        "Try again later, or increase max_connections or the role's connection limit.",
    ),
    ConnectFailure.NOT_PRIMARY: (
        "No server of {} has the role that target_session_attrs requires.",
        "Try again after the failover, or correct the hosts or the role in the store's URL.",
    ),
    ConnectFailure.NO_NAME: (
        "The host of {} has no address.",
        "Correct the host name in the store's URL, or check DNS.",
    ),
    ConnectFailure.PASSWORD: (
        "The server of {} refused the user or the password.",
        "Correct the user in the store's URL, or the password in PGPASSWORD or PGPASSFILE.",
    ),
    ConnectFailure.NO_PASSWORD: (
        "The server of {} requires a password, but none is set.",
        "Set the password in PGPASSWORD or PGPASSFILE.",
    ),
    ConnectFailure.NO_DATABASE: (
        "The database of {} does not exist.",
        "Create the database (CREATE DATABASE … ENCODING 'UTF8'), or correct its name in the"
        " store's URL.",
    ),
    ConnectFailure.NO_ROLE: (
        "The server of {} has no such user.",
        "Create the user (CREATE ROLE … LOGIN), or correct its name in the store's URL.",
    ),
    ConnectFailure.NOT_ALLOWED: (
        "The server of {} does not allow the database user to connect from the client's host.",
        "Check pg_hba.conf on the server, which may require encryption (sslmode in the store's"
        " URL), and grant CONNECT on the database.",
    ),
    ConnectFailure.NO_AUTHORITY: (
        "The server of {} cannot be verified: the certificate of its authority is missing or"
        " unreadable.",
        "Set sslrootcert in the store's URL, or PGSSLROOTCERT, to the file of the authority that"
        " signed the server's certificate.",
    ),
    ConnectFailure.UNTRUSTED: (
        "The certificate of the server of {} is not trusted.",
        "Set sslrootcert in the store's URL, or PGSSLROOTCERT, to the file of the authority that"
        " signed it, and check that it has not expired.",
    ),
    ConnectFailure.OTHER_HOST: (
        "The certificate of the server of {} is for another host.",
        "Specify the host in the store's URL as the certificate has it.",
    ),
    ConnectFailure.TLS: (
        "The encrypted connection to {} failed.",
        "Check sslmode and sslrootcert in the store's URL, and the server's certificate.",
    ),
    ConnectFailure.PARAMETER: (
        "The URL of {} has an invalid port, service or parameter.",
        "Correct the port (1 to 65535), the service or the parameter's value.",
    ),
    ConnectFailure.OTHER: (
        "The server of {} refused the connection.",
        "The server's log says why.",
    ),
}

_LOST = (
    "The connection to {} was lost.",
    "Try again when the server is available. The server's log says what happened.",
)

# By SQLSTATE, or its first two characters.
_ADVICE = {
    "25006": (
        "The store {} is read-only: the server is a standby, or the database is set read-only.",
        f"{UNDONE} Specify the primary server in the store's URL.",
    ),
    "42501": (
        "The database user does not have the required privileges in the store {}.",
        "Use the user that created the store. Creating a store requires the CREATE privilege on"
        " the database, or an empty schema `sendroute` that the user owns.",
    ),
    "53100": (
        "The disk of the store {} is full.",
        f"{UNDONE} Free some space on the server and try again.",
    ),
    "53200": (
        "The server of {} is out of memory.",
        f"{UNDONE} Give the server more memory, or try again later.",
    ),
    "53300": _REFUSED[ConnectFailure.FULL],
    "53": (
        "The server of {} has insufficient resources.",
        f"{UNDONE} The server's log says which resource is missing.",
    ),
    "57014": (
        "The server of {} cancelled the statement: on request, or after its statement_timeout.",
        f"{UNDONE} Try again; increase statement_timeout for large stores.",
    ),
    "40": (
        "Other processes kept changing the store {} at the same time.",
        f"{UNDONE} Try again.",
    ),
    "57": _LOST,
    "08": _LOST,
    "25P": (
        "The server of {} ended a transaction that was idle for too long.",
        f"{UNDONE} Try again.",
    ),
    "58": (
        "The disk of the store {} failed to read or write.",
        f"{UNDONE} Check the server's log and the disk, and try again.",
    ),
}


def no_privilege(location: str) -> ProblemError:
    return _advice(_ADVICE["42501"], location)


def translate(error: BaseException, location: str) -> ProblemError | None:
    """The finding for an error of the driver; None if it is unknown. ``location`` is shown."""
    if not isinstance(error, psycopg.Error):
        return None
    if isinstance(error, NotConnectedError):
        return _advice(_REFUSED[error.reason], location)
    state = error.sqlstate
    if state is None and isinstance(error, psycopg.DataError):
        return damaged(location)  # a value that Python cannot hold, such as the time `infinity`
    if state is None:
        # An error of the driver: a lost connection, or a wrong use of the driver, which is a bug.
        return _advice(_LOST, location) if isinstance(error, psycopg.OperationalError) else None
    if state == "55P03":
        return locked(location)
    if state in ("42P01", "42703", "3F000"):  # no such table, column or schema
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
