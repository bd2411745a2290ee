"""Connection tests of what is saved, for ``sendroute test``."""

from collections.abc import Callable, Sequence

from sendroute.cli.command_line import suggestion
from sendroute.cli.proof import no_key, sealer_of, secrets_of, tester_of
from sendroute.cli.session import Session
from sendroute.model.codes import finding
from sendroute.model.connection import ConnectionOutcome, ConnectionPolicy, TestResult
from sendroute.model.credential import Credential
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.secret import SecretProblem, SecretRef, binding_of
from sendroute.reconcile.protocols import Try
from sendroute.reconcile.record import Sealed
from sendroute.store.record import Store
from sendroute.store.records import StoredProfile

LookUp = Callable[[StoredProfile], Credential | SecretProblem | None]


def test_profiles(store: Store, session: Session, names: Sequence[str]) -> list[TestResult]:
    """The results in the order of namespaces and names; all profiles where ``names`` is empty.

    Raises :class:`ProblemError` for a name that is unknown or means several.
    """
    current, sealed = store.read_sealed()
    profiles = store.profiles()
    chosen = _named(names, profiles) if names else profiles
    look_up = _look_up(session, profiles, sealed)
    tries: dict[int, Try] = {}
    results: dict[int, TestResult] = {}
    for row in chosen:
        answer = look_up(row)
        if isinstance(answer, SecretProblem):
            results[row.id] = _lacking(row, answer)
        else:
            tries[row.id] = Try(row.account, row.name, row.profile, answer)
    policy = ConnectionPolicy.of(current.platform) if current.platform else ConnectionPolicy()
    results |= zip(tries, tester_of(session)(list(tries.values()), policy), strict=True)
    return [results[row.id] for row in chosen]


def _look_up(session: Session, profiles: Sequence[StoredProfile], sealed: Sealed) -> LookUp:
    """By the secrets where any are given, else by the store's own credentials."""
    refs = [
        SecretRef(row.account.namespace, row.profile.secret)
        for row in profiles
        if row.profile.secret is not None
    ]
    secrets = secrets_of(session, iter(refs))
    if secrets.given:

        def given(row: StoredProfile) -> Credential | SecretProblem | None:
            profile = row.profile
            if profile.secret is None:
                return None
            ref = SecretRef(row.account.namespace, profile.secret)
            return secrets.credential(ref, profile.host, profile.port, profile.username)

        return given
    return _stored(session, sealed)


def _stored(session: Session, sealed: Sealed) -> LookUp:
    sealer = sealer_of(session)

    def stored(row: StoredProfile) -> Credential | SecretProblem | None:
        if row.profile.secret is None:
            return None
        if sealer is None:
            raise no_key()
        token = sealed.get(row.account, {}).get(row.name)
        if token is None:
            return SecretProblem("secret-missing", "The store has no credential for it.", "")
        opened = sealer.open(token, binding_of(row.account, row.name, row.profile))
        if opened is None:
            told = "Its stored credential does not open with the keys given."
            return SecretProblem("credential-unreadable", told, "")
        return opened

    return stored


def _lacking(row: StoredProfile, answer: SecretProblem) -> TestResult:
    """The outcomes are few: what is wrong with a secret otherwise is told by the sentence."""
    outcome = ConnectionOutcome.SECRET_MISSING
    if answer.code == "secret-not-bound":
        outcome = ConnectionOutcome.SECRET_NOT_BOUND
    return TestResult(row.account.namespace, row.name, outcome, answer.message, 0.0)


def _named(names: Sequence[str], profiles: Sequence[StoredProfile]) -> list[StoredProfile]:
    """Two accounts of one namespace may each have a profile of one name: both are meant."""
    findings: list[Finding] = []
    chosen: set[int] = set()
    for name in names:
        meant = [row for row in profiles if name in (row.name, _full(row))]
        if len({row.account.namespace for row in meant}) == 1:
            chosen.update(row.id for row in meant)
        else:
            findings.append(_unclear(name, meant, profiles))
    if findings:
        raise ProblemError(*findings)
    return [row for row in profiles if row.id in chosen]


def _full(row: StoredProfile) -> str:
    return f"{row.account.namespace}/{row.name}"


def _unclear(
    name: str, meant: Sequence[StoredProfile], profiles: Sequence[StoredProfile]
) -> Finding:
    if meant:
        return finding(
            "unknown-profile",
            f"Profiles of several namespaces are named `{name}`.",
            hint=f"Say which one: {', '.join(map(_full, meant))}.",
        )
    near = suggestion(name, [*map(_full, profiles), *(row.name for row in profiles)]).strip()
    return finding(
        "unknown-profile",
        f"The store has no profile `{name}`.",
        hint=near or "Name it as NAME or NAMESPACE/NAME; only what was applied can be tested.",
    )
