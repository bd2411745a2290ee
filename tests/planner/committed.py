"""The expected store after a plan is committed, without the code of the store."""

from tests.planner.values import apply_changes

from sendroute.model.change import Plan
from sendroute.model.current import Current, CurrentAccount


def committed(current: Current, plan: Plan) -> Current:
    accounts = {}
    for key, account in apply_changes(current, plan).items():
        before = current.accounts.get(key)
        if before is not None and _contents(before) == _contents(account):
            accounts[key] = before
            continue
        revision = 0 if account.state is None else (before.revision if before else 0) + 1
        accounts[key] = CurrentAccount(
            key,
            revision,
            account.state,
            account.profiles,
            account.domains,
            account.completed_apply_alls,
        )
    platform = plan.platform.after if plan.platform is not None else current.platform
    return Current(current.lineage, current.revision + 1, platform, accounts)


def _contents(account: CurrentAccount) -> tuple[object, ...]:
    return (account.state, account.profiles, account.domains, account.completed_apply_alls)
