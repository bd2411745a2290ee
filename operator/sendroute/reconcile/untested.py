"""Profiles that are saved without a connection test are told, never passed over in silence."""

from collections.abc import Iterator

from msgspec.structs import replace

from sendroute.model.change import AccountPlan, Action, Change, Kind, Plan
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.profile import ConnectionTest, Profile


def tell_untested(plan: Plan) -> Plan:
    """The same plan, with a ``connection-not-tested`` for each new or changed profile whose
    manifest asks for a test."""
    return replace(plan, accounts=tuple(_told(account) for account in plan.accounts))


def _told(account: AccountPlan) -> AccountPlan:
    found = tuple(_findings(account))
    return replace(account, findings=(*account.findings, *found)) if found else account


def _findings(account: AccountPlan) -> Iterator[Finding]:
    for change in account.changes:
        if change.kind is Kind.PROFILE and _asks_for_a_test(change):
            yield finding(
                "connection-not-tested",
                f"Profile {change.name} is saved without a connection test: none was made.",
                hint="Check that its host, port, encryption and credentials are right.",
                where=change.where,
                account=account.key,
            )


def _asks_for_a_test(change: Change) -> bool:
    before, after = change.before, change.after
    if change.action not in (Action.CREATE, Action.UPDATE) or not isinstance(after, Profile):
        return False
    if after.connection_test is ConnectionTest.SKIP:
        return False
    return not isinstance(before, Profile) or _destination(before) != _destination(after)


def _destination(profile: Profile) -> tuple[object, ...]:
    """What a test proves: where the profile connects to, how, and as whom."""
    return (
        profile.host,
        profile.port,
        profile.encryption,
        profile.secret,
        profile.username,
        profile.allow_insecure_auth,
    )
