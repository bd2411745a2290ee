"""Keeps files that hold secrets, or that only one host may write, out of git."""

import stat
from collections.abc import Iterator
from pathlib import Path

from sendroute.git.failures import GitFailedError
from sendroute.git.repository import Repository, find_checkout

_LARGEST = 1 << 20
"""Bytes of a list of patterns that is read."""
_BESIDE = ("-journal", "-shm", "-wal")
"""How the names of SQLite's own files end (https://www.sqlite.org/tempfiles.html)."""


def ignore_in_git(path: Path, pattern: str, subject: str) -> Iterator[str]:
    """Make git ignore a new file, by the `.gitignore` beside it
    (https://git-scm.com/docs/gitignore).

    Args:
        path: the file.
        pattern: what is added to the list.
        subject: the file as a message names it.

    Yields:
        What was done; nothing if the file is in no working tree, or is ignored already.
    """
    directory = path.resolve().parent
    checkout = find_checkout(str(directory))
    if checkout is None:
        return
    # A damaged repository is a working tree again when it is restored.
    repository = checkout.repository
    if repository is not None and _is_ignored(repository, directory / path.name, pattern):
        return
    file = directory / ".gitignore"
    advice = f"{path} is in a git working tree: never commit it. Add {pattern} to {file}."
    try:
        text = _text_of(file)
        if text is None:
            yield advice
            return
        ignoring = {pattern, path.name, f"/{path.name}", f"*{path.suffix}", f"*{path.suffix}*"}
        if not ignoring.isdisjoint(_after_exceptions(text.splitlines())):
            return
        gap = "\n" if text and not text.endswith("\n") else ""
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"{gap}{pattern}\n")
    except (OSError, UnicodeDecodeError):
        yield advice
        return
    yield f"Added {pattern} to {file}, so that git does not commit {subject}."


def _is_ignored(repository: Repository, file: Path, pattern: str) -> bool:
    """Whether git ignores the file, and what SQLite writes beside it if the pattern says so: by any
    list of the user or of a directory above (gitignore(5)). False also if git does not say."""
    beside = _BESIDE if pattern.endswith("*") else ()
    paths = [f"{file}{end}" for end in ("", *beside)]
    try:
        repository.require_usable()
        ignored = repository.output(["check-ignore", "--", *paths])
    except GitFailedError:  # also if it ignores none of them
        return False
    return len(ignored.splitlines()) == len(paths)  # each quoted on a line


def _text_of(file: Path) -> str | None:
    """A list of patterns, empty if it is missing; None if it is no file of a usual size. git does
    not follow a link in its place, and neither does Sendroute."""
    try:
        seen = file.lstat()
    except FileNotFoundError:
        return ""
    if not stat.S_ISREG(seen.st_mode) or seen.st_size > _LARGEST:
        return None
    return file.read_text("utf-8-sig")


def _after_exceptions(lines: list[str]) -> list[str]:
    """The patterns that no later line takes back: the last one that matches decides."""
    exceptions = [number for number, line in enumerate(lines) if line.startswith("!")]
    return lines[exceptions[-1] + 1 :] if exceptions else lines
