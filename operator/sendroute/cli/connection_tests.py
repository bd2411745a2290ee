"""Connection tests that a person asks for: of saved profiles (``test``), and of a new one before
its manifest is written (``edit add-domain --test``)."""

import sys
from collections.abc import Callable, Sequence

from sendroute.cli.lookup import profiles_named
from sendroute.cli.session import Session, Terminal
from sendroute.model.codes import Code, finding
from sendroute.model.connection import ConnectionOutcome, ConnectionPolicy, TestRequest, TestResult
from sendroute.model.credential import Credential
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.records import StoredProfile
from sendroute.model.secret import SecretProblem, binding_of
from sendroute.reconcile.protocols import Tester
from sendroute.reconcile.record import EncryptedCredentials
from sendroute.reconcile.secret_check import CheckedEndpoint, look_up, no_key
from sendroute.reconcile.verifier import failure_advice, failure_code, failure_message
from sendroute.reports.progress import progress
from sendroute.runtime.factory import Factory, run_tests
from sendroute.store.record import Store

Credentials = Callable[[StoredProfile], Credential | SecretProblem | None]
"""The credential of a saved profile, or why it is unavailable; None if it has none."""


def tester_of(terminal: Terminal) -> Tester:
    """Connection tests with a progress bar."""

    def test(requests: Sequence[TestRequest], policy: ConnectionPolicy) -> Sequence[TestResult]:
        with progress(
            "Testing connections", len(requests), sys.stderr, quiet=terminal.quiet
        ) as advance:
            return run_tests(requests, policy, progress=lambda _result: advance(1))

    return test


def test_profiles(store: Store, session: Session, names: Sequence[str]) -> list[TestResult]:
    """Test saved profiles.

    Args:
        store: the store that holds them.
        session: settings and terminal.
        names: ``NAME`` or ``NAMESPACE/NAME``; all profiles if empty.

    Returns:
        The results in the order of namespaces and names.

    Raises:
        ProblemError: a name is unknown or ambiguous.
    """
    profiles = store.profiles()
    chosen = profiles_named(names, profiles) if names else profiles
    with store.snapshot() as snapshot:
        platform = snapshot.read_accounts(()).platform
        encrypted = snapshot.encrypted({profile.account for profile in chosen})
    credentials = _credentials(session, encrypted)
    requests: dict[int, TestRequest] = {}
    results: dict[int, TestResult] = {}
    for profile in chosen:
        answer = credentials(profile)
        if isinstance(answer, SecretProblem):
            results[profile.id] = _without_credential(profile, answer)
        else:
            requests[profile.id] = TestRequest(
                profile.account, profile.name, profile.profile, answer
            )
    policy = ConnectionPolicy.of(platform)
    tested = tester_of(session.terminal)(list(requests.values()), policy)
    results |= zip(requests, tested, strict=True)
    return [results[profile.id] for profile in chosen]


def test_new_profile(
    session: Session, desired: Desired, key: AccountKey, name: str
) -> list[Finding]:
    """Test a profile of manifests that are not written yet, also if its connectionTest is skip. If
    the manifests have no MailPlatform, only public addresses may be reached.

    Args:
        session: settings and terminal.
        desired: the manifests with the profile.
        key: its account.
        name: its name.

    Returns:
        The findings; none if the test passed.
    """
    account = desired.accounts.get(key)
    declared = account.profiles.get(name) if account is not None else None
    if declared is None:
        return [
            finding(
                "connection-test-failed",
                f"Profile {name} cannot be tested: the given paths do not define all of {key}.",
                hint="Add the files of the account and of the platform, or omit --test.",
                account=key,
            )
        ]
    profile = declared.profile
    secrets = Factory(session.settings).secrets()
    answer = look_up(secrets, CheckedEndpoint(key, name, profile, None, declared.where))
    if isinstance(answer, SecretProblem):
        return [
            finding(
                answer.code, answer.message, hint=answer.hint, remedy=answer.remedy, account=key
            )
        ]
    platform = desired.platform.platform if desired.platform is not None else None
    request = TestRequest(key, name, profile, answer)
    (result,) = tester_of(session.terminal)([request], ConnectionPolicy.of(platform))
    code = failure_code(result)
    if code is None:
        return []
    return [
        finding(
            code,
            failure_message(request, result),
            hint=f"Nothing was written. {failure_advice(result)}",
            account=key,
        )
    ]


def _credentials(session: Session, encrypted: EncryptedCredentials) -> Credentials:
    """Credentials from the secrets if any are given, otherwise from the store."""
    factory = Factory(session.settings)
    secrets = factory.secrets()
    if not secrets.given:
        return _stored_credentials(factory, encrypted)

    def given(stored: StoredProfile) -> Credential | SecretProblem | None:
        profile = stored.profile
        if stored.secret is None:
            return None
        return secrets.credential(stored.secret, profile.host, profile.port, profile.username)

    return given


def _stored_credentials(factory: Factory, encrypted: EncryptedCredentials) -> Credentials:
    cipher = factory.cipher()

    def stored(profile: StoredProfile) -> Credential | SecretProblem | None:
        if profile.secret is None:
            return None
        if cipher is None:
            raise ProblemError(no_key())
        token = encrypted.get(profile.account, {}).get(profile.name)
        if token is None:
            return SecretProblem(
                "secret-missing", "The store has no credential for the profile.", ""
            )
        binding = binding_of(profile.account, profile.name, profile.profile)
        credential = cipher.decrypt(token, binding)
        if credential is None:
            message = "The given keys cannot decrypt the stored credential of the profile."
            return SecretProblem("credential-unreadable", message, "")
        return credential

    return stored


def _without_credential(profile: StoredProfile, problem: SecretProblem) -> TestResult:
    """The result for a profile whose credential is unavailable. The detail says why."""
    outcome = ConnectionOutcome.SECRET_MISSING
    if problem.code == Code.SECRET_NOT_BOUND:
        outcome = ConnectionOutcome.SECRET_NOT_BOUND
    return TestResult(profile.account.namespace, profile.name, outcome, problem.message, 0.0)
