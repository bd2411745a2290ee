"""The files of the Postfix side, and writing them."""

import os
from collections.abc import Mapping
from pathlib import Path

from sendroute.files.reason import reason_of
from sendroute.files.regular import regular
from sendroute.files.replacement import MODE, replacing
from sendroute.files.trust import is_own_alone
from sendroute.model.codes import finding
from sendroute.model.platform import Platform
from sendroute.model.problem import ProblemError
from sendroute.postfix.directory import require_trusted
from sendroute.postfix.parameters import Parameter, main_parameters
from sendroute.postfix.services import services
from sendroute.postfix.tables import INSTALLED, PATTERNS, TABLES

_SEPARATORS = frozenset(" \t\n,{}$'\"#;")
_MAX_NOTE = 1 << 20
"""Bytes of the note that are read; it has a line for each parameter."""


def absolute(directory: str) -> str:
    """Get the absolute path of the directory of lookup tables, as Postfix's files name it.

    Args:
        directory: the path as the user gave it.

    Returns:
        The absolute path; its links stay.

    Raises:
        ProblemError: Postfix's files cannot name such a path (``invalid-value``).
    """
    path = os.path.abspath(directory)  # noqa: PTH100 - links stay as they were typed
    if _SEPARATORS.intersection(path):
        raise ProblemError(
            finding(
                "invalid-value",
                f"Postfix's files cannot contain the path {path}: a space, a comma, a quote or"
                " one of {}$#; ends it there.",
                hint="Choose a directory without these characters.",
            )
        )
    return path


def files(directory: str, platform: Platform | None) -> dict[str, str]:
    """The files that configure Postfix.

    Args:
        directory: the absolute path of the lookup tables.
        platform: what the platform says about delivery; None for the defaults.

    Returns:
        The content of each file by its name.
    """
    parameters = (
        f"# {comment}\n{name} ={f' {value}' if value else ''}\n"
        for name, value, comment, _ in main_parameters(directory)
    )
    explained: set[Parameter] = set()
    entries = (service.text(explained) for service in services(directory, platform))
    return {
        "main.cf": "# What Postfix's own main.cf needs (postconf(5)).\n\n" + "\n".join(parameters),
        "master.cf": "# What Postfix's own master.cf needs (master(5)).\n\n" + "\n".join(entries),
        **{table.file: table.definition(directory) for table in TABLES},
        **PATTERNS,
    }


def write(directory: str, contents: Mapping[str, str]) -> list[str]:
    """Write the files that differ; each is replaced as a whole.

    Args:
        directory: is created if it is missing.
        contents: the content of each file by its name.

    Returns:
        The names of the files that changed.

    Raises:
        ProblemError: a file cannot be written (``unwritable``), or another user could replace the
            directory (``unsafe-directory``).
    """
    root, changed = Path(directory), []
    failed: Path | None = None
    try:
        root.mkdir(mode=0o750, parents=True, exist_ok=True)
        require_trusted(root)
        for name, text in contents.items():
            failed, content = root / name, _bytes(text)
            if _is_safe(failed) and _content(failed, len(content) + 1) == content:
                continue
            with replacing(failed, keeps_mode=False) as file:
                os.fchmod(file.fileno(), MODE)  # Postfix reads it, whatever the umask is
                file.write(content)
            changed.append(name)
    except OSError as error:
        reason = reason_of(error)
        raise ProblemError(
            finding(
                "unwritable",
                f"{failed or error.filename or directory} could not be written: {reason}.",
                hint="Choose a directory, or a path at which one can be created."
                if isinstance(error, FileExistsError | NotADirectoryError)
                else "Let the user that runs sendroute write to the directory.",
            )
        ) from error
    return changed


def _is_safe(path: Path) -> bool:
    """Whether only this user and root can change the file; another one is replaced."""
    try:
        return is_own_alone(path.lstat())
    except OSError:
        return False


def _content(path: Path, most: int) -> bytes | None:
    """What the file begins with: at most so many bytes. None without such a file; a link is none,
    and is replaced."""
    try:
        with os.fdopen(regular(str(path), os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            return file.read(most)
    except OSError:
        return None


def _bytes(text: str) -> bytes:
    """A value of a user may not be UTF-8; then its bytes stay as they are (PEP 383)."""
    return text.encode("utf-8", "surrogateescape")


def write_installed(directory: str, parameters: Mapping[str, str]) -> None:
    """Note what was set in Postfix's main.cf, so that a later installation knows its own values.

    Args:
        directory: the absolute path of the lookup tables.
        parameters: the value of each parameter; others stay as they were noted.

    Raises:
        ProblemError: the note cannot be written (``unwritable``).
    """
    noted = {**read_installed(directory), **parameters}
    lines = (f"{name} = {' '.join(value.split())}\n" for name, value in sorted(noted.items()))
    head = "# What was last set in Postfix's main.cf. Nothing reads it but the next installation.\n"
    write(directory, {INSTALLED: head + "".join(lines)})


def read_installed(directory: str) -> dict[str, str]:
    """The parameters that :func:`write_installed` noted; none if there is no note."""
    content = _content(Path(directory, INSTALLED), _MAX_NOTE) or b""
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}
