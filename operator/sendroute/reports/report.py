"""What every format renders: findings, a plan or a result, in one order, with positions."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from msgspec import Struct
from msgspec.structs import replace

from sendroute.model.change import (
    Action,
    Change,
    Kind,
    ObjectChange,
    Plan,
    PlatformChange,
    Shadowed,
)
from sendroute.model.codes import Code
from sendroute.model.desired import AccountKey
from sendroute.model.finding import (
    Finding,
    Locate,
    Position,
    Severity,
    Where,
    located,
    no_positions,
    sort_findings,
)
from sendroute.model.outcome import Outcome, Result

AdviseFinding = Callable[[Finding], Finding]
"""Appends a finding's remedy to its hint, in the form of a front end."""


class AccountReport(Struct, frozen=True):
    """One account. ``outcome`` is None in a plan; ``revision`` is the account's, before a plan
    and after an apply."""

    key: AccountKey
    revision: int
    changes: tuple[ObjectChange, ...]
    shadowed: tuple[Shadowed, ...] = ()
    stopped: bool = False
    outcome: Outcome | None = None


class StoreHeader(Struct, frozen=True):
    lineage: str
    revision: int


ONLY_FINDS = {"validate": "Validation", "sync": "Sync", "postfix check": "Check"}
"""The commands that only find problems, and the noun of each."""


_CHANGES = ("plan", "apply", "restore")
"""The commands that change a store, or plan to."""


class Report(Struct, frozen=True):
    """A report. ``command`` is plan, apply, restore, or one that only finds; ``ended`` is true if
    it ended before it had a result. ``accounts`` are sorted by key, ``findings`` (those of accounts
    too) by position. ``strict``: warnings fail the command."""

    command: str
    findings: tuple[Finding, ...]
    accounts: tuple[AccountReport, ...] = ()
    store: StoreHeader | None = None
    platform: PlatformChange | None = None
    platform_outcome: Outcome | None = None
    relays_behind: tuple[str, ...] = ()
    strict: bool = False
    locate: Locate = no_positions
    ended: bool = False

    def changes(self) -> Iterator[tuple[Change, bool]]:
        """Every change in order, and whether it is in the store now."""
        if self.platform is not None:
            yield self.platform, self.platform_outcome is Outcome.COMMITTED
        for account in self.accounts:
            committed = account.outcome is Outcome.COMMITTED
            for change in account.changes:
                yield change, committed and change.action is not Action.SKIP

    def listed(self) -> Iterator[Finding]:
        """The findings for people. A skipped change says why it is skipped, so what such changes
        say is not repeated: one finding counts those with the same hint. It does not call them
        skipped: others are skipped too, whose reason has a finding of its own."""
        messages = {
            change.message
            for change, _ in self.changes()
            if change.action is Action.SKIP and change.reason == Code.DEPENDENCY_SKIPPED
        }
        same_hint: Counter[str | None] = Counter()
        for finding in self.findings:
            if finding.code == Code.DEPENDENCY_SKIPPED and finding.message in messages:
                same_hint[finding.hint] += 1
            else:
                yield finding
        for hint, count in same_hint.items():
            verb, pronoun = ("changes wait", "them") if count > 1 else ("change waits", "it")
            message = f"{count:,} {verb} for something else; the reason is shown with {pronoun}."
            yield Finding(Code.DEPENDENCY_SKIPPED, Severity.WARNING, message, hint)

    def advised(self, advise: AdviseFinding) -> "Report":
        """Return the same report, with the remedies of a front end appended to the hints.

        Args:
            advise: words the remedy of a finding.
        """
        return replace(self, findings=tuple(map(advise, self.findings)))

    def beyond(self, shown: "Report") -> "Report":
        """This result without what the report of its plan has shown: only other changes (skipped
        since then) and other findings. Accounts and their outcomes stay."""
        before = {account.key: account.changes for account in shown.accounts}
        accounts = tuple(
            replace(
                account, changes=_others(account.changes, before.get(account.key, ())), shadowed=()
            )
            for account in self.accounts
        )
        platform = None if self.platform == shown.platform else self.platform
        findings = tuple(item for item in self.findings if item not in shown.findings)
        return replace(self, accounts=accounts, platform=platform, findings=findings)

    def severities(self) -> Counter[Severity]:
        """The number of findings of each severity."""
        return Counter(finding.severity for finding in self.findings)


def of_findings(
    findings: Iterable[Finding],
    *,
    command: str = "validate",
    strict: bool = False,
    locate: Locate = no_positions,
) -> Report:
    """Build the report of a command that finds problems, and changes and plans nothing.

    Args:
        findings: every finding.
        command: the command, one of :data:`ONLY_FINDS`.
        strict: warnings fail the command.
        locate: finds the positions of findings.

    Returns:
        The report, without changes.
    """
    return Report(command, _with_positions(findings, locate), strict=strict, locate=locate)


def of_ended(findings: Iterable[Finding], command: str) -> Report:
    """Build the report of a command that ended before it had a result.

    Args:
        findings: why it ended.
        command: its name. A command without reports gets the form of those that find problems.

    Returns:
        The report, of which nothing but the findings is known.
    """
    known = command in ONLY_FINDS or command in _CHANGES
    return Report(command if known else "validate", tuple(findings), ended=True)


def of_plan(plan: Plan, *, locate: Locate = no_positions) -> Report:
    """Build the report of a plan.

    Args:
        plan: the plan.
        locate: finds the positions of findings and changes.

    Returns:
        The report, in which no account has an outcome yet.
    """
    return Report(
        "plan",
        _with_positions(plan.all_findings, locate),
        accounts=_accounts(plan, {}),
        store=StoreHeader(plan.lineage, plan.revision),
        platform=plan.platform,
        locate=locate,
    )


def of_result(result: Result, *, locate: Locate = no_positions, command: str = "apply") -> Report:
    """Build the report of a result.

    Args:
        result: the outcome of each account.
        locate: finds the positions of findings and changes.
        command: ``apply`` or ``restore``.

    Returns:
        The report of the result's plan, with the outcomes.
    """
    plan = result.plan
    findings = dict.fromkeys(  # a store that fails is the same finding for every account
        [
            *plan.all_findings,
            *result.findings,
            *chain.from_iterable(outcome.findings for outcome in result.accounts),
        ]
    )
    outcomes = {account.key: (account.outcome, account.revision) for account in result.accounts}
    return Report(
        command,
        _with_positions(findings, locate),
        accounts=_accounts(plan, outcomes),
        store=StoreHeader(plan.lineage, result.revision),
        platform=plan.platform,
        platform_outcome=result.platform,
        relays_behind=tuple(sorted(result.relays_behind)),
        locate=locate,
    )


_KINDS = {kind: order for order, kind in enumerate(Kind)}


def _accounts(
    plan: Plan, outcomes: dict[AccountKey, tuple[Outcome, int]]
) -> tuple[AccountReport, ...]:
    accounts = []
    for account in sorted(plan.accounts, key=lambda account: account.key):
        outcome, revision = outcomes.get(account.key, (None, account.revision))
        accounts.append(
            AccountReport(
                account.key,
                revision,
                tuple(sorted(account.changes, key=_change_order)),
                tuple(sorted(account.shadowed, key=lambda shadowed: shadowed.domain)),
                account.stopped,
                outcome,
            )
        )
    return tuple(accounts)


def _others(
    changes: tuple[ObjectChange, ...], shown: tuple[ObjectChange, ...]
) -> tuple[ObjectChange, ...]:
    by_name = {(change.kind, change.name, change.action): change for change in shown}
    return tuple(
        change
        for change in changes
        if by_name.get((change.kind, change.name, change.action)) != change
    )


def _change_order(change: ObjectChange) -> tuple[int, str, str]:
    return _KINDS[change.kind], change.name, change.action


def _with_positions(findings: Iterable[Finding], locate: Locate) -> tuple[Finding, ...]:
    return tuple(sort_findings(located(finding, locate) for finding in findings))


def file_of(finding: Finding) -> str | None:
    """The file of a finding, for formats with separate fields for line and column; None if the
    finding has no file."""
    location = finding.position or finding.where
    return location.file if location else None


def format_position(location: Position | Where) -> str:
    """``file:line:column``; only the file if the line is unknown."""
    return str(location) if isinstance(location, Position) else location.file
