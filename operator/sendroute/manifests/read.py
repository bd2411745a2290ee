"""Read a tree of manifests: typed documents with their positions, and every problem in them.

The steps: list the files; take from the cache what earlier runs read; read every other file with
the fast reader; read a file with the exact reader only if the fast one cannot read it.
"""

from collections.abc import Generator, Iterator
from typing import Protocol

from sendroute.manifests.content import FileContent, FileResult, read_file
from sendroute.manifests.plain_secrets import finding_of
from sendroute.manifests.shapes import Document
from sendroute.manifests.sources import STDIN, ManifestSource, SourceEntry
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Where

# A fork costs some milliseconds. Other processes are started only after this process has read so
# many bytes, and if about as many remain: together some 50 milliseconds of work.
_BYTES_BEFORE_WORKERS = 256 * 1024


class ContentCache(Protocol):
    """The content that earlier runs read; see :mod:`sendroute.manifests.cache`."""

    def known(self, entries: list[SourceEntry]) -> list[FileContent | None]:
        """Return the content of each entry, None for an entry that the cache does not hold."""
        ...

    def learn(self, number: int, content: FileContent) -> None:
        """Remember the content of the entry with this number, a file without any problem."""
        ...

    def save(self) -> None:
        """Write what was known or learned in this run."""
        ...


class TreeReading:
    """One reading of a tree. Iterate :meth:`contents` to its end; the attributes are final then.

    Attributes:
        findings: every problem, without the positions of documents that were read fast.
        advice: the warnings about foreign documents, all of which were read.
        unread: those of the findings because of which something could not be read, or the account
            of a document is unknown, so that nothing may be removed.
        stopped: the accounts with an error in one of their documents, each with the names of the
            profiles that those documents would define; None means an unreadable name.
        ill_formed: those of them with documents in a file that is not well-formed, each with the
            finding that says why.
        platform_seen: True if a MailPlatform with errors of its own was left out.
        foreign: how many documents of other API groups were skipped.
        files: how many files the tree has.
    """

    def __init__(self, source: ManifestSource, *, workers: int | None = 1) -> None:
        """
        Args:
            source: the files to read.
            workers: how many processes may read at once, this one included; None for as many as
                the machine has cores. More than one is only for a tree of files and for a process
                with a single thread; see :mod:`sendroute.manifests.parallel`.
        """
        self._source = source
        self._workers = workers
        self.findings: list[Finding] = []
        self.advice: list[Finding] = []
        self.unread: list[Finding] = []
        self.stopped: dict[AccountKey, set[str | None]] = {}
        self.ill_formed: dict[AccountKey, Finding] = {}
        self.platform_seen = False
        self.foreign = 0
        self.files = 0

    def documents(self) -> Generator[tuple[Document, Where], None, None]:
        """Yield every document of ours without errors, whole and with its position."""
        for entry, content in self._contents(None, as_documents=True):
            for ordinal, document in content.documents:
                yield document, entry.where(ordinal)

    def contents(
        self, cache: ContentCache | None = None
    ) -> Generator[tuple[SourceEntry, FileContent], None, None]:
        """Yield each file with its content, as far as it has no errors.

        Args:
            cache: what earlier runs read. It is saved at the end.
        """
        return self._contents(cache, as_documents=False)

    def _contents(
        self, cache: ContentCache | None, *, as_documents: bool
    ) -> Generator[tuple[SourceEntry, FileContent], None, None]:
        entries, findings = self._source.entries()
        self._add_unreadable(findings)
        self.files = len(entries)
        known = cache.known(entries) if cache else [None] * len(entries)
        unknown = [entry for entry, content in zip(entries, known, strict=True) if content is None]
        results = self._read(unknown, as_documents=as_documents)
        own_count = 0
        for number, content in enumerate(known):
            if content is None:
                result = next(results)
                content = result.content
                self._add_problems(result)
                if cache and result.is_sound:
                    cache.learn(number, content)
            self.foreign += content.foreign
            if content.plain_secrets:
                self.advice += [
                    finding_of(entries[number].where(ordinal), path)
                    for ordinal, path in content.plain_secrets
                ]
            own_count += len(content.rows) + len(content.documents)
            yield entries[number], content
        if not own_count and not self.findings:
            self._add_unreadable([_no_manifests(self.foreign)])
        if cache:
            cache.save()

    def _read(self, entries: list[SourceEntry], *, as_documents: bool) -> Iterator[FileResult]:
        """Read the entries in order, with several processes if there is enough work."""
        size = 0
        for number, data in enumerate(self._source.load(entries), start=1):
            yield read_file(entries[number - 1], data, as_documents=as_documents)
            size += len(data) if isinstance(data, bytes) else 0
            remaining = len(entries) - number
            if (
                self._workers != 1
                and not as_documents
                and size > _BYTES_BEFORE_WORKERS
                and size * remaining > _BYTES_BEFORE_WORKERS * number
                and not any(entry.path == STDIN for entry in entries[number:])
            ):
                from sendroute.manifests.parallel import available_workers, read_in_parallel

                self._workers = self._workers or available_workers()
                if self._workers > 1:
                    yield from read_in_parallel(self._source, entries[number:], self._workers)
                    return

    def _add_problems(self, result: FileResult) -> None:
        if result.problems is None:
            return
        problems = result.problems
        self.findings += problems.findings
        self.unread += problems.unread
        for account, profiles in problems.stopped.items():
            self.stopped.setdefault(account, set()).update(profiles)
        self.ill_formed = problems.ill_formed | self.ill_formed
        self.platform_seen |= problems.platform_seen

    def _add_unreadable(self, findings: list[Finding]) -> None:
        self.findings += findings
        self.unread += findings


def _no_manifests(foreign: int) -> Finding:
    others = f", only documents of other API groups ({foreign})" if foreign else ""
    hint = "Check the path. Sendroute never takes an empty tree as a request to delete everything."
    return finding("no-manifests", f"The tree has no manifests{others}.", hint=hint)
