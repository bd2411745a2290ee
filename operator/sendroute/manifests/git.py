"""What git knows: the tree of a revision, and which files of a working tree are as committed."""

import os
import posixpath
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from threading import Thread
from typing import IO, NoReturn

from sendroute.manifests.sources import (
    ENDINGS,
    MAX_BYTES,
    STDIN,
    Entry,
    display,
    too_large,
    unreadable,
)
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError

_LINK = "120000"  # the mode of a link (git-fast-import(1))
_MAX_LINKS = 40  # as Linux follows them (path_resolution(7))


def start(arguments: Sequence[str], folder: str = ".") -> subprocess.Popen[bytes]:
    """A git command that only reads, and takes no lock for it. ``OSError`` without a git."""
    return subprocess.Popen(
        ["git", "--no-optional-locks", "-C", folder, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def output(arguments: Sequence[str], folder: str = ".") -> bytes | None:
    """What it prints, or None where it fails."""
    try:
        with start(arguments, folder) as process:
            printed, _ = process.communicate()
    except OSError:
        return None
    return printed if process.returncode == 0 else None


def toplevel(folder: str) -> str | None:
    """The root of the working tree that a folder is in."""
    printed = output(["rev-parse", "--show-toplevel"], folder)
    return os.fsdecode(printed.removesuffix(b"\n")) if printed else None


def git_tree(revision: str, paths: Sequence[str]) -> "Revision":
    """What ``paths`` were in a revision, as a tree to read."""
    return Revision(revision, paths)


class Revision:
    """The manifests under ``paths`` as they are in a revision; no working tree is touched.

    Paths mean what they mean to :class:`~sendroute.manifests.sources.Files`; ones that the
    revision does not have are passed over, for what is new is in no older tree. Raises
    ``ProblemError`` where there is no such revision, or no repository.
    """

    def __init__(self, revision: str, paths: Sequence[str]) -> None:
        self._revision = revision
        self._paths = sorted(set(paths) - {STDIN})
        folder = _folder_of(self._paths[0]) if self._paths else "."
        self._top = toplevel(folder) or _stop(
            f"There is no git repository at {display(folder)}.",
            "Run it within the repository that holds the manifests.",
        )
        named = f"{revision}^{{commit}}"
        printed = output(["rev-parse", "--verify", "--end-of-options", named], self._top)
        commit = printed or _stop(
            f"{display(revision)[:80]} is no revision of the repository.",
            "Name a commit, branch or tag that is there; a shallow clone may need git fetch.",
        )
        self._commit = commit.decode().strip()
        self._shown: dict[str, Entry] = {}

    def entries(self) -> tuple[list[Entry], list[Finding]]:
        listed = output(["ls-tree", "-r", "-z", "-l", "--full-tree", self._commit], self._top)
        if listed is None:
            _stop("git could not list the revision.", "Check the repository with git fsck.")
        listing = _Listing(listed, self._blob)
        for given in self._paths:
            inside = self._inside(given)
            if inside is not None:
                listing.find(inside)
        entries: list[Entry] = []
        findings = [
            unreadable(self._name(path), "its link leads nowhere in the tree")
            for path in sorted(listing.lost)
        ]
        for path, (blob, size) in sorted(listing.found.items()):
            if size > MAX_BYTES:
                findings.append(too_large(self._name(path)))
            else:
                entries.append(Entry(self._name(path), path, blob=blob))
        self._shown = {entry.name: entry for entry in entries}
        return entries, findings

    def _name(self, path: str) -> str:
        return display(f"{self._revision}:{path}")

    def load(self, entries: Iterable[Entry]) -> Iterator[bytes | Finding]:
        entries = list(entries)
        process = subprocess.Popen(
            ["git", "-C", self._top, "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with process:
            asked, answers = process.stdin, process.stdout
            assert asked is not None  # noqa: S101  (asked for above)
            assert answers is not None  # noqa: S101
            # A thread asks while this one reads, or both pipes would fill and neither side go on.
            asking = Thread(target=_ask, args=(asked, entries), daemon=True)
            asking.start()
            for entry in entries:
                yield _answer(answers, entry)
            asking.join()

    def again(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        entries = [self._shown[name] for name in names if name in self._shown]
        for entry, data in zip(entries, self.load(entries), strict=True):
            if isinstance(data, bytes):
                yield entry.name, data

    def _inside(self, given: str) -> str | None:
        """A given path as the tree has it: empty for the whole; None where it is outside."""
        folder, name = os.path.split(os.path.abspath(given))
        path = os.path.relpath(os.path.join(os.path.realpath(folder), name), self._top)
        if path == ".." or path.startswith("../"):
            return None
        return "" if path == "." else path

    def _blob(self, blob: str) -> bytes:
        return output(["cat-file", "blob", blob], self._top) or b""


class _Listing:
    """The files of a tree by path; submodules, which are other repositories, are left out."""

    def __init__(self, listed: bytes, read: Callable[[str], bytes]) -> None:
        self._read = read
        self._files: dict[str, tuple[str, int]] = {}
        self._links: dict[str, str] = {}
        for line in os.fsdecode(listed).split("\0")[:-1]:
            facts, _, path = line.partition("\t")
            mode, kind, blob, size = facts.split()
            if mode == _LINK:
                self._links[path] = blob
            elif kind == "blob":
                self._files[path] = (blob, int(size))
        self._folders: set[str] = set()
        self.found: dict[str, tuple[str, int]] = {}
        self.lost: set[str] = set()

    def find(self, given: str) -> None:
        """Finds the manifests of a folder, or a file of any ending."""
        pending = [given]
        while pending:
            path = self._resolve(pending.pop())
            if path is None:
                self.lost.add(given)
            elif path in self._files:
                self.found[path] = self._files[path]
            elif path not in self._folders:
                self._folders.add(path)
                pending += self._within(path)

    def _within(self, folder: str) -> Iterator[str]:
        """The manifests of a folder; what links in it lead to, where that is in the tree."""
        prefix = f"{folder}/" if folder else ""
        for path in self._files:
            if path.endswith(ENDINGS) and _is_seen(path, prefix):
                yield path
        for link in self._links:
            if not _is_seen(link, prefix):
                continue
            target = self._resolve(link)
            is_named_so = link.endswith(ENDINGS)
            if target is None or not (target in self._files or self._is_folder(target)):
                self.lost |= {link} if is_named_so else set()
            elif is_named_so or target not in self._files:
                yield target

    def _is_folder(self, path: str) -> bool:
        return any(each.startswith(f"{path}/") for each in self._files) or path == ""

    def _resolve(self, path: str) -> str | None:
        """A path with the links on its way followed; None where they lead out of the tree."""
        for _ in range(_MAX_LINKS):
            steps = path.split("/")
            heads = ("/".join(steps[:count]) for count in range(1, len(steps) + 1))
            link = next((head for head in heads if head in self._links), None)
            if link is None:
                return path
            target = os.fsdecode(self._read(self._links[link]))
            path = posixpath.normpath(
                posixpath.join(posixpath.dirname(link), target) + path[len(link) :]
            )
            if path.startswith(("/", "../")) or path == "..":
                return None
            path = "" if path == "." else path
        return None


def _is_seen(path: str, prefix: str) -> bool:
    """In the folder, and nothing on the way to it has a name that begins with a dot."""
    inner = path[len(prefix) :]
    return path.startswith(prefix) and not inner.startswith(".") and "/." not in inner


def _ask(stream: IO[bytes], entries: list[Entry]) -> None:
    with stream, suppress(BrokenPipeError):
        for entry in entries:
            stream.write(f"{entry.blob}\n".encode())


def _answer(stream: IO[bytes], entry: Entry) -> bytes | Finding:
    """One object (git-cat-file(1), BATCH OUTPUT)."""
    header = stream.readline().split()
    if len(header) != 3:
        return unreadable(entry.name, "git does not have the object")
    data = stream.read(int(header[2]))
    stream.read(1)
    return data


def _folder_of(path: str) -> str:
    """The nearest folder that is there: what is asked for may be in the revision only."""
    while not os.path.isdir(path):
        path = os.path.dirname(path) or "."
    return path


def _stop(message: str, hint: str) -> NoReturn:
    raise ProblemError(finding("invalid-value", message, hint=hint))
