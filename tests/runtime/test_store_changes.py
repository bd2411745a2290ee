"""What a round leaves to do of what others changed."""

import math
import time
from datetime import UTC, datetime

from sendroute.model.change import Plan
from sendroute.model.outcome import Outcome, Result
from sendroute.model.owner import PLATFORM
from sendroute.model.provenance import AccountRevision, Head
from sendroute.runtime.contests import Contests
from sendroute.runtime.store_changes import StoreChanges

HEAD = Head(7, None)
UNDECIDED = Result(Plan("a-store", 7, None, ()), None, (), 7)
WRITER = AccountRevision(7, "ci@build2", "1a2b3c4")


def test_a_platform_that_a_round_did_not_decide_stays_contested_and_due() -> None:
    contests = Contests(300.0, lambda: 1.0)
    for now in (time.monotonic(),) * 3:
        contests.changed({PLATFORM: WRITER})
        contests.reconciled({PLATFORM: Outcome.COMMITTED}, (), now, datetime.now(UTC))
    contests.changed({PLATFORM: WRITER})
    changes = StoreChanges(contests)
    changes.record_round(HEAD, UNDECIDED, (), {}, {}, kept_platform=True)
    assert PLATFORM in contests.contested
    assert contests.take_due(math.inf) == {PLATFORM}
    changes.record_round(HEAD, UNDECIDED, (), {}, {}, kept_platform=False)
    assert PLATFORM not in contests.contested, "the two agree"
