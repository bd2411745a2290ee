"""Which secrets exist, and which of them have other content than when they were saved."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import assert_never

from msgspec import Struct

from sendroute.model.change import (
    AccountChange,
    Change,
    DomainChange,
    PlatformChange,
    ProfileChange,
)
from sendroute.model.codes import Code, finding
from sendroute.model.credential import Credential, EncryptedCredentials
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.owner import BOUNCES, PLATFORM, RELAY, Owner, relays_of
from sendroute.model.platform import Relay
from sendroute.model.problem import ProblemError
from sendroute.model.profile import Profile
from sendroute.model.remedy import Configure, Setting
from sendroute.model.secret import Resave, SecretBinding, SecretProblem, binding_of, secret_ref
from sendroute.model.words import first_of
from sendroute.planner.profiles import needs_test
from sendroute.reconcile.protocols import CredentialCipher, SecretResolver

Failed = Mapping[Owner, Mapping[str, str]]
"""Profiles that may not be saved, by account, each with the code of the reason."""
Rotated = Mapping[Owner, Mapping[str, Resave]]
"""Profiles whose credential is saved again, by account, each with why."""


Undecryptable = Collection[tuple[Owner, str]]
"""Credentials of a key that was lost, by owner and profile."""

_LISTED = 5
_FIELDS = {RELAY: "managed", BOUNCES: "bounces"}
"""The fields of a MailPlatform that hold its relays."""


Destination = Profile | Relay | None


def destinations(change: Change) -> Iterator[tuple[Owner, str, Destination, Destination]]:
    """The owner and the name of each destination that a change writes, before and after."""
    match change:
        case ProfileChange():
            yield change.account, change.name, change.before, change.after
        case PlatformChange():
            before = relays_of(change.before)
            for name, relay in relays_of(change.after).items():
                yield PLATFORM, name, before.get(name), relay
        case AccountChange() | DomainChange():
            return
        case _:
            assert_never(change)


class CheckedEndpoint(Struct, frozen=True):
    """A profile, or a relay of the platform: its desired and its current state; None if the store
    does not have it."""

    key: Owner
    name: str
    desired: Profile | Relay
    current: Profile | Relay | None
    where: Where

    @property
    def binding(self) -> SecretBinding:
        """What its credential is encrypted for."""
        return binding_of(self.key, self.name, self.desired)

    @property
    def title(self) -> str:
        return self.binding.title

    @property
    def account(self) -> AccountKey | None:
        """The account of the profile; None for a relay of the platform."""
        return None if self.key is PLATFORM else self.key

    @property
    def needs_test(self) -> bool:
        """Whether it is new, or changed in what a connection test proves."""
        return needs_test(self.current, self.desired)


class SecretCheck(Struct, frozen=True):
    """The result of checking the secrets of one plan.

    ``failed`` and ``rotated`` are inputs of the planner. ``findings`` are by account; those of the
    platform belong to no account. ``uncompared`` counts the secrets that were not compared with
    the saved credentials.
    """

    failed: Failed = MappingProxyType({})
    rotated: Rotated = MappingProxyType({})
    findings: Mapping[Owner, tuple[Finding, ...]] = MappingProxyType({})
    uncompared: int = 0

    def is_rotated(self, endpoint: CheckedEndpoint) -> bool:
        """Whether its credential is saved again."""
        return endpoint.name in self.rotated.get(endpoint.key, {})


def endpoints(
    desired: Desired, current: Current, only: frozenset[AccountKey] | None = None
) -> Iterator[CheckedEndpoint]:
    """Every endpoint that may be written, in order, without suspended ones and without those of an
    account that is stopped by its documents or that is not in ``only`` (None: all accounts)."""
    platform = desired.platform
    if platform is not None and not platform.suspended:
        saved = relays_of(current.platform)
        for name, relay in relays_of(platform.platform).items():
            where = platform.where.at("spec", _FIELDS[name], "relay", "credentials")
            yield CheckedEndpoint(PLATFORM, name, relay, saved.get(name), where)
    for key, account in sorted(desired.accounts.items()):
        if account.suspended or key in desired.stopped or (only is not None and key not in only):
            continue
        before = current.accounts[key].profiles if key in current.accounts else {}
        for name, profile in sorted(account.profiles.items()):
            if not profile.suspended:
                inline = () if profile.inline_in is None else ("route", "newProfile")
                where = profile.where.at("spec", *inline, "credentials")
                yield CheckedEndpoint(key, name, profile.profile, before.get(name), where)


def look_up(
    secrets: SecretResolver, endpoint: CheckedEndpoint
) -> Credential | SecretProblem | None:
    """Look up the credential of an endpoint.

    Args:
        secrets: the secrets of the run.
        endpoint: the profile or relay, as the manifests declare it.

    Returns:
        The credential, or why it is unavailable; None if the endpoint refers to no secret.
    """
    desired = endpoint.desired
    ref = secret_ref(endpoint.key, desired)
    if ref is None:
        return None
    username = desired.username if isinstance(desired, Profile) else None
    return secrets.credential(ref, desired.host, desired.port, username)


def check_secrets(
    secrets: SecretResolver,
    cipher: CredentialCipher | None,
    endpoints: Iterator[CheckedEndpoint],
    encrypted: EncryptedCredentials,
    *,
    required: bool,
    saves: bool,
    shown: Rotated | None = None,
    undecryptable: Undecryptable = frozenset(),
) -> SecretCheck:
    """Check the secrets of the endpoints against the stored credentials.

    Args:
        secrets: where secrets come from.
        cipher: encrypts and compares; None without a key.
        endpoints: what may be written.
        encrypted: the stored credentials.
        required: whether a secret that does not exist counts as missing.
        saves: whether the plan will be applied; then a key is needed.
        shown: the rotated secrets that a saved plan has shown; then no others are searched for.
        undecryptable: the credentials of a key that was lost when the store was created from a
            backup. They are encrypted again from their secrets.

    Returns:
        The failed profiles, the rotated secrets and the findings.

    Raises:
        ProblemError: there is no key to encrypt with (``key-missing``), or none of the stored
            credentials can be decrypted with the given keys (``credential-unreadable``).
    """
    check = _SecretChecker(secrets, cipher, required or secrets.given, saves, shown, undecryptable)
    return check.run(endpoints, encrypted)


class _SecretChecker:
    """One run of :func:`check_secrets`, with its results so far."""

    def __init__(
        self,
        secrets: SecretResolver,
        cipher: CredentialCipher | None,
        required: bool,
        saves: bool,
        shown: Rotated | None,
        undecryptable: Undecryptable,
    ) -> None:
        self._secrets = secrets
        self._cipher = cipher
        self._required = required
        self._saves = saves
        self._shown = shown
        self._undecryptable = undecryptable
        self._lost: list[tuple[CheckedEndpoint, SecretProblem]] = []
        self._failed: dict[Owner, dict[str, str]] = {}
        self._rotated: dict[Owner, dict[str, Resave]] = {}
        self._findings: dict[Owner, list[Finding]] = {}
        self._uncompared = 0
        self._has_no_key = False

    def run(
        self, endpoints: Iterator[CheckedEndpoint], encrypted: EncryptedCredentials
    ) -> SecretCheck:
        decrypted, undecrypted = 0, list[CheckedEndpoint]()
        for endpoint in endpoints:
            token = encrypted.get(endpoint.key, {}).get(endpoint.name)
            match self._decrypts(endpoint, token):
                case True:
                    decrypted += 1
                case False:
                    undecrypted.append(endpoint)
        if not decrypted and not all(map(self._is_undecryptable, undecrypted)):
            raise ProblemError(_wrong_key(len(undecrypted)))
        if self._lost and not (decrypted or undecrypted or self._rotated):
            lost = _lost_key([endpoint for endpoint, _ in self._lost])
            if self._required:
                raise ProblemError(lost)
            self._findings.setdefault(PLATFORM, []).append(lost)
        else:
            for endpoint, answer in self._lost:
                self._report_lost(endpoint, answer)
        if self._has_no_key:
            self._findings.setdefault(PLATFORM, []).append(no_key())
        for endpoint in undecrypted:
            self._rotate(endpoint, Resave.LOST)
            self._report_undecrypted(endpoint)
        return SecretCheck(
            MappingProxyType({k: MappingProxyType(names) for k, names in self._failed.items()}),
            MappingProxyType({k: MappingProxyType(names) for k, names in self._rotated.items()}),
            MappingProxyType({key: tuple(findings) for key, findings in self._findings.items()}),
            self._uncompared,
        )

    def _decrypts(self, endpoint: CheckedEndpoint, token: str | None) -> bool | None:
        """Whether the stored credential could be decrypted; None if that was not tried."""
        shown = self._shown is not None
        rotated = (self._shown or {}).get(endpoint.key, {}).get(endpoint.name)
        if rotated is not None and not self._is_saved(endpoint, token):
            self._rotate(endpoint, rotated)
        needs_test = endpoint.needs_test or rotated is not None
        if endpoint.desired.secret is None:
            return None
        if shown and not needs_test and not self._is_undecryptable(endpoint):
            return None
        if not self._required:
            self._without_secrets(endpoint, token, needs_test)
            return None
        answer = look_up(self._secrets, endpoint)
        if not isinstance(answer, Credential):
            if answer is not None and not needs_test and self._is_lost(endpoint, token):
                self._lost.append((endpoint, answer))
            elif answer is not None and not (shown and not needs_test):
                self._report_unavailable(endpoint, answer, token, needs_test)
            return None
        if shown and not needs_test:
            return None
        if self._cipher is None and (needs_test or token is None):
            if self._saves:
                raise ProblemError(no_key())
            self._has_no_key = True
        if needs_test:
            return None
        if token is None:
            self._rotate(endpoint, Resave.LOST)
            return None
        if self._cipher is None:
            self._uncompared += 1
            return None
        binding = endpoint.binding
        holds = self._cipher.holds(token, binding, answer)
        if holds is False:
            self._rotate(endpoint, Resave.ROTATED)
        return holds is not None

    def _without_secrets(
        self, endpoint: CheckedEndpoint, token: str | None, needs_test: bool
    ) -> None:
        """No secrets are given, and nothing will be saved: only what the store shows is known."""
        if needs_test:
            self._report_unseen(endpoint)
            return
        answer = look_up(self._secrets, endpoint)
        if isinstance(answer, SecretProblem) and self._is_lost(endpoint, token):
            self._lost.append((endpoint, answer))
        else:
            self._uncompared += 1

    def _is_undecryptable(self, endpoint: CheckedEndpoint) -> bool:
        return (endpoint.key, endpoint.name) in self._undecryptable

    def _is_lost(self, endpoint: CheckedEndpoint, token: str | None) -> bool:
        """Whether the key of a stored credential was lost, and is not among the given keys."""
        if token is None or self._cipher is None or not self._is_undecryptable(endpoint):
            return False
        binding = endpoint.binding
        return self._cipher.holds(token, binding, Credential("", "")) is None

    def _is_saved(self, endpoint: CheckedEndpoint, token: str | None) -> bool:
        """Whether the rotated content that the saved plan has shown is saved already."""
        answer = look_up(self._secrets, endpoint)
        if token is None or self._cipher is None or not isinstance(answer, Credential):
            return False
        binding = endpoint.binding
        return self._cipher.holds(token, binding, answer) is True

    def _rotate(self, endpoint: CheckedEndpoint, resave: Resave) -> None:
        self._rotated.setdefault(endpoint.key, {})[endpoint.name] = resave

    def _report_unavailable(
        self, endpoint: CheckedEndpoint, answer: SecretProblem, token: str | None, needs_test: bool
    ) -> None:
        code, message, severity = answer.code, answer.message, None
        if needs_test:
            self._failed.setdefault(endpoint.key, {})[endpoint.name] = answer.code
        elif token is None:
            message = f"{answer.message} The store has no saved credential for {endpoint.title}."
            severity = Severity.WARNING
        elif self._secrets.given:
            code = "secret-not-compared"
            message = (
                f"{answer.message} {endpoint.title.capitalize()} keeps signing in with the saved"
                " credential."
            )
            # A secret that exists but is unusable is most likely a rotation that went wrong.
            is_there = answer.is_partial or answer.code != Code.SECRET_MISSING
            severity = Severity.WARNING if is_there else None
        else:
            self._uncompared += 1
            return
        self._report(endpoint, code, message, answer, severity)

    def _report_lost(self, endpoint: CheckedEndpoint, answer: SecretProblem) -> None:
        message = (
            f"{answer.message} The stored credential of {endpoint.title} was encrypted with the"
            " lost key, so nothing can be sent with it."
        )
        self._report(endpoint, answer.code, message, answer, None)

    def _report_unseen(self, endpoint: CheckedEndpoint) -> None:
        self._report(
            endpoint,
            "secret-not-compared",
            f"Whether {endpoint.title} can be saved is not known here, because no secrets were"
            " given: its secret may be missing or unusable.",
            SecretProblem(
                "secret-not-compared",
                "",
                "Applying checks the secret. To check it now, give the secrets.",
                Configure(Setting.SECRETS),
            ),
            None,
        )

    def _report_undecrypted(self, endpoint: CheckedEndpoint) -> None:
        if self._is_undecryptable(endpoint):
            message = (
                f"The stored credential of {endpoint.title} was encrypted with the lost key; it is"
                " encrypted again from its secret."
            )
            nothing = SecretProblem("credential-unreadable", "", "")
            self._report(endpoint, "credential-unreadable", message, nothing, Severity.INFO)
            return
        hint = "Check which other process writes to the store, and whether a key is missing."
        self._report(
            endpoint,
            "credential-unreadable",
            f"The stored credential of {endpoint.title} cannot be decrypted with the given keys, or"
            " was encrypted for another destination; the credential is saved again.",
            SecretProblem("credential-unreadable", "", hint),
            Severity.WARNING,
        )

    def _report(
        self,
        endpoint: CheckedEndpoint,
        code: str,
        message: str,
        problem: SecretProblem,
        severity: Severity | None,
    ) -> None:
        self._findings.setdefault(endpoint.key, []).append(
            finding(
                code,
                message,
                hint=problem.hint or None,
                remedy=problem.remedy,
                where=endpoint.where,
                account=endpoint.account,
                profile=None if endpoint.account is None else endpoint.name,
                severity=severity,
                cause=problem.code if problem.code != code else None,
            )
        )


def report_uncompared(count: int, secrets: SecretResolver) -> tuple[Finding, ...]:
    """One finding for all secrets that were not compared: a store may hold thousands."""
    if not count:
        return ()
    subject = "The secret of 1 saved profile was" if count == 1 else f"{count} secrets were"
    reason = "no key was" if secrets.given else "no secrets were"
    return (
        finding(
            "secret-not-compared",
            f"{subject} not compared with the saved credentials, because {reason} given.",
            hint=f"To see rotated secrets, give the {'key' if secrets.given else 'secrets'}.",
            remedy=Configure(Setting.KEY if secrets.given else Setting.SECRETS),
        ),
    )


def no_key() -> Finding:
    """Return the finding ``key-missing``: there is no key to encrypt or decrypt credentials
    with."""
    return finding(
        "key-missing",
        "The key of the credentials in the store was not given; nothing was done.",
        hint="Give the key that was created with the store.",
        remedy=Configure(Setting.KEY),
    )


def _lost_key(endpoints: Sequence[CheckedEndpoint]) -> Finding:
    """The key was lost, and no secret is given to encrypt any credential again."""
    named = first_of([endpoint.title for endpoint in endpoints], _LISTED)
    return finding(
        "credential-unreadable",
        "The stored credentials were encrypted with a lost key, and none of their secrets is"
        f" given: {named}.",
        hint="Nothing was changed. If you have the old key, add it below the new one. Otherwise"
        " give the secrets.",
        remedy=Configure(Setting.SECRETS),
    )


def _wrong_key(count: int) -> Finding:
    subject = "The stored credential" if count == 1 else f"None of {count} stored credentials"
    return finding(
        "credential-unreadable",
        f"{subject} {'cannot' if count == 1 else 'can'} be decrypted with the given key.",
        hint="If the key is lost, create the store again from a backup or its lock file: then"
        " credentials are encrypted again from their secrets. Otherwise give the right key.",
        remedy=Configure(Setting.KEY),
    )
