"""Whether a saved plan was applied already, and at which revisions: read from the store's history.

The history holds every change in the form in which the plan's report shows it. An account's part of
the plan was applied if one revision after the plan was made has exactly these changes, or if
several have them together: what could not be saved at first was saved by a later apply.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from sendroute.model.change import Action
from sendroute.model.desired import AccountKey
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.records import HistoryEntry

# How many later entries of one account are looked at besides the plan's own.
_LATER_ENTRIES = 10_000


class _ReportedStore(Struct):
    revision: int


class _ReportedAccount(Struct):
    namespace: str
    account: str
    stopped: bool


class _Change(Struct):
    kind: str
    namespace: str | None
    account: str | None
    name: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class PlanReport(Struct):
    """The part of a plan's JSON that says what would be written, and on top of which revision."""

    store: _ReportedStore
    changes: list[_Change]
    accounts: list[_ReportedAccount]


class _Key(NamedTuple):
    """One change, whether planned or recorded."""

    kind: str
    name: str
    action: str
    before: bytes
    after: bytes


class History(Protocol):
    """Reads the entries of one account or of the platform, the newest first."""

    def __call__(self, *, owner: Owner, limit: int) -> Sequence[HistoryEntry]: ...


class AppliedRevisions(NamedTuple):
    """The revisions at which a part of a saved plan was applied, in order; none if it was not.
    ``complete`` is false if not all of that part is in the history."""

    revisions: list[int]
    complete: bool


def applied_revisions(
    report_json: bytes, owners: Collection[str], history: History
) -> AppliedRevisions:
    """Find out whether a part of a saved plan was applied already.

    Args:
        report_json: the plan as JSON, which the saved plan contains.
        owners: whose part, each as a text: accounts, and perhaps the platform.
        history: reads the history of the store that it was made for.

    Returns:
        The revisions that have changes of the plan and no others in the same account.

    Raises:
        ProblemError: the store cannot be read.
    """
    report = msgspec.json.decode(report_json, type=PlanReport)
    revisions: set[int] = set()
    complete = True
    for owner, planned in _planned(report).items():
        if str(owner) not in owners:
            continue
        entries = history(owner=owner, limit=len(planned) + _LATER_ENTRIES)
        later = (entry for entry in entries if entry.revision > report.store.revision)
        of_owner, whole = _revisions_of(planned, later)
        complete = complete and whole
        revisions.update(of_owner)
    return AppliedRevisions(sorted(revisions), complete)


def stopped_accounts(report_json: bytes) -> frozenset[str]:
    """Which accounts a saved plan leaves as they are.

    Args:
        report_json: the plan as JSON, which the saved plan contains.

    Returns:
        The accounts as NAMESPACE/NAME that a guard or an error stopped when the plan was made.
    """
    accounts = msgspec.json.decode(report_json, type=PlanReport).accounts
    return frozenset(
        str(AccountKey(account.namespace, account.account))
        for account in accounts
        if account.stopped
    )


def _planned(report: PlanReport) -> dict[Owner, set[_Key]]:
    """What the plan would write, by account."""
    planned: dict[Owner, set[_Key]] = defaultdict(set)
    for change in report.changes:
        owner: Owner = PLATFORM
        if change.namespace is not None and change.account is not None:
            owner = AccountKey(change.namespace, change.account)
        if change.action != Action.SKIP:
            planned[owner].add(_key(change))
    return planned


def _revisions_of(planned: set[_Key], entries: Iterable[HistoryEntry]) -> tuple[list[int], bool]:
    """The revision that has all changes of an account, or those that have some of them and no
    others. And whether they have all."""
    recorded: dict[int, set[_Key]] = defaultdict(set)
    for entry in entries:
        recorded[entry.revision].add(_key(entry))
    in_order = sorted(recorded.items())
    for revision, keys in in_order:
        if keys == planned:
            return [revision], True
    revisions = []
    missing = set(planned)
    for revision, keys in in_order:
        if keys <= missing:
            missing -= keys
            revisions.append(revision)
    return revisions, not missing


def _key(change: _Change | HistoryEntry) -> _Key:
    before, after = (
        msgspec.json.encode(state, order="sorted") for state in (change.before, change.after)
    )
    return _Key(change.kind, change.name, change.action, before, after)
