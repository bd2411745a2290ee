"""A report as text for a terminal: 100 columns, every name cleaned, long lists shortened.

Yields lines without their newlines. Folded items are still counted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sendroute.model.change import Action, Change, DomainChange, Shadowed
from sendroute.model.finding import Finding, Severity
from sendroute.model.outcome import Outcome
from sendroute.reports.grouping import MAX_ACCOUNTS, MAX_SIMILAR, group_similar
from sendroute.reports.report import Part, Report, format_position
from sendroute.reports.states import step
from sendroute.reports.text import (
    WIDTH,
    TextStyle,
    clean,
    middle,
    no_command,
    number,
    pad,
    paint,
    width,
    wrap,
)
from sendroute.reports.words import actions, more_accounts, object_name, part_status, totals

_VERB, _NAME, _STEP = 8, 40, 34
_BENEATH = 2 + _VERB + 2

_ACTION_STYLES = {
    Action.CREATE: TextStyle.GREEN,
    Action.UPDATE: TextStyle.CYAN,
    Action.DELETE: TextStyle.RED,
    Action.REROUTE: TextStyle.CYAN,
    Action.REASSIGN: TextStyle.YELLOW,
    Action.SKIP: TextStyle.YELLOW,
}

_SEVERITY_STYLES = {
    Severity.ERROR: TextStyle.RED,
    Severity.REFUSED: TextStyle.RED,
    Severity.WARNING: TextStyle.YELLOW,
    Severity.INFO: TextStyle.CYAN,
}


def lines(report: Report, *, colour: bool = False, shown: Report | None = None) -> Iterator[str]:
    return map(no_command, _lines(report, colour, shown))


def _lines(whole: Report, colour: bool, already: Report | None) -> Iterator[str]:
    report = whole if already is None else whole.beyond(already)
    if report.platform is not None:
        yield paint("platform", TextStyle.BOLD, colour)
        yield from _changes([report.platform], colour)
        yield ""
    shown = [part for part in report.parts if _is_shown(part)]
    for part in shown[:MAX_ACCOUNTS]:
        yield from _part(part, colour)
        yield ""
    if len(shown) > MAX_ACCOUNTS:
        yield from wrap(more_accounts(shown[MAX_ACCOUNTS:]), 0)
        yield ""
    for finding in _listed(report):
        yield from finding_lines(finding, colour)
    if report.findings:
        yield ""
    if report.relays_behind:
        behind = ", ".join(map(clean, report.relays_behind))
        yield from wrap(f"Not served yet by {behind}.", 0)
    for line in wrap(totals(whole), 0):
        yield paint(line, TextStyle.BOLD, colour)


def _is_shown(part: Part) -> bool:
    done = part.outcome not in (None, Outcome.UNCHANGED)
    return bool(part.changes or part.shadowed or part.stopped or done)


def _listed(report: Report) -> Iterator[Finding]:
    """Every finding, but of each code only the first notes; the others are counted."""
    counts: Counter[str] = Counter()
    for finding in report.listed():
        if finding.severity is not Severity.INFO:
            yield finding
            continue
        counts[finding.code] += 1
        if counts[finding.code] <= MAX_SIMILAR:
            yield finding
    for code, count in counts.items():
        if count > MAX_SIMILAR:
            note = f"{number(count - MAX_SIMILAR)} more notes like this; the JSON report lists all"
            yield Finding(code, Severity.INFO, f"… and {note}.")


def _part(part: Part, colour: bool) -> Iterator[str]:
    counts = actions(Counter(change.action for change in part.changes))
    summary = "; ".join(filter(None, (counts, part_status(part))))
    heading = middle(clean(str(part.key)), WIDTH)
    beside = width(heading) + 2 + width(summary) <= WIDTH
    yield paint(heading, TextStyle.BOLD, colour) + (f"  {summary}" if beside and summary else "")
    if not beside:
        yield from wrap(summary, 2)
    yield from _changes(part.changes, colour)
    for shadow in part.shadowed[:MAX_SIMILAR]:
        yield from wrap(_shadow(shadow), 4)
    if len(part.shadowed) > MAX_SIMILAR:
        yield f"    {_omitted_line(len(part.shadowed) - MAX_SIMILAR)}"


def _omitted_line(count: int) -> str:
    return f"… and {number(count)} more like this; the JSON report lists all"


def _shadow(shadow: Shadowed) -> str:
    return clean(
        f"{middle(shadow.domain, _NAME)} declares {shadow.declared}, shadowed by apply-all"
        f" {shadow.apply_all}: it stays {shadow.assigned} until its manifest sets spec.overrides:"
        f" {shadow.apply_all}, or declares another route."
    )


def _changes(changes: Sequence[Change], colour: bool) -> Iterator[str]:
    groups = group_similar(changes)
    shown = [[_cells(change) for change in group[:MAX_SIMILAR]] for group in groups]
    names, steps = _columns([cells for rows in shown for cells in rows])
    for group, rows in zip(groups, shown, strict=True):
        shared = _shared_why(group)
        for change, cells in zip(group, rows, strict=False):
            yield from _row(change, cells, names, steps, colour, "" if shared else _why(change))
        if len(group) > MAX_SIMILAR:
            yield f"{' ' * _BENEATH}{_omitted_line(len(group) - MAX_SIMILAR)}"
        if shared:
            yield from wrap(shared, _BENEATH)


class _ChangeCells(NamedTuple):
    """A change's name and what it does, cleaned, and the columns that each takes."""

    name: str
    wide: int
    does: str
    columns: int


def _cells(change: Change) -> _ChangeCells:
    name, does = clean(object_name(change.kind, change.name)), clean(step(change))
    return _ChangeCells(name, width(name), does, width(does))


def _columns(shown: Sequence[_ChangeCells]) -> tuple[int, int]:
    """Widths of the names and of the steps, each no wider than its share of the line."""
    names = max((cells.wide for cells in shown), default=0)
    fitting = [cells.columns for cells in shown if cells.columns <= _STEP]
    return min(names, _NAME), max(fitting, default=0)


def _row(
    change: Change, cells: _ChangeCells, names: int, steps: int, colour: bool, why: str
) -> Iterator[str]:
    """One line per change; the reason is on the next line if it does not fit."""
    verb = paint(f"{change.action.value:<{_VERB}}", _ACTION_STYLES[change.action], colour)
    if cells.wide <= names:
        name = cells.name + " " * (names - cells.wide)
    else:
        name = pad(middle(cells.name, names), names)
    start = _BENEATH + names + 2
    if cells.columns <= steps and start + steps + 2 + width(why) <= WIDTH:
        gap = " " * (steps - cells.columns + 2)
        yield f"  {verb}  {name}  {cells.does}{gap}{why}".rstrip()
        return
    first, *continuation = wrap(cells.does, start)
    yield f"  {verb}  {name}  {first[start:]}".rstrip()
    yield from continuation
    if why:
        yield from wrap(why, _BENEATH)


def _shared_why(group: Sequence[Change]) -> str:
    """The sentence of a whole group, with "each" instead of the domain's name; empty if the
    sentences differ."""
    first = group[0]
    if len(group) == 1 or not isinstance(first, DomainChange):
        return ""
    sentences = {change.message.replace(change.name, "each") for change in group}
    if len(sentences) > 1:
        return ""
    sentence = sentences.pop()
    return clean(f"{first.reason}: {sentence[:1].upper()}{sentence[1:]}")


def _why(change: Change) -> str:
    return clean(f"{change.reason}: {change.message}" if change.message else change.reason)


def finding_lines(finding: Finding, colour: bool = False) -> Iterator[str]:
    """Show a finding: severity, code and position, then the message, the hint and related
    positions.

    Args:
        finding: the finding; it is cleaned here.
        colour: add ANSI sequences.

    Yields:
        The lines, without line breaks.
    """
    location = finding.position or finding.where
    head = f"{finding.severity} {clean(finding.code)}"
    label = paint(head, _SEVERITY_STYLES[finding.severity], colour)
    where = clean(format_position(location) if location is not None else _account_of(finding))
    if width(head) + 2 + width(where) <= WIDTH:
        yield f"{label}  {where}".rstrip()
    else:
        yield label
        yield f"    {middle(where, WIDTH - 4)}"
    yield from wrap(clean(finding.message), 4)
    if finding.hint:
        yield from wrap(clean(finding.hint), 4, first="hint: ")
    for related in finding.related:
        yield f"    see also: {middle(clean(format_position(related)), WIDTH - 14)}"


def _account_of(finding: Finding) -> str:
    return f"account {finding.namespace}/{finding.account}" if finding.account is not None else ""
