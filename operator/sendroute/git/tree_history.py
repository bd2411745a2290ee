"""The history of a tree's commit: which earlier commits it contains, and where it begins."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sendroute.files.regular import regular
from sendroute.git.failures import GitFailedError
from sendroute.git.repository import CheckoutTop, FindCommit, Repository, checked_out_at

_NAME = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

RunGit = Callable[[Sequence[str]], bytes | None]
"""Runs a git command in a repository; None if it fails."""


class TreeHistory(NamedTuple):
    """A :class:`~sendroute.model.ancestry.CommitHistory` of what a repository has."""

    commit: str
    run: RunGit

    def contains(self, earlier: str) -> bool | None:
        """Return whether the commit is another one, or descends from it.

        Args:
            earlier: the full hash of the other commit.

        Returns:
            False also if that commit is not here, or git cannot read the history of a complete
            clone; None if the history of a shallow clone ends before the answer.
        """
        if earlier == self.commit:  # nearly always, and git need not say so
            return True
        if self.has(earlier) and self._lines("rev-list", "-1", earlier, "--not", self.commit) == []:
            return True
        # What the commit has and the other lacks; if a parent is cut off there, it may be the
        # other one or lead to it (gitrepository-layout(5), shallow).
        beyond = ["--not", earlier] if self.has(earlier) else []
        roots = self._lines("rev-list", "--max-parents=0", self.commit, *beyond)
        cut = self._boundaries()
        # Without an answer a complete clone is damaged, and what is unknown is not newer.
        is_cut = cut if roots is None else cut.intersection(roots)
        return None if is_cut else False

    def has(self, commit: str) -> bool:
        """Whether a commit is here."""
        if _NAME.fullmatch(commit) is None:
            return False
        return self.run(["cat-file", "-e", f"{commit}^{{commit}}"]) is not None

    def first_commit(self) -> str | None:
        """Return the commit without parents that the first parents lead to, which all complete
        clones have in common; None in a shallow clone that does not reach it."""
        roots = self._lines("rev-list", "--first-parent", "--max-parents=0", self.commit)
        if not roots or roots[-1] in self._boundaries():
            return None
        return roots[-1]

    def _lines(self, *arguments: str) -> list[str] | None:
        printed = self.run(arguments)
        return None if printed is None else printed.decode().split()

    def _boundaries(self) -> set[str]:
        path = self.run(["rev-parse", "--path-format=absolute", "--git-path", "shallow"])
        if path is None:
            return set()
        try:
            with open(path.removesuffix(b"\n"), encoding="ascii", opener=regular) as file:
                return set(file.read().split())
        except FileNotFoundError:
            return set()


def tree_history(checkout: CheckoutTop, at: FindCommit = checked_out_at) -> TreeHistory | None:
    """The history of the commit that manifests are at, whether they were changed since or not.

    Args:
        checkout: the checkout that they are in.
        at: finds its commit.

    Returns:
        The history; None if the repository has no commit yet.

    Raises:
        GitFailedError: git cannot read the repository.
    """
    repository, commit = at(checkout)
    return None if commit is None else TreeHistory(commit, _runner(repository))


def history_of(commit: str, checkouts: Iterable[CheckoutTop]) -> TreeHistory | None:
    """The history of a commit that was checked out before, perhaps elsewhere: in every repository
    that has a commit, it has the same one.

    Args:
        commit: the full hash of the commit.
        checkouts: where it may be.

    Returns:
        Its history in the first repository that has it, and that git can read; None if none has.
    """
    for checkout in checkouts:
        try:
            repository, _ = checked_out_at(checkout)
        except GitFailedError:
            continue
        history = TreeHistory(commit, _runner(repository))
        if history.has(commit):
            return history
    return None


def _runner(repository: Repository) -> RunGit:
    def run(arguments: Sequence[str]) -> bytes | None:
        try:
            return repository.output(arguments)
        except GitFailedError:
            return None

    return run
