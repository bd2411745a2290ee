"""A report as text, every name cleaned. No name is cut.

In a pipe or a file each change is one line, and all are listed. A terminal gets lines of its width,
and of many similar changes only the first; the others are counted.
"""

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from sendroute.model.account_status import PlanStep
from sendroute.model.change import Action, Change, DomainChange, Kind, Shadowed, State
from sendroute.model.finding import Finding, Severity
from sendroute.model.outcome import Outcome
from sendroute.model.transition import step
from sendroute.model.waiting import WaitingDomains
from sendroute.model.words import actions_planned, number
from sendroute.reports.grouping import (
    MAX_ACCOUNTS,
    MAX_SIMILAR,
    group_changes,
    group_findings,
    group_shadowed,
    group_steps,
)
from sendroute.reports.report import AccountReport, Report, format_position
from sendroute.reports.text import (
    NARROW,
    PLAIN,
    Console,
    TextStyle,
    clean,
    fold,
    no_command,
    paint,
    width,
    wrap,
)
from sendroute.reports.words import more_accounts, object_name, outcome_words, totals

_VERB, _STEP = 8, 34
_BENEATH = 2 + _VERB + 2

_ACTION_STYLES = {
    Action.CREATE: TextStyle.GREEN,
    Action.UPDATE: TextStyle.CYAN,
    Action.DELETE: TextStyle.RED,
    Action.REROUTE: TextStyle.CYAN,
    Action.REASSIGN: TextStyle.YELLOW,
    Action.SKIP: TextStyle.YELLOW,
}

_MANY = {Severity.WARNING: "warnings", Severity.INFO: "notes"}
"""Of these many may say the same. An error and a refusal are always shown."""
_DOMAIN = re.compile(r"\S*\w\.\w\S*")

_SEVERITY_STYLES = {
    Severity.ERROR: TextStyle.RED,
    Severity.REFUSED: TextStyle.RED,
    Severity.WARNING: TextStyle.YELLOW,
    Severity.INFO: TextStyle.CYAN,
}


def lines(
    report: Report, *, console: Console = PLAIN, shown: Report | None = None
) -> Iterator[str]:
    """Yield the lines of a report, without line breaks.

    Args:
        report: the report.
        console: where it is written.
        shown: the report of the plan, if the reader has seen it just before.
    """
    return map(no_command, _lines(report, console, shown))


def _lines(whole: Report, console: Console, already: Report | None) -> Iterator[str]:
    report = whole if already is None else whole.beyond(already)
    if report.platform is not None:
        yield paint("platform", TextStyle.BOLD, console.colour)
        yield from _changes([report.platform], console)
        yield ""
    accounts = [account for account in report.accounts if _is_shown(account)]
    listed = accounts[: _limit(MAX_ACCOUNTS, console)]
    for account in listed:
        yield from _account(account, console)
        yield ""
    if omitted := accounts[len(listed) :]:
        yield from wrap(more_accounts(omitted), 0, columns=console.columns)
        yield ""
    yield from findings_lines(report.listed(), console)
    if report.findings:
        yield ""
    for line in wrap(totals(whole), 0, columns=console.columns):
        yield paint(line, TextStyle.BOLD, console.colour)


def _is_narrow(console: Console) -> bool:
    return console.columns is not None and console.columns < NARROW


def _limit(count: int, console: Console) -> int | None:
    """How many items of a list are shown; None for all."""
    return None if console.columns is None else count


def _is_shown(account: AccountReport) -> bool:
    done = account.outcome not in (None, Outcome.UNCHANGED)
    return bool(account.changes or account.shadowed or account.stopped or done)


def findings_lines(findings: Iterable[Finding], console: Console = PLAIN) -> Iterator[str]:
    """Show findings. What is said of many domains is said once, and the other domains are listed. A
    hint is not repeated for the next finding of the same code, except for a refusal, of which the
    hint is an option to copy.

    At a terminal, of many similar notes and warnings only the first are shown; the others are
    counted.

    Args:
        findings: the findings; they are cleaned here.
        console: where they are written.

    Yields:
        The lines, without line breaks.
    """
    limit = _limit(MAX_SIMILAR, console)
    counts: Counter[tuple[str, Severity, str]] = Counter()
    advised = None
    for group in group_findings(findings):
        finding = group[0]
        if limit is not None and finding.severity in _MANY:
            similar = finding.code, finding.severity, _DOMAIN.sub("…", finding.message)
            counts[similar] += 1
            if counts[similar] > limit:
                continue
        advice = finding.code, finding.hint
        is_repeated = advice == advised and finding.severity is not Severity.REFUSED
        yield from finding_lines(replace(finding, hint=None) if is_repeated else finding, console)
        advised = advice
        if len(group) > 1:
            yield from _same(group[1:], console)
    for (code, severity, _), count in counts.items():
        if count > MAX_SIMILAR:
            more = f"{number(count - MAX_SIMILAR)} more {_MANY[severity]} like this"
            omitted = Finding(code, severity, f"… and {more}; the JSON report lists all.")
            yield from finding_lines(omitted, console)


def _same(findings: Sequence[Finding], console: Console) -> Iterator[str]:
    """The other domains or documents of which a finding is said, each with its position."""
    listed = findings[: _limit(MAX_SIMILAR, console)]
    others = clean(", ".join(map(_domain_and_position, listed)))
    first = "the same for: " if listed[0].domain is not None else "the same at: "
    yield from wrap(others, 4, first=first, columns=console.columns)
    if omitted := len(findings) - len(listed):
        yield from wrap(_omitted_line(omitted), 4, columns=console.columns)


def _domain_and_position(finding: Finding) -> str:
    location = finding.position or finding.where
    position = format_position(location) if location is not None else ""
    if finding.domain is None:
        return position
    return f"{finding.domain} ({position})" if position else finding.domain


def _account(account: AccountReport, console: Console) -> Iterator[str]:
    counts = actions_planned(Counter(change.action for change in account.changes))
    summary = "; ".join(filter(None, (counts, outcome_words(account))))
    heading = clean(str(account.key))
    beside = console.fits(width(heading) + 2 + width(summary))
    for line in _folded(heading, console.columns):
        yield paint(line, TextStyle.BOLD, console.colour) + (
            f"  {summary}" if beside and summary else ""
        )
    if not beside:
        yield from wrap(summary, 2, columns=console.columns)
    yield from _changes(account.changes, console)
    for group in group_shadowed(account.shadowed):
        yield from _shadow(group, console)


def _folded(text: str, columns: int | None) -> Sequence[str]:
    return [text] if columns is None else fold(text, columns)


def _omitted_line(count: int) -> str:
    return f"… and {number(count)} more like this; the JSON report lists all"


def _shadow(group: Sequence[Shadowed], console: Console) -> Iterator[str]:
    """Domains whose declared route is shadowed in the same way: the sentence once, then their
    names."""
    first = group[0]
    alone = len(group) == 1
    subject = f"{first.domain} declares" if alone else f"{number(len(group))} domains declare"
    stays = "it stays" if alone else "each stays"
    sentence = (
        f"{subject} {first.declared}, shadowed by apply-all {first.apply_all}: {stays}"
        f" {first.assigned} until its manifest sets spec.overrides to that id, or declares another"
        " route."
    )
    yield from wrap(clean(sentence), 4, columns=console.columns)
    if not alone:
        yield from _names([shadow.domain for shadow in group], 6, console)


def _changes(changes: Sequence[Change], console: Console) -> Iterator[str]:
    groups, waiting = group_changes(changes)
    yield from _groups(groups, _cells, console)
    for together in waiting:
        yield from _waiting(together, console)


def step_lines(steps: Iterable[PlanStep], console: Console) -> Iterator[str]:
    """Show the steps of a held-back plan, as a plan shows its changes.

    Args:
        steps: the steps; they are cleaned here.
        console: where they are written.

    Yields:
        The lines, without line breaks.
    """
    yield from _groups(group_steps(steps), _cells_of_steps, console)


_Step = TypeVar("_Step", Change, PlanStep)


def _groups(
    groups: Sequence[Sequence[_Step]],
    cells_of: Callable[[Iterable[_Step]], Iterator["_ChangeCells"]],
    console: Console,
) -> Iterator[str]:
    limit = _limit(MAX_SIMILAR, console)
    shown = [list(cells_of(islice(group, limit))) for group in groups]
    names, steps = _columns([cells for rows in shown for cells in rows], console.columns)
    for group, rows in zip(groups, shown, strict=True):
        shared = _shared_reason(group)
        for change, cells in zip(group, rows, strict=False):
            yield from _row(change, cells, names, steps, console, "" if shared else _reason(change))
        if omitted := len(group) - len(rows):
            yield from wrap(_omitted_line(omitted), _BENEATH, columns=console.columns)
        if shared:
            yield from wrap(shared, _BENEATH, columns=console.columns)


def _waiting(waiting: WaitingDomains, console: Console) -> Iterator[str]:
    """Domains that wait for the same thing: the sentence once, then their names."""
    verb = Action.SKIP.value
    label = paint(f"{verb:<{_VERB}}", _ACTION_STYLES[Action.SKIP], console.colour)
    if _is_narrow(console):
        yield f"  {label}".rstrip()
        yield from wrap(clean(waiting.message), _BENEATH, columns=console.columns)
        yield from _names(waiting.domains, _BENEATH, console)
        return
    first, *lines = wrap(clean(waiting.message), _BENEATH, columns=console.columns)
    yield f"  {label}  {first[_BENEATH:]}"
    yield from lines
    yield from _names(waiting.domains, _BENEATH, console)


def _names(domains: Sequence[str], indent: int, console: Console) -> Iterator[str]:
    names = domains[: _limit(MAX_SIMILAR, console)]
    yield from wrap(clean(", ".join(names)), indent, columns=console.columns)
    if omitted := len(domains) - len(names):
        yield from wrap(_omitted_line(omitted), indent, columns=console.columns)


class _ChangeCells(NamedTuple):
    """A change's name and what it does, cleaned, and the columns that each takes."""

    name: str
    wide: int
    does: str
    columns: int


def _cells(changes: Iterable[Change]) -> Iterator[_ChangeCells]:
    """The cells of similar changes. Most have the same states: their step is said once."""
    states: tuple[State | None, State | None] | None = None
    does, columns = "", 0
    for change in changes:
        if states != (change.before, change.after) or not isinstance(change, DomainChange):
            states = change.before, change.after
            does = clean(step(change))
            columns = width(does)
        name = clean(object_name(change.kind, change.name))
        yield _ChangeCells(name, width(name), does, columns)


def _cells_of_steps(steps: Iterable[PlanStep]) -> Iterator[_ChangeCells]:
    for planned in steps:
        name = clean(object_name(Kind(planned.kind), planned.name))
        does = clean(planned.does)
        yield _ChangeCells(name, width(name), does, width(does))


def _columns(shown: Sequence[_ChangeCells], columns: int | None) -> tuple[int, int]:
    """Widths of the names and of the steps that fit into their share of a terminal's line."""
    room = sys.maxsize if columns is None else columns - _BENEATH - 2
    widest = min(_STEP, room // 2)
    steps = max((cells.columns for cells in shown if cells.columns <= widest), default=0)
    widest = room - max(steps, room // 3)
    return max((cells.wide for cells in shown if cells.wide <= widest), default=0), steps


def _row(
    change: Change | PlanStep,
    cells: _ChangeCells,
    names: int,
    steps: int,
    console: Console,
    reason: str,
) -> Iterator[str]:
    """One line per change. At a terminal, what does not fit is on the next lines."""
    action = Action(change.action)
    verb = paint(f"{action.value:<{_VERB}}", _ACTION_STYLES[action], console.colour)
    if _is_narrow(console):
        yield f"  {verb}".rstrip()
        for text in filter(None, (cells.name, cells.does, reason)):
            yield from wrap(text, _BENEATH, columns=console.columns)
        return
    begin = f"  {verb}  {cells.name}"
    start = _BENEATH + names + 2
    gap = " " * (steps - cells.columns + 2)
    if cells.wide <= names and console.fits(start + max(steps, cells.columns) + 2 + width(reason)):
        yield f"{begin}{' ' * (names - cells.wide + 2)}{cells.does}{gap or '  '}{reason}".rstrip()
        return
    does = list(wrap(cells.does, start, columns=console.columns))
    if cells.wide <= names:
        yield f"{begin}{does.pop(0)[_BENEATH + cells.wide :]}".rstrip()
    else:
        first, *others = _folded(cells.name, console.columns and console.columns - _BENEATH)
        yield f"  {verb}  {first}".rstrip()
        yield from (" " * _BENEATH + line for line in others)
    yield from does
    if reason:
        yield from wrap(reason, _BENEATH, columns=console.columns)


def _shared_reason(group: Sequence[Change] | Sequence[PlanStep]) -> str:
    """The sentence of a whole group, with "each" instead of the domain's name; empty if the
    sentences differ."""
    first = group[0]
    if len(group) == 1 or first.kind != Kind.DOMAIN:
        return ""
    sentences = {change.message.replace(change.name, "each") for change in group}
    if len(sentences) > 1:
        return ""
    sentence = sentences.pop()
    return _sentence(first.reason, f"{sentence[:1].upper()}{sentence[1:]}")


def _reason(change: Change | PlanStep) -> str:
    return _sentence(change.reason, change.message)


def _sentence(reason: str, message: str) -> str:
    """A step of an earlier version has no reason."""
    return clean(": ".join(filter(None, (reason, message))))


def finding_lines(finding: Finding, console: Console = PLAIN) -> Iterator[str]:
    """Show a finding: severity, code and position, then the message, the hint and related
    positions.

    Args:
        finding: the finding; it is cleaned here.
        console: where it is written.

    Yields:
        The lines, without line breaks.
    """
    location = finding.position or finding.where
    head = f"{finding.severity} {clean(finding.code)}"
    label = paint(head, _SEVERITY_STYLES[finding.severity], console.colour)
    where = clean(format_position(location) if location is not None else _account_of(finding))
    if console.fits(width(head) + 2 + width(where)):
        yield f"{label}  {where}".rstrip()
    else:
        for part in _folded(head, console.columns):
            yield paint(part, _SEVERITY_STYLES[finding.severity], console.colour)
        yield from wrap(where, 4, columns=console.columns)
    yield from wrap(clean(finding.message), 4, columns=console.columns)
    if finding.hint:
        yield from wrap(clean(finding.hint), 4, first="hint: ", columns=console.columns)
    for related in finding.related:
        position = clean(format_position(related))
        yield from wrap(position, 4, first="see also: ", columns=console.columns)


def _account_of(finding: Finding) -> str:
    return f"account {finding.namespace}/{finding.account}" if finding.account is not None else ""
