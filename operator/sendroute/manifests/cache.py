"""What earlier runs read of a repository, by git's own names of contents, so as not to read again.

Only for files of which git says that they are as committed. Never an error: a cache that is not
there, broken, or cannot be written is a slower run. Nothing secret is in it, for manifests hold
none; it is the user's alone all the same.
"""

# Not pathlib: its import alone costs what reading hundreds of files does.
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from tempfile import mkstemp

import msgspec

from sendroute.manifests import git
from sendroute.manifests.fast import Parsed
from sendroute.manifests.sources import Entry

WORTHWHILE = 500  # files, below which asking git costs more than reading
# Written anew where more than one in so many files is not in it as it should be: to read a few
# files again costs less than to write down a hundred thousand.
STALE = 20
# Files that git changes on their way out of the repository are not in it as they are on the disk
# (gitattributes(5)); line endings alone make no difference to YAML.
_AS_IT_IS = ":(top,attr:!filter !ident !working-tree-encoding)"


# A repository may be set to look less closely, for speed or for odd file systems (git-config(1)).
_LOOKING_CLOSELY = (
    *("-c", "core.checkStat=default"),
    *("-c", "core.trustctime=true"),
    *("-c", "core.fsmonitor=false"),
)


class _Content(msgspec.Struct):
    reader: str
    parsed: dict[str, Parsed]


_decoder = msgspec.msgpack.Decoder(_Content)


class GitCache:
    """The cache of the one repository that all of ``paths`` are folders of.

    Git is asked at once, and answers while the tree is listed.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = sorted(set(paths))
        self._clean: dict[str, str] = {}
        self._old: dict[str, Parsed] = {}
        self._new: dict[str, Parsed] = {}
        self._learned = 0
        self._file: str | None = None
        self._asked: _Asked | None = None
        folders = all(os.path.isdir(path) for path in self._paths)
        tops = {git.toplevel(path) for path in self._paths} if folders else set()
        top = tops.pop() if len(tops) == 1 else None
        if top is not None:
            self._asked = _Asked(top)

    def known(self, entries: list[Entry]) -> dict[str, Parsed]:
        if self._asked is None:
            return {}
        top, clean = self._asked.top, self._asked.clean()
        self._asked = None
        if len(entries) < WORTHWHILE or not clean:
            return {}
        self._file = _place(top)
        self._old = _load(self._file)
        self._clean = self._blobs(entries, top, clean)
        known = {}
        for name, blob in self._clean.items():
            parsed = self._old.get(blob)
            if parsed is not None:
                known[name] = self._new[blob] = parsed
        return known

    def learn(self, entry: Entry, parsed: Parsed) -> None:
        blob = self._clean.get(entry.name)
        if blob is not None:
            self._new[blob] = parsed
            self._learned += 1

    def save(self) -> None:
        forgotten = len(self._old) - (len(self._new) - self._learned)
        if self._file and (self._learned + forgotten) * STALE > len(self._new):
            _save(self._file, self._new)

    def _blobs(self, entries: list[Entry], top: str, clean: dict[str, str]) -> dict[str, str]:
        """The blob of each entry that is a plain file of the repository, by its name. What a
        link led to is not found here, or found as the file that it is."""
        blobs = {}
        inside = [_mapped(path, top) for path in self._paths]
        for given, within in inside:
            skip = len(given)
            for name, path, *_ in entries:
                if path.startswith(given) and (blob := clean.get(within + path[skip:])):
                    blobs[name] = blob
        return blobs


def _mapped(path: str, top: str) -> tuple[str, str]:
    """How the names of a given folder's files begin, and how git's names for them do."""
    given = os.path.normpath(path)
    within = os.path.relpath(os.path.realpath(path), top)
    return (
        "" if given == "." else f"{given.rstrip('/')}/",
        "" if within == "." else f"{within}/",
    )


class _Asked:
    """Git's answers about a working tree, under way."""

    def __init__(self, top: str) -> None:
        self.top = top
        self._listing = git.start(["ls-files", "-s", "-v", "-z", "--", _AS_IT_IS], top)
        differing = ["diff-files", "--name-only", "--ignore-submodules", "-z"]
        self._changed = git.start([*_LOOKING_CLOSELY, *differing], top)

    def clean(self) -> dict[str, str]:
        """The blobs of plain files that are as in the index, byte for byte, by path. A tag other
        than H tells of files that git does not look at (git-ls-files(1), -v)."""
        with self._changed as changed, self._listing as listing:
            listed, _ = listing.communicate()
            dirty, _ = changed.communicate()
        if listing.returncode or changed.returncode:
            return {}
        blobs = {}
        for line in os.fsdecode(listed).split("\0"):
            if line.startswith("H 100"):  # a mode of 100644 or 100755: no link, no submodule
                facts, _, path = line.partition("\t")
                _, _, blob, stage = facts.split(" ")
                if stage == "0":
                    blobs[path] = blob
        for path in os.fsdecode(dirty).split("\0"):
            blobs.pop(path, None)
        return blobs


def _reader() -> str:
    """A digest of all that decides what a file's bytes become: this code and its libraries."""
    digest = blake2b(f"{msgspec.__version__} {sys.version}".encode(), digest_size=16)
    here = os.path.dirname(__file__)
    for folder in (here, os.path.join(here, "..", "model")):
        for name in sorted(os.listdir(folder)):
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb") as file:
                    digest.update(file.read())
    return digest.hexdigest()


def _place(top: str) -> str:
    """One file a repository, in the user's cache folder (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.cache")
    name = blake2b(os.fsencode(top), digest_size=16).hexdigest()
    return os.path.join(base, "sendroute", f"manifests-{name}.msgpack")


def _load(path: str) -> dict[str, Parsed]:
    try:
        with open(path, "rb") as file:
            content = _decoder.decode(file.read())
        return content.parsed if content.reader == _reader() else {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _save(path: str, parsed: dict[str, Parsed]) -> None:
    """Whole or not at all: another run reads the old file or the new one."""
    written = None
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor, written = mkstemp(dir=os.path.dirname(path))  # mode 0600
        with open(descriptor, "wb") as file:
            file.write(msgspec.msgpack.encode(_Content(_reader(), parsed)))
        os.replace(written, path)
    except OSError:
        if written is not None:
            with suppress(OSError):
                os.unlink(written)
