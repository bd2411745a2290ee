"""A commit of the user's repository: its files and their content."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from subprocess import PIPE
from threading import Thread
from typing import IO, NamedTuple

from sendroute.git.process import output, start


class TreeEntry(NamedTuple):
    """One entry of a commit's tree (git-ls-tree(1)); ``size`` is None for a submodule."""

    mode: str
    kind: str
    blob: str
    size: int | None
    path: str


def find_commit(revision: str, directory: str) -> str | None:
    """Resolve a commit, branch or tag to a commit.

    Args:
        revision: as the user gave it (gitrevisions(7)); never taken for an option.
        directory: a directory of the repository.

    Returns:
        The commit's full object name; None if the repository has no such commit.
    """
    arguments = ["rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}"]
    printed = output(arguments, directory)
    return printed.decode().strip() if printed else None


def list_tree(commit: str, directory: str) -> list[TreeEntry] | None:
    """List all files of a commit, recursively (git-ls-tree(1)).

    Args:
        commit: the commit's object name.
        directory: a directory of the repository.

    Returns:
        The entries with their paths from the top of the tree; None if git fails or is not
        installed.
    """
    listed = output(["ls-tree", "-r", "-z", "-l", "--full-tree", commit], directory)
    if listed is None:
        return None
    entries = []
    for line in os.fsdecode(listed).split("\0")[:-1]:
        facts, _, path = line.partition("\t")
        mode, kind, blob, size = facts.split()
        entries.append(TreeEntry(mode, kind, blob, int(size) if size.isdigit() else None, path))
    return entries


def read_blob(blob: str, directory: str) -> bytes | None:
    """Read one blob (git-cat-file(1)).

    Args:
        blob: the blob's object name.
        directory: a directory of the repository.

    Returns:
        Its content; None if the repository does not have it, or git is not installed.
    """
    return output(["cat-file", "blob", blob], directory)


def read_blobs(blobs: Sequence[str], directory: str) -> Iterator[bytes | None]:
    """Read many blobs with one process (git-cat-file(1), BATCH OUTPUT).

    Args:
        blobs: the object names of the blobs.
        directory: a directory of the repository.

    Yields:
        The content of each blob in order; None for one that the repository does not have.

    Raises:
        OSError: git is not installed.
    """
    with start(["cat-file", "--batch"], directory, stdin=PIPE) as process:
        requests, answers = process.stdin, process.stdout
        assert requests is not None  # noqa: S101 - a pipe, because start() was called with PIPE
        assert answers is not None  # noqa: S101 - a pipe, because start() makes it one
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
