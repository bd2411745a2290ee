"""The manifests of a git revision, as a tree to read."""

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NoReturn

from msgspec import structs

from sendroute.files.links import MAX_LINKS, LinkRefusal
from sendroute.git.failures import UNREADABLE, FailureCause, GitFailedError
from sendroute.git.repository import find_repository, open_repository
from sendroute.git.revision import TreeEntry, find_commit, list_tree, read_blob, read_blobs
from sendroute.manifests.sources import (
    MAX_BYTES,
    STDIN,
    SourceEntry,
    display,
    too_large,
    unreadable,
)
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.manifest_name import is_hidden, is_manifest
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import GitTask, Remedy, UseGit
from sendroute.model.unseen import is_seen
from sendroute.model.userinfo import without_userinfo

_LINK, _SUBMODULE = "120000", "160000"  # the modes of a link and a submodule (git-fast-import(1))
_NOT_KNOWN = "What the revision declares there is not compared: the removal of a profile or a plan\
 that is declared there is an error, and not a warning."


class RevisionSource:
    """The manifests under ``paths`` at a git revision; no working tree is touched.

    Args:
        revision: a commit, branch or tag (gitrevisions(7)).
        paths: as for :class:`~sendroute.manifests.sources.FileSource`. Paths that the revision does
            not have are skipped: a new file is in no older revision.

    Raises:
        ProblemError: there is no repository, or it has no such revision, or git refuses to read it
            (``invalid-value``).
    """

    def __init__(self, revision: str, paths: Sequence[str]) -> None:
        self._revision = revision
        self._paths = sorted(set(paths) - {STDIN})
        directory = _existing_parent(self._paths[0]) if self._paths else "."
        self._top = _shown_top(directory)
        try:
            self._repository = open_repository(directory) or _fail(
                f"There is no git repository at {display(directory)}.",
                "Specify a path in the git repository that holds the manifests.",
            )
            self._commit = find_commit(revision, self._repository) or _fail(
                f"The repository has no revision {_shown(revision)}.",
                "Give a commit, branch or tag that exists, or fetch it if this clone is shallow.",
                UseGit(GitTask.FETCH_HISTORY, None, self._top),
            )
        except GitFailedError as error:
            raise self._unreadable(error.cause) from error
        self._shown: dict[str, SourceEntry] = {}

    def entries(self) -> tuple[list[SourceEntry], list[Finding]]:
        try:
            listed = list_tree(self._commit, self._repository)
        except GitFailedError as error:
            raise self._unreadable(error.cause) from error
        listing = _Listing(listed, self._blob)
        relative = [self._relative_path(given) for given in self._paths]
        listing.find([path for path in relative if path is not None])
        entries: list[SourceEntry] = []
        findings = [
            unreadable(self._name(path), reason, kind=kind, hint=_NOT_KNOWN)
            for path, (kind, reason) in sorted(listing.unknown.items())
        ]
        for path, (blob, size) in sorted(listing.manifests.items()):
            if size > MAX_BYTES:
                findings.append(too_large(self._name(path)))
            else:
                entries.append(SourceEntry(self._name(path), path, blob=blob))
        self._shown = {entry.name: entry for entry in entries}
        return entries, findings

    def _name(self, path: str) -> str:
        return display(f"{self._revision}:{path}")

    def load(self, entries: Iterable[SourceEntry]) -> Iterator[bytes | Finding]:
        entries = list(entries)
        blobs = read_blobs([entry.blob or "" for entry in entries], self._repository)
        try:
            for entry, data in zip(entries, blobs, strict=True):
                yield data if data is not None else _missing_file(entry)
        except GitFailedError as error:
            raise self._unreadable(error.cause) from error

    def again(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        entries = [self._shown[name] for name in names if name in self._shown]
        for entry, data in zip(entries, self.load(entries), strict=True):
            if isinstance(data, bytes):
                yield entry.name, data

    def _unreadable(self, cause: FailureCause | None) -> ProblemError:
        sentence, hint, remedy = cause or UNREADABLE
        if isinstance(remedy, UseGit):
            remedy = structs.replace(remedy, top=self._top)
        message = f"Cannot read the git revision {_shown(self._revision)}: {sentence}."
        return ProblemError(finding("invalid-value", message, hint=hint, remedy=remedy))

    def _relative_path(self, given: str) -> str | None:
        """A given path relative to the top of the tree: empty for the top, None if it is outside. A
        link in the tree is followed later; a link outside that leads into the tree is followed
        here."""
        directory, name = os.path.split(os.path.abspath(given))
        for real in (os.path.join(os.path.realpath(directory), name), os.path.realpath(given)):
            path = os.path.relpath(real, self._repository.top)
            if path != ".." and not path.startswith("../"):
                return "" if path == "." else path
        return None

    def _blob(self, blob: str) -> bytes:
        return read_blob(blob, self._repository) or b""


class _Listing:
    """The files of a tree by path. ``unknown`` are the paths of which the tree does not show what
    they hold: what each is, and why. A submodule is another repository."""

    def __init__(self, listed: list[TreeEntry], read: Callable[[str], bytes]) -> None:
        self._read = read
        self._files: dict[str, tuple[str, int]] = {}
        self._links: dict[str, str] = {}
        self._submodules: set[str] = set()
        for entry in listed:
            if entry.mode == _LINK:
                self._links[entry.path] = entry.blob
            elif entry.mode == _SUBMODULE:
                self._submodules.add(entry.path)
            elif entry.size is not None:
                self._files[entry.path] = (entry.blob, entry.size)
        self._directories: set[str] = set()
        self._tops: set[str] = set()
        self.manifests: dict[str, tuple[str, int]] = {}
        self.unknown: dict[str, tuple[str, str]] = {}

    def find(self, given: Sequence[str]) -> None:
        """Find the manifests of directories, and files with any suffix."""
        self._tops = {self._resolve(path) or path for path in given}
        for path in given:
            self._find(path)

    def _find(self, given: str) -> None:
        pending = [given]
        while pending:
            path = self._resolve(pending.pop())
            if path is None:
                self.unknown[given] = _NO_TARGET
            elif path in self._files:
                self.manifests[path] = self._files[path]
            elif submodule := self._submodule_of(path):
                self.unknown[submodule] = _IS_SUBMODULE
            elif path not in self._directories:
                self._directories.add(path)
                pending += self._within(path)

    def _within(self, directory: str) -> Iterator[str]:
        """The manifests of a directory, its submodules, and the targets of its links that are in
        the tree."""
        prefix = f"{directory}/" if directory else ""
        for path in self._files:
            if is_manifest(path) and _is_visible(path, prefix):
                yield path
        for path in self._submodules:
            if _is_visible(path, prefix):
                yield path
        for link in self._links:
            if not _is_visible(link, prefix):
                continue
            target = self._resolve(link)
            if target is None or not self._exists(target):
                self.unknown[link] = _NO_TARGET
            elif self._leads_up(target, directory):
                self.unknown[link] = _ABOVE
            elif is_manifest(link) or target not in self._files:
                yield target

    def _leads_up(self, target: str, directory: str) -> bool:
        """Whether a link leads to a directory above the given ones, or above the one it is in."""
        if any(target == top or _is_above(top, target) for top in self._tops):
            return False
        return any(_is_above(target, below) for below in (*self._tops, directory))

    def _exists(self, path: str) -> bool:
        return (
            path in self._files or self._is_directory(path) or self._submodule_of(path) is not None
        )

    def _submodule_of(self, path: str) -> str | None:
        """The submodule that a path is in, or is."""
        steps = path.split("/")
        heads = ("/".join(steps[:count]) for count in range(1, len(steps) + 1))
        return next((head for head in heads if head in self._submodules), None)

    def _is_directory(self, path: str) -> bool:
        return any(file.startswith(f"{path}/") for file in self._files) or path == ""

    def _resolve(self, path: str) -> str | None:
        """Follow the links of a path; None if they lead out of the tree."""
        for _ in range(MAX_LINKS):
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


_NO_TARGET = ("symbolic link", "it has no target in the revision")
_ABOVE = ("symbolic link", f"{LinkRefusal.ABOVE}, and is not followed")
_IS_SUBMODULE = ("directory", "it is a submodule, and its repository is not read")


def _is_above(target: str, directory: str) -> bool:
    """Whether a directory is in another one, which may be the top of the tree."""
    return target != directory and (target == "" or directory.startswith(f"{target}/"))


def _is_visible(path: str, prefix: str) -> bool:
    """Whether a file is in the directory, and no part of its path below it begins with a dot."""
    return path.startswith(prefix) and not is_hidden(path[len(prefix) :])


def _missing_file(entry: SourceEntry) -> Finding:
    return unreadable(entry.name, "the git repository does not have its content")


def _shown(revision: str) -> str:
    """A revision for a message; it may be any text, of any length."""
    return display(without_userinfo(revision))[:80]


def _existing_parent(path: str) -> str:
    """The nearest directory that exists: the path may exist in the revision only."""
    while not os.path.isdir(path):
        path = os.path.dirname(path) or "."
    return path


def _shown_top(directory: str) -> str | None:
    """The top of the repository, for a hint; None if it cannot be typed, or there is none."""
    repository = find_repository(directory)
    return repository.top if repository is not None and is_seen(repository.top) else None


def _fail(message: str, hint: str, remedy: Remedy | None = None) -> NoReturn:
    raise ProblemError(finding("invalid-value", message, hint=hint, remedy=remedy))
