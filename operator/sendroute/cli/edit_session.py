"""The steps that all edits share: lock and read the tree, check the result, write the files,
present it.

An edit that would add an error of `validate` is not written.
"""

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sendroute.cli.command_line import stderr_line
from sendroute.cli.edit_check import check_edit
from sendroute.cli.exit_status import ExitStatus
from sendroute.cli.given_options import with_given_options
from sendroute.cli.hints import by_option, with_hint
from sendroute.cli.lookup import accounts_named, profile_in_manifests
from sendroute.cli.options import outputs_of, refuse_stdin
from sendroute.cli.output import manifests_of, present, report_on_stderr, worst
from sendroute.cli.session import Session
from sendroute.edit.edited_files import EditedFiles, check_listed, elsewhere
from sendroute.edit.lock import EditLock
from sendroute.edit.proposal import EditChange, Proposal, TextChange, unified
from sendroute.edit.tree import EditTree, changed_meanwhile
from sendroute.edit.write import write
from sendroute.files.reason import reason_of
from sendroute.manifests.compile import compile_reading
from sendroute.manifests.locate import positions, with_positions
from sendroute.manifests.read import TreeReading
from sendroute.manifests.shapes import Document
from sendroute.manifests.sources import FileSource, display
from sendroute.model.codes import Trait, finding, has_trait
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, Position, Severity, Where
from sendroute.model.problem import InvalidSettingError, ProblemError
from sendroute.reports.as_json import document, finding_form
from sendroute.reports.text import Console, clean, clean_diff, paragraph

Line = tuple[Position | None, str]
Documents = Sequence[tuple[Document, Where]]


@contextmanager
def editing(arguments: Namespace, session: Session) -> Iterator["EditSession"]:
    """A context for one edit: no other edit of the same paths runs meanwhile, unless nothing will
    be written. It adds positions to problems.

    Args:
        arguments: those of the command.
        session: settings and terminal.

    Yields:
        The tree, read.

    Raises:
        ProblemError: another edit does not end, or what the caller raises, with positions.
    """
    refuse_stdin(arguments.paths)
    with EditLock() as lock:
        if not arguments.dry_run and not getattr(arguments, "check", False):
            lock.take(arguments.paths)
        edit = EditSession(arguments, session, lock)
        with edit.adds_positions():
            yield edit


class EditSession:
    """The tree of an edit, read once. Commands get it from :func:`editing`."""

    def __init__(self, arguments: Namespace, session: Session, lock: EditLock) -> None:
        self._lock = lock
        self._arguments = arguments
        self._outputs = outputs_of(arguments)
        self._change_percent = 0  # the limit that the plan of the result needs; 0 for the default
        self._session = session
        self._files = FileSource(arguments.paths)
        self._reading = TreeReading(self._files)
        self._documents: Documents = list(self._reading.documents())
        entries, _ = self._files.entries()
        self._paths = {entry.name: entry.path for entry in entries}
        broken = {finding.where.file for finding in self._reading.findings if finding.where}
        self.tree = EditTree(
            self._documents, self._load, self._paths, frozenset(broken), self._may_add
        )

    def _may_add(self, path: str) -> bool:
        return self._files.lists(path) and self._files.holds(path)

    def _load(self, file: str) -> str:
        try:
            return next(data.decode() for _, data in self._files.again([file]))
        except (StopIteration, UnicodeDecodeError) as error:
            raise ProblemError(changed_meanwhile(file)) from error

    @contextmanager
    def adds_positions(self) -> Iterator[None]:
        """A context that adds positions to problems. If a name is unknown, it also adds the
        findings about unreadable files, which may define it; and these alone if nothing was
        read."""
        try:
            yield
        except InvalidSettingError:  # not about the manifests
            raise
        except ProblemError as problem:
            if not self._paths and self._reading.findings:
                raise ProblemError(*self._reading.findings) from problem
            reading_findings: Iterable[Finding] = ()
            if any(has_trait(finding.code, Trait.ABSENCE) for finding in problem.findings):
                reading_findings = self._reading.findings
            findings = problem.findings
            if hasattr(self._arguments, "allow_insecure_auth"):
                findings = tuple(map(by_option, findings))
            # What is broken first: the name may be defined there.
            raise ProblemError(
                *self.with_positions(reading_findings), *self.with_positions(findings)
            ) from problem

    @property
    def unread(self) -> Sequence[Finding]:
        """What the tree holds besides, as far as it could not be read."""
        return self._reading.findings

    @property
    def _manifests(self) -> Sequence[str]:
        """The paths that a hint repeats; none for a part of a tree, which cannot be planned."""
        return () if self.tree.platform is None else manifests_of(self._arguments)

    def not_written(self, names: Iterable[str]) -> list[Finding]:
        """Why some of these files cannot be edited; see
        :func:`~sendroute.edit.edited_files.elsewhere`."""
        return elsewhere(self._files, {name: self._paths.get(name, name) for name in names})

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
        (key,) = accounts_named(
            [name], known, lambda name: f"The given manifests have no account `{name}`."
        )
        return key

    def profile(self, text: str, account: str | None) -> tuple[AccountKey, str]:
        """The account and the name of a profile.

        Args:
            text: ``NAMESPACE/NAME`` or ``NAME``.
            account: its account, as for :meth:`account`; None if the name is unambiguous.

        Raises:
            ProblemError: ``unknown-profile`` without an account, if no account has the profile, or
                several have one of that name; else as :meth:`account`.
        """
        if account is None:
            return profile_in_manifests(text, [(p.key, p.name) for p in self.tree.profiles])
        key = self.account(account)
        return key, text.removeprefix(f"{key.namespace}/")

    def file(self, path: str) -> str:
        """The name under which the tree shows a file that the user gives.

        Args:
            path: the path of the file; it may not exist yet.

        Returns:
            The name of a file of the tree, or the normalised path of a new file.

        Raises:
            ProblemError: it is no file of the tree, or would be none (``invalid-value``).
        """
        given = Path(path)
        try:
            exists = given.exists()
        except OSError as error:  # a name that is too long, for example
            message = f"The file {display(path)} cannot be used: {reason_of(error)}."
            hint = "Choose another name."
            raise ProblemError(finding("invalid-value", message, hint=hint)) from error
        if exists:
            for name, known in self._paths.items():
                if given.samefile(known):
                    return name
        new = os.path.normpath(path)
        check_listed(self._files, new)
        return new

    def finish(
        self,
        proposal: Proposal,
        *,
        test: tuple[AccountKey, str] | None = None,
        deletes: bool = False,
    ) -> int:
        """Check, write (unless it is a dry run) and present the changes. If a guard would refuse
        the plan, this warns, and the next command has the limit.

        Args:
            proposal: the changes.
            test: a new profile whose connection must be tested first.
            deletes: the edit removes something on purpose, so that what depends on it is
                reassigned with a warning, as for an applied tree.

        Returns:
            The exit status.

        Raises:
            ProblemError: the result is invalid, or cannot be written.
        """

        texts = proposal.texts()
        if refused := self.not_written(texts):
            raise ProblemError(*refused)
        real_paths = {name: _real_path(self._paths.get(name, name)) for name in texts}
        notes = [*proposal.notes]
        if texts:
            if not self._arguments.dry_run:
                self._lock.take(real_paths.values())
            after = compile_reading(TreeReading(EditedFiles(self._files, texts)))
            before = compile_reading(self._reading, self._documents)
            checked = check_edit(self._session, after, before, deletes=deletes)
            notes += [item for item in checked.new if item.code != proposal.expected]
            notes += checked.guards
            self._change_percent = checked.change_percent
            if test is not None and (wrong := self._tested(after, *test)):
                # In apply, a failed test skips a part (exit status 4); an edit writes nothing.
                report_on_stderr(self._session, wrong, self._manifests)
                return ExitStatus.FAILED
        # Before anything is written, because the lines are those of the files as read.
        notes = self.with_positions(notes)
        lines = self._lines(proposal.changes)
        if not self._arguments.dry_run:
            write(texts, real_paths)
        if self._session.terminal.quiet:
            notes = [note for note in notes if note.severity is not Severity.INFO]
        report_on_stderr(self._session, notes, self._manifests)
        return self._present(texts, lines, notes)

    def with_positions(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings with their positions, sorted by file and line."""
        return with_positions(self._files, findings)

    def _lines(self, done: Sequence[EditChange]) -> list[Line]:
        position_of = positions(self._files, [change.where for change in done if change.where])
        return [
            (position_of[change.where] if change.where else None, change.message) for change in done
        ]

    def _tested(self, after: Desired, key: AccountKey, name: str) -> list[Finding]:
        from sendroute.cli.connection_tests import test_new_profile

        return test_new_profile(self._session, after, key, name)

    def _present(
        self,
        texts: Mapping[str, TextChange],
        lines: Sequence[Line],
        notes: Sequence[Finding],
    ) -> int:
        def show(form: str, console: Console) -> Iterable[str]:
            if form == "json":
                return _json(
                    texts,
                    lines,
                    [with_hint(note, self._manifests) for note in notes],
                    written=not self._arguments.dry_run,
                    then=self._next(texts),
                )
            if self._arguments.dry_run:
                return map(clean_diff, unified(texts))
            return [] if self._session.terminal.quiet else self._text(texts, lines, console)

        if self._arguments.dry_run and any(output.form == "text" for output in self._outputs):
            _report_escapes(unified(texts), self._session.terminal.console(sys.stderr))
        return worst(present(self._session, self._outputs, show), ExitStatus.FINE)

    def _text(
        self, texts: Mapping[str, TextChange], lines: Sequence[Line], console: Console
    ) -> Iterator[str]:
        if texts:
            yield from _text(texts, lines, self._next(texts))
        elif self._reading.findings:
            yield from paragraph("No changes to what could be read of the manifests.", console)
        else:
            yield from paragraph("No changes: the manifests are up to date.", console)

    def _next(self, texts: Mapping[str, TextChange]) -> str | None:
        """The command that shows what the edit changes; None if it changes nothing. A part of a
        tree cannot be planned."""
        if not texts:
            return None
        if self.tree.platform is None:
            return with_given_options("sendroute plan PATH, with the paths of the whole tree")
        paths = [path for path in self._arguments.paths if Path(path).exists()]
        limit = f" --max-change-percent {self._change_percent}" if self._change_percent else ""
        command = " ".join([f"sendroute plan{limit}", *map(shlex.quote, paths)])
        return with_given_options(command)


def _real_path(path: str) -> str:
    """The file that is replaced, which may be reached through links; a link that leads nowhere is
    not followed."""
    given = Path(path)
    return str(given.resolve() if given.exists() else given.parent.resolve() / given.name)


def _text(
    texts: Mapping[str, TextChange], lines: Sequence[Line], then: str | None
) -> Iterator[str]:
    for position, message in lines:
        at = f"{position.file}:{position.line}: " if position else ""
        yield clean(at + message) + "\n"
    for file, text in texts.items():
        yield clean(f"{_file_action(text).capitalize()}: {file}") + "\n"
    if then is not None:
        yield clean(f"Next: {then}") + "\n"


def _report_escapes(diff: Iterable[str], console: Console) -> None:
    """Say that the diff is not shown as it is, if so."""
    if any(line != clean_diff(line) for line in diff):
        note = (
            "The diff holds text that a terminal or a build log would hide or take for a command."
            " It is shown with escapes and cannot be applied; -o json has the exact diff."
        )
        for line in paragraph(note, console):
            stderr_line(line.removesuffix("\n"))


def _json(
    texts: Mapping[str, TextChange],
    lines: Sequence[Line],
    notes: Sequence[Finding],
    *,
    written: bool,
    then: str | None,
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
            ("findings", [finding_form(note) for note in notes]),
            ("diff", "".join(unified(texts))),
            ("next", then),
        ]
    )


def _file_action(text: TextChange) -> str:
    if text.before is None:
        return "created"
    return "deleted" if text.after is None else "changed"
