"""What the change of an account says of its new domains is what they would get."""

from itertools import product

import pytest
from tests.planner.committed import committed
from tests.planner.naive import MANAGED, UNCONFIGURED, AccountDoc, ProfileDoc, Tree, via
from tests.planner.values import as_desired, empty_store

from sendroute.model.change import AccountChange
from sendroute.planner.plan import plan_tree

KEY = ("acme", "acme")
PLANS = {"nano": False, "pro": True}
SES = {"ses": ProfileDoc("smtp.ses.example")}
STATES = list(product(PLANS, (None, MANAGED, UNCONFIGURED, via("ses")), (SES, {})))


def sentences(*states: tuple[str, str | None, dict[str, ProfileDoc]]) -> str:
    """The message of the account's change by the last state; empty if it does not change."""
    current, message = empty_store(), ""
    for plan, default, profiles in states:
        account = AccountDoc(plan=plan, default=default, profiles=dict(profiles))
        planned = plan_tree(as_desired(Tree(plans=PLANS, accounts={KEY: account})), current)
        changes = [change for of_account in planned.accounts for change in of_account.changes]
        messages = [item.message for item in changes if isinstance(item, AccountChange)]
        message = messages[0] if messages else ""
        current = committed(current, planned)
    return message


@pytest.mark.parametrize(("first", "second"), list(product(STATES, STATES)))
def test_the_default_that_is_named_is_the_one_in_force(
    first: tuple[str, str | None, dict[str, ProfileDoc]],
    second: tuple[str, str | None, dict[str, ProfileDoc]],
) -> None:
    message = sentences(first, second)
    plan, default, profiles = second
    plan_default = MANAGED if PLANS[plan] else UNCONFIGURED
    is_available = {None: False, MANAGED: PLANS[plan], UNCONFIGURED: True}.get(
        default, bool(profiles)
    )
    start = default if is_available else f"the plan default, {plan_default}"
    if "start on" in message:
        assert f"New domains of account acme/acme start on {start}" in message


def test_a_default_that_fell_back_is_not_called_the_start_of_new_domains() -> None:
    managed = ("nano", MANAGED, SES)
    reason = "because managed is not satisfiable."
    expected = f"New domains of account acme/acme start on the plan default, unconfigured, {reason}"
    assert expected in sentences(managed)
    assert expected in sentences(("pro", MANAGED, SES), managed)
    assert expected in sentences(("nano", via("ses"), SES), managed)
    without_profile = sentences(("pro", via("ses"), SES), ("nano", via("ses"), {}))
    assert "unconfigured, because profile ses is not satisfiable." in without_profile
