"""A lock file as text: its bytes, and what is wrong with one that is not what Sendroute wrote.

No message repeats anything of the file: a link may lead to another one.
"""

import hashlib
import json
import os
import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from sendroute.files.reason import reason_of
from sendroute.files.regular import regular
from sendroute.model.byte_order_mark import without_mark
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Position, Severity, whole_file
from sendroute.model.merge_mark import conflict_in, merge_mark
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Head
from sendroute.model.remedy import GitTask, Perform, Task, UseGit

FORMAT_VERSION = "1.5"
_FIRST_WITH_DIGEST = (1, 5)

_MAX_BYTES = 512 << 20
"""Of a lock file: about two million domains, more than a store should have. A repository that is
followed may hold any file of that name."""
_BYTE = re.compile(r"\(byte ([0-9]+)\)")
_RESTORE = "Restore from git the version that Sendroute wrote."
_END = b"\n}\n"

_Type = TypeVar("_Type")
Location = str | os.PathLike[str]
Lineage = Annotated[str, Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\Z")]
CommitId = Lineage
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
FormatVersion = Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})*\Z")]
# Stored in 64 bits, with room for later increments.
LockCount = Annotated[int, Meta(ge=0, lt=2**62)]


class _Format(Struct, frozen=True):
    format_version: FormatVersion


class LockHeader(Struct, frozen=True):
    """The part of a lock file that identifies its store. The commit id is absent in format 1.0, and
    was called ``attempt`` in 1.1. ``digest`` is of the rest of the file, since format 1.5."""

    format_version: FormatVersion
    lineage: Lineage
    revision: LockCount
    commit_id: CommitId | None = None
    attempt: CommitId | None = None
    digest: Digest | None = None

    @property
    def head(self) -> Head:
        """The commit that the state is of."""
        return Head(self.revision, self.commit_id or self.attempt)


_HEADER_KEYS = tuple(f'"{name}"'.encode() for name in LockHeader.__struct_fields__)


def load(path: Location) -> bytes:
    """Return the content of a lock file, without a byte-order mark.

    Raises:
        ProblemError: it cannot be read (``unreadable``), or is too large (``too-large``).
    """
    try:
        with open(path, "rb", opener=regular) as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ProblemError(
            finding(
                "unreadable",
                f"The lock file {path} cannot be read: {reason_of(error)}.",
                hint="Give the user that runs sendroute read permission. If it is a symbolic link,"
                " check its target.",
                where=whole_file(str(path)),
            )
        ) from error
    if len(content) > _MAX_BYTES:
        raise ProblemError(
            finding(
                "too-large",
                f"The lock file {path} has more than {_MAX_BYTES >> 20} MiB.",
                hint=_RESTORE,
                where=whole_file(str(path)),
            )
        )
    return without_mark(content)


def with_digest(content: bytes) -> bytes:
    """Add the digest of a lock file to its text: parts of two versions that a merge puts together
    are as well-formed as each of them, and the state of no store.

    Args:
        content: the text without a digest.

    Returns:
        The text of the file.
    """
    digest = hashlib.sha256(content).hexdigest()
    return content.removesuffix(_END) + _digest_line(digest) + _END


def is_edited(content: bytes, header: LockHeader) -> bool:
    """Whether the text of a lock file is not the one that Sendroute wrote. git may have changed the
    ends of its lines (gitattributes(5), eol).

    Args:
        content: the content, from :func:`load`.
        header: its header.

    Returns:
        Whether it differs. False if an earlier version of Sendroute wrote it, without a digest.
    """
    if header.digest is None:
        return tuple(map(int, header.format_version.split("."))) >= _FIRST_WITH_DIGEST
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n")
    before, _, after = content.partition(_digest_line(header.digest))
    digest = hashlib.sha256(before)
    digest.update(after)
    return digest.hexdigest() != header.digest


def _digest_line(digest: str) -> bytes:
    return f',\n "digest": "{digest}"'.encode()


def parse(content: bytes, path: Location, form: type[_Type]) -> _Type:
    """Parse a lock file, or a part of it.

    Args:
        content: the content, from :func:`load`.
        path: the path of the file, for findings.
        form: the type to read.

    Raises:
        ProblemError: it is not a lock file (``invalid-value``), or holds the marks of a merge
            (``yaml-syntax``), with the line if it is known.
    """
    try:
        return msgspec.json.decode(content, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(_fault(content, path, error)) from error


def refuse_repeated_keys(content: bytes, path: Location) -> None:
    """Refuse a file in which an object has a key twice, of which one would silently win: git merges
    two additions of one entry without a conflict.

    Args:
        content: the content, which was parsed already.
        path: the path of the file, for findings.

    Raises:
        ProblemError: a key is there twice (``invalid-value``).
    """
    try:
        json.loads(content, object_pairs_hook=_without_repeated_keys)
    except (ValueError, RecursionError) as error:
        raise ProblemError(contradictory(path)) from error


def refuse_unknown_format(content: bytes, path: Location) -> None:
    """Refuse a file of a later format, in which anything may have another meaning.

    Args:
        content: the content.
        path: the path of the file, for findings.

    Raises:
        ProblemError: the format is another one (``store-version``), or the file is no lock file, as
            :func:`parse` says.
    """
    _refuse_version(parse(content, path, _Format).format_version, path)


def _refuse_version(version: str, path: Location) -> None:
    if version.split(".")[0] != FORMAT_VERSION.split(".")[0]:
        raise ProblemError(
            finding(
                "store-version",
                f"The lock file {path} has format {version!r}, which the installed Sendroute cannot"
                " read.",
                hint="Use the version of Sendroute that wrote the lock file.",
            )
        )


def header_of(content: bytes, path: Location) -> LockHeader:
    """Parse only what identifies the store of a lock file.

    Raises:
        ProblemError: as :func:`parse`, :func:`refuse_unknown_format` and
            :func:`refuse_repeated_keys` do.
    """
    try:
        header = parse(content, path, LockHeader)
    except ProblemError:
        refuse_unknown_format(content, path)  # which may have another header
        raise
    _refuse_version(header.format_version, path)
    # Each plan reads the header, of files with a million domains: counting is fast. A key may also
    # be another object's, such as a domain's, or be written with escapes.
    if b"\\" in content or any(content.count(key) > 1 for key in _HEADER_KEYS):
        refuse_repeated_keys(content, path)
    return header


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> None:
    """Keeps nothing: the values were parsed already."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is there twice")


def contradictory(path: Location) -> Finding:
    """The finding for a lock file whose parts contradict each other."""
    return _invalid(path, f"{path} is not a valid lock file.", _RESTORE)


def edited(path: Location, severity: Severity = Severity.ERROR) -> Finding:
    """The finding for a lock file that is not as Sendroute wrote it.

    Args:
        path: the path of the file.
        severity: a warning if its content is not used.
    """
    return finding(
        "edited-lock",
        f"The lock file {path} is not as Sendroute wrote it: it was edited, or a merge took parts"
        " of two versions.",
        hint="If its store was lost, restore from git a version that Sendroute wrote. Otherwise"
        " write the lock file again from the store.",
        remedy=Perform(Task.WRITE_LOCK_FILE, str(path)),
        severity=severity,
        where=whole_file(str(path)),
    )


def _fault(content: bytes, path: Location, error: Exception) -> Finding:
    text = content.decode(errors="replace")
    conflict = merge_mark(text, malformed=True)
    if conflict is not None:
        directory, name = os.path.split(path)
        item = finding(
            "yaml-syntax",
            conflict_in(f"The lock file {path}"),
            hint="Take no parts of both sides. If the marks were committed, restore from git a"
            " version that Sendroute wrote. Otherwise take the whole file of one side, whichever it"
            " is, and write the lock file again with the next change.",
            remedy=UseGit(GitTask.TAKE_ONE_SIDE, name, directory or None),
            where=whole_file(str(path)),
        )
        return replace(item, position=_position(text[:conflict].encode(), path))
    try:
        content.decode()
    except UnicodeDecodeError as invalid:
        item = _invalid(path, f"The lock file {path} is not UTF-8 text.", _RESTORE)
        return replace(item, position=_position(content[: invalid.start], path))
    if isinstance(error, msgspec.ValidationError):
        return contradictory(path)
    item = _invalid(path, f"The lock file {path} is not well-formed JSON.", _RESTORE)
    byte = _BYTE.search(str(error))
    offset = int(byte[1]) if byte else len(content.rstrip())
    return replace(item, position=_position(content[:offset], path))


def _position(before: bytes, path: Location) -> Position:
    column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
    return Position(str(path), before.count(b"\n") + 1, column)


def _invalid(path: Location, message: str, hint: str) -> Finding:
    return finding("invalid-value", message, hint=hint, where=whole_file(str(path)))
