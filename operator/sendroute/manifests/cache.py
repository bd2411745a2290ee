"""What earlier runs made of a repository's files, by git's own names of contents, so as not to read
and compile them again.

Only for files of which git says that they are as committed. What is kept of one follows from its
bytes and from this program with its libraries, and so from nothing that is not in the key. Never
an error: a cache that is not there, not ours, broken, or cannot be written is a slower run. Nothing
secret is in it, for manifests hold none; it is the user's alone all the same.
"""

# Not pathlib: its import alone costs what reading hundreds of files does.
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from tempfile import mkstemp

import msgspec

from sendroute import __version__
from sendroute.git.worktree import UnchangedFiles, toplevel
from sendroute.manifests.content import Content
from sendroute.manifests.sources import Entry

WORTHWHILE = 500  # files, below which asking git costs more than reading
# Written anew where more than one in so many files is not in it as it should be: to read a few
# files again costs less than to write down a hundred thousand.
STALE = 20
LARGEST = 256 * 1024 * 1024  # bytes of one repository's cache: of some two million domains
REPOSITORIES = 20  # the caches that were written last are kept, for a repository may be gone

_SEAL = 32  # bytes
_PREFIX = "manifests-"  # what is called otherwise is not ours to forget
# No such file, or not for us; and this program's code or a library's version cannot be told, as
# in an archive.
_NONE = (OSError, ImportError)

_Contents = dict[str, Content]  # by blob
_decoder = msgspec.msgpack.Decoder(_Contents)


class GitCache:
    """The cache of the one repository that all of ``paths`` are folders of.

    Git is asked at once, and answers while the tree is listed.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = sorted(set(paths))
        self._blobs: list[str | None] = []
        self._old: _Contents = {}
        self._learned: _Contents = {}
        self._file: str | None = None
        self._asked: UnchangedFiles | None = None
        folders = all(os.path.isdir(path) for path in self._paths)
        tops = {toplevel(path) for path in self._paths} if folders else set()
        top = tops.pop() if len(tops) == 1 else None
        if top is not None:
            self._asked = UnchangedFiles(top)

    def known(self, entries: list[Entry]) -> list[Content | None]:
        asked, self._asked = self._asked, None
        clean = asked.blobs() if asked is not None else {}
        if asked is None or len(entries) < WORTHWHILE or not clean:
            return [None] * len(entries)
        self._file = _place(asked.top)
        self._old = old = _load(self._file)
        self._blobs = self._blobs_of(entries, asked.top, clean)
        return [None if blob is None else old.get(blob) for blob in self._blobs]

    def learn(self, number: int, content: Content) -> None:
        blob = self._blobs[number] if self._blobs else None
        if blob is not None:
            self._learned[blob] = content

    def save(self) -> None:
        if self._file is None:
            return
        learned, old = self._learned, self._old
        forgotten = len(old) - len(old.keys() & set(self._blobs))
        if (len(learned) + forgotten) * STALE > len(learned) + len(old) - forgotten:
            # In the files' order, for so they are read again; a file may stand there repeatedly.
            current = old | learned
            _save(self._file, {blob: current[blob] for blob in self._blobs if blob in current})

    def _blobs_of(self, entries: list[Entry], top: str, clean: dict[str, str]) -> list[str | None]:
        """The blob of each entry that is a plain file of the repository. What a link led to is
        not found here, or found as the file that it is."""
        blobs: list[str | None] = [None] * len(entries)
        for given, within in [_mapped(path, top) for path in self._paths]:
            skip = len(given)
            found = [
                clean.get(within + path[skip:]) if path.startswith(given) else None
                for _, path, _, _ in entries
            ]
            blobs = [one or other for one, other in zip(blobs, found, strict=True)]
        return blobs


def _mapped(path: str, top: str) -> tuple[str, str]:
    """How the names of a given folder's files begin, and how git's names for them do."""
    given = os.path.normpath(path)
    within = os.path.relpath(os.path.realpath(path), top)
    return (
        "" if given == "." else f"{given.rstrip('/')}/",
        "" if within == "." else f"{within}/",
    )


@cache  # asked where the old is read and where the new is written
def _reader() -> str:
    """A digest of all that decides what a file's bytes become: this code and its libraries."""
    from importlib.metadata import version

    told = f"{__version__} {msgspec.__version__} {version('ryaml')} {sys.version}"
    digest = blake2b(told.encode(), digest_size=16)
    here = os.path.dirname(__file__)
    for folder in (here, os.path.join(here, "..", "model")):
        for name in sorted(os.listdir(folder)):
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb") as file:
                    digest.update(file.read())
    return digest.hexdigest()


def _seal(payload: bytes) -> bytes:
    """A digest that only the same program makes: by it is told what was damaged, cut off or
    written by another."""
    return blake2b(payload, key=_reader().encode(), digest_size=_SEAL).digest()


def _place(top: str) -> str:
    """One file a repository, in the user's cache folder (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.cache")
    name = blake2b(os.fsencode(top), digest_size=16).hexdigest()
    return os.path.join(base, "sendroute", f"{_PREFIX}{name}.msgpack")


def _load(path: str) -> _Contents:
    try:
        data = _own_bytes(path)
        payload = data[_SEAL:]
        return _decoder.decode(payload) if data[:_SEAL] == _seal(payload) else {}
    except _NONE:
        return {}


def _own_bytes(path: str) -> bytes:
    """Those of a file that nobody else can have written; none of any other. The cache's folder is
    where a variable says, which may be anywhere."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        ours = status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not (ours and stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST):
            return b""
        return file.read()


def _save(path: str, contents: _Contents) -> None:
    """Whole or not at all: another run reads the old file or the new one."""
    payload = msgspec.msgpack.encode(contents)
    if _SEAL + len(payload) > LARGEST:
        return
    folder = os.path.dirname(path)
    written = None
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        descriptor, written = mkstemp(prefix=_PREFIX, dir=folder)  # mode 0600
        with open(descriptor, "wb") as file:
            file.write(_seal(payload))
            file.write(payload)
        os.replace(written, path)
        _forget_all_but_the_latest(folder)
    except _NONE:
        if written is not None:
            with suppress(OSError):
                os.unlink(written)


def _forget_all_but_the_latest(folder: str) -> None:
    """What a killed run left half written goes the same way."""
    with os.scandir(folder) as listing:
        files = [
            (each.stat(follow_symlinks=False).st_mtime, each.path)
            for each in listing
            if each.name.startswith(_PREFIX)
        ]
    for _, path in sorted(files, reverse=True)[REPOSITORIES:]:
        os.unlink(path)
