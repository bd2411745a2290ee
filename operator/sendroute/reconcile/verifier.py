"""Verified plans: a new or changed profile is saved only after its connection test passed.

Sendroute plans, tests the profiles that the plan would save, and plans again without those that
failed, until nothing is left to test. Each profile is tested once in a run with the same
credential.

Everything here is immutable. The result of one verification is the input of the next one, so the
order of calls does not matter.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from sendroute.model.change import (
    AccountPlan,
    Action,
    Change,
    Plan,
    PlatformChange,
    ProfileChange,
)
from sendroute.model.codes import finding
from sendroute.model.connection import ConnectionOutcome, ConnectionPolicy, TestRequest, TestResult
from sendroute.model.credential import Credential, EncryptedCredentials
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, Severity
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.platform import Platform
from sendroute.model.profile import ConnectionTest
from sendroute.model.remedy import Perform, Task
from sendroute.model.secret import binding_of
from sendroute.planner.accepted import without_accepted
from sendroute.planner.plan import PlanScope, plan_accounts
from sendroute.reconcile.protocols import CredentialCipher, SecretResolver, Tester
from sendroute.reconcile.secret_check import (
    CheckedEndpoint,
    Failed,
    Rotated,
    SecretCheck,
    check_secrets,
    destinations,
    endpoints,
    look_up,
    report_uncompared,
)

Tests = Mapping[TestRequest, TestResult]
"""The connection tests of one run so far."""


class SavedInputs(Struct, frozen=True):
    """The failed profiles and rotated secrets with which a saved plan was made. It is applied with
    the same ones, and with what fails now. ``manifest`` is the absolute path of the platform's
    manifest, to which a relative caFile is relative."""

    failed: Failed
    rotated: Rotated
    manifest: str


class VerifiedPlan(Struct, frozen=True):
    """A plan and what it was made with: ``failed`` profiles, the check of the ``secrets`` and the
    connection ``tests``. ``untested`` is how many profiles it would save that still need a test."""

    plan: Plan
    failed: Failed
    secrets: SecretCheck
    tests: Tests = MappingProxyType({})
    untested: int = 0


class Verifier(Struct, frozen=True):
    """The secrets of one run, and the rules for what may be saved.

    ``saves``: the plan will be applied, so a profile without its secret fails, and a key is needed.
    ``shown``: what a saved plan was made with; None for a new plan. ``late_cipher`` builds the
    cipher if there is none and the store holds credentials of a lost key.
    """

    secrets: SecretResolver
    cipher: CredentialCipher | None
    saves: bool = False
    shown: SavedInputs | None = None
    late_cipher: Callable[[], CredentialCipher | None] = lambda: None

    def check(
        self,
        desired: Desired,
        current: Current,
        encrypted: EncryptedCredentials,
        scope: PlanScope,
        *,
        required: bool = False,
    ) -> SecretCheck:
        """Check the secrets in scope.

        Args:
            desired: the manifests.
            current: the store.
            encrypted: the stored credentials.
            scope: the accounts.
            required: report a secret that does not exist, also if nothing will be saved.

        Returns:
            The result of the check.

        Raises:
            ProblemError: as :func:`~sendroute.reconcile.secret_check.check_secrets`.
        """
        cipher = self.cipher
        if cipher is None and current.undecryptable:
            cipher = self.late_cipher()
        return check_secrets(
            self.secrets,
            cipher,
            endpoints(desired, current, scope.only),
            encrypted,
            required=required or self.saves,
            saves=self.saves,
            shown=self.shown.rotated if self.shown is not None else None,
            undecryptable=current.undecryptable,
        )

    def verify(
        self,
        desired: Desired,
        current: Current,
        encrypted: EncryptedCredentials,
        scope: PlanScope,
        *,
        tester: Tester | None = None,
        tests: Tests = MappingProxyType({}),
    ) -> VerifiedPlan:
        """Plan what can be applied, with the findings about secrets and connection tests.

        Args:
            desired: the manifests.
            current: the store.
            encrypted: the stored credentials.
            scope: the guards and the accounts.
            tester: tests what would be saved; None to test nothing.
            tests: the tests of this run so far.

        Returns:
            The plan, the check of the secrets and the tests.

        Raises:
            ProblemError: as :meth:`check`.
        """
        secrets = self.check(desired, current, encrypted, scope, required=tester is not None)
        while True:
            failed = self._failed(secrets, desired, tests)
            plan = plan_accounts(desired, current, scope, failed=failed, rotated=secrets.rotated)
            requests = list(self._test_requests(plan, secrets))
            due = [request for request in requests if request not in tests]
            if tester is None or not due:
                reported = self._with_findings(plan, desired, secrets, tests, due)
                reported = without_accepted(reported, desired)
                return VerifiedPlan(reported, failed, secrets, tests, len(due))
            policy = ConnectionPolicy.of(_platform_after(plan, current), self._manifest(desired))
            results = zip(due, tester(due, policy), strict=True)
            tests = MappingProxyType({**tests, **dict(results)})

    def encrypt(
        self,
        secrets: SecretCheck,
        accounts: Sequence[AccountPlan],
        platform: PlatformChange | None,
    ) -> EncryptedCredentials:
        """Encrypt the credentials that belong to these changes.

        Args:
            secrets: the check with which the changes were planned.
            accounts: the accounts that are written.
            platform: the platform's change; None if it does not change.

        Returns:
            The encrypted credentials by owner and profile. All other profiles keep theirs.

        Raises:
            LookupError: a change was planned without its credential, which is a bug.
        """
        encrypted: dict[Owner, dict[str, str]] = {}
        changes = (*(c for account in accounts for c in account.changes), platform)
        for endpoint in chain.from_iterable(map(_endpoints, changes)):
            if not (endpoint.needs_test or secrets.is_rotated(endpoint)):
                continue  # another field changed, so the credential was not tested
            answer = look_up(self.secrets, endpoint)
            if isinstance(answer, Credential) and self.cipher is not None:
                binding = binding_of(endpoint.key, endpoint.name, endpoint.desired)
                token = self.cipher.encrypt(answer, binding)
                encrypted.setdefault(endpoint.key, {})[endpoint.name] = token
            elif endpoint.desired.secret is not None:
                raise LookupError(f"{endpoint.title} was planned without its credential")
        return encrypted

    def _manifest(self, desired: Desired) -> str:
        """The platform's manifest, to which a relative caFile is relative."""
        if self.shown is not None:
            return self.shown.manifest
        return desired.platform.where.file if desired.platform is not None else ""

    def _failed(self, secrets: SecretCheck, desired: Desired, tests: Tests) -> Failed:
        failed = {key: dict(names) for key, names in secrets.failed.items()}
        if self.shown is not None:
            for key, names in self.shown.failed.items():
                failed.setdefault(key, {}).update(names)
        for request, result in tests.items():
            code = failure_code(result)
            if code is not None and request.profile.connection_test is ConnectionTest.REQUIRED:
                account = desired.accounts.get(request.account)
                profile = account.profiles.get(request.name) if account is not None else None
                if profile is not None and profile.profile == request.profile:
                    failed.setdefault(request.account, {})[request.name] = code
        return failed

    def _test_requests(self, plan: Plan, secrets: SecretCheck) -> Iterator[TestRequest]:
        """The tests that are due: of what the plan would save, if its manifest asks for a test."""
        for account in plan.accounts:
            if account.stopped:
                continue
            for change in account.changes:
                if not isinstance(change, ProfileChange):
                    continue
                for endpoint in _endpoints(change):
                    if change.written.connection_test is ConnectionTest.SKIP:
                        continue
                    if endpoint.needs_test or secrets.is_rotated(endpoint):
                        answer = look_up(self.secrets, endpoint)
                        credential = answer if isinstance(answer, Credential) else None
                        yield TestRequest(change.account, change.name, change.written, credential)

    def _with_findings(
        self,
        plan: Plan,
        desired: Desired,
        secrets: SecretCheck,
        tests: Tests,
        due: Sequence[TestRequest],
    ) -> Plan:
        """The same plan, with the findings about its secrets and tests."""
        untested: dict[AccountKey, dict[str, Finding]] = {}
        for request in due:
            untested.setdefault(request.account, {})[request.name] = _untested(request, desired)
        accounts = []
        for account in plan.accounts:
            findings = [
                *secrets.findings.get(account.key, ()),
                *untested.get(account.key, {}).values(),
                *_failures(account, desired, tests),
                *self._profiles_left_out(account, desired, secrets),
            ]
            if findings:
                account = replace(account, findings=(*account.findings, *findings))
            accounts.append(account)
        general = secrets.findings.get(PLATFORM, ())
        uncompared = report_uncompared(secrets.uncompared, self.secrets)
        return replace(
            plan, accounts=tuple(accounts), findings=(*plan.findings, *general, *uncompared)
        )

    def _profiles_left_out(
        self, account: AccountPlan, desired: Desired, secrets: SecretCheck
    ) -> Iterator[Finding]:
        failed = self.shown.failed.get(account.key, {}) if self.shown is not None else {}
        for name, code in sorted(failed.items()):
            if name not in secrets.failed.get(account.key, {}):
                yield finding(
                    code,
                    f"Profile {name} of account {account.key} is not saved, as the saved plan"
                    " showed.",
                    hint="Save a new plan to try the profile again.",
                    where=desired.accounts[account.key].profiles[name].where,
                    account=account.key,
                    profile=name,
                )


def failure_code(result: TestResult) -> str | None:
    """Get the code of the finding for a connection test.

    Args:
        result: the result of the test.

    Returns:
        The code; None if the test passed.
    """
    match result.outcome:
        case ConnectionOutcome.OK:
            return None
        case ConnectionOutcome.ADDRESS_REFUSED:
            return "address-refused"
        case _:
            return "connection-test-failed"


def failure_message(request: TestRequest, result: TestResult) -> str:
    """The sentence of the finding for a failed test.

    Args:
        request: the test.
        result: its result; the test did not pass.

    Returns:
        The sentence. It has the outcome unless the code implies it.
    """
    profile = request.profile
    outcome = "" if failure_code(result) == result.outcome else f" ({result.outcome})"
    return (
        f"The connection test of profile {request.name} of account {request.account} with"
        f" {profile.host}:{profile.port} failed{outcome}: {result.detail}"
    )


def failure_advice(result: TestResult) -> str:
    """What to do about a failed test, as one or two sentences.

    Args:
        result: the test; it did not pass.

    Returns:
        What follows from what was seen; otherwise what fits the outcome. The secret is named only
        if the server rejected it.
    """
    if result.advice is not None:
        return result.advice
    return _ADVICE.get(result.outcome, "Fix the profile.")


_ADVICE = {
    ConnectionOutcome.TEMPORARY_FAILURE: "Try again later: the server reports a temporary failure, "
    "and neither the profile nor its secret is known to be wrong.",
    ConnectionOutcome.DNS_FAILED: "Check the host, and the name servers of this machine.",
    ConnectionOutcome.CONNECT_FAILED: "Check the host and the port, and whether a firewall blocks "
    "the connection.",
    ConnectionOutcome.TLS_FAILED: "Check the host, the port and the encryption; the server's "
    "certificate must be valid for the host.",
    ConnectionOutcome.AUTH_FAILED: "Fix the secret, or the host and port that it is sent to.",
    ConnectionOutcome.PROTOCOL_ERROR: "Check the host, the port and the encryption.",
    ConnectionOutcome.ADDRESS_REFUSED: "Correct the host, or allow its network.",
}


_SAVED_ANYWAY = "The profile is saved anyway, because its connectionTest is warn."
_TESTED_AGAIN = "The next attempt tests it again."


def _failures(account: AccountPlan, desired: Desired, tests: Tests) -> Iterator[Finding]:
    for request, result in tests.items():
        if request.account != account.key or (code := failure_code(result)) is None:
            continue
        warns = request.profile.connection_test is ConnectionTest.WARN
        yield finding(
            code,
            failure_message(request, result),
            hint=f"{failure_advice(result)} {_SAVED_ANYWAY if warns else _TESTED_AGAIN}",
            where=desired.accounts[request.account].profiles[request.name].where,
            account=account.key,
            profile=request.name,
            severity=Severity.WARNING if warns else None,
        )


def _endpoints(change: Change | None) -> Iterator[CheckedEndpoint]:
    """The endpoints with credentials that a change writes."""
    if change is None or change.where is None:
        return
    if change.action not in (Action.CREATE, Action.UPDATE):
        return
    for owner, name, before, after in destinations(change):
        if after is not None:
            yield CheckedEndpoint(owner, name, after, before, change.where)


def _platform_after(plan: Plan, current: Current) -> Platform | None:
    change = plan.platform
    if change is not None and change.after is not None:
        return change.after
    return current.platform


def _untested(request: TestRequest, desired: Desired) -> Finding:
    return finding(
        "connection-not-tested",
        f"The connection of profile {request.name} of account {request.account} to"
        f" {request.profile.host}:{request.profile.port} was not tested.",
        hint="Sendroute tests the connection before the profile is saved. To test now, plan with"
        " connection tests.",
        remedy=Perform(Task.TEST_CONNECTIONS),
        where=desired.accounts[request.account].profiles[request.name].where,
        account=request.account,
        profile=request.name,
    )
