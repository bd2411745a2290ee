"""The steps that all edits share: read the tree, check the result, write the files, present it.

An edit that would add an error of `validate` is not written.
"""

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from sendroute.cli.exit_status import ExitStatus
from sendroute.cli.lookup import accounts_named
from sendroute.cli.options import outputs_of, refuse_stdin
from sendroute.cli.output import present, report_on_stderr, worst
from sendroute.cli.session import Session
from sendroute.edit.proposal import EditChange, Proposal, TextChange, unified
from sendroute.edit.tree import EditTree, changed_meanwhile
from sendroute.edit.write import write
from sendroute.manifests.compile import compile_reading
from sendroute.manifests.content import read_file
from sendroute.manifests.locate import positions, with_positions
from sendroute.manifests.read import Reading
from sendroute.manifests.shapes import Document
from sendroute.manifests.sources import Files
from sendroute.model.codes import Code
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, Position, Severity, Where
from sendroute.model.problem import ProblemError
from sendroute.planner.offline import check_tree
from sendroute.reports.as_json import document
from sendroute.reports.text import clean
from sendroute.runtime.settings import DEFAULT_STORE
from sendroute.store.url import sqlite_path

Line = tuple[Position | None, str]
Documents = Sequence[tuple[Document, Where]]


# Without a store every domain counts as new, so an apply-all overrides each of them, as intended.
_ORDERED = Code.APPLY_ALL_WINS


class EditSession:
    """The tree of an edit, read once."""

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
        broken = {finding.where.file for finding in self._reading.findings if finding.where}
        self.tree = EditTree(self._documents, self._load, self._paths, frozenset(broken))

    def _load(self, file: str) -> str:
        try:
            return next(data.decode() for _, data in self._files.again([file]))
        except (StopIteration, UnicodeDecodeError) as error:
            raise ProblemError(changed_meanwhile(file)) from error

    @contextmanager
    def adds_positions(self) -> Iterator[None]:
        """A context that adds positions to problems. If a name is unknown, it also adds the
        findings about unreadable files, which may define it."""
        try:
            yield
        except ProblemError as problem:
            reading_findings: Iterable[Finding] = ()
            if any(finding.code.startswith("unknown-") for finding in problem.findings):
                reading_findings = self._reading.findings
            raise ProblemError(
                *with_positions(self._files, [*problem.findings, *reading_findings])
            ) from problem

    def need_all(self) -> None:
        """Require the whole tree, because the edit must see every reference.

        Raises:
            ProblemError: a file cannot be read.
        """
        if self._reading.findings:
            raise ProblemError(*self._reading.findings)

    def account(self, name: str) -> AccountKey:
        """The account that ``NAMESPACE/NAME`` or ``NAME`` refers to. Raises as
        :func:`~sendroute.cli.lookup.accounts_named` does."""
        known = {*self.tree.accounts, *(domain.key for domain in self.tree.domains)}
        (key,) = accounts_named([name], known)
        return key

    def finish(self, proposal: Proposal, *, test: tuple[AccountKey, str] | None = None) -> int:
        """Check, write (unless it is a dry run) and present the changes.

        Args:
            proposal: the changes.
            test: a new profile whose connection must be tested first.

        Returns:
            The exit status.

        Raises:
            ProblemError: the result is invalid, or cannot be written.
        """

        texts = proposal.texts()
        notes = [*proposal.notes]
        if texts:
            after = self._after(texts)
            notes += self._new_findings(after)
            if test is not None and (wrong := self._tested(after, *test)):
                # In apply, a failed test skips a part (exit status 4); an edit writes nothing.
                report_on_stderr(self._session, wrong)
                return ExitStatus.FAILED
        # Before anything is written, because the lines are those of the files as read.
        notes = self.with_positions(notes)
        lines = self._lines(proposal.changes)
        if not self._arguments.dry_run:
            write(texts, self._paths)
        if self._session.terminal.quiet:
            notes = [note for note in notes if note.severity is not Severity.INFO]
        report_on_stderr(self._session, notes)
        return self._present(texts, lines, notes)

    def with_positions(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings with their positions, sorted by file and line."""
        return with_positions(self._files, findings)

    def _lines(self, done: Sequence[EditChange]) -> list[Line]:
        position_of = positions(self._files, [change.where for change in done if change.where])
        return [
            (position_of[change.where] if change.where else None, change.message) for change in done
        ]

    def _after(self, texts: Mapping[str, TextChange]) -> Desired:
        """The whole tree after the edit."""
        documents = [item for item in self._documents if item[1].file not in texts]
        for file, text in texts.items():
            if text.after is not None:
                content = read_file(file, text.after.encode(), as_documents=True).content
                documents += [
                    (document, Where(file, number)) for number, document in content.documents
                ]
        return compile_reading(self._reading, documents)

    def _new_findings(self, after: Desired) -> list[Finding]:
        """The findings of `validate` that are new; raises ProblemError if one is an error.

        They have no position, because the new texts are not written yet."""
        before = {
            _identity(finding)
            for finding in check_tree(compile_reading(self._reading, self._documents))
        }
        new = [
            replace(finding, where=None, related=())
            for finding in check_tree(after)
            if _identity(finding) not in before and finding.code != _ORDERED
        ]
        wrong = [
            finding for finding in new if finding.severity in (Severity.ERROR, Severity.REFUSED)
        ]
        if wrong:
            raise ProblemError(*wrong)
        return new

    def _tested(self, after: Desired, key: AccountKey, name: str) -> list[Finding]:
        from sendroute.cli.connection_tests import test_new_profile

        return test_new_profile(self._session, after, key, name)

    def _present(
        self,
        texts: Mapping[str, TextChange],
        lines: Sequence[Line],
        notes: Sequence[Finding],
    ) -> int:
        def show(form: str, _colour: bool) -> Iterable[str]:
            if form == "json":
                return _json(texts, lines, notes, written=not self._arguments.dry_run)
            if self._arguments.dry_run:
                return unified(texts)
            return [] if self._session.terminal.quiet else _text(texts, lines)

        return worst(present(self._session, self._outputs, show), ExitStatus.FINE)


def current_of(session: Session, key: AccountKey) -> CurrentAccount | None:
    """An account in the store; None if no store is given and the default store does not exist."""
    if session.settings.store == DEFAULT_STORE and not sqlite_path(session.settings.store).exists():
        return None
    with session.factory.open_store() as store:
        return store.read([key]).accounts.get(key)


def _identity(finding: Finding) -> tuple[str, str, str | None, str | None]:
    # An account that is defined in other files is not a new problem for each new object.
    message = "" if finding.code == Code.UNKNOWN_ACCOUNT else finding.message
    return finding.code, message, finding.namespace, finding.account


def _text(texts: Mapping[str, TextChange], lines: Sequence[Line]) -> Iterator[str]:
    if not texts:
        yield "No changes: the manifests are up to date.\n"
        return
    for position, message in lines:
        at = f"{position.file}:{position.line}: " if position else ""
        yield clean(at + message) + "\n"
    for file, text in texts.items():
        yield clean(f"{_file_action(text).capitalize()}: {file}") + "\n"


def _json(
    texts: Mapping[str, TextChange],
    lines: Sequence[Line],
    notes: Sequence[Finding],
    *,
    written: bool,
) -> Iterator[str]:
    changes = [
        {
            "message": message,
            "position": {"file": position.file, "line": position.line} if position else None,
        }
        for position, message in lines
    ]
    files: list[dict[str, Any]] = [
        {"file": file, "action": _file_action(text)} for file, text in texts.items()
    ]
    return document(
        [
            ("format_version", "1.0"),
            ("written", written and bool(texts)),
            ("files", files),
            ("changes", changes),
            ("findings", [{"code": note.code, "message": note.message} for note in notes]),
            ("diff", "".join(unified(texts))),
        ]
    )


def _file_action(text: TextChange) -> str:
    if text.before is None:
        return "created"
    return "deleted" if text.after is None else "changed"
