"""Parses the URL of a PostgreSQL store.

libpq parses the URL, so that its parameters, environment variables (PGPASSWORD, PGPASSFILE,
PGSSLROOTCERT, …) and service files work as in other programs
(https://www.postgresql.org/docs/current/libpq-connect.html).
"""

import os
import re
from urllib.parse import quote

import psycopg
from msgspec import Struct
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from sendroute.model.unseen import is_seen
from sendroute.store.errors import invalid_url

# Defaults, so that no command waits a quarter of an hour for a host that is down. In seconds;
# tcp_user_timeout is in milliseconds.
_TIMEOUTS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}


# What a message shows. `@` may only begin the name of an abstract socket, and libpq itself reads a
# name with `=` or `://` as a connection string.
_SHOWN = ("host", "hostaddr", "dbname", "service")
_ODD = re.compile(r"(?<!^)(?<!,)@|=|://")


class Server(Struct, frozen=True):
    """``conninfo`` may contain a password and is never shown; ``location`` contains none."""

    conninfo: str
    location: str

    def __repr__(self) -> str:
        return f"Server({self.location!r})"


def server_of(url: str) -> Server:
    """The server of a store's URL.

    Raises :class:`~sendroute.model.problem.ProblemError` (``invalid-value``) if the URL is invalid.
    """
    try:
        parameters = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except (psycopg.ProgrammingError, UnicodeError):
        # Neither the URL nor libpq's message is shown, nor kept as a cause, because any part of an
        # invalid URL may be the password.
        raise _unreadable() from None
    if not _is_plain(url, parameters):
        raise _unreadable()
    defaults = {key: value for key, value in _TIMEOUTS.items() if key not in parameters}
    if "PGCONNECT_TIMEOUT" in os.environ:
        defaults.pop("connect_timeout", None)
    if "PGAPPNAME" not in os.environ:
        defaults.setdefault("application_name", parameters.get("application_name", "sendroute"))
    conninfo = make_conninfo(url, **defaults, client_encoding="utf8")
    return Server(conninfo, _location(parameters))


def _is_plain(url: str, parameters: dict[str, str]) -> bool:
    """Whether no part of a password can be parsed as a host, port, database or another name that
    is shown, as in ``u:a@b@host``, ``u:1/2@host/db`` or ``host/db;password=x``."""
    authority, _, path = url.partition("://")[2].partition("?")[0].partition("/")
    ports = parameters.get("port", "").split(",")
    return (
        "\0" not in url
        and not any("\0" in value for value in parameters.values())
        and authority.count("@") <= 1
        and "@" not in path
        and all(port == "" or (port.isascii() and port.isdecimal()) for port in ports)
        and not any(_ODD.search(parameters.get(name, "")) for name in _SHOWN)
        and not (":" in parameters.get("user", "") and "dbname" not in parameters)
    )


def _unreadable() -> Exception:
    return invalid_url(
        "The store's URL is not a valid PostgreSQL URL.",
        "Write postgresql://USER@HOST:PORT/DATABASE, with %40 for an @ in a name or password,"
        " %2F for a / and %25 for a %; or set the password in PGPASSWORD or a password file.",
    )


def _location(parameters: dict[str, str]) -> str:
    """Host, its address if one is set, port and database, or the name of the service. Variables and
    PGSERVICE say what the URL does not."""
    if "service" in parameters:
        names = ("service", "host", "hostaddr", "port", "dbname")  # libpq takes the URL first
        parts = [f"{key}={quote(parameters[key], ':,/')}" for key in names if key in parameters]
        return _shown(f"postgresql:///?{'&'.join(parts)}")
    defaults = {
        option.keyword.decode(): option.val.decode(errors="replace")
        for option in Conninfo.get_defaults()
        if option.val is not None and option.keyword != b"password"
    }
    options = defaults | parameters
    user = options.get("user", "")
    database = quote(options.get("dbname") or user)
    address = options.get("hostaddr", "")  # is asked in place of the host, or of a socket
    host = options.get("host", "")
    if not host or (address and host.startswith("/")):
        host, address = address, ""
    hosts = host.split(",")
    ports = [port or "5432" for port in options.get("port", "").split(",")]
    if hosts[0].startswith("/") or hosts == [""]:
        socket = f"host={quote(hosts[0])}&" if hosts[0] else ""
        return _shown(f"postgresql:///{database}?{socket}port={quote(ports[0])}")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    pairs = (f"{_shown_host(host)}:{quote(port)}" for host, port in zip(hosts, ports, strict=False))
    query = f"?hostaddr={quote(address, safe=':,')}" if address else ""
    return _shown(f"postgresql://{','.join(pairs)}/{database}{query}")


def _shown_host(host: str) -> str:
    """The host, in brackets if it is an IPv6 address (RFC 3986, section 3.2.2)."""
    return f"[{quote(host, safe=':')}]" if ":" in host else quote(host)


def _shown(location: str) -> str:
    return location if is_seen(location) else ascii(location)[1:-1]
