"""Plans with proof: a new or changed profile is saved only once its connection test passed.

A plan is made, what it would save is tested, and it is made again without what failed; until
nothing is left to test. Each profile is tested once in a run with the same credential.
"""

from collections.abc import Iterator, Sequence
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    Change,
    DomainChange,
    Plan,
    PlatformChange,
    ProfileChange,
)
from sendroute.model.codes import finding
from sendroute.model.connection import ConnectionOutcome, ConnectionPolicy, TestResult
from sendroute.model.credential import Credential
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, Severity
from sendroute.model.owner import PLATFORM, RELAY, Owner
from sendroute.model.platform import Platform
from sendroute.model.profile import ConnectionTest
from sendroute.model.remedy import Perform, Task
from sendroute.model.secret import binding_of
from sendroute.planner.guards import Guards
from sendroute.planner.plan import plan_tree
from sendroute.planner.platform import relay_of
from sendroute.reconcile.protocols import Sealer, Secrets, Tester, Try
from sendroute.reconcile.record import Sealed
from sendroute.reconcile.secret_check import (
    Endpoint,
    Failed,
    Rotated,
    SecretCheck,
    SecretChecker,
    look_up,
    tell_unknown,
)


class Scope(Struct, frozen=True):
    """What a plan is asked for: ``only`` is None for every account."""

    guards: Guards = Guards()
    only: frozenset[AccountKey] | None = None


class Shown(Struct, frozen=True):
    """What a saved plan was made with: it is carried out with nothing else, but for what fails
    now."""

    failed: Failed
    rotated: Rotated


class VerifiedPlan(Struct, frozen=True):
    """``failed`` and ``rotated`` are what the plan was made with: with them it is made again.
    ``untested`` is how many profiles it would save whose manifest asks for a test."""

    plan: Plan
    failed: Failed
    rotated: Rotated
    untested: int


class Verifier:
    """One run's secrets and tests.

    ``tester`` is None where nothing is tested; ``saves`` where the plan is to be applied: then
    what has no secret fails, and there has to be a key.
    """

    def __init__(
        self,
        secrets: Secrets,
        sealer: Sealer | None,
        tester: Tester | None = None,
        *,
        saves: bool = False,
        shown: Shown | None = None,
    ) -> None:
        self._secrets = secrets
        self._sealer = sealer
        self._tester = tester
        self._shown = shown
        self._comparison = SecretChecker(
            secrets,
            sealer,
            looks=saves or tester is not None,
            saves=saves,
            shown=shown.rotated if shown is not None else None,
        )
        self._results: dict[Try, TestResult] = {}
        self._compared = SecretCheck()

    def tested_by(self, tester: Tester) -> None:
        """From now on what would be saved is tested first."""
        self._tester = tester

    def still_rotated(
        self, desired: Desired, current: Current, sealed: Sealed, scope: Scope
    ) -> Rotated:
        """Of the changed secrets that a saved plan has shown, those that are not saved yet."""
        return self._comparison.of(desired, current, sealed, scope.only).rotated

    def decide(
        self, desired: Desired, current: Current, sealed: Sealed, scope: Scope
    ) -> VerifiedPlan:
        """The plan as it can be carried out, with what is to be said of secrets and tests."""
        compared = self._compared = self._comparison.of(desired, current, sealed, scope.only)
        while True:
            failed = self._failed(compared, desired)
            plan = plan_tree(
                desired,
                current,
                failed=failed,
                rotated=compared.rotated,
                guards=scope.guards,
                only=scope.only,
            )
            due = [one for one in self._tries(plan, compared) if one not in self._results]
            if self._tester is None or not due:
                told = self._told(plan, desired, compared)
                return VerifiedPlan(told, failed, dict(compared.rotated), len(due))
            platform = _platform_of(plan, current)
            policy = ConnectionPolicy.of(platform) if platform else ConnectionPolicy()
            self._results |= zip(due, self._tester(due, policy), strict=True)

    def seal(self, accounts: Sequence[AccountPlan], platform: PlatformChange | None) -> Sealed:
        """The sealed credentials that belong to these changes. The others keep theirs."""
        sealed: dict[Owner, dict[str, str]] = {}
        for change in (*(c for account in accounts for c in account.changes), platform):
            endpoint = _written(change) if change is not None else None
            if endpoint is None:
                continue
            if not (endpoint.tried or self._compared.is_rotated(endpoint)):
                continue  # it was not tested: what changes is something else
            answer = look_up(self._secrets, endpoint)
            if isinstance(answer, Credential) and self._sealer is not None:
                binding = binding_of(endpoint.key, endpoint.name, endpoint.desired)
                token = self._sealer.seal(answer, binding)
                sealed.setdefault(endpoint.key, {})[endpoint.name] = token
            elif endpoint.desired.secret is not None:
                raise LookupError(f"{endpoint.called} was planned without its credential")
        return sealed

    def _failed(self, compared: SecretCheck, desired: Desired) -> Failed:
        failed = {key: dict(names) for key, names in compared.failed.items()}
        if self._shown is not None:
            for key, names in self._shown.failed.items():
                failed.setdefault(key, {}).update(names)
        for tried, result in self._results.items():
            code = failure_code(result)
            if code is not None and tried.profile.connection_test is ConnectionTest.REQUIRED:
                account = desired.accounts.get(tried.key)
                profile = account.profiles.get(tried.name) if account is not None else None
                if profile is not None and profile.profile == tried.profile:
                    failed.setdefault(tried.key, {})[tried.name] = code
        return failed

    def _tries(self, plan: Plan, compared: SecretCheck) -> Iterator[Try]:
        """What the plan would save and its manifest asks to be tested."""
        for account in plan.accounts:
            if account.stopped:
                continue
            for change in account.changes:
                if not isinstance(change, ProfileChange):
                    continue
                endpoint = _written(change)
                if endpoint is None or change.written.connection_test is ConnectionTest.SKIP:
                    continue
                if endpoint.tried or compared.is_rotated(endpoint):
                    answer = look_up(self._secrets, endpoint)
                    credential = answer if isinstance(answer, Credential) else None
                    yield Try(change.account, change.name, change.written, credential)

    def _told(self, plan: Plan, desired: Desired, compared: SecretCheck) -> Plan:
        """The same plan, with the findings of its secrets and tests."""
        untested = {
            (one.key, one.name): _untested(one, desired)
            for one in self._tries(plan, compared)
            if one not in self._results
        }
        accounts = []
        for account in plan.accounts:
            found = [
                *compared.findings.get(account.key, ()),
                *(f for (key, _), f in untested.items() if key == account.key),
                *self._results_of(account, desired),
                *self._shown_failures(account, desired, compared),
            ]
            if found:
                account = replace(account, findings=(*account.findings, *found))
            accounts.append(account)
        general = compared.findings.get(PLATFORM, ())
        unknown = tell_unknown(compared.unknown, self._secrets)
        return replace(
            plan, accounts=tuple(accounts), findings=(*plan.findings, *general, *unknown)
        )

    def _results_of(self, account: AccountPlan, desired: Desired) -> Iterator[Finding]:
        for tried, result in self._results.items():
            if tried.key == account.key and (code := failure_code(result)) is not None:
                warns = tried.profile.connection_test is ConnectionTest.WARN
                outcome = "" if code == result.outcome else f" ({result.outcome})"
                yield finding(
                    code,
                    f"The connection test of profile {tried.name} failed{outcome}: {result.detail}",
                    hint="It is saved all the same, as its connectionTest says."
                    if warns
                    else "Mend the profile or its secret; the next apply tries again.",
                    where=desired.accounts[tried.key].profiles[tried.name].where,
                    account=account.key,
                    severity=Severity.WARNING if warns else None,
                )

    def _shown_failures(
        self, account: AccountPlan, desired: Desired, compared: SecretCheck
    ) -> Iterator[Finding]:
        failed = self._shown.failed.get(account.key, {}) if self._shown is not None else {}
        for name, code in sorted(failed.items()):
            if name not in compared.failed.get(account.key, {}):
                yield finding(
                    code,
                    f"Profile {name} is left out, as the saved plan has shown.",
                    hint="A new plan tries it again.",
                    where=desired.accounts[account.key].profiles[name].where,
                    account=account.key,
                )


def failure_code(result: TestResult) -> str | None:
    """What a test's end is told as; None where it passed."""
    match result.outcome:
        case ConnectionOutcome.OK:
            return None
        case ConnectionOutcome.ADDRESS_REFUSED:
            return "address-refused"
        case _:
            return "connection-test-failed"


def _written(change: Change) -> Endpoint | None:
    """The destination that a change writes, None where it writes none that signs in."""
    if change.action not in (Action.CREATE, Action.UPDATE) or change.where is None:
        return None
    match change:
        case ProfileChange():
            return Endpoint(
                change.account, change.name, change.written, change.before, change.where
            )
        case PlatformChange():
            relay = relay_of(change.after)
            if relay is None:
                return None
            return Endpoint(PLATFORM, RELAY, relay, relay_of(change.before), change.where)
        case AccountChange() | DomainChange():
            return None
        case _:
            assert_never(change)


def _platform_of(plan: Plan, current: Current) -> Platform | None:
    change = plan.platform
    if change is not None and change.after is not None:
        return change.after
    return current.platform


def _untested(one: Try, desired: Desired) -> Finding:
    return finding(
        "connection-not-tested",
        f"The connection of profile {one.name} was not tested.",
        hint="Applying tests it before it is saved. To test it now, plan with connection tests.",
        remedy=Perform(Task.TEST_CONNECTIONS),
        where=desired.accounts[one.key].profiles[one.name].where,
        account=one.key,
    )
