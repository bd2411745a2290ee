"""A branch of a git repository: its newest commit, checked out as a directory."""

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from sendroute.following.address import RepositoryAddress
from sendroute.following.checkout import checkout
from sendroute.following.first_seen import FirstSeen
from sendroute.following.follower import SourceSnapshot
from sendroute.following.selection import CommitTree, TreeLimits
from sendroute.following.state import StateDirectory, cannot_use, object_format, remove
from sendroute.git.failures import (
    NO_CHECKOUT,
    NO_SHALLOW,
    UNKNOWN,
    FailureCause,
    GitFailedError,
    too_old,
)
from sendroute.git.process import Git, ProcessLimits
from sendroute.git.signatures import SignedCommit, verify_signature
from sendroute.git.tree_history import TreeHistory
from sendroute.model.ancestry import CommitHistory
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting

_MIN_VERSION = (2, 34)  # the first that verifies ssh signatures
_FETCH = (
    "fetch",
    "--quiet",
    "--no-progress",
    "--no-tags",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
    "--no-show-forced-updates",
)

_PEEL = ("rev-parse", "--verify")

# Also by a git whose default is another one: each start writes the configuration (git-init(1)).
_REFS_AS_FILES = {"GIT_DEFAULT_REF_FORMAT": "files"}

# How many commits of the history are fetched if the newest one may not contain the one that was
# applied last.
_DEPTHS = (50, 1000)

# Bytes of a pack: git writes all that it fetches to one file.
_MAX_PACK = 2 << 30

_log = logging.getLogger(__name__)


class GitOptions(Struct, frozen=True):
    """What to read of a repository. ``branch`` None is the default branch (the repository's HEAD);
    ``path`` is a directory or file relative to its top. ``timeout`` is in seconds, for each call of
    git.

    The limits are much more than manifests need, because a repository may be built to use up the
    memory or the disk: ``memory`` is what each git may use, in bytes; ``tree`` is how much of a
    commit is checked out."""

    branch: str | None = None
    path: str = ""
    verify_signatures: bool = False
    allowed_signers: str | None = None
    timeout: float = 60.0
    memory: int = 1 << 30
    tree: TreeLimits = TreeLimits()


class BranchFollower:
    """A :class:`~sendroute.following.follower.Follower` of a branch.

    It locks the state directory when it is created and uses the network only in :meth:`poll`.

    Args:
        address: the repository.
        options: what to read of it.
        state_dir: where the repository is kept; None for a temporary directory.
        names_above: the names of files that are also read from every directory above the path.

    Raises:
        ProblemError: the state directory is unavailable (``unwritable``).
    """

    def __init__(
        self,
        address: RepositoryAddress,
        options: GitOptions,
        state_dir: str | None = None,
        names_above: Sequence[str] = (),
    ) -> None:
        self._address = address
        self._options = options
        self._names_above = names_above
        self._remote = f"refs/heads/{options.branch}" if options.branch else "HEAD"
        self._state = StateDirectory(state_dir)
        limits = ProcessLimits(options.memory, max(_MAX_PACK, options.tree.size))
        self._git = Git(str(self._state.directory), options.timeout, address.protocols, limits)
        # The state directory may have been used for another source before.
        source = f"{address.url}\0{self._remote}".encode()
        self._refs = f"refs/sendroute/{hashlib.sha256(source).hexdigest()[:16]}"
        self._first_seen = FirstSeen(self._state.first_seen)
        self._newest: SourceSnapshot | None = None
        self._remembered: SourceSnapshot | None = None
        self._new_enough = False
        self._contained: dict[tuple[str, str], bool] = {}  # whether the first contains the second

    @property
    def shown(self) -> str:
        return self._address.shown

    def poll(self, should_stop: Callable[[], bool]) -> SourceSnapshot:
        with self._reported_errors():
            self._require_git(should_stop)
            listed = self._remote_commit(should_stop)
            if self._newest is None or self._newest.commit != listed or not _exists(self._newest):
                self._newest = self._snapshot_or_refetch(
                    self._fetched_commit(listed, should_stop), should_stop
                )
                self._tidy(should_stop)
            return self._newest

    def unchanged(self, snapshot: SourceSnapshot) -> bool:
        """A checkout does not change, but another process may remove it."""
        return _exists(snapshot)

    def history(
        self, snapshot: SourceSnapshot, should_stop: Callable[[], bool]
    ) -> CommitHistory | None:
        if snapshot.commit is None:
            return None

        def run(arguments: Sequence[str]) -> bytes | None:
            try:
                return self._local(*arguments, should_stop=should_stop)
            except GitFailedError as error:
                if error.is_of_the_call:
                    raise
                return None

        return _BranchHistory(self, TreeHistory(snapshot.commit, run), should_stop)

    def contains(self, history: TreeHistory, earlier: str, should_stop: Callable[[], bool]) -> bool:
        """Whether a commit of the branch contains an earlier one. More of the history is fetched
        if the answer needs it; beyond the last of ``_DEPTHS`` it does not."""
        key = (history.commit, earlier)
        with self._reported_errors():
            for depth in (None, *_DEPTHS):
                if key not in self._contained:
                    if depth is not None:
                        self._deepen(depth, should_stop)
                    answer = history.contains(earlier)
                    if answer is not None:
                        self._contained[key] = answer
        return self._contained.setdefault(key, False)

    def _deepen(self, depth: int, should_stop: Callable[[], bool]) -> None:
        self._state.unlock()
        refs = f"+{self._remote}:{self._refs}/history"
        arguments = [f"--git-dir={self._state.repository}", *_FETCH, f"--depth={depth}"]
        self._git.run([*arguments, "--", self._address.url, refs], should_stop)

    def remember(self, snapshot: SourceSnapshot) -> None:
        if snapshot.commit is not None and snapshot != self._remembered:
            with self._reported_errors():
                self._state.unlock()
                self._local("update-ref", f"{self._refs}/good", snapshot.commit)
            self._remembered = snapshot

    def last_good(self, should_stop: Callable[[], bool]) -> SourceSnapshot | None:
        if self._remembered is None or not _exists(self._remembered):
            with self._reported_errors():
                self._require_git(should_stop)
                commit = self._commit("good", should_stop)
                self._remembered = None if commit is None else self._snapshot(commit, should_stop)
        return self._remembered

    def close(self) -> None:
        self._state.close()

    @contextmanager
    def _reported_errors(self) -> Iterator[None]:
        try:
            self._state.require_unmoved()
            yield
        except GitFailedError as error:
            raise self._unreachable(error.cause or UNKNOWN) from error
        except OSError as error:
            raise cannot_use(str(self._state.directory), error) from error

    def _require_git(self, should_stop: Callable[[], bool]) -> None:
        if not self._new_enough:
            version = self._git.run(["version"], should_stop).decode(errors="replace")
            match = re.match(r"git version (\d+)\.(\d+)", version)
            if match is None or (int(match[1]), int(match[2])) < _MIN_VERSION:
                shown = f"{match[1]}.{match[2]}" if match else "of this version"
                raise GitFailedError(too_old(shown))
            self._new_enough = True

    def _remote_commit(self, should_stop: Callable[[], bool]) -> str:
        """The commit of the branch on the server."""
        arguments = ["ls-remote", "--quiet", "--", self._address.url, self._remote]
        for line in self._git.run(arguments, should_stop).decode(errors="replace").splitlines():
            commit, _, name = line.partition("\t")
            if name == self._remote and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
                return commit
        if self._options.branch is None:
            raise self._unreachable(
                FailureCause(
                    "the repository has no commit on its default branch",
                    "Check the URL, push a commit, or set a branch.",
                    Configure(Setting.BRANCH),
                )
            )
        raise self._unreachable(
            FailureCause(
                f"the repository has no branch {self._options.branch}",
                "Push the branch, or set another one.",
                Configure(Setting.BRANCH),
            )
        )

    def _fetched_commit(self, listed: str, should_stop: Callable[[], bool]) -> str:
        """Fetch the listed commit, or one that was pushed since. A local repository that is damaged
        or has another object format is replaced."""
        try:
            if self._commit("tip", should_stop) == listed:
                # A server may give a tag for a branch; what is followed is the commit.
                return self._local(*_PEEL, f"{listed}^{{commit}}").decode().strip()
            if object_format(self._state.repository) == _format_of(listed):
                self._state.unlock()
                return self._fetch(self._state.repository, should_stop)
        except GitFailedError as error:
            if error.cause is not None:
                raise
            _log.debug("The repository in the state directory is replaced.")
        return self._renew(listed, should_stop)

    def _fetch(self, repository: Path, should_stop: Callable[[], bool]) -> str:
        tip = f"{self._refs}/tip"
        url = ["--", self._address.url, f"+{self._remote}:{tip}"]
        arguments = [f"--git-dir={repository}", *_FETCH]
        try:
            self._git.run([*arguments, "--depth=1", *url], should_stop)
        except GitFailedError as error:
            if error.cause is not NO_SHALLOW:
                raise
            self._git.run([*arguments, *url], should_stop)
        arguments = [f"--git-dir={repository}", *_PEEL, f"{tip}^{{commit}}"]
        return self._git.local(arguments, should_stop).decode().strip()

    def _renew(self, listed: str, should_stop: Callable[[], bool]) -> str:
        """Replace the local repository; the new one takes over the last good commit. It has another
        name until it is complete."""
        new = self._state.directory / f".new-{os.urandom(6).hex()}"
        arguments = ["init", "--quiet", "--bare", "--template="]
        arguments += [f"--object-format={_format_of(listed)}", str(new)]
        try:
            self._git.local(arguments, should_stop, _REFS_AS_FILES)
            commit = self._fetch(new, should_stop)
            last_good = f"{self._refs}/good"
            known = [
                "--depth=1",
                "--",
                f"file://{self._state.repository}",
                f"+{last_good}:{last_good}",
            ]
            try:
                if self._state.repository.exists():
                    self._git.run([f"--git-dir={new}", *_FETCH, *known], should_stop)
            except GitFailedError:
                _log.debug("The last good commit could not be taken over.")
            old = new.with_name(new.name.replace("new", "old"))
            if self._state.repository.exists():
                self._state.repository.rename(old)
            new.rename(self._state.repository)
            remove(old)
        finally:
            remove(new)
        return commit

    def _snapshot_or_refetch(self, commit: str, should_stop: Callable[[], bool]) -> SourceSnapshot:
        """If the local repository lacks objects of the commit, fetch it again."""
        try:
            return self._snapshot(commit, should_stop)
        except GitFailedError as error:
            if error.cause is not None:
                raise
        try:
            return self._snapshot(self._renew(commit, should_stop), should_stop)
        except GitFailedError as error:
            raise GitFailedError(error.cause or NO_CHECKOUT) from error

    def _snapshot(self, commit: str, should_stop: Callable[[], bool]) -> SourceSnapshot:
        options = self._options
        if options.verify_signatures:
            kept = {self._commit(name, should_stop) for name in ("tip", "good")}
            first_seen = self._first_seen.time_of(commit, kept)
            signed = SignedCommit(str(self._state.repository), commit, first_seen)
            verify_signature(self._git, signed, options.allowed_signers, should_stop)
        tree = CommitTree(self._git, self._state.repository, commit, options.tree, should_stop)
        top, path, submodules = checkout(self._state, tree, options.path, self._names_above)
        return SourceSnapshot(str(path), commit, commit, str(top), tuple(map(str, submodules)))

    def _tidy(self, should_stop: Callable[[], bool]) -> None:
        """Remove unused checkouts and, from time to time, unreachable objects."""
        current = {
            snapshot.commit for snapshot in (self._newest, self._remembered) if snapshot is not None
        }
        for directory in self._state.trees.iterdir():
            if directory.name not in current:
                remove(directory)
        repository = [f"--git-dir={self._state.repository}"]
        thresholds = ["-c", "gc.autoPackLimit=20", "-c", "gc.auto=1000", "-c", "gc.pruneExpire=now"]
        try:
            arguments = [
                *repository,
                *thresholds,
                "-c",
                "gc.autoDetach=false",
                "gc",
                "--auto",
                "--quiet",
            ]
            self._git.local(arguments, should_stop)
        except GitFailedError:
            _log.debug("git could not clean up the state directory.")

    def _commit(self, name: str, should_stop: Callable[[], bool]) -> str | None:
        arguments = ["for-each-ref", "--format=%(objectname)", f"{self._refs}/{name}"]
        if not self._state.repository.exists():
            return None
        return self._local(*arguments, should_stop=should_stop).decode().strip() or None

    def _local(self, *arguments: str, should_stop: Callable[[], bool] = lambda: False) -> bytes:
        return self._git.local([f"--git-dir={self._state.repository}", *arguments], should_stop)

    def _unreachable(self, cause: FailureCause) -> ProblemError:
        branch = f"branch {self._options.branch}" if self._options.branch else "the default branch"
        return ProblemError(
            finding(
                "source-unreachable",
                f"Cannot read {branch} of {self._address.shown}: {cause.sentence}.",
                hint=cause.hint,
                remedy=cause.remedy,
            )
        )


class _BranchHistory(NamedTuple):
    """A :class:`~sendroute.model.ancestry.CommitHistory` of which more can be fetched."""

    branch: BranchFollower
    here: TreeHistory
    should_stop: Callable[[], bool]

    @property
    def commit(self) -> str:
        return self.here.commit

    def contains(self, earlier: str) -> bool | None:
        return self.branch.contains(self.here, earlier, self.should_stop)

    def has(self, commit: str) -> bool:
        return self.here.has(commit)

    def first_commit(self) -> str | None:
        return self.here.first_commit()


def _format_of(commit: str) -> str:
    """The object format that a commit's name belongs to, as git calls it."""
    return "sha256" if len(commit) == 64 else "sha1"


def _exists(snapshot: SourceSnapshot) -> bool:
    return Path(snapshot.path).exists()
