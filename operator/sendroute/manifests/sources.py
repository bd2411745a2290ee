"""Find and load the files of the given paths, always in the same order. A file that cannot be read
is reported, and reading it never blocks."""

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter, itemgetter
from typing import BinaryIO, NamedTuple, Protocol

from msgspec import structs

from sendroute.files.links import LinkRefusal, Region, TreeLinks, is_part
from sendroute.files.reason import reason_of
from sendroute.git.missing import MissingPath, MissingPaths, MissingReason
from sendroute.git.repository import CheckoutTop, find_checkout
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Where
from sendroute.model.manifest_name import is_manifest
from sendroute.model.remedy import CheckOutSubmodules, GitTask, Remedy, UseGit
from sendroute.model.unseen import UNSEEN, is_seen

MAX_BYTES = 32 * 1024 * 1024
STDIN = "-"
# Without O_NONBLOCK, opening a FIFO waits for a writer; without O_NOCTTY a terminal could become
# ours (open(2)). Neither matters to a regular file.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class SourceEntry(NamedTuple):
    """A file to read: the name that is shown, and the path that opens it. ``identity`` is
    ``(device, inode)`` if it is known, ``blob`` the object id in git. ``outside``: a link that
    leads out of the tree was followed to reach it."""

    name: str
    path: str
    identity: tuple[int, int] | None = None
    blob: str | None = None
    outside: bool = False

    def where(self, document: int = 0) -> Where:
        """Return the document of this number in the file."""
        return Where(self.name, document, (), False, self.outside)


class ManifestSource(Protocol):
    """A source of manifests. It is listed once and loaded in that order; some files are loaded
    again to find the lines of findings."""

    def entries(self) -> tuple[list[SourceEntry], list[Finding]]:
        """List the files.

        Returns:
            All files, always in the same order, and the findings about paths that could not be
            listed.
        """
        ...

    def load(self, entries: Iterable[SourceEntry]) -> Iterator[bytes | Finding]:
        """Load files.

        Args:
            entries: the files, in the order in which they were listed.

        Yields:
            The bytes of each entry, or the finding that says why they are unavailable.
        """
        ...

    def again(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Load some files again. A file that is no longer available is left out.

        Args:
            names: the names of the files, as they are shown.

        Yields:
            The name and the bytes of each file.
        """
        ...


class FileSource:
    """Files and directories of the file system, and standard input.

    The order of ``paths`` does not matter for what is read. Directories are read recursively, and
    ``-`` is ``stdin``. A file is read once, even if several paths or links lead to it.
    ``submodules`` are empty directories of a checkout without a repository, whose content is
    unknown. ``checkouts`` are the checkouts that were read from, known once the tree was listed,
    without the submodules of one of them.
    """

    def __init__(
        self,
        paths: Sequence[str],
        stdin: BinaryIO | None = None,
        submodules: Sequence[str] = (),
    ) -> None:
        self.paths = tuple(paths)
        self._paths = sorted(set(paths))
        self._stdin = stdin
        self._submodules = submodules
        self._typed: bytes | Finding | None = None
        self._odd: dict[str, str] = {}
        self._repeated: list[SourceEntry] = []
        self._directories: frozenset[tuple[int, int]] = frozenset()
        self.checkouts: tuple[CheckoutTop, ...] = ()

    def entries(self) -> tuple[list[SourceEntry], list[Finding]]:
        walk = _Walk(_identities(self._submodules), TreeLinks(self._paths))
        for path in self._paths:
            walk.given(path)
        walk.end()
        self._odd = walk.odd
        self._directories = frozenset(walk.directories)
        self.checkouts = tuple(walk.missing.checkouts())
        entries = _without_repeats(walk.entries)
        self._repeated = walk.entries if len(entries) < len(walk.entries) else []
        return entries, walk.findings

    def load(self, entries: Iterable[SourceEntry]) -> Iterator[bytes | Finding]:
        for entry in entries:
            yield self._read_stdin() if entry.path == STDIN else _load(entry)

    def again(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        for name in names:
            path = self._odd.get(name, name)
            data = self._typed if path == STDIN else _load(SourceEntry(name, path))
            if isinstance(data, bytes):
                yield name, data

    def lists(self, path: str) -> bool:
        """Whether a new file of this path is listed if the tree is listed again. Its directories
        may be new too. The tree must have been listed."""
        if path in map(os.path.normpath, self._paths):
            return True
        directory, name = os.path.split(os.path.normpath(path))
        if not is_manifest(name) or name.startswith("."):
            return False
        while not os.path.isdir(directory or "."):
            directory, name = os.path.split(directory)
            if not name or name.startswith("."):
                return False
        status = os.stat(directory or ".")
        return (status.st_dev, status.st_ino) in self._directories

    def holds(self, path: str) -> bool:
        """Whether a file, or a new one of this path, is really in the given directories, or is a
        given file: no link on the way to it leads out of them."""
        name = os.path.basename(path)
        new = os.path.join(os.path.realpath(os.path.dirname(path)), name)
        target = os.path.realpath(path) if os.path.exists(path) else new
        given = [os.path.realpath(given) for given in self._paths if given != STDIN]
        return any(is_part(target, top) for top in given)

    def hard_links(self, paths: Iterable[str]) -> dict[str, str]:
        """Find other names of files in the tree, which do not change if a file is replaced. The
        tree must have been listed.

        Args:
            paths: the paths of the files.

        Returns:
            By the path of a file with a hard link, the name that the link is shown by.
        """
        linked = {path: _identity(path) for path in paths if _has_links(path)}
        names: dict[str, str] = {}
        for entry in self._repeated if linked else ():
            identity = _identity(entry.path)
            for path, known in linked.items():
                if known == identity and os.path.realpath(entry.path) != os.path.realpath(path):
                    names.setdefault(path, entry.name)
        return names

    def _read_stdin(self) -> bytes | Finding:
        if self._typed is None:
            stream = self._stdin or (sys.stdin.buffer if sys.stdin else None)
            if stream is None:
                self._typed = unreadable(STDIN, "standard input is closed")
            else:
                self._typed = _read_stream(stream)
        return self._typed


def _read_stream(stream: BinaryIO) -> bytes | Finding:
    try:
        data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return unreadable(STDIN, _reason(error))
    return data if len(data) <= MAX_BYTES else too_large(STDIN)


class _Pending(NamedTuple):
    """A directory to walk. ``region`` is where it is if links that lead out of the tree were
    followed to it; None in the tree. ``is_root`` if it is a given one, or the target of a link:
    nothing above it need be walked, because the target may be hidden, or be in another path that
    was given."""

    path: str
    identity: tuple[int, int]
    region: Region | None
    is_root: bool = False


class _Walk:
    """One walk over all given paths. ``odd`` are the paths that are shown under other names.

    Whatever cannot be looked into is reported: what it holds is unknown, and must not seem to be
    deleted.
    """

    def __init__(self, submodules: frozenset[tuple[int, int]], links: TreeLinks) -> None:
        self._submodules = submodules
        self._links = links
        self.missing = MissingPaths()
        self.entries: list[SourceEntry] = []
        self._linked: dict[str, list[SourceEntry]] = {}  # what is outside of the tree, by its link
        self._refused: set[str] = set()
        self.odd: dict[str, str] = {}
        self.findings: list[Finding] = []
        self.directories: set[tuple[int, int]] = set()

    def given(self, path: str) -> None:
        """Add a path of the user: a file may have any suffix."""
        if path == STDIN:
            self.entries.append(SourceEntry(STDIN, STDIN))
            return
        try:
            status = os.stat(path)  # faster than pathlib
        except (OSError, ValueError) as error:
            self.findings.append(unreadable(display(path), _reason(error)))
            return
        path = os.path.normpath(path)
        if stat.S_ISDIR(status.st_mode):
            self._directory(path, status)
        else:
            directory = os.path.realpath(os.path.dirname(path) or ".")
            outside = not is_part(os.path.realpath(path), directory)
            self.missing.come_to(path)
            self._file(path, status, self.entries, outside=outside)

    def end(self) -> None:
        """Add the files outside of the tree, without those of a link that led to too much."""
        for entries in self._linked.values():
            self.entries += entries

    def _directory(self, path: str, status: os.stat_result) -> None:
        """Walk a directory, depth first and by name; with a stack, because nesting has no limit."""
        pending = [_Pending(path, (status.st_dev, status.st_ino), None, is_root=True)]
        while pending:
            path, identity, region, is_top = pending.pop()
            if identity in self.directories or (region and region.link in self._refused):
                continue
            self.directories.add(identity)
            if identity in self._submodules:
                self.findings.append(unreadable(display(path), _SUBMODULE, kind="directory"))
            prefix = "" if path == "." else path if path.endswith("/") else path + "/"
            try:
                with os.scandir(path) as listing:
                    children = sorted(self._bounded(listing, region), key=attrgetter("name"))
                if children:
                    os.stat(f"{prefix}.")  # a directory may be listed and not entered
            except OSError as error:
                self.findings.append(unreadable(display(path), _reason(error), kind="directory"))
                continue
            device, outside = identity[0], region is not None
            add = self._entries(region).append  # looked up once for all its files
            inner: list[_Pending] = []
            for child in children:
                name = child.name
                if name[0] == ".":
                    is_top = is_top or name == ".git"
                    continue
                child_path = prefix + name
                has_suffix = is_manifest(name)
                try:
                    if has_suffix and child.is_file(follow_symlinks=False):
                        if region is not None and not self._has_room(child.stat().st_size, region):
                            break
                        shown = child_path if is_seen(child_path) else self._shown(child_path)
                        add(SourceEntry(shown, child_path, (device, child.inode()), None, outside))
                    elif child.is_symlink():
                        inner += self._follow(child_path, has_suffix, region, is_link=True)
                    elif has_suffix or child.is_dir(follow_symlinks=False):
                        inner += self._follow(child_path, has_suffix, region, is_link=False)
                except OSError as error:  # a listing without types: each one is a question
                    self.findings.append(unreadable(display(child_path), _reason(error)))
            if is_top:
                self.findings += [_missing_part(path, part) for part in self.missing.below(path)]
            pending += reversed(inner)

    def _follow(
        self, path: str, has_suffix: bool, region: Region | None, *, is_link: bool
    ) -> list[_Pending]:
        """Return a directory to walk, or add the file that a link leads to. A special file is
        reported only if its name ends like that of a manifest."""
        try:
            status = os.stat(path)  # faster than pathlib
            target = self._links.follow(path, region) if is_link else region
        except OSError as error:
            self.findings.append(_unfollowed(path, error))
            return []
        if isinstance(target, LinkRefusal):
            self._refuse(path, target)
        elif stat.S_ISDIR(status.st_mode):
            if target is None and region is not None:
                return []  # the tree's own directories are walked under their own names
            return [_Pending(path, (status.st_dev, status.st_ino), target, is_link)]
        elif has_suffix:
            # A link out of the tree that leads back to a file of it is still a link out of it.
            inside_out = target or region
            if inside_out is None or self._has_room(status.st_size, inside_out, names=1):
                entries = self._entries(inside_out)
                self._file(path, status, entries, outside=inside_out is not None)
                if is_link and inside_out is not None:
                    self.missing.come_to(path)
        return []

    def _entries(self, region: Region | None) -> list[SourceEntry]:
        return self.entries if region is None else self._linked.setdefault(region.link, [])

    def _bounded(
        self, listing: Iterable[os.DirEntry[str]], region: Region | None
    ) -> list[os.DirEntry[str]]:
        """The names in a directory; none if they are too many outside of the tree."""
        if region is None:
            return list(listing)
        children = list(islice(listing, self._links.names_left + 1))
        return children if self._has_room(0, region, names=len(children)) else []

    def _has_room(self, size: int, region: Region, *, names: int = 0) -> bool:
        """Count what is outside of the tree. If it is too much, nothing of what its link leads to
        is taken."""
        refusal = self._links.count(names, size)
        if refusal is not None and region.link not in self._refused:
            self._refuse(region.link, refusal)
        return refusal is None

    def _refuse(self, link: str, refusal: LinkRefusal) -> None:
        self._refused.add(link)
        self._linked.pop(link, None)
        self.findings.append(_refused_link(link, refusal))

    def _file(
        self, path: str, status: os.stat_result, entries: list[SourceEntry], *, outside: bool
    ) -> None:
        if stat.S_ISREG(status.st_mode):
            identity = (status.st_dev, status.st_ino)
            entries.append(SourceEntry(self._shown(path), path, identity, None, outside))
        else:
            self._special(path)

    def _shown(self, path: str) -> str:
        shown = display(path)
        if shown != path:
            self.odd[shown] = path
        return shown

    def _special(self, path: str) -> None:
        self.findings.append(unreadable(display(path), "it is not a regular file"))


def _identities(directories: Sequence[str]) -> frozenset[tuple[int, int]]:
    identities = map(_identity, directories)
    return frozenset(identity for identity in identities if identity is not None)


def _unfollowed(path: str, error: OSError) -> Finding:
    if not os.path.islink(path):
        return unreadable(display(path), _reason(error))
    gone = isinstance(error, FileNotFoundError)
    reason = "its target does not exist" if gone else _reason(error)
    return unreadable(display(path), reason, kind="symbolic link")


def _refused_link(path: str, refusal: LinkRefusal) -> Finding:
    hint = {
        LinkRefusal.ABOVE: "Let the link lead to a directory that holds only manifests, or remove"
        " it.",
        LinkRefusal.SYSTEM: "Let the link lead to a file or directory of manifests, or remove it.",
        LinkRefusal.MANY: "Let links lead to directories that hold only manifests, or give what"
        " they lead to as a path of its own.",
        LinkRefusal.LARGE: "Let links lead to directories that hold only manifests, or give what"
        " they lead to as a path of its own.",
    }[refusal]
    reason = f"{refusal}, and is not followed"
    return unreadable(display(path), reason, kind="symbolic link", hint=f"{hint} {_UNKNOWN}")


_MISSING = {
    MissingReason.SUBMODULE: (
        "it is a submodule that is not checked out",
        "Until then nothing is removed. Check it out.",
    ),
    MissingReason.UNFINISHED_SUBMODULE: (
        "it is a submodule that is not checked out, because git did not finish its checkout",
        "Until then nothing is removed. Check it out again; what is in no commit of it is lost.",
    ),
    MissingReason.OTHER_COMMIT: (
        "it is a submodule without the commit that its repository has, so parts may be missing",
        "Until then nothing is removed. Update it; or stage its commit, if that is intended.",
    ),
    MissingReason.SPARSE: (
        "it is left out by a sparse checkout",
        "Until then nothing is removed. Add it to the checkout.",
    ),
    MissingReason.SKIPPED: (
        "it is missing, and its skip-worktree bit in git's index is set, without a sparse checkout",
        "Until then nothing is removed. Clear the bit and check the file out, or delete the file in"
        " a commit.",
    ),
    MissingReason.LINK: (
        "it is a symbolic link that git checked out as a file",
        "Check it out on a file system with symbolic links, with core.symlinks=true. Until then"
        " nothing is removed.",
    ),
    MissingReason.NO_REPOSITORY: (
        "its .git leads to no repository, so parts of the checkout may be missing",
        "Until then nothing is removed. Restore the repository that the .git was or names, or"
        " remove the .git if nothing is missing.",
    ),
    MissingReason.UNFINISHED: (
        "git did not finish the checkout, so parts of it may be missing",
        "Until then nothing is removed. Check out the commit again; what is in no commit is lost.",
    ),
    MissingReason.UNKNOWN: (
        "git's index cannot be read, so parts of the checkout may be missing",
        "Until then nothing is removed. Check the repository.",
    ),
}


def _missing_part(directory: str, missing: MissingPath) -> Finding:
    path = display(os.path.normpath(os.path.join(directory, missing.path)))
    reason, hint = _MISSING[missing.reason]
    kind = "file" if is_manifest(path) else "directory"
    return finding(
        "unreadable",
        f"The {kind} {path} cannot be read: {reason}.",
        hint=hint,
        remedy=_remedy(missing),
        where=Where(path, 0),
    )


def _remedy(missing: MissingPath) -> Remedy | None:
    # A path with characters that nobody sees cannot be typed.
    top = missing.top if is_seen(missing.top) else None
    within = missing.within if is_seen(missing.within) else None
    match missing.reason:
        case MissingReason.SUBMODULE | MissingReason.OTHER_COMMIT:
            return CheckOutSubmodules(top, within)
        case MissingReason.UNFINISHED_SUBMODULE:
            return CheckOutSubmodules(top, within, again=True)
        case MissingReason.SPARSE:
            return UseGit(GitTask.EXTEND_CHECKOUT, within, top)
        case MissingReason.SKIPPED:
            return UseGit(GitTask.RESTORE_SKIPPED, within, top)
        case MissingReason.UNFINISHED:
            return UseGit(GitTask.CHECK_OUT, None, top)
        case MissingReason.UNKNOWN:
            return UseGit(GitTask.SHOW_STATUS, None, top)
    return None


def _without_repeats(entries: list[SourceEntry]) -> list[SourceEntry]:
    """Sort by the shown names, and keep the first of several names of one file."""
    entries = sorted(entries, key=itemgetter(0))
    if len({entry.identity for entry in entries}) == len(entries):
        return entries  # nearly always
    seen: set[tuple[int, int]] = set()
    distinct = []
    for entry in entries:
        if entry.identity is not None and (identity := _identity(entry.path)) is not None:
            if identity in seen:
                continue
            seen.add(identity)
        distinct.append(entry)
    return distinct


def _identity(path: str) -> tuple[int, int] | None:
    """What a file or directory is known by; None if that cannot be seen. A listing may give files
    of a FUSE or an overlay file system the number of another one."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # the walk, or reading it, reports that
        return None
    return status.st_dev, status.st_ino


def _has_links(path: str) -> bool:
    return os.path.exists(path) and os.stat(path).st_nlink > 1


def _load(entry: SourceEntry) -> bytes | Finding:
    try:
        opened = os.open(entry.path, _FLAGS)
    except (OSError, ValueError) as error:
        return unreadable(entry.name, _reason(error))
    try:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            return unreadable(entry.name, "it is not a regular file")
        if status.st_size > MAX_BYTES:
            return too_large(entry.name)
        return _read(opened, entry.name, status.st_size)
    except OSError as error:
        return unreadable(entry.name, _reason(error))
    finally:
        os.close(opened)


def _read(opened: int, name: str, size: int) -> bytes | Finding:
    """Read to the end, which may be after the size that fstat gave: a file may grow meanwhile, and
    files of /proc and /sys have size 0. A file that became shorter was cut while it was written."""
    data = os.read(opened, size + 1)
    if len(data) == size:
        return data
    parts = [data]
    total = len(data)
    while total <= MAX_BYTES and (data := os.read(opened, 1 << 16)):
        parts.append(data)
        total += len(data)
    if total < size:
        return unreadable(name, "it became shorter while it was read")
    return b"".join(parts) if total <= MAX_BYTES else too_large(name)


def _reason(error: OSError | ValueError) -> str:
    match error:
        case FileNotFoundError():
            return "there is no such file"
        case PermissionError():
            return "permission denied"
        case OSError(errno=errno.ELOOP):
            return "its symbolic links lead in a circle"
        case OSError():
            return reason_of(error)
        case _:
            return "its name is not a path"  # ValueError: a NUL in it


def display(path: str) -> str:
    """Make a name safe to print.

    Args:
        path: the name, perhaps with bytes that are not UTF-8 (PEP 383).

    Returns:
        The name, in which characters that nobody sees are escaped.
    """
    if is_seen(path):
        return path
    path = UNSEEN.sub(lambda match: _escape(match[0]), path)
    return "".join(char if char.isprintable() else _escape(char) for char in path)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as os.fsdecode gives it (PEP 383)
        code -= 0xDC00
    return (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else (f"\\U{code:08x}")
    )


_UNKNOWN = "Its content is unknown, so nothing is removed until it can be read."
_SUBMODULE = "it is a submodule, and those are not fetched"
EMPTY = "it is empty"
OWN_OUTPUT = "it is a plan, a report or a lock file of Sendroute, and not manifests"
_HINTS = {
    EMPTY: "Restore it. If it shall hold nothing, remove it, or write a comment into it. Until then"
    " nothing is removed.",
    OWN_OUTPUT: "Restore the manifests that it replaced. If it replaced none, remove it, or give it"
    " a name that ends in .json. Until then nothing is removed.",
    _SUBMODULE: "Commit its manifests to the repository itself, or follow a directory in which the"
    f" submodule is checked out. {_UNKNOWN}",
    "there is no such file": "Check the path. If it is a symbolic link, check its target.",
    "its target does not exist": "Check out or mount what the symbolic link leads to, or remove the"
    f" link. {_UNKNOWN}",
    "its symbolic links lead in a circle": "Let the symbolic link lead to a file or directory.",
    "permission denied": "Give the user that runs sendroute permission to read it.",
    "it is not a regular file": "Devices, sockets and named pipes are not read; "
    "to pipe manifests into standard input, use the path -.",
    "it became shorter while it was read": "Read it when it is written completely.",
}
_FETCH = {"Git LFS": GitTask.FETCH_LFS, "git-annex": GitTask.FETCH_ANNEX}


def unreadable(name: str, reason: str, *, kind: str = "file", hint: str | None = None) -> Finding:
    """Return the finding for a part of a tree that cannot be read. While there is one, nothing is
    removed: what seems to be missing may be there.

    Args:
        name: the name that the file or directory is shown by.
        reason: why it cannot be read, as a clause.
        kind: what it is: a file, a directory, a symbolic link.
        hint: the next step; None for the usual one for this reason.
    """
    if hint is None and kind == "directory" and reason == "permission denied":
        hint = (
            "Give the user that runs sendroute permission to list the directory (r) and to enter it"
            " (x)."
        )
    return finding(
        "unreadable",
        f"The {kind} {name} cannot be read: {reason}.",
        hint=hint or _HINTS.get(reason, f"Check the disk or the mount. {_UNKNOWN}"),
        where=Where(name, 0),
    )


def only_a_pointer(entry: SourceEntry, kind: str) -> Finding:
    """Return the finding for a file that only points to its content.

    Args:
        entry: the file.
        kind: what has the content: ``Git LFS`` or ``git-annex``.
    """
    hint = f"Do not store manifests in {kind}, or fetch the file."
    item = unreadable(entry.name, f"it is only a {kind} pointer", hint=hint)
    checkout = find_checkout(os.path.dirname(entry.path) or ".") if entry.blob is None else None
    top = checkout.top if checkout is not None and is_seen(checkout.top) else None
    return structs.replace(item, remedy=UseGit(_FETCH[kind], None, top))


def too_large(name: str) -> Finding:
    return finding(
        "too-large",
        f"The file {name} is larger than 32 MiB.",
        hint="Split the file into several files.",
        where=Where(name, 0),
    )
