"""Which change gave a message its nexthop."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sendroute.model.desired import AccountKey
from sendroute.model.profile import Encryption, Profile
from sendroute.model.records import Endpoint, HistoryEntry
from sendroute.model.secret import binding_of
from sendroute.postfix.message import assignment_of

ACME, BETA = AccountKey("acme", "acme"), AccountKey("beta", "beta")
START = datetime(2026, 11, 1, tzinfo=UTC)
SES, MANAGED = {"profile": "ses"}, {"managed": {}}


def entry(day: int, before: Any, after: Any, account: AccountKey = ACME) -> HistoryEntry:
    states = [None if route is None else {"route": route} for route in (before, after)]
    at = START + timedelta(days=day)
    return HistoryEntry(
        day, at, "ada", f"c{day}", account, "SendingDomain", "d", "update", *states, "x", "m"
    )


HISTORY = [
    entry(9, SES, None),
    entry(8, MANAGED, SES),
    entry(7, SES, SES),
    entry(5, SES, MANAGED),
    entry(3, MANAGED, SES),
    entry(2, None, SES, BETA),
    entry(1, None, MANAGED),
]


def day_of(delivered: float | None, retired: int | None = None) -> int | None:
    bound = binding_of(ACME, "ses", Profile("smtp.example", 587, Encryption.STARTTLS))
    at = None if delivered is None else START + timedelta(days=delivered)
    assignment = assignment_of(Endpoint(1, 1, bound, None, 1, retired), HISTORY, at)
    return assignment.revision if assignment is not None else None


def test_it_is_the_latest_assignment_before_the_mail_was_delivered() -> None:
    assert [day_of(at) for at in (9.5, 7.5, 4, None)] == [8, 3, 3, 8]


def test_it_is_no_later_than_the_replacement_of_the_nexthop() -> None:
    assert day_of(9.5, retired=6) == 3


def test_another_accounts_profile_of_that_name_is_another_one() -> None:
    assert day_of(2.5) == 3, "the clocks disagree: the first of the account's own"


def test_an_account_that_never_used_it_has_none() -> None:
    bound = binding_of(ACME, "mailgun", Profile("smtp.example", 587, Encryption.STARTTLS))
    assert assignment_of(Endpoint(1, 1, bound, None, 1, None), HISTORY, None) is None
