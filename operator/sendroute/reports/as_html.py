"""A report as one HTML page without scripts or external resources, for light, dark and screen
readers."""

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape

from sendroute.model.change import Change, Shadowed
from sendroute.model.finding import Finding
from sendroute.reports.grouping import MAX_ACCOUNTS
from sendroute.reports.report import Part, Report, format_position
from sendroute.reports.states import step
from sendroute.reports.text import clean, number
from sendroute.reports.words import actions, more_accounts, object_name, part_status, totals

LISTED = 1000
"""Changes, and shadowed routes, of one account that a page lists; the rest is counted."""

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
    if report.relays_behind:
        yield f"<p>Not served yet by {', '.join(map(_code, report.relays_behind))}.</p>"
    if report.findings:
        yield "<h2>Findings</h2>"
        yield "<ul>"
        for finding in report.listed():
            yield from _finding(finding)
        yield "</ul>"
    if report.platform is not None:
        yield "<h2>platform</h2>"
        yield from _table("Changes of the platform", [report.platform])
    for part in report.parts[:MAX_ACCOUNTS]:
        yield from _part(part)
    if len(report.parts) > MAX_ACCOUNTS:
        yield f"<p>{_text(more_accounts(report.parts[MAX_ACCOUNTS:]))}.</p>"
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


def _part(part: Part) -> Iterator[str]:
    summary = ", ".join(filter(None, (_counts(part), part_status(part))))
    yield f"<h2>{_code(str(part.key))}</h2>"
    if summary:
        yield f"<p>{_text(summary)}</p>"
    if part.changes:
        yield from _table(f"Changes of {part.key}", part.changes[:LISTED])
        yield from _omitted_row(len(part.changes) - LISTED)
    if part.shadowed:
        yield "<ul>"
        yield from map(_shadowed, part.shadowed[:LISTED])
        yield "</ul>"
        yield from _omitted_row(len(part.shadowed) - LISTED)


def _counts(part: Part) -> str:
    return actions(Counter(change.action for change in part.changes))


def _omitted_row(count: int) -> Iterator[str]:
    if count > 0:
        yield f"<p>… and {number(count)} more; the JSON report lists all.</p>"


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
        why = _text(f"{change.reason}: {change.message}" if change.message else change.reason)
        yield (
            f'<tr><td>{change.action.value}</td><th scope="row">{name}</th>'
            f"<td>{_text(step(change))}</td><td>{why}</td></tr>"
        )
    yield "</tbody></table>"


def _text(text: str) -> str:
    return escape(clean(text))


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>"
