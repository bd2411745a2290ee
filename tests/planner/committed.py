"""What the store must hold once a plan is applied: the changes of a plan carried out by hand."""

from tests.planner.values import by_hand

from sendroute.model.change import Plan
from sendroute.model.held import Held, HeldAccount


def committed(held: Held, plan: Plan) -> Held:
    accounts = {}
    for key, account in by_hand(held, plan).items():
        before = held.accounts.get(key)
        if before is not None and _contents(before) == _contents(account):
            accounts[key] = before
            continue
        revision = 0 if account.state is None else (before.revision if before else 0) + 1
        accounts[key] = HeldAccount(
            key, revision, account.state, account.profiles, account.domains, account.ran
        )
    platform = plan.platform.after if plan.platform is not None else held.platform
    return Held(held.lineage, held.revision + 1, platform, accounts)


def _contents(account: HeldAccount) -> tuple[object, ...]:
    return (account.state, account.profiles, account.domains, account.ran)
