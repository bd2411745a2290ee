"""Which PostgreSQL server and database a store's URL names.

libpq itself reads the URL, so that its parameters, its variables (PGPASSWORD, PGPASSFILE,
PGSSLROOTCERT, …) and its service files mean what they mean elsewhere
(https://www.postgresql.org/docs/current/libpq-connect.html).
"""

import os
from urllib.parse import quote

import psycopg
from msgspec import Struct
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from sendroute.store.errors import problem

# What is not said otherwise: nobody waits for a quarter of an hour to hear that a host is gone.
# Seconds, but for tcp_user_timeout, which is in milliseconds.
_PATIENCE = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}


class Server(Struct, frozen=True):
    """``conninfo`` may hold a password, and is shown to nobody; ``location`` holds none."""

    conninfo: str
    location: str

    def __repr__(self) -> str:
        return f"Server({self.location!r})"


def server_of(url: str) -> Server:
    try:
        said = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except (psycopg.ProgrammingError, UnicodeError):
        # Neither the URL nor libpq's words about it are shown, nor kept as a cause: where it could
        # not be read, any part of it may be the password.
        raise _unreadable() from None
    if not _is_plain(url, said):
        raise _unreadable()
    defaults = {key: value for key, value in _PATIENCE.items() if key not in said}
    if "PGCONNECT_TIMEOUT" in os.environ:
        defaults.pop("connect_timeout", None)
    if "PGAPPNAME" not in os.environ:
        defaults.setdefault("application_name", said.get("application_name", "sendroute"))
    conninfo = make_conninfo(url, **defaults, client_encoding="utf8")
    return Server(conninfo, _location(said))


def _is_plain(url: str, said: dict[str, str]) -> bool:
    """Whether no part of a password can have been taken for a host, a port or a database, as that
    of ``u:a@b@host`` or ``u:1/2@host/db`` would be."""
    authority, _, path = url.partition("://")[2].partition("?")[0].partition("/")
    ports = said.get("port", "").split(",")
    return (
        "\0" not in url
        and not any("\0" in value for value in said.values())
        and authority.count("@") <= 1
        and "@" not in path
        and all(port == "" or (port.isascii() and port.isdecimal()) for port in ports)
    )


def _unreadable() -> Exception:
    return problem(
        "invalid-value",
        "The store's URL cannot be read as one of PostgreSQL.",
        "Write postgresql://USER@HOST:PORT/DATABASE, with %40 for an @ in a name or password,"
        " %2F for a / and %25 for a %; or give the password by PGPASSWORD or a password file.",
    )


def _location(said: dict[str, str]) -> str:
    """Host, port and database; the service's name where that says the rest."""
    if "service" in said:
        return _shown(f"postgresql:///?service={quote(said['service'])}")
    defaults = {
        option.keyword.decode(): option.val.decode(errors="replace")
        for option in Conninfo.get_defaults()
        if option.val is not None and option.keyword != b"password"
    }
    told = defaults | said
    user = told.get("user", "")
    database = quote(told.get("dbname") or user)
    hosts = (told.get("host") or told.get("hostaddr") or "").split(",")
    ports = (told.get("port") or "5432").split(",")
    if hosts[0].startswith("/") or hosts == [""]:
        folder = f"host={quote(hosts[0])}&" if hosts[0] else ""
        return _shown(f"postgresql:///{database}?{folder}port={quote(ports[0])}")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    pairs = (f"{_told_host(host)}:{quote(port)}" for host, port in zip(hosts, ports, strict=False))
    return _shown(f"postgresql://{','.join(pairs)}/{database}")


def _told_host(host: str) -> str:
    """In brackets where it is an address of IPv6 (RFC 3986, section 3.2.2)."""
    return f"[{quote(host, safe=':')}]" if ":" in host else quote(host)


def _shown(location: str) -> str:
    return location if location.isprintable() else ascii(location)[1:-1]
