"""Read a tree of manifests: typed documents with their positions, and every problem in them.

The steps: list the files; take from the cache what earlier runs read; read every other file with
the fast reader; read a file with the exact reader only if the fast one cannot read it.
"""

from collections.abc import Generator, Iterator
from typing import Protocol

from sendroute.manifests.content import FileContent, FileResult, read_file
from sendroute.manifests.headers import LeftOut
from sendroute.manifests.kept_findings import MOST_OF_TREE, KeptFindings
from sendroute.manifests.plain_secrets import finding_of
from sendroute.manifests.shapes import Document
from sendroute.manifests.sources import STDIN, ManifestSource, SourceEntry
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity, Where

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


class ReadingProgress(Protocol):
    """Shows how many files are read."""

    def begin(self, total: int) -> None:
        """Called once, when no process is forked any more, so that threads may be started. A tree
        that is read within milliseconds may end without this call.

        Args:
            total: the number of files.
        """
        ...

    def advance(self, steps: int = 1) -> None:
        """Called when files are read, also before :meth:`begin`.

        Args:
            steps: how many.
        """
        ...


class TreeReading:
    """One reading of a tree. Iterate :meth:`contents` to its end; the attributes are final then.

    Attributes:
        findings: the problems, without the positions of documents that were read fast; of very
            many the first ones, and how many more there are.
        advice: the warnings about foreign documents, all of which were read.
        unread: those of the findings because of which something could not be read, or the account
            of a document is unknown, so that nothing may be removed.
        stopped: the accounts with an error in one of their documents, each with the names of the
            profiles that those documents would define; None means an unreadable name.
        ill_formed: those of them with documents in a file that is not well-formed, each with the
            finding that says why.
        platform_seen: True if a MailPlatform with errors of its own was left out.
        left_out: the documents with errors whose account is known.
        foreign: how many documents of other API groups were skipped.
        files: how many files the tree has.
    """

    def __init__(
        self,
        source: ManifestSource,
        *,
        workers: int | None = 1,
        progress: ReadingProgress | None = None,
    ) -> None:
        """
        Args:
            source: the files to read.
            workers: how many processes may read at once, this one included; None for as many as
                the machine has cores. More than one is only for a tree of files and for a process
                with a single thread; see :mod:`sendroute.manifests.parallel`.
            progress: where to show how far the reading is.
        """
        self._source = source
        self._workers = workers
        self._progress = progress
        self._kept = KeptFindings(MOST_OF_TREE)
        self._advised = KeptFindings(MOST_OF_TREE)
        self.findings = self._kept.findings
        self.advice = self._advised.findings
        self.unread = self._kept.unread
        self.stopped: dict[AccountKey, set[str | None]] = {}
        self.ill_formed: dict[AccountKey, Finding] = {}
        self.platform_seen = False
        self.left_out: list[LeftOut] = []
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
        self.add_unreadable(*findings)
        self.files = len(entries)
        known = cache.known(entries) if cache else [None] * len(entries)
        unknown = [entry for entry, content in zip(entries, known, strict=True) if content is None]
        results = self._read(unknown, as_documents=as_documents)
        if self._workers == 1 or as_documents or len(unknown) < 2:
            self._begin_progress()
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
                for ordinal, path in content.plain_secrets:
                    self._advised.add(finding_of(entries[number].where(ordinal), path))
            own_count += len(content.rows) + len(content.documents)
            if self._progress is not None:
                self._progress.advance()
            yield entries[number], content
        if not own_count and not self.findings:
            self.add_unreadable(_no_manifests(self.foreign))
        self.findings += self._kept.summary(Severity.ERROR)
        self.advice += self._advised.summary(Severity.WARNING)
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
                    yield from read_in_parallel(
                        self._source, entries[number:], self._workers, self._begin_progress
                    )
                    return
                self._begin_progress()

    def _begin_progress(self) -> None:
        if self._progress is not None:
            self._progress.begin(self.files)

    def _add_problems(self, result: FileResult) -> None:
        if result.problems is None:
            return
        problems = result.problems
        unread = set(map(id, problems.unread))
        for item in problems.findings:
            self._kept.add(item, is_unread=id(item) in unread)
        self._kept.omitted += problems.omitted
        for account, profiles in problems.stopped.items():
            self.stopped.setdefault(account, set()).update(profiles)
        self.ill_formed = problems.ill_formed | self.ill_formed
        self.platform_seen |= problems.platform_seen
        self.left_out += problems.left_out

    def add_unreadable(self, *findings: Finding) -> None:
        """Add problems because of which something could not be read."""
        for item in findings:
            self._kept.add(item, is_unread=True)


def _no_manifests(foreign: int) -> Finding:
    others = f", only documents of other API groups ({foreign})" if foreign else ""
    hint = "Check the path. Sendroute never takes an empty tree as a request to delete everything."
    return finding("no-manifests", f"The tree has no manifests{others}.", hint=hint)
