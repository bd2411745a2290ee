"""The directory that the agent shares with Postfix: its rights, its lock, and the alias file.

It holds passwords. So only its owner may change it, and besides the owner only the group of Postfix
may read it.
"""

import errno
import grp
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sendroute.files.lock import lock
from sendroute.files.reason import reason_of
from sendroute.files.regular import regular
from sendroute.files.trust import is_of_trusted_user, is_own_alone
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.postfix.directory import require_trusted
from sendroute.postfix.tables import ALIASES, CONFIGURATION, DATABASE

_LOCK = "agent.lock"
_NEW = ".new"
_LOG_SUFFIXES = ("-wal", "-shm")
_NO_DIRECTORY = (errno.EEXIST, errno.ENOTDIR, errno.ENOENT)
_LOCK_TIMEOUT = 2.0
"""Seconds to wait for what an agent was starting when it was killed."""
_EXPECTED_FILES = frozenset({ALIASES, _LOCK, "lost+found", *CONFIGURATION})


class RelayDirectory:
    """The directory of one agent.

    Args:
        path: its path.
        group: the name or the number of the group of Postfix, which may read it. Instead of one
            that does not exist here, the group of this process may.
    """

    def __init__(self, path: Path, group: str) -> None:
        self.path = path
        self._known_group = _group_id(group)
        self._group = os.getegid() if self._known_group is None else self._known_group
        self.was_discarded = False

    @property
    def tables(self) -> Path:
        """The file that Postfix reads."""
        return self.path / DATABASE

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the directory if it is missing, set its rights, and keep out other agents while
        the block runs.

        Raises:
            ProblemError: ``unwritable`` if it cannot be used, ``unsafe-directory`` if others may
                change it, ``relay-running`` if another agent uses it.
        """
        try:
            self.path.mkdir(mode=0o750, parents=True, exist_ok=True)
            is_closed = self._secure()
            lock_file = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise self.unwritable(error.filename or self.path, error) from error
        try:
            try:
                lock(lock_file, time.monotonic() + _LOCK_TIMEOUT)
            except OSError as error:
                raise self._running() from error
            if not is_closed or not all(map(_is_sound, self._tables_files())):
                self._discard()
            self.restore_rights()
            yield
        finally:
            os.close(lock_file)

    def _secure(self) -> bool:
        """Only the owner and root decide what is in the directory from now on, so no file in it is
        another's trap. Returns whether that was so before."""
        require_trusted(self.path)
        mode = stat.S_IMODE(self.path.stat().st_mode)
        if mode != 0o750:
            self._require_own()
        for file in self._files():
            if file.is_symlink():
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(file))
        self._close()
        for name in CONFIGURATION:
            self._require_trusted_file(self.path / name)
        if not _is_of_trusted_user(self.path / _LOCK):
            (self.path / _LOCK).unlink()
        return not mode & 0o022

    def _require_trusted_file(self, path: Path) -> None:
        if _is_of_trusted_user(path):
            return
        raise ProblemError(
            finding(
                "unsafe-directory",
                f"The file {path} belongs to another user, who could change what Postfix runs"
                " with.",
                hint="Delete the file, and write the configuration of Postfix again.",
            )
        )

    def _tables_files(self) -> list[Path]:
        """The files of the tables and of the aliases, also those that SQLite or a killed agent
        left."""
        names = (DATABASE, ALIASES)
        return [path for path in self.path.iterdir() if path.name.startswith(names)]

    def _discard(self) -> None:
        """Delete the tables that another user could have written, or can still read or write by a
        descriptor: what is written next gets a file of its own."""
        for path in self._tables_files():
            if path.is_symlink() or not path.is_dir():
                path.unlink(missing_ok=True)
                self.was_discarded = True

    def _files(self) -> list[Path]:
        """What Postfix reads."""
        names = (DATABASE, ALIASES, *(DATABASE + suffix for suffix in _LOG_SUFFIXES))
        return [self.path / name for name in names]

    def restore_rights(self) -> None:
        """Set the rights of the directory and of what Postfix reads, if they are others. A
        directory that holds files of others by now keeps its own.

        Raises:
            OSError: they cannot be set.
        """
        self._close()
        for file in self._files():
            with suppress(FileNotFoundError):
                self._share(file)

    def _close(self) -> None:
        if not self._foreign():
            if stat.S_IMODE(self.path.stat().st_mode) != 0o750:
                self.path.chmod(0o750)
            self._set_group(self.path)

    def _require_own(self) -> None:
        """A directory of others, such as /var/lib, keeps its rights: they would be locked out."""
        foreign = self._foreign()
        if foreign:
            example = ascii(min(foreign))[1:-1]
            raise ProblemError(
                finding(
                    "unsafe-directory",
                    f"The directory {self.path} holds other files, for example {example}, and the"
                    " agent would take the right to read them from others.",
                    hint="Choose a directory for the tables alone; the agent creates one.",
                )
            )

    def _foreign(self) -> list[str]:
        """The names of files that are not the agent's."""
        return [path.name for path in self.path.iterdir() if not _is_own(path.name)]

    def _share(self, path: Path) -> None:
        status = path.lstat()
        if not (stat.S_ISREG(status.st_mode) and is_of_trusted_user(status)):
            return
        if stat.S_IMODE(status.st_mode) != 0o640:
            path.chmod(0o640)
        self._set_group(path)

    def _set_group(self, path: Path) -> None:
        """Give a file to the group of Postfix. Only root, or a member of the group, may."""
        if path.stat().st_gid == self._group:
            return
        try:
            os.chown(path, -1, self._group)
        except PermissionError:
            return  # `is_shared` says it

    @property
    def is_shared(self) -> bool:
        """Whether the group of Postfix may read the directory."""
        return self._known_group is not None and self.path.stat().st_gid == self._group

    @property
    def group(self) -> str:
        """The group that may read the directory, by its name if it has one."""
        number = self.path.stat().st_gid
        try:
            return grp.getgrgid(number).gr_name
        except KeyError:
            return str(number)

    def _running(self) -> ProblemError:
        return ProblemError(
            finding(
                "relay-running",
                f"Another agent keeps the tables in {self.path}.",
                hint="Stop that agent, or choose another directory for a second Postfix.",
            )
        )

    def unwritable(self, path: Path | str, error: OSError) -> ProblemError:
        """The problem of a file or directory that cannot be written."""
        if error.errno in _NO_DIRECTORY:
            message = f"{path} is no directory, and none can be created there."
            hint = "Choose a directory, or a path at which the agent can create one."
        else:
            message = f"Cannot write {path}: {reason_of(error)}."
            hint = (
                "Choose a directory that the user that runs the agent may write to, on a disk"
                " with free space."
            )
        return ProblemError(finding("unwritable", message, hint=hint))

    def write_aliases(self, aliases: Iterable[tuple[str, str]]) -> None:
        """Replace the alias file, completely or not at all.

        Args:
            aliases: each alias with its host.

        Raises:
            OSError: it cannot be written; the old file stays.
        """
        path = self.path / ALIASES
        temporary = path.with_name(ALIASES + _NEW)
        with self._created(temporary) as descriptor, os.fdopen(descriptor, "w", 1 << 16) as stream:
            stream.writelines(f"{alias} {host}\n" for alias, host in aliases)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        self._sync()

    def has_aliases(self, aliases: Iterable[tuple[str, str]]) -> bool:
        """Whether the alias file holds exactly these aliases."""
        try:
            with open(self.path / ALIASES, encoding="ascii", opener=regular) as file:
                text = file.read()
        except (OSError, UnicodeDecodeError):
            return False
        return text == "".join(f"{alias} {host}\n" for alias, host in aliases)

    @contextmanager
    def new_tables(self) -> Iterator[Path]:
        """An empty file, in which the tables are built. It replaces the tables when the block
        succeeds. Postfix reads the old file until it opens the tables again."""
        temporary = self.tables.with_name(DATABASE + _NEW)
        with self._created(temporary) as descriptor:
            os.close(descriptor)
            yield temporary
            # A log belongs to the file of its name, so that of the old file must go first.
            for suffix in _LOG_SUFFIXES:
                self.tables.with_name(DATABASE + suffix).unlink(missing_ok=True)
            temporary.replace(self.tables)
            self._sync()

    @contextmanager
    def _created(self, path: Path) -> Iterator[int]:
        """A new file that Postfix may read; it is deleted if the block fails."""
        leftovers = (path, *(path.with_name(path.name + suffix) for suffix in _LOG_SUFFIXES))
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        try:
            os.fchmod(descriptor, 0o640)
            self._set_group(path)
            yield descriptor
        except BaseException:  # also if interrupted: no partly written file remains
            for leftover in leftovers:
                leftover.unlink(missing_ok=True)
            raise

    def _sync(self) -> None:
        directory = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _is_of_trusted_user(path: Path) -> bool:
    """Also if there is no such file."""
    try:
        return is_of_trusted_user(path.lstat())
    except FileNotFoundError:
        return True


def _is_sound(path: Path) -> bool:
    """A directory is no file of SQLite, and is reported as such."""
    return is_own_alone(path.lstat()) or path.is_dir()


def _is_own(name: str) -> bool:
    """Whether the agent, Postfix's configuration or the file system has a file of this name."""
    plain = name.removeprefix(".").removesuffix(_NEW)
    return plain in _EXPECTED_FILES or plain.startswith(DATABASE)


def _group_id(name: str) -> int | None:
    """The number of a group; a container may know the group of Postfix by its number alone."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return int(name) if re.fullmatch(r"[0-9]{1,9}", name) else None
