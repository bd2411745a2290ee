"""The cache of compiled files of a git repository, by git's object ids, so that unchanged files are
not read again.

It serves only files that git reports as unmodified. An entry depends on the bytes of its file, on
this program and on its libraries, and all of these are in the key. A cache that is missing, belongs
to another user, is damaged or cannot be written is no error, but makes the run slower. It contains
no secrets, because manifests contain none. Still, only its user can read it.
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

from sendroute.git.failures import GitFailedError
from sendroute.git.repository import Repository, open_repository
from sendroute.git.worktree import UnchangedFiles
from sendroute.manifests.content import FileContent
from sendroute.manifests.sources import SourceEntry
from sendroute.model.version import __version__

WORTHWHILE = 500  # files, below which asking git costs more than reading
# The cache is rewritten if more than one in so many files is missing or outdated: reading a few
# files again costs less than writing a hundred thousand.
STALE = 20
LARGEST = 256 * 1024 * 1024  # bytes of one repository's cache: for about two million domains
REPOSITORIES = 20  # only the latest caches are kept, because repositories get deleted

_DIGEST_SIZE = 32  # bytes
_PREFIX = "manifests-"  # files with other names are not ours to delete
# The file is missing or unreadable; or the code of this program, or the version of a library, is
# unavailable, for example in an archive.
_NONE = (OSError, ImportError)

_Contents = dict[str, FileContent]  # by blob
_decoder = msgspec.msgpack.Decoder(_Contents)


class GitCache:
    """The cache of one repository. It is used only if all of ``paths`` are directories in it.

    git is started at once, and runs while the tree is listed.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = sorted(set(paths))
        self._blobs: list[str | None] = []
        self._old: _Contents = {}
        self._learned: _Contents = {}
        self._file: str | None = None
        self._unchanged: UnchangedFiles | None = None
        all_directories = all(os.path.isdir(path) for path in self._paths)
        repository = _common_repository(self._paths) if all_directories else None
        if repository is not None:
            self._unchanged = UnchangedFiles(repository)

    def known(self, entries: list[SourceEntry]) -> list[FileContent | None]:
        unchanged, self._unchanged = self._unchanged, None
        clean = unchanged.blobs() if unchanged is not None else {}
        if unchanged is None or len(entries) < WORTHWHILE or not clean:
            return [None] * len(entries)
        self._file = _cache_file(unchanged.top)
        self._old = old = _load(self._file)
        self._blobs = self._blobs_of(entries, unchanged.top, clean)
        return [None if blob is None else old.get(blob) for blob in self._blobs]

    def learn(self, number: int, content: FileContent) -> None:
        blob = self._blobs[number] if self._blobs else None
        if blob is not None:
            self._learned[blob] = content

    def save(self) -> None:
        if self._file is None:
            return
        learned, old = self._learned, self._old
        removed = len(old) - len(old.keys() & set(self._blobs))
        if (len(learned) + removed) * STALE > len(learned) + len(old) - removed:
            # In the order of the files, as they are read; two files may have the same content.
            current = old | learned
            _save(self._file, {blob: current[blob] for blob in self._blobs if blob in current})

    def _blobs_of(
        self, entries: list[SourceEntry], top: str, clean: dict[str, str]
    ) -> list[str | None]:
        """The blob of each entry that is a regular file of the repository. The target of a link
        counts only under its own path."""
        blobs: list[str | None] = [None] * len(entries)
        for given, within in [_mapped(path, top) for path in self._paths]:
            skip = len(given)
            in_directory = [
                clean.get(within + path[skip:]) if path.startswith(given) else None
                for _, path, *_ in entries
            ]
            blobs = [known or new for known, new in zip(blobs, in_directory, strict=True)]
        return blobs


def _common_repository(paths: Sequence[str]) -> Repository | None:
    """The repository that all paths are in; None if there is none that git accepts."""
    try:
        repositories = {open_repository(path) for path in paths}
    except GitFailedError:
        return None
    return repositories.pop() if len(repositories) == 1 else None


def _mapped(path: str, top: str) -> tuple[str, str]:
    """The prefix of the paths in a given directory, and the prefix of git's paths for them."""
    given = os.path.normpath(path)
    within = os.path.relpath(os.path.realpath(path), top)
    return (
        "" if given == "." else f"{given.rstrip('/')}/",
        "" if within == "." else f"{within}/",
    )


@cache  # needed to read the old cache and to write the new one
def _reader() -> str:
    """A digest of what determines how bytes are compiled: this code and its libraries."""
    from importlib.metadata import version

    versions = f"{__version__} {msgspec.__version__} {version('ryaml')} {sys.version}"
    digest = blake2b(versions.encode(), digest_size=16)
    here = os.path.dirname(__file__)
    for directory in (here, os.path.join(here, "..", "model")):
        for name in sorted(os.listdir(directory)):
            if name.endswith(".py"):
                with open(os.path.join(directory, name), "rb") as file:
                    digest.update(file.read())
    return digest.hexdigest()


def _digest(payload: bytes) -> bytes:
    """A digest that only the same program computes. It detects a file that is damaged, truncated
    or written by another version."""
    return blake2b(payload, key=_reader().encode(), digest_size=_DIGEST_SIZE).digest()


def _cache_file(top: str) -> str:
    """One file per repository, in the user's cache directory (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.cache")
    name = blake2b(os.fsencode(top), digest_size=16).hexdigest()
    return os.path.join(base, "sendroute", f"{_PREFIX}{name}.msgpack")


def _load(path: str) -> _Contents:
    try:
        data = _private_bytes(path)
        payload = data[_DIGEST_SIZE:]
        return _decoder.decode(payload) if data[:_DIGEST_SIZE] == _digest(payload) else {}
    except _NONE:
        return {}


def _private_bytes(path: str) -> bytes:
    """The bytes of a file that only this user can have written; empty for any other file. A
    variable sets the cache directory, which may be anywhere."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        is_private = status.st_uid == os.geteuid() and not status.st_mode & (
            stat.S_IWGRP | stat.S_IWOTH
        )
        if not (is_private and stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST):
            return b""
        return file.read()


def _save(path: str, contents: _Contents) -> None:
    """Write atomically: another run reads the old file or the new one."""
    payload = msgspec.msgpack.encode(contents)
    if _DIGEST_SIZE + len(payload) > LARGEST:
        return
    directory = os.path.dirname(path)
    written = None
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        descriptor, written = mkstemp(prefix=_PREFIX, dir=directory)  # mode 0600
        with open(descriptor, "wb") as file:
            file.write(_digest(payload))
            file.write(payload)
        os.replace(written, path)
        _delete_all_but_the_latest(directory)
    except _NONE:
        if written is not None:
            with suppress(OSError):
                os.unlink(written)


def _delete_all_but_the_latest(directory: str) -> None:
    """This also deletes what a killed run left half written."""
    with os.scandir(directory) as listing:
        files = [
            (entry.stat(follow_symlinks=False).st_mtime, entry.path)
            for entry in listing
            if entry.name.startswith(_PREFIX)
        ]
    for _, path in sorted(files, reverse=True)[REPOSITORIES:]:
        os.unlink(path)
