"""What was shown last, if the store fails while it is read for the cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sendroute.cluster.reported_statuses import ReportedStatuses
from sendroute.model.account_status import AccountStatus
from sendroute.model.codes import finding
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey
from sendroute.model.outcome import AccountOutcome, Outcome
from sendroute.model.owner import Owner
from sendroute.model.problem import ProblemError

KEY = AccountKey("acme", "acme")


class FailingOnce:
    """A store whose next snapshot cannot be read."""

    def __init__(self) -> None:
        self.fails = True

    @contextmanager
    def snapshot(self) -> Iterator[Any]:
        if self.fails:
            self.fails = False
            raise ProblemError(finding("store-failed", "The disk is busy."))
        yield SimpleNamespace(read_accounts=lambda _keys: Current("lineage", 1, None, {}))


class Reported:
    """The accounts that were reported."""

    def __init__(self) -> None:
        self.accounts: list[Owner] = []

    def account(self, reconciled: Any) -> None:
        self.accounts.append(reconciled.key)

    def platform(self, reconciled: Any) -> None:
        pass


def test_what_a_failing_store_kept_from_being_shown_is_shown_by_the_next_round() -> None:
    item = SimpleNamespace(uid="1", generation=1, annotations={}, held_status=b"")
    state = SimpleNamespace(objects=lambda owner: (item,) if owner == KEY else (), accounts={})
    state.platform = None
    plan = SimpleNamespace(findings=(), accounts=(SimpleNamespace(key=KEY, findings=()),))
    result = SimpleNamespace(
        plan=plan,
        accounts=(AccountOutcome(KEY, Outcome.UNCHANGED, 1),),
        platform=None,
        findings=(),
    )
    done = SimpleNamespace(result=result, tested={}, waiting={})
    reporter, store, statuses = Reported(), FailingOnce(), dict[Owner, AccountStatus]()
    shown = ReportedStatuses(cast(Any, reporter))
    with pytest.raises(ProblemError):
        shown.round_completed(cast(Any, store), cast(Any, state), cast(Any, done), statuses)
    assert reporter.accounts == []
    for _ in range(2):
        shown.round_completed(cast(Any, store), cast(Any, state), cast(Any, done), statuses)
    assert reporter.accounts == [KEY], "once"
