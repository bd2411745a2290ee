"""A report as one HTML page without scripts or external resources, for light, dark and screen
readers. Nothing is left out: of long lists the rest is shown after a click."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import chain

from sendroute.model.change import Change, DomainChange, Shadowed
from sendroute.model.finding import Finding
from sendroute.model.transition import step
from sendroute.model.words import actions_planned, number
from sendroute.reports.grouping import MAX_SIMILAR, group_changes
from sendroute.reports.report import AccountReport, Report, format_position
from sendroute.reports.text import clean, no_command
from sendroute.reports.words import object_name, outcome_words, totals

_STYLE = """
:root { color-scheme: light dark; --line: #d0d7de; --red: #b3261e; --amber: #8a5300; }
@media (prefers-color-scheme: dark) { :root { --line: #444c56; --red: #ff8a80; --amber: #ffc46b; } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
caption { text-align: left; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
code, pre { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
.error, .refused { color: var(--red); } .warning { color: var(--amber); }
.error, .refused, .warning, .info { font-weight: 600; }
"""


def lines(report: Report) -> Iterator[str]:
    title = f"Sendroute {report.command}"
    yield "<!DOCTYPE html>"
    yield '<html lang="en">'
    yield '<head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    # Even if escaping should miss something, the browser runs and loads nothing.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head>"
    yield f"<body><main><h1>{title}</h1>"
    yield f"<p><strong>{_text(totals(report))}</strong></p>"
    if report.store is not None:
        revision = number(report.store.revision)
        yield f"<p>Store {_code(report.store.lineage)}, revision {revision}.</p>"
    if report.findings:
        yield "<h2>Findings</h2>"
        yield "<ul>"
        for finding in report.listed():
            yield from _finding(finding)
        yield "</ul>"
    if report.platform is not None:
        yield "<h2>platform</h2>"
        yield from _table("Changes of the platform", [report.platform])
    for account in report.accounts:
        yield from _account(account)
    yield "</main></body></html>"


def _finding(finding: Finding) -> Iterator[str]:
    location = finding.position or finding.where
    where = f" {_code(format_position(location))}" if location is not None else ""
    severity = f'<span class="{finding.severity}">{finding.severity}</span>'
    yield f"<li>{severity} {_code(finding.code)}{where}<br>"
    yield _text(finding.message)
    if finding.hint:
        yield f"<br><em>Hint:</em> {_text(finding.hint)}"
    for related in finding.related:
        yield f"<br>See also {_code(format_position(related))}"
    yield "</li>"


def _account(account: AccountReport) -> Iterator[str]:
    summary = ", ".join(filter(None, (_counts(account), outcome_words(account))))
    yield f"<h2>{_code(str(account.key))}</h2>"
    if summary:
        yield f"<p>{_text(summary)}</p>"
    if account.changes:
        yield from _changes(account)
    if account.shadowed:
        yield from _list(account.shadowed[:MAX_SIMILAR])
    if more := account.shadowed[MAX_SIMILAR:]:
        yield from _details(f"{number(len(more))} more", _list(more))


def _list(shadowed: Iterable[Shadowed]) -> Iterator[str]:
    return chain(["<ul>"], map(_shadowed, shadowed), ["</ul>"])


def _changes(account: AccountReport) -> Iterator[str]:
    """A table of the first of similar changes; the others after a click."""
    in_sight: list[Change] = []
    folded: list[tuple[str, Iterator[str]]] = []
    groups, waits = group_changes(account.changes)
    for group in groups:
        in_sight += group[:MAX_SIMILAR]
        if more := group[MAX_SIMILAR:]:
            title = f"{number(len(more))} more: {more[0].action.value}"
            if isinstance(more[0], DomainChange):
                title += f" {step(more[0])}, {more[0].reason}"
            folded.append((title, _table(title, more)))
    if in_sight:
        yield from _table(f"Changes of {account.key}", in_sight)
    for waiting in waits:
        yield f"<p>skip: {_text(waiting.message)}</p>"
        names = [", ".join(map(_code, waiting.domains))]
        yield from _details(f"The {number(len(waiting.domains))} domains that wait", names)
    for title, rows in folded:
        yield from _details(title, rows)


def _details(summary: str, content: Iterable[str]) -> Iterator[str]:
    yield f"<details><summary>{_text(summary)}</summary>"
    yield from content
    yield "</details>"


def _counts(account: AccountReport) -> str:
    return actions_planned(Counter(change.action for change in account.changes))


def _shadowed(shadow: Shadowed) -> str:
    declares = f"{_code(shadow.domain)} declares {_code(str(shadow.declared))}"
    stays = f"it stays {_code(str(shadow.assigned))}"
    until = f"until its manifest sets {_code('spec.overrides')} to that id"
    by = f"shadowed by apply-all {_code(shadow.apply_all)}"
    return f"<li>{declares}, {by}: {stays} {until}, or declares another route</li>"


def _table(caption: str, changes: Sequence[Change]) -> Iterator[str]:
    yield f"<table><caption>{_text(caption)}</caption>"
    heads = "".join(
        f'<th scope="col">{head}</th>' for head in ("action", "object", "change", "why")
    )
    yield f"<thead><tr>{heads}</tr></thead><tbody>"
    for change in changes:
        name = _code(object_name(change.kind, change.name))
        reason = _text(f"{change.reason}: {change.message}" if change.message else change.reason)
        yield (
            f'<tr><td>{change.action.value}</td><th scope="row">{name}</th>'
            f"<td>{_text(step(change))}</td><td>{reason}</td></tr>"
        )
    yield "</tbody></table>"


def _text(text: str) -> str:
    return escape(no_command(clean(text)))


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>"
