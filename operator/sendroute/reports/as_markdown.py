"""A report as a comment on a pull or merge request (GitHub's and GitLab's Markdown).

Names and sentences come from whoever wrote the manifests, so nothing in them may become markup, a
mention, a reference or a link. A comment holds 65,536 characters; what does not fit is left out
from the end, and a sentence says how much.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from sendroute.model.change import Change, Proposal
from sendroute.model.finding import Finding
from sendroute.reports.alike import FOLD, alike
from sendroute.reports.report import Part, Report, spot
from sendroute.reports.states import step
from sendroute.reports.text import clean, counted, middle, number
from sendroute.reports.words import VERBS, actions, object_name, part_status, totals

LIMIT = 65_536
_KEPT_FOR_THE_CUT = 300
_LONGEST = 400
"""Columns of one sentence or name; longer ones are cut in their middle."""

_LISTED = 100
"""Changes of one account that are listed in sight, and again as many that a click unfolds."""

_ENTITIES = {ord(c): f"&#{ord(c)};" for c in "&<>`*_[]|\\~^$"}

# After these GitHub and GitLab look for a name or a number: a mention, an issue, a milestone, an
# emoji, a link. A word joiner (U+2060) shows nothing and ends that.
_REFERS = re.compile(r"([@#!%:]|www)(?=[\w./])")


class Piece(Struct, frozen=True):
    """A block that stands by itself; ``short`` takes its place where it does not fit. ``what`` is
    counted when neither does."""

    text: str
    what: str
    short: str | None = None


def text(report: Report) -> str:
    """The whole comment, at most LIMIT bytes of UTF-8, so at most that many characters."""
    said = f"### Sendroute {report.command}\n\n**{prose(totals(report))}**\n\n"
    room = LIMIT - _KEPT_FOR_THE_CUT - len(said.encode())
    blocks, cut = [said], Counter[str]()
    for piece in _pieces(report):
        for block in filter(None, (piece.text, piece.short)):
            size = len(block.encode())
            if size <= room:
                room -= size
                blocks.append(block)
                break
        else:
            cut[piece.what] += 1
    if cut:
        left_out = " and ".join(counted(count, what) for what, count in cut.items())
        blocks.append(f"\nThis comment is full: {left_out} left out. `-o json` lists all.\n")
    return "".join(blocks)


def _pieces(report: Report) -> Iterator[Piece]:
    for part in report.parts:
        if part.proposal is not None:
            yield Piece(_proposal(part, part.proposal), "apply-all")
    if report.relays_behind:
        behind = ", ".join(map(code, report.relays_behind))
        yield Piece(f"Not served yet by {behind}.\n\n", "relay list")
    for found in report.findings:
        yield Piece(_finding(found), "finding")
    if report.platform is not None:
        yield Piece(f"\n#### platform\n\n{_table([report.platform])}\n", "platform change")
    for part in report.parts:
        if part.changes:
            yield _part(part)
    for part in report.parts:
        if part.shadowed:
            yield Piece(_shadowed(part), "account's shadowed routes")


def _proposal(part: Part, proposal: Proposal) -> str:
    asked = proposal.apply_all
    return (
        f"Apply-all {code(asked.id)} of {code(str(part.key))} would switch"
        f" **{counted(proposal.domains, 'domain')}** to {code(str(asked.route))}."
        f" To confirm it, add to `spec.applyToAll`:\n\n"
        f"```yaml\nconfirm: {{domains: {proposal.domains}}}\n```\n\n"
    )


def _shadowed(part: Part) -> str:
    said = f"\nOf {code(str(part.key))}, shadowed by an apply-all:\n\n"
    for shadow in part.shadowed[:FOLD]:
        declares = f"{code(shadow.domain)} declares {code(str(shadow.declared))}"
        said += f"- {declares}, stays {code(str(shadow.assigned))} by {code(shadow.apply_all)}\n"
    more = len(part.shadowed) - FOLD
    return said + (f"- … and {number(more)} more; `-o json` lists all\n" if more > 0 else "")


def _finding(found: Finding) -> str:
    place = found.position or found.where
    where = f" {code(spot(place))}" if place is not None else ""
    hint = f" *{prose(found.hint)}*" if found.hint else ""
    also = "".join(f" See also {code(spot(related))}." for related in found.related)
    return f"- **{found.severity}** {code(found.code)}{where}: {prose(found.message)}{hint}{also}\n"


def _part(part: Part) -> Piece:
    counts = actions(Counter(change.action for change in part.changes))
    said = ", ".join(filter(None, (counts, part_status(part))))
    heading = f"\n#### {code(str(part.key))}\n\n{prose(said)}\n\n"
    in_sight: list[Change] = []
    folded: list[Change] = []
    for group in alike(part.changes):
        in_sight += group[:FOLD]
        folded += group[FOLD:]
    shown = in_sight[:_LISTED]
    folded = in_sight[_LISTED:] + folded
    return Piece(
        f"{heading}{_table(shown)}\n{_folded(folded)}",
        "account",
        f"{heading}The changes do not fit here; `-o json` lists all.\n\n",
    )


def _folded(changes: Sequence[Change]) -> str:
    if not changes:
        return ""
    listed = changes[:_LISTED]
    more = len(changes) - len(listed)
    rest = f"… and {number(more)} more; `-o json` lists all\n\n" if more else ""
    summary = f"{number(len(changes))} more like these"
    table = _table(listed)
    return f"<details><summary>{summary}</summary>\n\n{table}\n{rest}</details>\n\n"


def _table(changes: Sequence[Change]) -> str:
    rows = "".join(map(_row, changes))
    return f"| action | object | change | why |\n|---|---|---|---|\n{rows}"


def _row(change: Change) -> str:
    name, does = code(object_name(change.kind, change.name)), code(step(change))
    why = prose(f"{change.reason}: {change.message}" if change.message else change.reason)
    return f"| {VERBS[change.action]} | {name} | {does} | {why} |\n"


def prose(text: str) -> str:
    """A sentence in which nothing is markup, a mention or a link."""
    plain = middle(clean(text), _LONGEST)
    return _inert(plain)


def _inert(plain: str) -> str:
    return _REFERS.sub("\\1\u2060", plain).translate(_ENTITIES)


def code(text: str) -> str:
    """A name, literally: a code span, or HTML's where a span of a table's cell could not hold it.

    Neither mentions nor links are looked for within; there is no way to write every backtick, bar
    and backslash in a code span that stands in a table (GitHub Flavored Markdown, 4.10).
    """
    plain = middle(clean(text), _LONGEST).strip()
    if plain and not set(plain) & set("`|\\"):
        return f"`{plain}`"
    return f"<code>{_inert(plain)}</code>"
