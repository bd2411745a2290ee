"""The files of a tree as they are after an edit, before it is written. The next command reads
exactly this, so an edit is checked on it."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sendroute.edit.proposal import TextChange
from sendroute.manifests.sources import FileSource, SourceEntry
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, whole_file
from sendroute.model.manifest_name import is_manifest
from sendroute.model.problem import ProblemError


class EditedFiles:
    """A :class:`~sendroute.manifests.sources.ManifestSource` in which some files have other
    texts. All others are listed and read again, so that what changed meanwhile counts.

    Args:
        files: the tree on disk.
        texts: the changed files, by the names under which they are shown.
    """

    def __init__(self, files: FileSource, texts: Mapping[str, TextChange]) -> None:
        self._files = files
        self._after = {
            name: None if text.after is None else text.after.encode()
            for name, text in texts.items()
        }
        self._new = [name for name, text in texts.items() if text.before is None]

    def entries(self) -> tuple[list[SourceEntry], list[Finding]]:
        """Return the files after the edit, and the findings about those that cannot be read.

        Raises:
            ProblemError: a new file is where no command that reads these paths would find it.
        """
        entries, findings = self._files.entries()
        for name in self._new:
            check_listed(self._files, name)
        remaining = [entry for entry in entries if self._after.get(entry.name, b"") is not None]
        return sorted([*remaining, *(SourceEntry(name, name) for name in self._new)]), findings

    def load(self, entries: Iterable[SourceEntry]) -> Iterator[bytes | Finding]:
        for entry in entries:
            data = self._after.get(entry.name)
            if data is None:
                yield from self._files.load([entry])
            else:
                yield data

    def again(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        for name in names:
            data = self._after.get(name)
            if data is None:
                yield from self._files.again([name])
            else:
                yield name, data


def elsewhere(files: FileSource, paths: Mapping[str, str]) -> list[Finding]:
    """Find the files that no edit may write. A link on the way to one leads out of the given paths:
    who may commit the link may not be allowed to change it. Or the file has a second name in them:
    replacing one name would leave the old content under the other.

    Args:
        files: the tree.
        paths: the path of each file, by the name under which it is shown.

    Returns:
        A finding for each of them (``unwritable``).
    """
    linked = files.hard_links(paths.values())
    return [
        *(_with_hard_link(name, linked[path]) for name, path in paths.items() if path in linked),
        *(_behind_link(name) for name, path in paths.items() if not files.holds(path)),
    ]


def _with_hard_link(name: str, other: str) -> Finding:
    return finding(
        "unwritable",
        f"The file {name} is not written: {other} is a hard link to it, and would not change.",
        hint="Nothing was written. Remove one of the two, or replace it by a symbolic link.",
        where=whole_file(name),
    )


def _behind_link(name: str) -> Finding:
    return finding(
        "unwritable",
        f"The file {name} is not written: a symbolic link leads to it, out of the given paths.",
        hint="Nothing was written. If you may change it, add the directory that it is in to the"
        " given paths.",
        where=whole_file(name),
    )


def check_listed(files: FileSource, name: str) -> None:
    """Check that a new file will be read with the tree.

    Args:
        files: the tree, which was listed.
        name: the path of the new file.

    Raises:
        ProblemError: it is outside of the given paths, or its name is passed over
            (``invalid-value``).
    """
    if files.lists(name):
        return
    *directories, base = Path(name).parts
    if base.startswith("."):
        reason, hint = "its name begins with a dot", "Choose a name without the dot."
    elif any(part.startswith(".") and part != ".." for part in directories):
        reason = "the name of one of its directories begins with a dot"
        hint = "Choose a directory without the dot."
    elif not is_manifest(base):
        reason = "its name has no ending of a manifest"
        hint = "Choose a name that ends with .yaml, .yml or .json."
    else:
        reason = "it is outside of the given paths"
        hint = "Choose a file within them, or add its directory to them."
    raise ProblemError(
        finding("invalid-value", f"The file {name} would never be read: {reason}.", hint=hint)
    )
