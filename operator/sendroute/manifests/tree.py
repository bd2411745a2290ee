"""A tree of manifests as commands use it: what it declares, and where its lines are."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sendroute.manifests.compile import compile_reading
from sendroute.manifests.read import Cache, Reading
from sendroute.manifests.sources import Files, Tree
from sendroute.model.change import Plan
from sendroute.model.desired import Desired
from sendroute.model.finding import Finding, Position, Where


class Locator:
    """Finds lines and columns, file by file and only on demand: a text report needs those of its
    findings, a JSON report those of every change too.

    Call it with a ``Where`` to get its position, or None if it is in no file of the tree.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._expected: dict[str, list[Where]] = {}
        self._known: dict[Where, Position] = {}

    def expect(self, wheres: Iterable[Where | None]) -> None:
        """Announce what may be looked up, so that each file is read once for all that is in it."""
        for where in wheres:
            if where is not None:
                self._expected.setdefault(where.file, []).append(where)

    def __call__(self, where: Where) -> Position | None:
        if where not in self._known:
            from sendroute.manifests.locate import positions

            self._known.update(positions(self._tree, {where, *self._expected.get(where.file, ())}))
        return self._known.get(where)


class LoadedTree(NamedTuple):
    """What a tree declares. ``files`` can give the same bytes again, those of standard input too;
    ``foreign`` counts the documents of other API groups, which were skipped."""

    desired: Desired
    locate: Locator
    files: Files
    foreign: int


def read_tree(paths: Sequence[str], *, cached: bool = False, parallel: bool = False) -> LoadedTree:
    """Read everything in ``paths``. Nothing is raised: every problem is among the findings.

    Args:
        paths: directories and files; ``-`` is standard input.
        cached: use the cache of what earlier runs read in a git repository. Its start-up costs
            more than it saves when only one file is read.
        parallel: read with several processes if there are cores and files enough. Only for a
            process with one thread, which may fork.
    """
    workers = 1
    if parallel:
        from sendroute.manifests.parallel import available_workers

        workers = available_workers()
    files = Files(paths)
    reading = Reading(files, workers=workers)
    desired = compile_reading(reading, cache=_cache(paths) if cached else None)
    return LoadedTree(desired, Locator(files), files, reading.foreign)


def read_base(revision: str, paths: Sequence[str]) -> Desired:
    """Read the same paths at a git revision, without touching the working tree. The findings of
    that revision are of no interest: they were reported when it was written."""
    from sendroute.manifests.revision import Revision

    return compile_reading(Reading(Revision(revision, paths)))


def places_of(plan: Plan) -> Iterator[Where | None]:
    """Yield every place that a report of this plan may show."""
    yield from _places_of_findings(plan.findings)
    if plan.platform is not None:
        yield plan.platform.where
    for account in plan.accounts:
        yield from _places_of_findings(account.findings)
        yield from (change.where for change in account.changes)


def _places_of_findings(findings: Iterable[Finding]) -> Iterator[Where | None]:
    for finding in findings:
        yield finding.where
        yield from (place for place in finding.related if isinstance(place, Where))


def raw_documents(files: Files) -> Iterator[tuple[Where, dict[str, Any]]]:
    """Yield every document of ours as it is written, with or without errors. What cannot be parsed
    is left out: reading the tree reports it."""
    from sendroute.manifests.exact import Draft, drafts
    from sendroute.manifests.headers import is_ours
    from sendroute.manifests.syntax import pieces

    entries, _ = files.entries()
    for name, data in files.again([entry.name for entry in entries]):
        text = data.decode("utf-8-sig", "replace")
        read = (draft for piece in pieces(text) for draft in drafts(piece.text, piece.first_line))
        documents = (draft for draft in read if isinstance(draft, Draft))
        for ordinal, draft in enumerate(documents):
            if is_ours(draft.node.value):
                yield Where(name, ordinal), draft.node.value


def _cache(paths: Sequence[str]) -> Cache:
    from sendroute.manifests.cache import GitCache

    return GitCache(paths)
