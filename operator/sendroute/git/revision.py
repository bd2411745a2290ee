"""A commit of the user's repository: its files and their content."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from threading import Thread
from typing import IO, NamedTuple

from sendroute.git.failures import GitFailedError
from sendroute.git.repository import Repository


class TreeEntry(NamedTuple):
    """One entry of a commit's tree (git-ls-tree(1)); ``size`` is None for a submodule."""

    mode: str
    kind: str
    blob: str
    size: int | None
    path: str


def find_commit(revision: str, repository: Repository) -> str | None:
    """Resolve a commit, branch or tag to a commit.

    Args:
        revision: as the user gave it (gitrevisions(7)); never taken for an option.
        repository: the repository.

    Returns:
        The commit's full object name; None if the repository has no such commit.

    Raises:
        GitFailedError: git fails for a reason that is known, or is not installed.
    """
    arguments = ["rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}"]
    try:
        printed = repository.output(arguments)
    except GitFailedError as error:
        if error.cause is not None:
            raise
        return None
    return printed.decode().strip()


def list_tree(commit: str, repository: Repository) -> list[TreeEntry]:
    """List all files of a commit, recursively (git-ls-tree(1)).

    Args:
        commit: the commit's object name.
        repository: the repository.

    Returns:
        The entries with their paths from the top of the tree.

    Raises:
        GitFailedError: git fails or is not installed.
    """
    listed = repository.output(["ls-tree", "-r", "-z", "-l", "--full-tree", commit])
    return [parse_entry(line) for line in listed.split(b"\0")[:-1]]


def parse_entry(line: bytes) -> TreeEntry:
    """Parse a line of ``git ls-tree -l -z`` (git-ls-tree(1), OUTPUT FORMAT).

    Args:
        line: the line, without its NUL.

    Returns:
        The entry; its size is None for what is no blob.

    Raises:
        ValueError: the line has another form.
    """
    facts, _, path = os.fsdecode(line).partition("\t")
    mode, kind, blob, size = facts.split()
    return TreeEntry(mode, kind, blob, int(size) if size.isdigit() else None, path)


def read_blob(blob: str, repository: Repository) -> bytes | None:
    """Read one blob (git-cat-file(1)).

    Args:
        blob: the blob's object name.
        repository: the repository.

    Returns:
        Its content; None if the repository does not have it, or git is not installed.
    """
    try:
        return repository.output(["cat-file", "blob", blob])
    except GitFailedError:
        return None


def read_blobs(blobs: Sequence[str], repository: Repository) -> Iterator[bytes | None]:
    """Read many blobs with one process (git-cat-file(1), BATCH OUTPUT).

    Args:
        blobs: the object names of the blobs.
        repository: the repository.

    Yields:
        The content of each blob in order; None for one that the repository does not have.

    Raises:
        GitFailedError: git is not installed, or does not answer.
    """
    with repository.conversation(["cat-file", "--batch"]) as (requests, answers):
        # A thread writes while this one reads; otherwise both pipes fill up and neither side
        # continues.
        writer = Thread(target=_write_requests, args=(requests, blobs), daemon=True)
        writer.start()
        for _ in blobs:
            yield _read_answer(answers)
        writer.join()


def _write_requests(stream: IO[bytes], blobs: Sequence[str]) -> None:
    with stream, suppress(BrokenPipeError):
        for blob in blobs:
            stream.write(f"{blob}\n".encode())


def _read_answer(stream: IO[bytes]) -> bytes | None:
    header = stream.readline().split()
    if len(header) != 3:
        return None
    data = stream.read(int(header[2]))
    stream.read(1)
    return data
