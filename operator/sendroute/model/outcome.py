"""What became of a plan when it was applied, account by account."""

from enum import StrEnum

from msgspec import Struct

from sendroute.model.change import Plan
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding


class Outcome(StrEnum):
    """``COMMITTED``: its changes are in the store, all but those of action skip; ``UNCHANGED``:
    there was nothing to do; ``REFUSED``: a guard, a missing confirmation or a stale plan left it
    as it was; ``FAILED``: an error did; ``SKIPPED``: it was not tried, because what it depends on
    did not go through or the run was ended before its turn."""

    COMMITTED = "committed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    FAILED = "failed"
    SKIPPED = "skipped"


class AccountOutcome(Struct, frozen=True):
    """``revision`` is the account's revision afterwards, the one it had where nothing was
    committed. ``findings`` are those that applying added; the plan's own are not repeated."""

    key: AccountKey
    outcome: Outcome
    revision: int
    findings: tuple[Finding, ...] = ()


class Result(Struct, frozen=True):
    """What applying ``plan`` did.

    ``plan`` is the plan as it was carried out, so with the skips that failed connection tests
    made. ``accounts`` holds one outcome for each of its accounts; ``platform`` is None where the
    plan did not change the platform. ``revision`` is the store's afterwards, ``findings`` are those
    of no account, ``relays_behind`` the relays that were waited for, or not seen, in vain.
    """

    plan: Plan
    platform: Outcome | None
    accounts: tuple[AccountOutcome, ...]
    revision: int
    findings: tuple[Finding, ...] = ()
    relays_behind: tuple[str, ...] = ()
