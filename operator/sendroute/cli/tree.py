"""A tree of manifests as commands read it: what it wants, and where its lines are."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sendroute.cli.session import Session
from sendroute.manifests.compile import compile_tree
from sendroute.manifests.read import Reading
from sendroute.manifests.sources import Files
from sendroute.model.finding import Where
from sendroute.model.wanted import Wanted
from sendroute.reports.report import Locate, nowhere


class Read(NamedTuple):
    """``files`` can give the same bytes again, standard input's too."""

    wanted: Wanted
    locate: Locate
    files: Files


def read_tree(paths: Sequence[str], session: Session) -> Read:
    """Everything that ``paths`` hold, with what is wrong with it among the findings."""
    files = Files(paths)
    reading = Reading(files)
    documents = [(document, where) for where, document in reading.documents()]
    wanted = compile_tree(
        documents,
        findings=reading.findings,
        stopped=reading.stopped,
        complete=reading.complete,
    )
    if session.verbose and reading.foreign:
        from sendroute.cli.command_line import stderr_line

        stderr_line(f"Passed over: {reading.foreign} documents of other API groups.")
    return Read(wanted, nowhere, files)


def read_base(revision: str, paths: Sequence[str], session: Session) -> Wanted:
    """The same paths at a git revision. What is wrong there was told when it was written."""
    from sendroute.cli.git import tree_at

    with tree_at(revision, paths) as places:
        return read_tree(places, session._replace(verbosity=session.verbosity.NORMAL)).wanted


def raw_documents(files: Files) -> Iterator[tuple[Where, dict[str, Any]]]:
    """Every document of ours as it is written, whether it is in good order or not; what cannot
    be parsed is left out, for reading has told it."""
    from sendroute.manifests.exact import Draft, drafts
    from sendroute.manifests.headers import is_ours

    entries, _ = files.entries()
    for name, data in files.again([entry.name for entry in entries]):
        text = data.decode("utf-8-sig", "replace")
        for ordinal, draft in enumerate(_sound(drafts(text), Draft)):
            if is_ours(draft.node.value):
                yield Where(name, ordinal), draft.node.value


def _sound(found: Iterable[Any], kind: type) -> Iterator[Any]:
    return (each for each in found if isinstance(each, kind))
