"""A tree of manifests as commands use it: the desired state, and the positions of its values."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sendroute.manifests.compile import compile_reading
from sendroute.manifests.headers import is_ours
from sendroute.manifests.read import ContentCache, ReadingProgress, TreeReading
from sendroute.manifests.sources import FileSource, ManifestSource
from sendroute.model.byte_order_mark import without_mark
from sendroute.model.change import Plan
from sendroute.model.desired import Desired
from sendroute.model.finding import Finding, Position, Where, whole_file
from sendroute.model.internal_error import internal_error, is_internal


class Locator:
    """Finds lines and columns on demand, file by file. A text report needs only those of its
    findings, a JSON report also those of every change.

    Call it with a ``Where`` to get its position, or None if it is in no file of the tree.
    """

    def __init__(self, source: ManifestSource) -> None:
        self._source = source
        self._expected: dict[str, list[Where]] = {}
        self._known: dict[Where, Position] = {}

    def expect(self, wheres: Iterable[Where | None]) -> None:
        """Announce the values that will be looked up, so that each file is read only once."""
        for where in wheres:
            if where is not None:
                self._expected.setdefault(where.file, []).append(where)

    def __call__(self, where: Where) -> Position | None:
        if where not in self._known:
            from sendroute.manifests.locate import positions

            self._known.update(
                positions(self._source, {where, *self._expected.get(where.file, ())})
            )
        return self._known.get(where)


class LoadedTree(NamedTuple):
    """A tree that was read. ``files`` can load the same bytes again, also those of standard input.
    ``foreign`` counts the documents of other API groups, which were skipped."""

    desired: Desired
    locate: Locator
    files: FileSource
    foreign: int


def read_tree(
    paths: Sequence[str],
    *,
    cached: bool = False,
    parallel: bool = False,
    submodules: Sequence[str] = (),
    progress: ReadingProgress | None = None,
) -> LoadedTree:
    """Read the manifests in ``paths``. Nothing is raised: every problem is a finding.

    Args:
        paths: directories and files; ``-`` is standard input.
        cached: use the cache for a git repository. For a single file it costs more than it saves.
        parallel: read with several processes if there are enough cores and files. Only for a
            process with one thread, which may fork.
        submodules: as for :class:`~sendroute.manifests.sources.FileSource`.
        progress: where to show how far the reading is.

    Returns:
        The desired state, and the files.
    """
    files = FileSource(paths, submodules=submodules)
    reading = TreeReading(files, workers=None if parallel else 1, progress=progress)
    desired = compile_reading(reading, cache=_cache(paths) if cached else None)
    return LoadedTree(desired, Locator(files), files, reading.foreign)


def read_base(revision: str, paths: Sequence[str]) -> Desired:
    """Read the manifests of a git revision, without changing the working tree.

    Args:
        revision: a commit, branch or tag (gitrevisions(7)).
        paths: directories and files, as for :func:`read_tree`.

    Returns:
        The desired state at that revision.

    Raises:
        ProblemError: there is no repository, or it has no such revision.
    """
    from sendroute.manifests.revision import RevisionSource

    return compile_reading(TreeReading(RevisionSource(revision, paths)))


def locations_of(plan: Plan) -> Iterator[Where | None]:
    """Yield every location that a report of this plan may show."""
    yield from _finding_locations(plan.findings)
    if plan.platform is not None:
        yield plan.platform.where
    for account in plan.accounts:
        yield from _finding_locations(account.findings)
        yield from (change.where for change in account.changes)


def _finding_locations(findings: Iterable[Finding]) -> Iterator[Where | None]:
    for finding in findings:
        yield finding.where
        yield from (location for location in finding.related if isinstance(location, Where))


def raw_documents(files: FileSource, bugs: list[Finding]) -> Iterator[tuple[Where, dict[str, Any]]]:
    """Yield every document of ours, with or without errors. A document that cannot be parsed, or a
    file that cannot be read, is left out, because reading the tree reports it.

    Args:
        files: the files.
        bugs: gets a finding for each file that leads to a bug, whose other documents are left out.

    Yields:
        The file and ordinal of each document, and the document as plain data.
    """
    from sendroute.manifests.exact import numbered_drafts

    entries, _ = files.entries()
    by_name = {entry.name: entry for entry in entries}
    for name, data in files.again(by_name):
        text = without_mark(data).decode(errors="replace")
        try:
            for ordinal, draft in numbered_drafts(text):
                if is_ours(draft.node.value):
                    yield by_name[name].where(ordinal), draft.node.value
        except BaseException as error:
            if not is_internal(error):
                raise
            bugs.append(internal_error(f"The file {name}", error, whole_file(name)))


def _cache(paths: Sequence[str]) -> ContentCache:
    from sendroute.manifests.cache import GitCache

    return GitCache(paths)
