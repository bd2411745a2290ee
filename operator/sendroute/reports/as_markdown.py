"""A report as a comment on a pull or merge request (GitHub's and GitLab's Markdown).

Names and sentences come from the authors of manifests, so nothing in them may become markup, a
mention, a reference or a link. Nothing is shortened: long lists are shown after a click. Only a
comment has at most 65,536 characters; what has no room is left out whole, and a sentence counts it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from msgspec import Struct

from sendroute.model.change import Action, Change, DomainChange
from sendroute.model.finding import Finding
from sendroute.model.outcome import Outcome
from sendroute.model.transition import step
from sendroute.model.words import actions_planned, counted, number
from sendroute.reports.grouping import MAX_SIMILAR, group_similar, waiting_of
from sendroute.reports.report import AccountReport, Report, format_position
from sendroute.reports.text import clean, no_command
from sendroute.reports.words import object_name, outcome_words, totals

LIMIT = 65_536
_KEPT_FOR_THE_CUT = 300
_LISTED = 100
"""Changes of one account that are visible; the others are shown after a click."""

_ENTITIES = {ord(c): f"&#{ord(c)};" for c in "&<>`*_[]|\\~^$"}

# Characters after which GitHub and GitLab search for a mention, an issue, a milestone, an emoji or
# a link. A word joiner (U+2060) is invisible and prevents that.
_REFERS = re.compile(r"([@#!%:]|www)(?=[\w./])")


class MarkdownPiece(Struct, frozen=True):
    """An independent block, rendered only if there is room. If it does not fit, ``short`` replaces
    it; if that does not fit either, ``noun`` is counted as left out."""

    noun: str
    text: Callable[[], str]
    short: Callable[[], str] | None = None


def text(report: Report) -> str:
    """The whole comment, at most LIMIT bytes of UTF-8, so at most that many characters."""
    heading = f"### Sendroute {report.command}\n\n**{prose(totals(report))}**\n\n"
    room = LIMIT - _KEPT_FOR_THE_CUT - len(heading.encode())
    blocks, cut = [heading], Counter[str]()
    for piece in _pieces(report):
        block = _fitting(piece, room) if not cut else None
        if block is None:
            cut[piece.noun] += 1
        else:
            room -= len(block.encode())
            blocks.append(block)
    if cut:
        left_out = " and ".join(counted(count, noun) for noun, count in cut.items())
        blocks.append(f"\nThe comment is full: {left_out} left out; the JSON report lists all.\n")
    return "".join(blocks)


def _fitting(piece: MarkdownPiece, room: int) -> str | None:
    makers = (piece.text, piece.short) if piece.short is not None else (piece.text,)
    return next((block for make in makers if len((block := make()).encode()) <= room), None)


def _pieces(report: Report) -> Iterator[MarkdownPiece]:
    for finding in report.listed():
        yield MarkdownPiece("finding", partial(_finding, finding))
    if report.platform is not None:
        yield MarkdownPiece("platform", partial(_platform, report.platform))
    for account in report.accounts:
        if account.changes or account.stopped or account.outcome not in (None, Outcome.UNCHANGED):
            yield MarkdownPiece(
                "account", partial(_account, account), partial(_account_in_short, account)
            )
    for account in report.accounts:
        if account.shadowed:
            yield MarkdownPiece("list of shadowed routes", partial(_shadowed, account))


def _platform(change: Change) -> str:
    return f"\n#### platform\n\n{_table([change])}\n"


def _shadowed(account: AccountReport) -> str:
    listing = (
        f"\nOf {code(str(account.key))}, shadowed by an apply-all until the manifest sets"
        f" {code('spec.overrides')} to its id, or declares another route:\n\n"
    )
    items = [
        f"- {code(shadow.domain)} declares {code(str(shadow.declared))}, stays"
        f" {code(str(shadow.assigned))} by {code(shadow.apply_all)}\n"
        for shadow in account.shadowed
    ]
    listing += "".join(items[:MAX_SIMILAR])
    more = "".join(items[MAX_SIMILAR:])
    return listing + (_details(f"{number(len(items) - MAX_SIMILAR)} more", more) if more else "")


def _finding(finding: Finding) -> str:
    location = finding.position or finding.where
    where = f" {code(format_position(location))}" if location is not None else ""
    hint = f" *{prose(finding.hint)}*" if finding.hint else ""
    also = "".join(f" See also {code(format_position(related))}." for related in finding.related)
    label = f"**{finding.severity}** {code(finding.code)}{where}"
    return f"- {label}: {prose(finding.message)}{hint}{also}\n"


def _account(account: AccountReport) -> str:
    in_sight: list[Change] = []
    waits, folded = "", ""
    for group in group_similar(account.changes):
        if (waiting := waiting_of(group)) is not None:
            names = ", ".join(map(code, waiting.domains))
            waits += f"- skip: {prose(waiting.message)}\n"
            folded += _details(f"The {number(len(group))} domains that wait", f"{names}\n")
            continue
        in_sight += group[:MAX_SIMILAR]
        if more := group[MAX_SIMILAR:]:
            folded += _details(f"{number(len(more))} more: {_similar(more[0])}", _names(more))
    if more := in_sight[_LISTED:]:
        folded += _details(f"{number(len(more))} more changes", _table(more))
    return f"{_heading(account)}{_table(in_sight[:_LISTED])}{waits}\n{folded}"


def _similar(change: Change) -> str:
    """What similar changes have in common."""
    if not isinstance(change, DomainChange):
        return change.action.value
    return f"{change.action.value} {prose(step(change))}, {prose(change.reason)}"


def _names(changes: Sequence[Change]) -> str:
    """Similar changes of domains differ only by the name; others are rows of a table."""
    if isinstance(changes[0], DomainChange) and changes[0].action is not Action.UPDATE:
        return ", ".join(code(change.name) for change in changes) + "\n"
    return _table(changes)


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{content}\n</details>\n\n"


def _account_in_short(account: AccountReport) -> str:
    return (
        f"{_heading(account)}The changes do not fit into the comment;"
        " the JSON report lists all.\n\n"
    )


def _heading(account: AccountReport) -> str:
    counts = actions_planned(Counter(change.action for change in account.changes))
    summary = "; ".join(filter(None, (counts, outcome_words(account))))
    return f"\n#### {code(str(account.key))}\n\n{prose(summary)}\n\n"


def _table(changes: Sequence[Change]) -> str:
    if not changes:
        return ""
    rows = "".join(map(_row, changes))
    return f"| action | object | change | why |\n|---|---|---|---|\n{rows}"


def _row(change: Change) -> str:
    name, does = code(object_name(change.kind, change.name)), code(step(change))
    reason = prose(f"{change.reason}: {change.message}" if change.message else change.reason)
    return f"| {change.action.value} | {name} | {does} | {reason} |\n"


def prose(text: str) -> str:
    """A sentence in which nothing is markup, a mention or a link."""
    return _inert(no_command(clean(text)))


def _inert(plain: str) -> str:
    return _REFERS.sub("\\1\u2060", plain).translate(_ENTITIES)


def code(text: str) -> str:
    """A name as code: a code span, or HTML's ``code`` if a code span cannot contain the name.

    Neither mentions nor links are recognised in it. A code span in a table cannot contain every
    backtick, bar and backslash (GitHub Flavored Markdown, 4.10).
    """
    plain = clean(text).strip()
    if plain and not set(plain) & set("`|\\"):
        return f"`{plain}`"
    return f"<code>{_inert(plain)}</code>"
