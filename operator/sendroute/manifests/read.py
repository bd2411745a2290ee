"""A tree of manifests → typed documents with their places, and all that is wrong with them.

The visible order: list the files; take from the cache what earlier runs read; read each other file
fast; and where that is not enough, thoroughly.
"""

import gc
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Protocol

from sendroute.manifests import fast
from sendroute.manifests.fast import Parsed
from sendroute.manifests.rows import Content, content_of
from sendroute.manifests.shapes import Document
from sendroute.manifests.sources import Entry, Tree, unreadable
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Where

_NOTHING = Content([], [], 0)
# It is YAML, a text, so it would pass for somebody else's document and what it stands for be gone
# (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md, "The Pointer").
_POINTER = b"version https://git-lfs.github.com/spec/"


class Cache(Protocol):
    """What earlier runs read; see :mod:`sendroute.manifests.cache`."""

    def known(self, entries: list[Entry]) -> list[Content | None]:
        """What each of these held, None where that is not known."""
        ...

    def learn(self, number: int, content: Content) -> None:
        """Remembers what the entry of this number held, which was read and is in good order."""
        ...

    def save(self) -> None:
        """Writes down what was known or learned in this run."""
        ...


class Reading:
    """One reading of a tree. Iterate :meth:`contents` to its end; then the rest is known.

    ``complete`` is false when something could not be read or its account not be told, so that
    absence proves nothing. ``stopped`` are the accounts with an error in one of their documents,
    each with the names of the profiles that such documents would define, None for one whose name
    cannot be read.
    ``platform_seen`` tells of a MailPlatform that is not among the documents for its own faults.
    ``foreign`` counts the documents that were passed over, ``files`` the files there are.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.findings: list[Finding] = []
        self.complete = True
        self.stopped: dict[AccountKey, set[str | None]] = {}
        self.platform_seen = False
        self.foreign = 0
        self.files = 0

    def documents(self) -> Generator[tuple[Document, Where], None, None]:
        """Every document of ours that is in good order."""
        for name, content in self.contents():
            for ordinal, document in content.documents:
                yield document, Where(name, ordinal)

    def contents(self, cache: Cache | None = None) -> Generator[tuple[str, Content], None, None]:
        """What each file holds of ours that is in good order, by the name it is shown under; with
        a cache, which keeps no whole documents, as rows where that is possible. Errors in other
        documents stop what they stop."""
        with without_gc():
            entries, findings = self._tree.entries()
            self._unread(findings)
            self.files = len(entries)
            known = cache.known(entries) if cache else [None] * len(entries)
            unknown = [
                each for each, current in zip(entries, known, strict=True) if current is None
            ]
            loaded = self._tree.load(unknown)
            found = 0
            for number, current in enumerate(known):
                entry = entries[number]
                content = current or self._read(entry, next(loaded), cache, number)
                self.foreign += content.foreign
                found += len(content.rows) + len(content.documents)
                yield entry.name, content
            if not found and not self.findings:
                self._unread([_no_manifests(self.foreign)])
            if cache:
                cache.save()

    def _read(
        self, entry: Entry, data: bytes | Finding, cache: Cache | None, number: int
    ) -> Content:
        if isinstance(data, bytes) and data.startswith(_POINTER):
            data = unreadable(entry.name, "it is only a pointer of Git LFS")
        if isinstance(data, Finding):
            self._unread([data])
            return _NOTHING
        parsed = fast.read(data)
        if cache is None or parsed is None:
            return Content([], *(parsed or self._thoroughly(entry.name, data)))
        content = content_of(parsed)
        cache.learn(number, content)
        return content

    def _thoroughly(self, name: str, data: bytes) -> Parsed:
        from sendroute.manifests.thorough import read_thoroughly

        found = read_thoroughly(name, data)
        self.findings += found.findings
        self.complete &= found.complete
        for account, profiles in found.stopped.items():
            self.stopped.setdefault(account, set()).update(profiles)
        self.platform_seen |= found.platform_seen
        return found.parsed

    def _unread(self, findings: list[Finding]) -> None:
        self.findings += findings
        self.complete &= not findings


def _no_manifests(foreign: int) -> Finding:
    current = f"only documents of others ({foreign})" if foreign else "nothing to read"
    hint = "Check the path: an empty tree is never taken for the wish to delete everything."
    return finding("no-manifests", f"There are no manifests here, {current}.", hint=hint)


@contextmanager
def without_gc() -> Iterator[None]:
    """Loading makes millions of objects and no cycles; looking for some takes a third of it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
