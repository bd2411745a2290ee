"""``approve``: show a held-back plan, ask for a confirmation, and approve it."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from sendroute.cli.command_line import suggestion
from sendroute.cli.confirm import agreed, can_ask, declined
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
    """Approve the plan that is held back of an account.

    Args:
        session: settings and terminal.
        store: the store.
        name: the account, NAME or NAMESPACE/NAME.
        digest: the digest of the reviewed plan, or its beginning; None: the plan that is held back.
        sure: approve without confirmation.

    Returns:
        The account's status, as it was shown.

    Raises:
        ProblemError: ``not-held-back`` if there is no such plan, ``stale-plan`` if another plan
            was reviewed, ``not-approved`` if it was not confirmed.
    """
    shown = _named(name, store.account_statuses())
    if digest is not None and not _matches(shown, digest):
        raise ProblemError(_another(shown))
    if not sure:
        if not can_ask():
            raise ProblemError(_nobody(shown))
        for line in lines(shown, session.terminal.colours(sys.stderr)):
            sys.stderr.write(line)
        if not agreed("approve"):
            raise ProblemError(declined("approved"))
    if not store.approve(shown, Provenance(datetime.now(UTC), actor(), shown.commit)):
        raise ProblemError(_another(shown))
    return shown


def lines(shown: AccountStatus, colour: bool) -> Iterator[str]:
    """The held-back plan as text."""
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
    matching = [key for key in waiting if name in (key.name, str(key))]
    if len(matching) == 1:
        return waiting[matching[0]]
    if matching:
        raise ProblemError(_unclear(name, matching))
    raise ProblemError(_nothing(name, waiting))


def _matches(shown: AccountStatus, digest: str) -> bool:
    """Whether it is the plan's digest or, as in git, the beginning of it."""
    return shown.digest is not None and len(digest) >= 8 and shown.digest.startswith(digest)


def _unclear(name: str, matching: Sequence[AccountKey]) -> Finding:
    return finding(
        "unknown-account",
        f"More than one account named `{name}` is held back.",
        hint=f"Specify one of {', '.join(map(str, matching))}.",
    )


def _nothing(name: str, waiting: Iterable[AccountKey]) -> Finding:
    names = sorted({text for key in waiting for text in (str(key), key.name)})
    return finding(
        "not-held-back",
        f"Nothing of account {name} is held back.",
        hint=suggestion(name, names).strip() or "`sendroute status` lists what is held back.",
    )


def _another(shown: AccountStatus) -> Finding:
    return finding(
        "stale-plan",
        f"The plan that is held back of account {shown.key} is not the reviewed one.",
        hint=f"Review it: sendroute status, then sendroute approve {shown.key}",
    )


def _nobody(shown: AccountStatus) -> Finding:
    return finding(
        "not-approved",
        "Nothing was approved: there is no terminal to confirm it on.",
        hint=f"Review the plan, then: sendroute approve {shown.key} --auto-approve"
        f" --digest {shown.digest}",
    )
