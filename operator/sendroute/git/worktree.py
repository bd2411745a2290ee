"""The user's working tree: which commit it is exactly at, and which files are as committed."""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence

from sendroute.git.failures import GitFailedError
from sendroute.git.index import LIST, ListedEntry, blob_of, compared_files, listed_entries
from sendroute.git.process import Process, answers
from sendroute.git.repository import (
    FindCommit,
    Repository,
    checked_out,
    checked_out_at,
    find_repository,
    submodule_at,
)
from sendroute.model.manifest_name import is_hidden, is_manifest

# Files that git changes when it checks them out differ on disk from their blob (gitattributes(5));
# line endings alone make no difference to YAML. They are never compared: git would run the filter.
_UNFILTERED = "attr:!filter !ident !working-tree-encoding"
# A repository may be set to compare less, for speed or for unusual file systems (git-config(1)).
_COMPARE_FULLY = ("-c", "core.checkStat=default", "-c", "core.trustctime=true")
# git must not look into submodules: it would use their own configuration.
_DIFF = ("--no-ext-diff", "--no-textconv", "-z")
_LINK, _SUBMODULE = "120000", "160000"

_log = logging.getLogger(__name__)


def commit_of(paths: Sequence[str], at: FindCommit = checked_out_at) -> str | None:
    """Find the commit that manifests are at.

    Args:
        paths: files and directories; ``-`` is standard input.
        at: finds the commit of a checkout.

    Returns:
        The commit of the first path that is in a repository. ``-dirty`` is appended if what
        Sendroute reads from the paths is not exactly what that commit holds: a manifest was edited,
        added, removed or left out, git has a bit not to compare it, or changes it when it checks it
        out, a link leads out of the repository, or a submodule is at another commit. None if git
        reports no commit; a warning is logged if there is a repository.
    """
    given = [path for path in paths if path != "-"]
    empty = None
    for path in given:
        try:
            checkout = checked_out(path, at)
        except GitFailedError as error:
            reason = f"{error.cause.sentence}. {error.cause.hint}" if error.cause else "git failed."
            _log.warning("The commit is not recorded: %s", reason)
            return None
        if checkout is not None and checkout.commit is not None:
            is_exact = len(given) == len(paths) and _is_exact(checkout.repository, given)
            return checkout.commit if is_exact else f"{checkout.commit}-dirty"
        empty = empty or checkout
    if empty is not None:
        top = empty.repository.top
        _log.warning("The commit is not recorded: the repository %s has no commit yet.", top)
    return None


class UnchangedFiles:
    """The files of a working tree that are as committed. git starts at once and works while the
    caller does something else.

    Raises:
        GitFailedError: git is not installed.
    """

    def __init__(self, repository: Repository) -> None:
        self.top = repository.top
        self._listing, self._changed = _start_comparison(repository, f":(top,{_UNFILTERED})")

    def blobs(self) -> dict[str, str]:
        """Wait for git.

        Returns:
            The blob by path of every regular file whose bytes are those of the index; nothing if
            git fails.
        """
        with self._changed as changed, self._listing as listing:
            try:
                listed, dirty = answers(listing, changed)
            except GitFailedError:
                return {}
        if listing.returncode or changed.returncode:
            return {}
        blobs = compared_files(listed)
        for path in os.fsdecode(dirty).split("\0"):
            blobs.pop(path, None)
        return blobs


def _start_comparison(repository: Repository, pathspec: str) -> tuple[Process, Process]:
    """Start to list the index, and which of its files seem to differ on disk."""
    listing = repository.start([*LIST, "--", pathspec])
    differ = ["diff-files", "--name-only", "--ignore-submodules=all", *_DIFF, "--", pathspec]
    return listing, repository.start([*_COMPARE_FULLY, *differ])


def _is_exact(repository: Repository, paths: Iterable[str]) -> bool:
    """Whether what is read from the paths is exactly what the repository's HEAD holds."""
    pending = [os.path.realpath(path) for path in paths]
    checked: set[str] = set()
    try:
        while pending:
            path = pending.pop()
            if path in checked:
                continue
            checked.add(path)
            nearest = find_repository(path)
            if nearest is None or nearest != repository:
                return False
            links = _links_of_exact(repository, path)
            if links is None:
                return False
            pending += links
    except (GitFailedError, OSError):
        return False
    return True


def _links_of_exact(repository: Repository, path: str) -> list[str] | None:
    """Where the links in a path lead to; None if the path is not as committed."""
    part = _WorkingPath(repository, path)
    if part.has_other_files() or part.is_staged():
        return None
    links = []
    differs = part.differing()
    for entry in part.entries():
        if not entry.is_compared:
            return None
        full_path = os.path.join(repository.top, entry.path)
        if entry.mode == _SUBMODULE:
            if not _is_exact_submodule(full_path, entry.blob):
                return None
        # A file that a filter changes is not in ``differs``.
        elif differs.get(entry.path, True) and not (
            entry.path in differs and _has_content(full_path, entry)
        ):
            return None
        elif entry.mode == _LINK:
            links.append(os.path.realpath(full_path))
    return links


def _is_exact_submodule(directory: str, commit: str) -> bool:
    repository = submodule_at(directory)
    if repository is None:
        return False
    return repository.usable_head() == commit and _is_exact(repository, [directory])


def _has_content(path: str, entry: ListedEntry) -> bool:
    """Whether a file on disk is that of the index, although git's cheaper comparison says that it
    may differ: it was copied, or only touched."""
    if os.path.islink(path) != (entry.mode == _LINK):
        return False
    if entry.mode == _LINK:
        contents = [os.fsencode(os.readlink(path))]
    else:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            data = file.read()
        contents = [data, data.replace(b"\r\n", b"\n")]
    return any(blob_of(content, entry.blob) == entry.blob for content in contents)


class _WorkingPath:
    """A file or directory of a working tree, and what Sendroute reads of it."""

    def __init__(self, repository: Repository, path: str) -> None:
        self._repository = repository
        self._within = os.path.relpath(path, repository.top)
        self._is_directory = os.path.isdir(path)
        self._pathspec = [] if self._within == "." else [f":(literal){self._within}"]

    def entries(self) -> Iterator[ListedEntry]:
        """The entries of the index that are read."""
        for entry in listed_entries(self._output(*LIST)):
            if self._is_read(entry.path, entry.mode):
                yield entry

    def has_other_files(self) -> bool:
        """Whether a file is read that is in no commit, ignored by git or not."""
        for path in os.fsdecode(self._output("ls-files", "--others", "-z")).split("\0")[:-1]:
            full_path = os.path.join(self._repository.top, path)
            # A path that ends with / is another repository.
            leads_further = path.endswith("/") or os.path.isdir(full_path)
            if self._is_read(path.rstrip("/"), _LINK if leads_further else ""):
                return True
        return False

    def is_staged(self) -> bool:
        """Whether the index differs from the commit (git-diff-index(1), raw output)."""
        differ = ["diff-index", "--cached", "--raw", "--no-renames", "--ignore-submodules=none"]
        words = os.fsdecode(self._output(*differ, *_DIFF, "HEAD")).split("\0")[:-1]
        changes = zip(words[::2], words[1::2], strict=True)
        return any(
            self._is_read(path, mode)
            for facts, path in changes
            for mode in facts.removeprefix(":").split(" ")[:2]
        )

    def differing(self) -> dict[str, bool]:
        """By the path of each file that git does not change when it checks it out: whether it
        seems to differ from the index."""
        magic = f":({_UNFILTERED})" if not self._pathspec else f":(literal,{_UNFILTERED})"
        pathspec = magic if not self._pathspec else magic + self._within
        listing, changed = _start_comparison(self._repository, pathspec)
        with listing, changed:
            listed, names = answers(listing, changed)
        if listing.returncode or changed.returncode:
            raise GitFailedError(None)
        dirty = frozenset(os.fsdecode(names).split("\0"))
        return {entry.path: entry.path in dirty for entry in listed_entries(listed)}

    def _output(self, *arguments: str) -> bytes:
        return self._repository.output([*arguments, "--", *self._pathspec])

    def _is_read(self, path: str, mode: str) -> bool:
        """Whether a path is read, or may lead to others that are. A file that the user gives may
        have any name."""
        if not self._is_directory:
            return True
        inner = path if self._within == "." else path[len(self._within) + 1 :]
        if is_hidden(inner):
            return False
        return mode in (_LINK, _SUBMODULE) or is_manifest(path)
