"""``approve``: what is held back is shown, asked about, and let through."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from sendroute.cli.command_line import suggestion
from sendroute.cli.confirm import agreed, can_ask
from sendroute.cli.session import Session
from sendroute.model.account_status import AccountStatus, StatusReason
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.owner import Owner
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.runtime.actor import actor
from sendroute.store.record import Store


def approve(
    session: Session, store: Store, name: str, digest: str | None, *, sure: bool
) -> AccountStatus:
    """The plan that may go through now, as it was shown. ``digest`` is the one that was reviewed,
    None for whichever is held back; ``sure``: nobody is asked.

    Raises :class:`ProblemError`: ``not-held-back`` where there is none, ``stale-plan`` where it is
    another one than was reviewed, and ``not-approved`` where nobody said yes.
    """
    shown = _named(name, store.account_statuses())
    if digest is not None and not _is_meant(shown, digest):
        raise ProblemError(_another(shown))
    if not sure:
        if not can_ask():
            raise ProblemError(_nobody(shown))
        for line in lines(shown, session.terminal.colours(sys.stderr)):
            sys.stderr.write(line)
        if not agreed("approve"):
            raise ProblemError(_declined())
    if not store.approve(shown, Provenance(datetime.now(UTC), actor(), shown.commit)):
        raise ProblemError(_another(shown))
    return shown


def lines(shown: AccountStatus, colour: bool) -> Iterator[str]:
    """What is held back, for people."""
    from sendroute.model.times import minute
    from sendroute.reports.as_text import finding_lines
    from sendroute.reports.table import pairs
    from sendroute.reports.text import clean

    report = shown.report
    counts = ", ".join(f"{count} to {verb}" for verb, count in report.summary.items())
    rows = [
        ("account", str(shown.key)),
        ("held back", f"since {minute(shown.since)}"),
        ("changes", counts or "none"),
        ("digest", shown.digest or ""),
    ]
    if shown.commit is not None:
        rows.insert(2, ("commit", shown.commit))
    yield from pairs(rows)
    yield "\n"
    for step in report.steps:
        yield f"  {step.action:<9}{step.kind} {clean(step.name)}: {clean(step.message)}\n"
    more = sum(report.summary.values()) - len(report.steps)
    if more > 0:
        yield f"  and {more} more\n"
    yield "\n"
    for each in report.findings:
        found = finding(each.code, each.message, severity=each.severity)
        yield from (line + "\n" for line in finding_lines(found, colour))


def _named(name: str, account_statuses: Mapping[Owner, AccountStatus]) -> AccountStatus:
    waiting = {
        key: one
        for key, one in account_statuses.items()
        if isinstance(key, AccountKey) and one.outcome is StatusReason.HELD_BACK
    }
    meant = [key for key in waiting if name in (key.name, str(key))]
    if len(meant) == 1:
        return waiting[meant[0]]
    if meant:
        raise ProblemError(_unclear(name, meant))
    raise ProblemError(_nothing(name, waiting))


def _is_meant(shown: AccountStatus, digest: str) -> bool:
    """As git has it: the beginning of a digest names it."""
    return shown.digest is not None and len(digest) >= 8 and shown.digest.startswith(digest)


def _unclear(name: str, meant: Sequence[AccountKey]) -> Finding:
    return finding(
        "unknown-account",
        f"More than one account named `{name}` is held back.",
        hint=f"Say which one: {', '.join(map(str, meant))}.",
    )


def _nothing(name: str, waiting: Iterable[AccountKey]) -> Finding:
    names = sorted({text for key in waiting for text in (str(key), key.name)})
    return finding(
        "not-held-back",
        f"Nothing of account {name} is held back.",
        hint=suggestion(name, names).strip()
        or "See what is: sendroute status. A change is approved once a loop has held it back.",
    )


def _another(shown: AccountStatus) -> Finding:
    return finding(
        "stale-plan",
        f"What is held back of account {shown.key} is another plan than the one reviewed.",
        hint=f"Look at it anew: sendroute status, then sendroute approve {shown.key}",
    )


def _nobody(shown: AccountStatus) -> Finding:
    return finding(
        "not-approved",
        "Nothing was approved: nobody is at a terminal to say yes.",
        hint=f"Review it, then: sendroute approve {shown.key} --auto-approve"
        f" --digest {shown.digest}",
    )


def _declined() -> Finding:
    return finding(
        "not-approved",
        "Nothing was approved: the answer was not `yes`.",
        hint="Approve it again, and answer yes where that is meant.",
    )
