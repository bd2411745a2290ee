"""Changes: digests stay the same over versions, and a change writes a state or none."""

import pytest

from sendroute.model.change import (
    AccountChange,
    Action,
    Change,
    DomainChange,
    PlatformChange,
    ProfileChange,
)
from sendroute.model.current import AccountState, DomainState, RanApplyAll
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Where
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.profile import Encryption, Profile
from sendroute.model.route import MANAGED, Origin, via
from sendroute.planner.digest import digest_changes

KEY = AccountKey("acme", "main")
SES = Profile("smtp.ses.example", 587, Encryption.STARTTLS, secret="ses")
WHERE = Where("a.yaml", 3, ("spec",))
NANO = Platform(None, (ServicePlan("nano", managed=False),))
ON_MANAGED = DomainState(MANAGED, Origin.DEFAULT)
REROUTED = DomainState(via("ses"), Origin.DECLARED, via("ses"))
SHADOWED = DomainState(MANAGED, Origin.DEFAULT, None, "once")
RAN = ("once", RanApplyAll(via("ses"), 2))
DEFAULT = AccountState("nano", via("ses"))

PLATFORM = PlatformChange(Action.CREATE, None, NANO, "declared", "m", WHERE)
ACCOUNT = AccountChange(
    KEY, "main", Action.UPDATE, AccountState("nano"), DEFAULT, "declared", "m", WHERE, RAN
)
PROFILE = ProfileChange(KEY, "ses", Action.UPDATE, None, SES, "declared", "m", WHERE)
REROUTE = DomainChange(
    KEY, "a.example", Action.REROUTE, ON_MANAGED, REROUTED, "declared", "m", WHERE
)
DELETE = DomainChange(KEY, "b.example", Action.DELETE, SHADOWED, None, "removed", "m", WHERE)


@pytest.mark.parametrize(
    ("changes", "digest"),
    [
        pytest.param(
            [PLATFORM],
            "618078c3654fdc82d209f765ea90c9c513f7d5941756f29f17012afa16702033",
            id="the platform",
        ),
        pytest.param(
            [ACCOUNT],
            "1c999b958400c08e85596ceaa82bb933dea2ad3d89283f0f335c68f741bacf9c",
            id="an account that runs an apply-all",
        ),
        pytest.param(
            [PROFILE],
            "ed3886978d6ee9441ddbebd2351b2807a43842fa31d8c705bb781c69a1c14a74",
            id="a profile",
        ),
        pytest.param(
            [REROUTE],
            "288492dab0b5c7a536d6450c78e535a96cf1a9eaff4114b623344a0bf8a84a9d",
            id="a rerouted domain",
        ),
        pytest.param(
            [DELETE],
            "056a4205c793e8a73bc292340d1c52d1bd1cf1f16160902e5141374eb9c4c600",
            id="a deleted domain",
        ),
        pytest.param(
            [PLATFORM, ACCOUNT, PROFILE, REROUTE, DELETE],
            "97d3426b66c50ef95bc4802fc8b7ff63f84c2b51b95f76b19a262a86b07eb1ae",
            id="all of them",
        ),
    ],
)
def test_digests_of_saved_plans_and_approvals_stay_valid(
    changes: list[Change], digest: str
) -> None:
    """A digest that differs here voids every saved plan and every approval in a store."""
    assert digest_changes(changes) == digest


def test_a_change_without_a_new_state_writes_no_state() -> None:
    assert REROUTE.written == REROUTED
    with pytest.raises(ValueError, match=r"b\.example"):
        _ = DELETE.written
