"""A tree of manifests as commands read it: what it wants, and where its lines are."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sendroute.cli.session import Session
from sendroute.manifests.compile import compile_reading
from sendroute.manifests.read import Cache, Reading
from sendroute.manifests.sources import Files, Tree
from sendroute.model.change import Plan
from sendroute.model.desired import Desired
from sendroute.model.finding import Finding, Position, Where


class Places:
    """Lines and columns, looked up file by file and only when one is asked for: a text report
    asks for those of its findings, a JSON one for those of every change too.

    ``expect`` says what may be asked for, so that a file is read once for all its places.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._expected: dict[str, list[Where]] = {}
        self._found: dict[Where, Position] = {}

    def expect(self, places: Iterable[Where | None]) -> None:
        for where in places:
            if where is not None:
                self._expected.setdefault(where.file, []).append(where)

    def __call__(self, where: Where) -> Position | None:
        if where not in self._found:
            from sendroute.manifests.locate import positions

            self._found.update(positions(self._tree, {where, *self._expected.get(where.file, ())}))
        return self._found.get(where)


class Read(NamedTuple):
    """``files`` can give the same bytes again, standard input's too."""

    desired: Desired
    places: Places
    files: Files


def read_tree(paths: Sequence[str], session: Session, *, cached: bool = False) -> Read:
    """Everything that ``paths`` hold, with what is wrong with it among the findings.

    ``cached`` takes from the cache what earlier runs made of a git repository: worth its start
    where more is done than one file's validation.
    """
    files = Files(paths)
    reading = Reading(files)
    desired = compile_reading(reading, cache=_cache(paths) if cached else None)
    if session.verbose and reading.foreign:
        _tell(f"Passed over: {reading.foreign} documents of other API groups.", session)
    return Read(desired, Places(files), files)


def _tell(line: str, session: Session) -> None:
    if session.log_format == "json":
        import logging

        logging.getLogger(__name__).debug(line)
    else:
        from sendroute.cli.command_line import stderr_line

        stderr_line(line)


def read_base(revision: str, paths: Sequence[str]) -> Desired:
    """The same paths at a git revision, read without touching a work tree. What is wrong there
    was told when it was written."""
    from sendroute.manifests.git import git_tree

    return compile_reading(Reading(git_tree(revision, paths)))


def places_of(plan: Plan) -> Iterator[Where | None]:
    """Every place that a report of this plan may tell."""
    yield from _of_findings(plan.findings)
    if plan.platform is not None:
        yield plan.platform.where
    for account in plan.accounts:
        yield from _of_findings(account.findings)
        yield from (change.where for change in account.changes)


def _of_findings(findings: Iterable[Finding]) -> Iterator[Where | None]:
    for found in findings:
        yield found.where
        yield from (place for place in found.related if isinstance(place, Where))


def _cache(paths: Sequence[str]) -> Cache:
    from sendroute.manifests.cache import GitCache

    return GitCache(paths)


def raw_documents(files: Files) -> Iterator[tuple[Where, dict[str, Any]]]:
    """Every document of ours as it is written, whether it is in good order or not; what cannot
    be parsed is left out, for reading has told it."""
    from sendroute.manifests.exact import Draft, drafts
    from sendroute.manifests.headers import is_ours
    from sendroute.manifests.syntax import pieces

    entries, _ = files.entries()
    for name, data in files.again([entry.name for entry in entries]):
        text = data.decode("utf-8-sig", "replace")
        read = (draft for piece in pieces(text) for draft in drafts(piece.text, piece.first_line))
        sound = (draft for draft in read if isinstance(draft, Draft))
        for ordinal, draft in enumerate(sound):
            if is_ours(draft.node.value):
                yield Where(name, ordinal), draft.node.value
