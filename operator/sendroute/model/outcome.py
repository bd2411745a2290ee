"""The result of applying a plan, account by account."""

from enum import StrEnum

from msgspec import Struct

from sendroute.model.change import Plan
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding


class Outcome(StrEnum):
    """``COMMITTED``: the changes are in the store, except skips. ``UNCHANGED``: there was nothing
    to do. ``REFUSED``: nothing was written because of a guard, a missing confirmation or a stale
    plan. ``FAILED``: nothing was written because of an error. ``SKIPPED``: the account was not
    tried, because something that it depends on failed, or because the run was stopped."""

    COMMITTED = "committed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    FAILED = "failed"
    SKIPPED = "skipped"


class AccountOutcome(Struct, frozen=True):
    """``revision`` is the account's revision after applying; it is unchanged if nothing was
    committed. ``findings`` are those that applying added, without those of the plan."""

    key: AccountKey
    outcome: Outcome
    revision: int
    findings: tuple[Finding, ...] = ()


class Result(Struct, frozen=True):
    """What applying ``plan`` did.

    ``plan`` is the plan as it was applied, with the skips that failed connection tests caused.
    ``accounts`` holds one outcome for each of its accounts; ``platform`` is None if the plan did
    not change the platform, and ``platform_revision`` is None unless it was committed. ``revision``
    is the store's revision afterwards, ``findings`` are those of no account, ``relays_behind`` are
    the relays that do not serve that revision yet.
    """

    plan: Plan
    platform: Outcome | None
    accounts: tuple[AccountOutcome, ...]
    revision: int
    findings: tuple[Finding, ...] = ()
    relays_behind: tuple[str, ...] = ()
    platform_revision: int | None = None
