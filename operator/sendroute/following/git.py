"""A branch of a git repository: the newest commit of it, as a folder of its own."""

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from sendroute.following.address import Address
from sendroute.following.checkout import checkout
from sendroute.following.follower import Tree
from sendroute.following.state import State, remove, unusable
from sendroute.git.failures import NO_CHECKOUT, NO_SHALLOW, UNKNOWN, Cause, too_old
from sendroute.git.process import Git, GitFailedError
from sendroute.git.signatures import verify_signature
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError

_OLDEST = (2, 34)  # the first that verifies signatures by ssh keys
_FETCH = (
    "fetch",
    "--quiet",
    "--no-progress",
    "--no-tags",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
    "--no-show-forced-updates",
)

_log = logging.getLogger(__name__)


class GitOptions(Struct, frozen=True):
    """What of a repository: ``branch`` None is the one that its HEAD names; ``path`` a folder or
    file from its top. ``timeout`` is in seconds, of each call of git."""

    branch: str | None = None
    path: str = ""
    verify_signatures: bool = False
    allowed_signers: str | None = None
    timeout: float = 60.0


class Branch:
    """A :class:`~sendroute.following.follower.Follower` of a branch. Takes the state folder when
    it is made (``ProblemError`` where another has it), and the network only at a look."""

    def __init__(
        self, address: Address, options: GitOptions, state_folder: str | None = None
    ) -> None:
        self._address = address
        self._options = options
        self._remote = f"refs/heads/{options.branch}" if options.branch else "HEAD"
        self._state = State(state_folder)
        self._git = Git(str(self._state.folder), options.timeout, address.protocols)
        # A state folder may have served another source before.
        source = f"{address.url}\0{self._remote}".encode()
        self._refs = f"refs/sendroute/{hashlib.sha256(source).hexdigest()[:16]}"
        self._newest: Tree | None = None
        self._kept: Tree | None = None
        self._new_enough = False

    @property
    def shown(self) -> str:
        return self._address.shown

    def look(self, should_stop: Callable[[], bool]) -> Tree:
        with self._translated():
            self._demand_git(should_stop)
            listed = self._listed(should_stop)
            if self._newest is None or self._newest.commit != listed or not _lies(self._newest):
                self._newest = self._taken_or_anew(self._fetched(listed, should_stop), should_stop)
                self._tidy(should_stop)
            return self._newest

    def unchanged(self, tree: Tree) -> bool:
        """A checkout does not change, but somebody may clear the state folder."""
        return _lies(tree)

    def keep(self, tree: Tree) -> None:
        if tree.commit is not None and tree != self._kept:
            with self._translated():
                self._state.unlock()
                self._local("update-ref", f"{self._refs}/good", tree.commit)
            self._kept = tree

    def last_good(self, should_stop: Callable[[], bool]) -> Tree | None:
        if self._kept is None or not _lies(self._kept):
            with self._translated():
                self._demand_git(should_stop)
                commit = self._commit("good", should_stop)
                self._kept = None if commit is None else self._taken(commit, should_stop)
        return self._kept

    def close(self) -> None:
        self._state.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except GitFailedError as error:
            raise self._unreachable(error.cause or UNKNOWN) from error
        except OSError as error:
            raise unusable(str(self._state.folder), error) from error

    def _demand_git(self, should_stop: Callable[[], bool]) -> None:
        if not self._new_enough:
            version = self._git.run(["version"], should_stop).decode(errors="replace")
            found = re.match(r"git version (\d+)\.(\d+)", version)
            if found is None or (int(found[1]), int(found[2])) < _OLDEST:
                shown = f"{found[1]}.{found[2]}" if found else "of that kind"
                raise GitFailedError(too_old(shown))
            self._new_enough = True

    def _listed(self, should_stop: Callable[[], bool]) -> str:
        """The commit that the server has the branch at."""
        words = ["ls-remote", "--quiet", "--", self._address.url, self._remote]
        for line in self._git.run(words, should_stop).decode(errors="replace").splitlines():
            commit, _, name = line.partition("\t")
            if name == self._remote and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
                return commit
        if self._options.branch is None:
            raise self._unreachable(
                Cause(
                    "the repository has no commit on its default branch",
                    "Check the URL, push a commit, or name a branch by --branch.",
                )
            )
        raise self._unreachable(
            Cause(
                f"the repository has no branch {self._options.branch}",
                "Check --branch, or push it; what was applied before stands.",
            )
        )

    def _fetched(self, listed: str, should_stop: Callable[[], bool]) -> str:
        """The commit as we have it now: the one listed, or one pushed since. Where our repository
        does not do, be it damaged or of another hash, a new one takes its place."""
        try:
            if self._commit("tip", should_stop) == listed:
                return listed
            if self._format() == len(listed):
                self._state.unlock()
                return self._fetch(self._state.repository, should_stop)
        except GitFailedError as error:
            if error.cause is not None:
                raise
            _log.debug("the repository in the state folder is made anew")
        return self._renew(listed, should_stop)

    def _fetch(self, repository: Path, should_stop: Callable[[], bool]) -> str:
        tip = f"{self._refs}/tip"
        url = ["--", self._address.url, f"+{self._remote}:{tip}"]
        words = [f"--git-dir={repository}", *_FETCH]
        try:
            self._git.run([*words, "--depth=1", *url], should_stop)
        except GitFailedError as error:
            if error.cause is not NO_SHALLOW:
                raise
            self._git.run([*words, *url], should_stop)
        asked = [f"--git-dir={repository}", "rev-parse", "--verify", f"{tip}^{{commit}}"]
        return self._git.local(asked, should_stop).decode().strip()

    def _renew(self, listed: str, should_stop: Callable[[], bool]) -> str:
        """Under another name until it holds what is wanted; the last good commit comes with it."""
        making = self._state.folder / f".new-{os.urandom(6).hex()}"
        kind = "sha256" if len(listed) == 64 else "sha1"
        words = ["init", "--quiet", "--bare", "--template=", f"--object-format={kind}"]
        try:
            self._git.local([*words, str(making)], should_stop)
            commit = self._fetch(making, should_stop)
            good = f"{self._refs}/good"
            known = ["--depth=1", "--", f"file://{self._state.repository}", f"+{good}:{good}"]
            try:
                if self._state.repository.exists():
                    self._git.run([f"--git-dir={making}", *_FETCH, *known], should_stop)
            except GitFailedError:
                _log.debug("the last good commit could not be taken over")
            old = making.with_name(making.name.replace("new", "old"))
            if self._state.repository.exists():
                self._state.repository.rename(old)
            making.rename(self._state.repository)
            remove(old)
        finally:
            remove(making)
        return commit

    def _taken_or_anew(self, commit: str, should_stop: Callable[[], bool]) -> Tree:
        """Where our repository lacks what the commit needs, it is fetched once more."""
        try:
            return self._taken(commit, should_stop)
        except GitFailedError as error:
            if error.cause is not None:
                raise
        try:
            return self._taken(self._renew(commit, should_stop), should_stop)
        except GitFailedError as error:
            raise GitFailedError(error.cause or NO_CHECKOUT) from error

    def _taken(self, commit: str, should_stop: Callable[[], bool]) -> Tree:
        options = self._options
        if options.verify_signatures:
            repository = str(self._state.repository)
            verify_signature(self._git, repository, commit, options.allowed_signers, should_stop)
        folder, path = checkout(self._state, self._git, commit, options.path, should_stop)
        return Tree(str(path), commit, commit, str(folder))

    def _tidy(self, should_stop: Callable[[], bool]) -> None:
        """Drops the checkouts that nobody may hold, and now and then what no ref needs."""
        current = {tree.commit for tree in (self._newest, self._kept) if tree is not None}
        for folder in self._state.trees.iterdir():
            if folder.name not in current:
                remove(folder)
        repository = f"--git-dir={self._state.repository}"
        often = ["-c", "gc.autoPackLimit=20", "-c", "gc.auto=1000", "-c", "gc.pruneExpire=now"]
        try:
            words = [repository, *often, "-c", "gc.autoDetach=false", "gc", "--auto", "--quiet"]
            self._git.local(words, should_stop)
        except GitFailedError:
            _log.debug("git could not tidy the repository in the state folder")

    def _commit(self, name: str, should_stop: Callable[[], bool]) -> str | None:
        words = ["for-each-ref", "--format=%(objectname)", f"{self._refs}/{name}"]
        if not self._state.repository.exists():
            return None
        return self._local(*words, should_stop=should_stop).decode().strip() or None

    def _format(self) -> int:
        """The length of our repository's object names; 0 without one."""
        config = self._state.repository / "config"
        if not config.exists():
            return 0
        return 64 if "sha256" in config.read_text(errors="replace") else 40

    def _local(self, *words: str, should_stop: Callable[[], bool] = lambda: False) -> bytes:
        return self._git.local([f"--git-dir={self._state.repository}", *words], should_stop)

    def _unreachable(self, cause: Cause) -> ProblemError:
        branch = f"Branch {self._options.branch}" if self._options.branch else "The default branch"
        return ProblemError(
            finding(
                "source-unreachable",
                f"{branch} of {self._address.shown} cannot be had: {cause.sentence}.",
                hint=cause.hint,
            )
        )


def _lies(tree: Tree) -> bool:
    return Path(tree.path).exists()
