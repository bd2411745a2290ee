"""Parses a store's URL, and checks a SQLite file before it is opened."""

import os
import re
from pathlib import Path

from sendroute.files.reason import reason_of
from sendroute.files.regular import regular
from sendroute.model.problem import ProblemError
from sendroute.store.errors import invalid_url, missing, not_ours, problem

# "SRte": SQLite stores it at byte 68 of the file, https://www.sqlite.org/fileformat.html#the_database_header
APPLICATION_ID = 0x53527465

BUSY_TIMEOUT = 30.0
"""Seconds to wait for another writer of a store."""

# A journal that refers to a super-journal ends with the length of its name (4 bytes), a checksum (4
# bytes) and this.
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_LENGTH, _END = 4, 16

_SCHEME = "sqlite:///"
_SERVERS = ("postgresql", "postgres")
_WELL_KNOWN = frozenset(
    {"mariadb", "mysql", "postgres", "postgresql", "postgresql+psycopg", "sqlite3"}
)
# USER:PASSWORD@ anywhere, and password=… in any spelling that programs use.
_PASSWORD = re.compile(r":.*@|(?i:pass(word|wd|phrase)?|pwd|secret|token)\s*=")
_HINT = "Use sqlite:///./FILE, sqlite:////ABSOLUTE/FILE or postgresql://USER@HOST:PORT/DATABASE."


def is_postgres(url: str) -> bool:
    """Whether the URL is one of PostgreSQL; if not, it should be one of SQLite.

    Args:
        url: the URL of a store, valid or not.

    Returns:
        True for ``postgres://`` and ``postgresql://``, whatever follows.
    """
    scheme, colon, _ = url.partition("://")
    return bool(colon) and scheme in _SERVERS


def sqlite_path(url: str) -> Path:
    """Get the path of the SQLite file in a store's URL.

    The path follows ``sqlite:///`` without any escapes: ``sqlite:///x.db`` and
    ``sqlite:///./x.db`` are relative, ``sqlite:////srv/x.db`` is absolute.

    Nothing of a URL that is not understood is shown, except a well-known scheme: any part of it
    may be a password. For the same reason a path that looks like a user with a password, or like a
    parameter with one, is refused before any message can show it.

    Args:
        url: the URL of the store.

    Returns:
        The absolute path; the file need not exist.

    Raises:
        InvalidSettingError: the URL has another scheme or no path, or seems to contain a password
            (``invalid-value``).
    """
    scheme, colon, _ = url.partition(":")
    if not colon or scheme != "sqlite":
        shown = f" {scheme!r}" if colon and scheme in _WELL_KNOWN else ""
        raise invalid_url(f"The scheme{shown} of the store's URL is unknown.", _HINT)
    path = url.removeprefix(_SCHEME)
    if path == url or not path or path == ":memory:" or not _is_path(path):
        raise invalid_url("The store's URL has no path of a file.", _HINT)
    if _PASSWORD.search(path):
        raise invalid_url(
            "The store's URL is one of SQLite, but seems to contain a password.",
            f"A SQLite store is a file, without a user and a password. {_HINT}",
        )
    if path.startswith("//"):  # POSIX leaves open what two slashes mean, and pathlib keeps them
        path = f"/{path.lstrip('/')}"
    return Path(path).absolute()


def _is_path(text: str) -> bool:
    """Whether the operating system can have such a path: no NUL, and no half of a surrogate pair
    but those that stand for bytes that are not UTF-8 (PEP 383)."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def check_file(path: Path) -> None:
    """Check that a file is a Sendroute store by its first 100 bytes.

    SQLite is not used, because opening a database may change it (a remaining journal is rolled
    back). Raises :class:`~sendroute.model.problem.ProblemError`: ``not-initialised`` if there is no
    file, ``wrong-store`` if it is another file, ``store-failed`` if it cannot be read, or if
    opening it would delete another file.
    """
    try:
        if not path.is_file() and path.exists():  # reading a pipe would block
            raise not_ours(str(path))
        with open(path, "rb", opener=regular) as file:
            header = file.read(100)
        names_another = _names_another_file(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise missing(str(path)) from error
    except OSError as error:
        raise unusable(path, error) from error
    is_marked = header[68:72] == APPLICATION_ID.to_bytes(4, "big")
    if not (header.startswith(b"SQLite format 3\0") and is_marked):
        raise not_ours(str(path))
    if names_another:
        raise problem(
            "store-failed",
            f"The journal beside {path} refers to another file, which SQLite would delete.",
            "Sendroute writes no such journal. Ask where the file comes from, and use a copy"
            " without the journal.",
        )


def _names_another_file(path: Path) -> bool:
    """Whether a rollback journal beside a database ends with the name of a super-journal, as after
    a transaction over several databases, which Sendroute never has. SQLite deletes the file of that
    name when it rolls back, whatever it is (https://www.sqlite.org/atomiccommit.html, section 5.5).
    Raises OSError if the journal cannot be read."""
    try:
        with open(os.path.realpath(path) + "-journal", "rb", opener=regular) as journal:
            size = journal.seek(0, os.SEEK_END)
            journal.seek(max(0, size - _END))
            end = journal.read()
    except FileNotFoundError:
        return False
    length = int.from_bytes(end[:_LENGTH], "big")
    return end.endswith(_JOURNAL_MAGIC) and 0 < length <= size - _END


def unwritable(subject: str, path: Path, error: OSError) -> ProblemError:
    """The error for a file, other than a store, that cannot be written."""
    return problem(
        "unwritable",
        f"{subject} {path} cannot be written: {reason_of(error)}.",
        "Specify a file in a directory that exists and is writable, on a disk with free space.",
    )


def unusable(path: Path, error: OSError) -> ProblemError:
    """The error for a file or directory that cannot be used, with the system's reason."""
    reason = reason_of(error)
    return problem(
        "store-failed",
        f"The store {path} cannot be used: {reason}.",
        "Check the space on the disk, and the permissions of the user that runs sendroute for the"
        " file and its directory.",
    )
