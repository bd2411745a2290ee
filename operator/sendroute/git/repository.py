"""The repository that a path of manifests is in: what has a ``.git`` at the path or above it.

A directory that merely holds the files of a repository (HEAD, config, objects, refs) is a
directory: anybody who may commit can create these files. No repository has a file or directory
named ``.git`` in a commit, because git refuses that name. git itself looks for repositories in
other ways too (gitrepository-layout(5)), so every call of git specifies which one to use.

What starts programs is imported only when git is asked, because every reader of a directory looks
for a repository.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING, NamedTuple

from sendroute.git.failures import NO_COMMIT, NO_WORKING_TREE, GitFailedError, special_file
from sendroute.git.references import common_directory, has_commits

if TYPE_CHECKING:
    from sendroute.git.process import Process

_MAX_GITFILE = 1 << 14
"""Bytes of a ``.git`` file: one path and a few words."""


class Repository(NamedTuple):
    """A repository with a working tree: ``top`` is the directory that has the ``.git``, and
    ``git_directory`` what that is or leads to. Both are real paths."""

    top: str
    git_directory: str

    def output(self, arguments: Sequence[str]) -> bytes:
        """Run a git command that only reads this repository.

        Args:
            arguments: the command and its arguments.

        Returns:
            Its standard output.

        Raises:
            GitFailedError: git fails or is not installed.
        """
        from sendroute.git.process import output

        return output([*self._selection(), *arguments], self.top)

    def head(self) -> str | None:
        """Return the commit that is checked out; None before the first one.

        Raises:
            GitFailedError: git refuses the repository, or is not installed.
        """
        try:
            printed = self.output(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
        except GitFailedError as error:
            if error.cause is not None or error.is_of_the_call:
                raise
            return None
        return printed.decode().strip()

    def start(self, arguments: Sequence[str], *, piped: bool = False) -> "Process":
        """See :func:`sendroute.git.process.start`: this starts such a command in the working
        tree."""
        from sendroute.git.process import start

        return start([*self._selection(), *arguments], self.top, piped=piped)

    def conversation(
        self, arguments: Sequence[str]
    ) -> AbstractContextManager[tuple[IO[bytes], IO[bytes]]]:
        """See :func:`sendroute.git.process.conversation`: this has one with such a command in the
        working tree."""
        from sendroute.git.process import conversation

        return conversation(self.start(arguments, piped=True))

    def usable_head(self) -> str | None:
        """Have git check the repository, as :meth:`require_usable` does, and find its commit, with
        one process.

        Returns:
            The commit that is checked out; None before the first one.

        Raises:
            GitFailedError: git refuses the repository, or is not installed.
        """
        from sendroute.git.process import output

        self._refuse_special_files()
        try:
            printed = output(["rev-parse", "--absolute-git-dir", "HEAD^{commit}"], self.top)
        except GitFailedError as error:
            if error.cause is not None or error.is_of_the_call:
                raise
            self.require_usable()
            return self.head()
        directory, commit = printed.removesuffix(b"\n").rsplit(b"\n", 1)
        self._require_directory(directory)
        return commit.decode()

    def _require_directory(self, printed: bytes) -> None:
        if os.path.realpath(os.fsdecode(printed)) != self.git_directory:
            raise GitFailedError(NO_WORKING_TREE)

    def require_usable(self) -> None:
        """Have git check the repository: its owner (git-config(1), safe.directory), its format and
        the configuration.

        Raises:
            GitFailedError: git refuses it, or is not installed.
        """
        from sendroute.git.process import output

        self._refuse_special_files()
        # Only here git looks for the repository itself, because it checks the owner only then.
        printed = output(["rev-parse", "--absolute-git-dir"], self.top)
        self._require_directory(printed.removesuffix(b"\n"))

    def _refuse_special_files(self) -> None:
        """git would wait forever for the writer of a named pipe. A file system monitor leaves a
        socket here, which git does not open as a file."""
        for directory in {self.git_directory, common_directory(self.git_directory)}:
            for parent in (directory, os.path.join(directory, "info")):
                name = _special_file_in(parent)
                if name is not None:
                    raise GitFailedError(special_file(name))

    def _selection(self) -> list[str]:
        return [f"--git-dir={self.git_directory}", f"--work-tree={self.top}"]


def _special_file_in(directory: str) -> str | None:
    """The name of a file that may have no end; None if there is none, or git says what is wrong
    with the directory."""
    try:
        with os.scandir(directory) as listing:
            for entry in listing:
                if entry.is_file() or entry.is_dir() or not os.path.exists(entry.path):
                    continue
                if not stat.S_ISSOCK(entry.stat().st_mode):
                    return entry.name
    except (OSError, ValueError):
        return None
    return None


def find_repository(path: str) -> Repository | None:
    """Find the repository of a path, without asking git. The path need not exist.

    Args:
        path: a file or directory.

    Returns:
        The nearest repository; None if no ``.git`` is at the path or above it. git may still
        refuse to use it: see :meth:`Repository.require_usable`.
    """
    for directory in _directories(os.path.realpath(path)):
        repository = _repository_at(directory)
        if repository is not None:
            return repository
    return None


def open_repository(path: str) -> Repository | None:
    """Find the repository of a path, and have git check it.

    Args:
        path: a file or directory.

    Returns:
        The repository; None if no ``.git`` is at the path or above it.

    Raises:
        GitFailedError: there is one, but git refuses it, or is not installed.
    """
    repository = find_repository(path)
    if repository is not None:
        repository.require_usable()
    return repository


class CheckedOutRepository(NamedTuple):
    """A repository that git accepts, and its commit; None before the first one."""

    repository: Repository
    commit: str | None


class CheckoutTop(NamedTuple):
    """A directory with a ``.git``; ``repository`` is None if that leads to none."""

    top: str
    repository: Repository | None


def checked_out_at(checkout: CheckoutTop) -> CheckedOutRepository:
    """Find the commit that a checkout is at.

    Args:
        checkout: the checkout.

    Returns:
        Its repository and the commit.

    Raises:
        GitFailedError: the ``.git`` leads to no repository, or HEAD to no commit although there are
            some; or git refuses the repository, or is not installed. What is above it has another
            history.
    """
    repository = checkout.repository
    if repository is None:
        raise GitFailedError(NO_WORKING_TREE)
    commit = repository.usable_head()
    if commit is None and _has_commits(repository):
        raise GitFailedError(NO_COMMIT)
    return CheckedOutRepository(repository, commit)


def _has_commits(repository: Repository) -> bool:
    try:
        return has_commits(repository.git_directory)
    except (OSError, ValueError):
        return True


FindCommit = Callable[[CheckoutTop], CheckedOutRepository]
"""As :func:`checked_out_at`; callers that ask several times pass one that remembers."""


def checked_out(path: str, at: FindCommit = checked_out_at) -> CheckedOutRepository | None:
    """Find the repository of a path and the commit that is checked out.

    Args:
        path: a file or directory.
        at: finds the commit of its checkout.

    Returns:
        Both; None if no ``.git`` is at the path or above it.

    Raises:
        GitFailedError: as for :func:`checked_out_at`.
    """
    checkout = find_checkout(path)
    return None if checkout is None else at(checkout)


def find_checkout(path: str) -> CheckoutTop | None:
    """Find the checkout that a path is in: the nearest ``.git`` ends the search, also if it leads
    to no repository. git itself passes over a damaged directory of that name.

    Args:
        path: a file or directory.

    Returns:
        The nearest checkout; None if no ``.git`` is at the path or above it.
    """
    for directory in _directories(os.path.realpath(path)):
        if is_top(directory):
            repository = _repository_at(directory)
            is_whole = repository is not None and _is_whole(repository.git_directory)
            return CheckoutTop(directory, repository if is_whole else None)
    return None


def _is_whole(git_directory: str) -> bool:
    """Whether git takes a directory for a repository (gitrepository-layout(5)). One of another
    working tree has the rest elsewhere; git says what is wrong with it when it is asked."""
    names = ["HEAD"]
    if not _may_have(git_directory, "commondir"):
        names += ["objects", "refs"]
    return all(_may_have(git_directory, name) for name in names)


def submodule_at(directory: str) -> Repository | None:
    """The repository of a submodule's directory; None if it is not checked out."""
    return _repository_at(os.path.realpath(directory))


def _directories(path: str) -> Iterator[str]:
    """The path and all directories above it, as far as git would look (git(1),
    GIT_CEILING_DIRECTORIES; GIT_DISCOVERY_ACROSS_FILESYSTEM)."""
    ceilings = {
        os.path.realpath(ceiling)
        for ceiling in os.environ.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep)
        if os.path.isabs(ceiling)
    }
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    across = os.environ.get("GIT_DISCOVERY_ACROSS_FILESYSTEM", "").lower() in ("1", "true", "yes")
    device = os.stat(path).st_dev
    yield path
    while path != (path := os.path.dirname(path)):
        if path in ceilings or (not across and os.stat(path).st_dev != device):
            return
        yield path


def is_top(directory: str) -> bool:
    """Whether a directory is the top of a checkout, usable or not (gitrepository-layout(5)).

    Args:
        directory: the directory; it need not exist.

    Returns:
        Whether it has a ``.git``: a directory, a file, or a link that leads nowhere.
    """
    return os.path.lexists(os.path.join(directory, ".git"))


def _repository_at(directory: str) -> Repository | None:
    entry = os.path.join(directory, ".git")
    if os.path.isdir(entry):
        is_repository = _may_have(entry, "HEAD")
        return Repository(directory, os.path.realpath(entry)) if is_repository else None
    if not os.path.isfile(entry):
        return None
    target = _target(entry)
    if target is None or not _may_lead_to(directory, target):
        return None
    return Repository(directory, target)


def _may_have(git_directory: str, name: str) -> bool:
    try:
        os.lstat(os.path.join(git_directory, name))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # it may not be entered: git says so when it is asked
        return True
    return True


def _target(gitfile: str) -> str | None:
    """Where a ``.git`` file leads (gitrepository-layout(5)); worktrees and submodules have one."""
    try:
        with open(gitfile, "rb") as file:
            content = file.read(_MAX_GITFILE)
    except OSError:
        return None
    key, _, path = content.partition(b": ")
    if key != b"gitdir" or b"\0" in path:
        return None
    target = os.path.join(os.path.dirname(gitfile), os.fsdecode(path.rstrip(b"\r\n")))
    return os.path.realpath(target) if os.path.isdir(target) else None


def _may_lead_to(directory: str, target: str) -> bool:
    """Whether a ``.git`` file in a directory may lead to a target. Inside the tree of another
    repository it leads only to where git keeps the repositories of worktrees and submodules: in
    the other repository's own directory, or in some ``.git``, which no commit can hold. Anything
    else inside that tree may be files of a commit."""
    if ".git" in target.split("/"):
        return True
    outer = find_repository(os.path.dirname(directory)) if directory != "/" else None
    if outer is None or not _is_within(outer.top, target):
        return True
    return _is_within(outer.git_directory, target)


def _is_within(directory: str, path: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")
