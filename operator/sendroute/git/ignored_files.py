"""Keeps files that hold secrets, or that only one host may write, out of git."""

import os
from collections.abc import Iterator
from pathlib import Path

from sendroute.git.repository import find_repository


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
    if find_repository(str(directory)) is None:
        return
    file = directory / ".gitignore"
    advice = f"{path} is in a git working tree: never commit it. Add {pattern} to {file}."
    try:
        text = file.read_text("utf-8-sig") if os.path.lexists(file) else ""
        ignoring = {pattern, path.name, f"/{path.name}", f"*{path.suffix}", f"*{path.suffix}*"}
        if not ignoring.isdisjoint(text.splitlines()):
            return
        if file.is_symlink():  # git does not follow it, and neither does Sendroute
            yield advice
            return
        gap = "\n" if text and not text.endswith("\n") else ""
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"{gap}{pattern}\n")
    except (OSError, UnicodeDecodeError):
        yield advice
        return
    yield f"Added {pattern} to {file}, so that git does not commit {subject}."
