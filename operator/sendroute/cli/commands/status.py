"""Show the store's revision and lineage, its relays, and what is left open or shadowed.

It counts the accounts as whose domains any client that a relay accepts may send, because they name
no logins.

For each loop it shows the source, which commit it serves since when, why not the newest, and when
the loop was last seen or stopped.

Left open is what the last apply or reconcile did not change: with the reason, since when, and
what waits for an approval. Lock files beside the given manifests, or in the working directory, are
compared with the store.

The exit status is 3 if a lock file belongs to another store, and 1 if one cannot be read. What is
left open does not change it.

examples:
  sendroute status
  sendroute status manifests/
  sendroute status -o json
"""

from argparse import Namespace
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import to_builtins

from sendroute.cli.command_line import BESIDE_MANIFESTS, Parser
from sendroute.cli.exit_status import of_findings
from sendroute.cli.given_options import with_given_options
from sendroute.cli.hints import leave_shadow, with_hint
from sendroute.cli.lookup import store_beside
from sendroute.cli.options import TABLES, output_option, outputs_of
from sendroute.cli.output import present, worst
from sendroute.cli.session import Session
from sendroute.delivery.rollout import UNSEEN
from sendroute.git.repository import is_top
from sendroute.model.account_status import AccountStatus, ReportedFinding
from sendroute.model.codes import Code, Trait, has_trait
from sendroute.model.finding import Finding
from sendroute.model.followed_source import FollowedSource
from sendroute.model.owner import owner_names
from sendroute.model.records import RelayRow, RouteRow, StoreStatus
from sendroute.model.times import rfc3339, to_minute
from sendroute.model.words import actions_planned
from sendroute.reconcile.approvals import is_refused
from sendroute.reports.as_json import document, finding_form
from sendroute.reports.as_text import finding_lines
from sendroute.reports.table import pairs, table
from sendroute.reports.text import Console, clean, paragraph, wrap
from sendroute.reports.words import holdings
from sendroute.store.lock_guard import locks_of, mismatches

# A loop records every minute that it runs, but not during a round, which may last some minutes.
_STALE = timedelta(minutes=15)


def options(parser: Parser) -> None:
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        type=BESIDE_MANIFESTS,
        help="directory or file of manifests, whose lock files are compared with the store",
    )
    output_option(parser, TABLES)


def run(arguments: Namespace, session: Session) -> int:
    outputs = outputs_of(arguments)
    with store_beside(arguments.paths, session) as store:
        status = store.status()
        account_statuses = list(store.account_statuses().values())
        sources = store.followed_sources()
        rows = store.routes() if status.shadowed else []
        lock_files = locks_of(arguments.paths or ["."], is_top)
        locks = list(mismatches(lock_files, store.read(()), store))
    shadowed = [row for row in rows if row.state.is_shadowed]

    def show(form: str, console: Console) -> Iterable[str]:
        return (
            document(_document(status, sources, account_statuses, shadowed, locks))
            if form == "json"
            else _text(status, sources, account_statuses, shadowed, locks, arguments.paths, console)
        )

    return worst(present(session, outputs, show), of_findings(locks))


def _document(
    status: StoreStatus,
    sources: Sequence[FollowedSource],
    account_statuses: list[AccountStatus],
    shadowed: list[RouteRow],
    locks: list[Finding],
) -> Iterable[tuple[str, Any]]:
    yield "format_version", "1.0"
    yield "store", {"lineage": status.lineage, "revision": status.revision}
    yield "created", rfc3339(status.created_at)
    yield "changed", rfc3339(status.changed_at)
    yield "accounts", status.accounts
    yield "profiles", status.profiles
    yield "domains", status.domains
    yield "accounts_without_logins", status.accounts_without_logins
    yield (
        "relays",
        [
            {
                "name": relay.name,
                "revision": relay.revision,
                "seen": rfc3339(relay.seen_at),
                "behind": relay.revision < status.revision,
                "behind_since": rfc3339(relay.behind_since) if relay.behind_since else None,
                "live": relay.age < UNSEEN,
            }
            for relay in status.relays
        ],
    )
    yield "sources", map(_source, sources)
    yield "shadowed", map(_shadowed, shadowed)
    yield "unapplied", map(_account_status, account_statuses)
    yield "lock_files", [finding_form(with_hint(lock)) for lock in locks]


def _source(source: FollowedSource) -> dict[str, Any]:
    return {
        "source": source.name,
        "commit": source.commit,
        "since": rfc3339(source.since) if source.since is not None else None,
        "seen": rfc3339(source.seen_at) if source.seen_at is not None else None,
        "stopped": rfc3339(source.stopped_at) if source.stopped_at is not None else None,
        "live": _is_live(source, datetime.now(UTC)),
        "not_served_since": rfc3339(source.faulty_since) if source.faulty_since else None,
        "findings": _findings(source.faults),
    }


def _account_status(status: AccountStatus) -> dict[str, Any]:
    namespace, account = owner_names(status.key)
    approval = status.approval
    return {
        "namespace": namespace,
        "account": account,
        "reason": status.reason.value,
        "since": rfc3339(status.since),
        "commit": status.commit,
        "digest": status.digest,
        "changes": status.report.summary,
        "steps": to_builtins(status.report.steps),
        "approved": {"by": approval.by, "time": rfc3339(approval.at)}
        if approval is not None and status.approved
        else None,
        "findings": _findings(status.report.findings),
        "more_findings": status.report.more,
    }


def _findings(findings: Iterable[ReportedFinding]) -> list[dict[str, Any]]:
    return [finding_form(with_hint(finding)) for finding in findings]


def _shadowed(row: RouteRow) -> dict[str, Any]:
    state = row.state
    return {
        "namespace": row.account.namespace,
        "account": row.account.name,
        "domain": row.domain,
        "declared": state.declared.as_manifest() if state.declared else None,
        "assigned": state.route.as_manifest(),
        "apply_all": state.shadow,
    }


def _text(
    status: StoreStatus,
    sources: Sequence[FollowedSource],
    account_statuses: list[AccountStatus],
    shadowed: list[RouteRow],
    locks: list[Finding],
    paths: Sequence[str],
    console: Console,
) -> Iterable[str]:
    yield from pairs(
        [
            ("lineage", status.lineage),
            ("revision", f"{status.revision}, of {to_minute(status.changed_at)}"),
            ("holds", holdings(status.accounts, status.profiles, status.domains)),
        ],
        console,
    )
    yield "\n"
    for source in sources:
        yield from _source_text(source, datetime.now(UTC), console)
        yield "\n"
    yield from _relays_text(status, console)
    if status.accounts_without_logins:
        yield "\n"
        yield from paragraph(_open(status.accounts_without_logins), console)
    if locks:
        yield "\n"
        for lock in locks:
            yield from (line + "\n" for line in finding_lines(with_hint(lock), console))
    if account_statuses:
        yield "\n"
        yield from _account_statuses(account_statuses, console)
    if shadowed:
        yield "\n"
        yield from _shadowed_text(shadowed, paths, console)


def _relays_text(status: StoreStatus, console: Console) -> Iterable[str]:
    if not status.relays:
        yield from paragraph("No relay reads this store yet.", console)
        return
    rows = [
        (
            relay.name,
            str(relay.revision),
            to_minute(relay.seen_at),
            _relay_state(relay),
        )
        for relay in status.relays
    ]
    yield from table(("RELAY", "REVISION", "SEEN", ""), rows, console=console)


def _shadowed_text(
    shadowed: list[RouteRow], paths: Sequence[str], console: Console
) -> Iterable[str]:
    cells = [
        (
            str(row.account),
            row.domain,
            str(row.state.declared),
            str(row.state.route),
            row.state.shadow or "",
        )
        for row in shadowed
    ]
    head = ("ACCOUNT", "SHADOWED DOMAIN", "DECLARES", "HAS", "APPLY-ALL")
    yield from table(head, cells, console=console)
    first = shadowed[0]
    yield from paragraph(leave_shadow(first.domain, first.state, paths), console)


def _is_live(source: FollowedSource, now: datetime) -> bool:
    """Whether the loop runs, as far as the store knows: it may have ended without notice."""
    if source.stopped_at is not None or source.seen_at is None:
        return False
    return now - source.seen_at <= _STALE


def _seen(source: FollowedSource, now: datetime) -> str:
    if source.stopped_at is not None:
        return f"{to_minute(source.stopped_at)}; the loop was stopped then"
    if source.seen_at is None:
        return "unknown"
    not_live = "; not live: the loop does not run, or does not reach the store"
    return to_minute(source.seen_at) + ("" if _is_live(source, now) else not_live)


def _open(accounts: int) -> str:
    subject = "1 account specifies" if accounts == 1 else f"{accounts} accounts specify"
    return (
        f"{subject} no logins (spec.submission.logins), so any client that a relay accepts may"
        f" send as {'its' if accounts == 1 else 'their'} domains."
    )


def _relay_state(relay: RelayRow) -> str:
    state = "serves it"
    if relay.behind_since is not None:
        state = f"behind since {to_minute(relay.behind_since)}"
    return state if relay.age < UNSEEN else f"{state}; not seen for more than {UNSEEN:.0f} s"


def _source_text(source: FollowedSource, now: datetime, console: Console) -> Iterable[str]:
    serves = "nothing yet"
    if source.since is not None:
        tree = f"commit {source.commit}" if source.commit else "the directory"
        serves = f"{tree}, since {to_minute(source.since)}"
    verb = "serves" if _is_live(source, now) else "served"
    rows = [("follows", source.name), (verb, serves), ("last seen", _seen(source, now))]
    yield from pairs(rows, console)
    if source.faulty_since is None or source.stopped_at is not None:
        return
    verb = "is" if _is_live(source, now) else "was"
    only_part = all(fault.code == Code.DIRECTORY_CHANGING for fault in source.faults)
    subject = "A part of the newest tree" if only_part else "The newest tree"
    effect = "applied" if only_part else "served"
    texts = [f"{subject} {verb} not {effect}, since {to_minute(source.faulty_since)}."]
    faults = map(with_hint, source.faults)
    texts += [f"{fault.positioned} {fault.hint or ''}".rstrip() for fault in faults]
    for text in texts:
        yield from (line + "\n" for line in wrap(clean(text), 10, columns=console.columns))


def _account_statuses(account_statuses: list[AccountStatus], console: Console) -> Iterable[str]:
    rows = [
        (
            str(status.key),
            status.reason.value,
            to_minute(status.since),
            (status.digest or "-")[:12],
        )
        for status in account_statuses
    ]
    head, *lines = table(("ACCOUNT", "LEFT OPEN", "SINCE", "PLAN"), rows, console=console)
    yield head
    for line, status in zip(lines, account_statuses, strict=True):
        yield line
        for text in _details(status):
            yield from (more + "\n" for more in wrap(clean(text), 10, columns=console.columns))


def _details(status: AccountStatus) -> Iterable[str]:
    report, approval, refused = status.report, status.approval, is_refused(status)
    counts = actions_planned(report.summary)
    if approval is not None and status.approved:
        at = to_minute(approval.at)
        yield f"Approved by {approval.by}, {at}; the next round of a loop applies it."
    elif status.digest is not None and refused:
        yield f"`sendroute apply` refused its plan ({counts})."
    elif status.digest is not None:
        command = with_given_options(f"sendroute approve {status.key}")
        yield f"Its plan ({counts}) waits for an approval: {command}"
    for finding in report.findings:
        yield finding.positioned
        if refused and has_trait(finding.code, Trait.GUARD):
            yield with_hint(finding).hint or ""
        if finding.domains:
            more = f" and {finding.more_domains:,} more" if finding.more_domains else ""
            yield f"{', '.join(finding.domains)}{more}"
    if report.more:
        yield f"And {report.more} more."
