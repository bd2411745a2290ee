"""What the store holds, shown: routes, history, explain and status, as text and as JSON.

The rows are protocols: whatever the store reads has these fields.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from sendroute.model.change import Shadowed
from sendroute.model.route import Origin, Route
from sendroute.model.wanted import AccountKey
from sendroute.reports.as_json import FORMAT_VERSION, document, shadowed_form
from sendroute.reports.table import table
from sendroute.reports.text import Style, clean, counted, middle, number, paint, wrap


class RouteRow(Protocol):
    """One domain's assigned route. Times here and below are aware."""

    @property
    def account(self) -> AccountKey: ...
    @property
    def domain(self) -> str: ...
    @property
    def route(self) -> Route: ...
    @property
    def origin(self) -> Origin: ...
    @property
    def shadow(self) -> str | None: ...
    @property
    def declared(self) -> Route | None: ...
    @property
    def since(self) -> datetime: ...


class HistoryRow(Protocol):
    """One change of the record: ``kind``, ``action``, ``reason`` are the change's words,
    ``commit`` the revision of the manifests that brought it."""

    @property
    def at(self) -> datetime: ...
    @property
    def revision(self) -> int: ...
    @property
    def actor(self) -> str: ...
    @property
    def commit(self) -> str | None: ...
    @property
    def account(self) -> AccountKey: ...
    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def before(self) -> Route | None: ...
    @property
    def after(self) -> Route | None: ...
    @property
    def reason(self) -> str: ...


class RelayRow(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def seen(self) -> datetime: ...


def moment(time: datetime) -> str:
    """``2026-11-23 04:10Z``: the same wherever it is read."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def timestamp(time: datetime) -> str:
    """``2026-11-23T04:10:05Z`` (RFC 3339)."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def routes_text(rows: Sequence[RouteRow], *, colour: bool = False) -> Iterator[str]:
    if not rows:
        yield "No domains."
        return
    heads = ("account", "domain", "route", "origin", "since")
    cells = [
        (str(row.account), row.domain, str(row.route), _origin(row), moment(row.since))
        for row in rows
    ]
    yield from table(heads, cells, colour=colour)


def _origin(row: RouteRow) -> str:
    if row.shadow is not None and row.declared not in (None, row.route):
        return f"{row.origin}, shadows {row.declared}"
    return row.origin.value


def routes_json(rows: Iterable[RouteRow]) -> Iterator[str]:
    """Streams, so ``rows`` may be an iterator over a million of them."""
    return document([("format_version", FORMAT_VERSION), ("domains", map(_route, rows))])


def _route(row: RouteRow) -> dict[str, Any]:
    return {
        "namespace": row.account.namespace,
        "account": row.account.name,
        "domain": row.domain,
        "route": row.route.as_manifest(),
        "origin": row.origin.value,
        "shadowed_by": row.shadow,
        "declared": row.declared.as_manifest() if row.declared is not None else None,
        "since": timestamp(row.since),
    }


def history_text(rows: Sequence[HistoryRow], *, colour: bool = False) -> Iterator[str]:
    if not rows:
        yield "No history."
        return
    heads = ("when", "rev", "who", "commit", "account", "object", "change", "why")
    cells = [
        (
            moment(row.at),
            str(row.revision),
            row.actor,
            (row.commit or "")[:8],
            str(row.account),
            row.name,
            _step(row),
            row.reason,
        )
        for row in rows
    ]
    yield from table(heads, cells, colour=colour)


def _step(row: HistoryRow) -> str:
    if row.before is None and row.after is None:
        return row.action
    return f"{row.before or ''} → {row.after or 'none'}".lstrip()


def history_json(rows: Iterable[HistoryRow]) -> Iterator[str]:
    return document([("format_version", FORMAT_VERSION), ("history", map(_entry, rows))])


def _entry(row: HistoryRow) -> dict[str, Any]:
    return {
        "at": timestamp(row.at),
        "revision": row.revision,
        "actor": row.actor,
        "commit": row.commit,
        "namespace": row.account.namespace or None,
        "account": row.account.name or None,
        "kind": row.kind,
        "name": row.name,
        "action": row.action,
        "before": row.before.as_manifest() if row.before is not None else None,
        "after": row.after.as_manifest() if row.after is not None else None,
        "reason": row.reason,
    }


_EXPLAINED = (
    ("domain", "domain"),
    ("account", "account"),
    ("route", "route"),
    ("origin", "origin"),
    ("since", "since"),
    ("transport", "transport"),
    ("host", "host"),
    ("port", "port"),
    ("encryption", "encryption"),
    ("credentials", "credentials"),
    ("limits", "limits"),
    ("why", "reason"),
)


def explain_text(explained: Mapping[str, Any], *, colour: bool = False) -> Iterator[str]:
    """``explained`` has the keys of ``explain -o json``; what is None has no line."""
    yield paint(middle(clean(str(explained["address"])), 100), Style.BOLD, colour)
    indent = 2 + max(len(label) for label, _ in _EXPLAINED) + 2
    for label, key in _EXPLAINED:
        value = explained.get(key)
        if value is not None:
            first, *rest = wrap(clean(_said(value)), indent)
            yield f"  {label:<{indent - 2}}{first.lstrip()}"
            yield from rest


def _said(value: Any) -> str:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_said(inner)}".rstrip() for key, inner in value.items())
    return f"{value}"


def explain_json(explained: Mapping[str, Any]) -> Iterator[str]:
    times = {k: timestamp(v) for k, v in explained.items() if isinstance(v, datetime)}
    return document({"format_version": FORMAT_VERSION, **explained, **times}.items())


def status_text(
    lineage: str,
    revision: int,
    relays: Sequence[RelayRow],
    shadowed: Sequence[Shadowed],
    *,
    colour: bool = False,
) -> Iterator[str]:
    yield from wrap(clean(f"Store {lineage}, revision {number(revision)}."), 0)
    yield ""
    if relays:
        cells = [(r.name, number(r.revision), _lag(revision, r), moment(r.seen)) for r in relays]
        yield from table(("relay", "revision", "", "last seen"), cells, colour=colour)
    else:
        yield "No relay has been seen."
    if shadowed:
        yield ""
        yield f"{counted(len(shadowed), 'declared route')} shadowed:"
        shown = [
            (str(s.account), s.domain, str(s.declared), str(s.assigned), s.apply_all)
            for s in shadowed
        ]
        yield from table(("account", "domain", "declared", "assigned", "apply-all"), shown)


def _lag(revision: int, relay: RelayRow) -> str:
    behind = revision - relay.revision
    return f"{counted(behind, 'revision')} behind" if behind > 0 else "up to date"


def status_json(
    lineage: str, revision: int, relays: Iterable[RelayRow], shadowed: Iterable[Shadowed]
) -> Iterator[str]:
    return document(
        [
            ("format_version", FORMAT_VERSION),
            ("store", {"lineage": lineage, "revision": revision}),
            ("relays", (_relay(relay) for relay in relays)),
            ("shadowed", map(shadowed_form, shadowed)),
        ]
    )


def _relay(relay: RelayRow) -> dict[str, Any]:
    return {"name": relay.name, "revision": relay.revision, "seen": timestamp(relay.seen)}
