"""What a plan says of a relay's credential that the store has lost, and that cannot be saved."""

import pytest

from sendroute.model.change import Action
from sendroute.model.current import Current
from sendroute.model.desired import Desired, DesiredPlatform
from sendroute.model.finding import Where
from sendroute.model.owner import BOUNCES, PLATFORM, RELAY
from sendroute.model.platform import Managed, Platform, Relay
from sendroute.model.profile import Encryption
from sendroute.model.secret import Resave
from sendroute.planner.plan import plan_accounts

RELAY_HOST = Relay("relay.internal.example", 587, Encryption.STARTTLS, "relay")
BOUNCE_HOST = Relay("bounces.internal.example", 587, Encryption.STARTTLS, "bounces")
MANAGED = Managed(None, "smtp.example", (), RELAY_HOST)
CURRENT = Platform(MANAGED, (), bounces=BOUNCE_HOST)


@pytest.mark.parametrize(
    ("name", "title"), [(RELAY, "the managed relay"), (BOUNCES, "the bounce relay")]
)
@pytest.mark.parametrize(
    ("resave", "consequence"),
    [
        (Resave.ROTATED, "the previous version stays in effect"),
        (
            Resave.LOST,
            "nothing can be sent with {title}, because the store has no credential for it",
        ),
    ],
)
def test_a_relay_without_its_secret_says_what_becomes_of_it(
    name: str, title: str, resave: Resave, consequence: str
) -> None:
    desired = Desired(DesiredPlatform(CURRENT, Where("platform.yaml", 0)), {})
    plan = plan_accounts(
        desired,
        Current("a-store", 1, CURRENT, {}),
        failed={PLATFORM: {name: "secret-missing"}},
        rotated={PLATFORM: {name: resave}},
    )
    assert plan.platform is not None
    assert plan.platform.action is Action.SKIP
    assert plan.platform.message.endswith(f"; {consequence.format(title=title)}.")
