"""Where a store is: the URL, read, and the SQLite file behind it, looked at before it is opened."""

import errno
from pathlib import Path

from sendroute.model.problem import ProblemError
from sendroute.store.errors import missing, not_ours, problem

# "SRte": SQLite keeps it at byte 68 of the file, https://www.sqlite.org/fileformat.html#the_database_header
APPLICATION_ID = 0x53527465

_SCHEME = "sqlite:///"
_SERVERS = ("postgresql", "postgres")
_HINT = (
    "A store is named sqlite:///./FILE or sqlite:////ABSOLUTE/FILE,"
    " or postgresql://USER@HOST:PORT/DATABASE."
)


def is_postgres(url: str) -> bool:
    scheme, colon, _ = url.partition("://")
    return bool(colon) and scheme in _SERVERS


def sqlite_path(url: str) -> Path:
    """The file that a store's URL names, as an absolute path.

    What follows ``sqlite:///`` is the path as it is, nothing in it is special: ``sqlite:///x.db``
    and ``sqlite:///./x.db`` are relative, ``sqlite:////srv/x.db`` is absolute.
    """
    scheme, colon, _ = url.partition(":")
    if not colon or scheme != "sqlite":
        # The rest of the URL is not shown: it may hold a password.
        told = f"of the scheme {scheme[:32]!r}" if colon and scheme.isprintable() else "like this"
        raise problem(
            "invalid-value",
            f"No store {told} is known.",
            _HINT,
        )
    path = url.removeprefix(_SCHEME)
    if path == url or not path or path == ":memory:" or "\0" in path:
        raise problem(
            "invalid-value",
            f"The store's URL {url!r} names no file.",
            _HINT,
        )
    return Path(path).absolute()


def check_file(path: Path) -> None:
    """Refuses what is not a store of ours by reading its first 100 bytes: to let SQLite open a
    stranger's database might already change it (a left-over journal is rolled back)."""
    try:
        if not path.is_file() and path.exists():  # a pipe would be waited for
            raise not_ours(str(path))
        with path.open("rb") as file:
            header = file.read(100)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise missing(str(path)) from error
    except OSError as error:
        raise unusable(path, error) from error
    ours = header[68:72] == APPLICATION_ID.to_bytes(4, "big")
    if not (header.startswith(b"SQLite format 3\0") and ours):
        raise not_ours(str(path))


def unusable(path: Path, error: OSError) -> ProblemError:
    """A file or folder that the system does not let us use, in the system's own short words."""
    told = error.strerror or errno.errorcode.get(error.errno or 0, "failed")
    return problem(
        "store-failed",
        f"{path} cannot be used: {told}.",
        "Give this user the right to the file and its folder, and room on its disk.",
    )
