"""Connection tests of saved profiles: with the given secrets, otherwise with the credentials in the
store."""

from collections.abc import Callable, Sequence

from sendroute.model.connection import ConnectionOutcome, ConnectionPolicy, TestRequest, TestResult
from sendroute.model.credential import Credential, EncryptedCredentials
from sendroute.model.problem import ProblemError
from sendroute.model.records import StoredProfile
from sendroute.model.secret import SecretProblem, binding_of
from sendroute.reconcile.protocols import Tester
from sendroute.reconcile.secret_check import no_key
from sendroute.runtime.factory import Factory

ReadCredential = Callable[[StoredProfile], Credential | SecretProblem | None]
"""The credential of a saved profile, or why it is unavailable; None if it has none."""


def test_saved(
    factory: Factory,
    profiles: Sequence[StoredProfile],
    encrypted: EncryptedCredentials,
    policy: ConnectionPolicy,
    tester: Tester,
) -> list[TestResult]:
    """Test the connections of saved profiles.

    Args:
        factory: builds the secrets and the cipher.
        profiles: the profiles.
        encrypted: their stored credentials.
        policy: which addresses may be reached, and which authorities are trusted.
        tester: tests connections.

    Returns:
        The results in the order of the profiles. An unavailable credential is a result too.

    Raises:
        ProblemError: the secrets or a key are unusable, or there is no key (``key-missing``).
    """
    credentials = _credentials(factory, encrypted)
    requests: dict[int, TestRequest] = {}
    results: dict[int, TestResult] = {}
    for profile in profiles:
        answer = credentials(profile)
        if isinstance(answer, SecretProblem):
            results[profile.id] = _without_credential(profile, answer)
        else:
            requests[profile.id] = TestRequest(
                profile.account, profile.name, profile.profile, answer
            )
    tested = tester(list(requests.values()), policy)
    results |= zip(requests, tested, strict=True)
    return [results[profile.id] for profile in profiles]


def _credentials(factory: Factory, encrypted: EncryptedCredentials) -> ReadCredential:
    """Credentials from the secrets if any are given, otherwise from the store."""
    secrets = factory.secrets()
    if not secrets.given:
        return _stored_credentials(factory, encrypted)

    def given(stored: StoredProfile) -> Credential | SecretProblem | None:
        profile = stored.profile
        if stored.secret is None:
            return None
        return secrets.credential(stored.secret, profile.host, profile.port, profile.username)

    return given


def _stored_credentials(factory: Factory, encrypted: EncryptedCredentials) -> ReadCredential:
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
    same = (outcome for outcome in ConnectionOutcome if outcome == problem.code)
    outcome = next(same, ConnectionOutcome.SECRET_MISSING)
    return TestResult(profile.account.namespace, profile.name, outcome, problem.message, 0.0)
