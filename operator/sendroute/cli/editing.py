"""From a tree to files written: what every edit does before it decides and after it decided.

Nothing is written that `validate` would call an error it did not find before.
"""

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from sendroute.cli.edit_options import refuse_stdin
from sendroute.cli.output import outputs_of, present, tell, worst
from sendroute.cli.session import DEFAULT_STORE, Session
from sendroute.edit.diff import unified
from sendroute.edit.proposal import Done, Proposal, Text
from sendroute.edit.tree import Tree, changed_meanwhile
from sendroute.manifests.compile import compile_reading
from sendroute.manifests.content import read_file
from sendroute.manifests.locate import locate, positions
from sendroute.manifests.read import Reading, without_gc
from sendroute.manifests.shapes import Document
from sendroute.manifests.sources import Files
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.exit_status import ExitStatus
from sendroute.model.finding import Finding, Position, Severity, Where
from sendroute.model.problem import ProblemError
from sendroute.planner.offline import check_tree
from sendroute.reports.as_json import document
from sendroute.reports.text import clean

Line = tuple[Position | None, str]
Documents = Sequence[tuple[Document, Where]]


# Without a store every domain counts as just declared, so an apply-all wins over each of them: that
# is what the person orders.
_ORDERED = "apply-all-wins"


class EditSession:
    """The tree that ``PATH…`` name, read once."""

    def __init__(self, arguments: Namespace, session: Session) -> None:
        refuse_stdin(arguments.paths)
        self._arguments = arguments
        self._outputs = outputs_of(arguments)
        self._session = session
        self._files = Files(arguments.paths)
        self._reading = Reading(self._files)
        self._documents: Documents = list(self._reading.documents())
        entries, _ = self._files.entries()
        self._paths = {entry.name: entry.path for entry in entries}
        broken = {each.where.file for each in self._reading.findings if each.where}
        self.tree = Tree(self._documents, self._load, self._paths, frozenset(broken))

    def _load(self, file: str) -> str:
        try:
            return next(data.decode() for _, data in self._files.again([file]))
        except (StopIteration, UnicodeDecodeError) as error:
            raise ProblemError(changed_meanwhile(file)) from error

    @contextmanager
    def located(self) -> Iterator[None]:
        """Problems leave with their lines; a search that came to nothing, with what could not be
        read."""
        try:
            with without_gc():
                yield
        except ProblemError as problem:
            more: Iterable[Finding] = ()
            if any(found.code.startswith("unknown-") for found in problem.findings):
                more = self._reading.findings
            raise ProblemError(*locate(self._files, [*problem.findings, *more])) from problem

    def need_all(self) -> None:
        """For an edit that must see every reference: raises ProblemError where some file could
        not be read."""
        if self._reading.findings:
            raise ProblemError(*self._reading.findings)

    def account(self, name: str) -> AccountKey:
        from sendroute.cli.account_names import accounts_named

        known = {*self.tree.accounts, *(domain.key for domain in self.tree.domains)}
        (key,) = accounts_named([name], known)
        return key

    def finish(self, proposal: Proposal, *, test: tuple[AccountKey, str] | None = None) -> int:
        """Checks, writes (but for a dry run) and tells what was done; ``test`` is a new profile
        whose connection must be proven first."""
        from sendroute.edit.write import write

        texts = proposal.texts()
        notes = [*proposal.notes]
        if texts:
            after = self._after(texts)
            notes += self._new_findings(after)
            if test is not None and (wrong := self._tested(after, *test)):
                # Elsewhere a failed test leaves a part undone (4); of an edit nothing is done.
                tell(self._session, wrong)
                return ExitStatus.FAILED
        # Before anything is written: these are the lines as they were read.
        notes = self.placed(notes)
        lines = self._lines(proposal.done)
        if not self._arguments.dry_run:
            write(texts, self._paths)
        if self._session.quiet:
            notes = [each for each in notes if each.severity is not Severity.INFO]
        tell(self._session, notes)
        return self._present(texts, lines, notes)

    def placed(self, findings: Iterable[Finding]) -> list[Finding]:
        return locate(self._files, findings)

    def _lines(self, done: Sequence[Done]) -> list[Line]:
        places = positions(self._files, [each.where for each in done if each.where])
        return [(places[each.where] if each.where else None, each.message) for each in done]

    def _after(self, texts: Mapping[str, Text]) -> Desired:
        """The whole tree as it would be."""
        documents = [each for each in self._documents if each[1].file not in texts]
        for file, text in texts.items():
            if text.after is not None:
                content = read_file(file, text.after.encode(), whole=True).content
                documents += [
                    (document, Where(file, number)) for number, document in content.documents
                ]
        return compile_reading(self._reading, documents)

    def _new_findings(self, after: Desired) -> list[Finding]:
        """What `validate` would find that it did not find before; raises where it is an error.

        The places are in texts that are not written yet, so they are left out."""
        before = {
            _identity(each) for each in check_tree(compile_reading(self._reading, self._documents))
        }
        new = [
            replace(each, where=None, related=())
            for each in check_tree(after)
            if _identity(each) not in before and each.code != _ORDERED
        ]
        wrong = [each for each in new if each.severity in (Severity.ERROR, Severity.REFUSED)]
        if wrong:
            raise ProblemError(*wrong)
        return new

    def _tested(self, after: Desired, key: AccountKey, name: str) -> list[Finding]:
        from sendroute.cli.provider_check import test_provider

        return test_provider(self._session, after, key, name)

    def _present(
        self,
        texts: Mapping[str, Text],
        lines: Sequence[Line],
        notes: Sequence[Finding],
    ) -> int:
        def show(form: str, _colour: bool) -> Iterable[str]:
            if form == "json":
                return _json(texts, lines, notes, written=not self._arguments.dry_run)
            if self._arguments.dry_run:
                return unified(texts)
            return [] if self._session.quiet else _text(texts, lines)

        return worst(present(self._session, self._outputs, show), ExitStatus.FINE)


def current_of(session: Session, key: AccountKey) -> CurrentAccount | None:
    """What the store holds of an account; None where no store was named and there is none in the
    usual place."""
    from sendroute.store.record import open_store
    from sendroute.store.url import sqlite_path

    if session.store == DEFAULT_STORE and not sqlite_path(session.store).exists():
        return None
    with open_store(session.store) as store:
        return store.read([key]).accounts.get(key)


def _identity(found: Finding) -> tuple[str, str, str | None, str | None]:
    # An account defined in files that were not named is no new problem for one object more of it.
    message = "" if found.code == "unknown-account" else found.message
    return found.code, message, found.namespace, found.account


def _text(texts: Mapping[str, Text], lines: Sequence[Line]) -> Iterator[str]:
    if not texts:
        yield "Nothing to do: the manifests say so already.\n"
        return
    for place, message in lines:
        at = f"{place.file}:{place.line}: " if place else ""
        yield clean(at + message) + "\n"
    for file, text in texts.items():
        yield clean(f"{_action(text).capitalize()}: {file}") + "\n"


def _json(
    texts: Mapping[str, Text],
    lines: Sequence[Line],
    notes: Sequence[Finding],
    *,
    written: bool,
) -> Iterator[str]:
    changes = [
        {
            "message": message,
            "position": {"file": place.file, "line": place.line} if place else None,
        }
        for place, message in lines
    ]
    files: list[dict[str, Any]] = [
        {"file": file, "action": _action(text)} for file, text in texts.items()
    ]
    return document(
        [
            ("format_version", "1.0"),
            ("written", written and bool(texts)),
            ("files", files),
            ("changes", changes),
            ("findings", [{"code": each.code, "message": each.message} for each in notes]),
            ("diff", "".join(unified(texts))),
        ]
    )


def _action(text: Text) -> str:
    if text.before is None:
        return "created"
    return "deleted" if text.after is None else "changed"
