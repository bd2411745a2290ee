"""Which secrets are there, and which of them have another content than when they were saved."""

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from sendroute.model.codes import finding
from sendroute.model.credential import Credential
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.owner import PLATFORM, RELAY, Owner
from sendroute.model.platform import Relay
from sendroute.model.problem import ProblemError
from sendroute.model.profile import Profile
from sendroute.model.remedy import Configure, Setting
from sendroute.model.secret import PLATFORM_NAMESPACE, SecretProblem, SecretRef, binding_of
from sendroute.planner.platform import relay_of
from sendroute.planner.profiles import needs_test
from sendroute.reconcile.protocols import Sealer, Secrets
from sendroute.reconcile.record import Sealed

Failed = Mapping[Owner, Mapping[str, str]]
Rotated = Mapping[Owner, frozenset[str]]


class Endpoint(Struct, frozen=True):
    """A profile, or the managed relay under the platform's key, as it is wanted and as it is
    held (None: it is new)."""

    key: Owner
    name: str
    desired: Profile | Relay
    current: Profile | Relay | None
    where: Where

    @property
    def called(self) -> str:
        return "the managed relay" if self.key is PLATFORM else f"profile {self.name}"

    @property
    def tried(self) -> bool:
        """Whether it is new, or changed in what a connection test proves."""
        return needs_test(self.current, self.desired)


class SecretCheck(Struct):
    """``failed`` and ``rotated`` as the planner takes them; ``findings`` by account, those of the
    platform's key are no account's; ``unknown`` counts what was not compared."""

    failed: dict[Owner, dict[str, str]] = field(default_factory=dict)
    rotated: dict[Owner, frozenset[str]] = field(default_factory=dict)
    findings: dict[Owner, list[Finding]] = field(default_factory=dict)
    unknown: int = 0

    def tell(self, endpoint: Endpoint, code: str, message: str, **more: object) -> None:
        told = finding(code, message, where=endpoint.where, **more)  # type: ignore[arg-type]
        self.findings.setdefault(endpoint.key, []).append(told)

    def is_rotated(self, endpoint: Endpoint) -> bool:
        """Whether its secret has other content than when it was saved."""
        return endpoint.name in self.rotated.get(endpoint.key, frozenset())

    def turn(self, endpoint: Endpoint) -> None:
        known = self.rotated.get(endpoint.key, frozenset())
        self.rotated[endpoint.key] = known | {endpoint.name}


def endpoints(
    desired: Desired, current: Current, only: frozenset[AccountKey] | None = None
) -> Iterator[Endpoint]:
    """Everything that may be written, in order: nothing suspended, nothing of an account that is
    stopped by its documents or that ``only`` leaves out."""
    platform = desired.platform
    if platform is not None and not platform.suspended:
        relay = relay_of(platform.platform)
        if relay is not None:
            where = platform.where.at("spec", "managed", "relay", "credentials")
            yield Endpoint(PLATFORM, RELAY, relay, relay_of(current.platform), where)
    for key, account in sorted(desired.accounts.items()):
        if account.suspended or key in desired.stopped or (only is not None and key not in only):
            continue
        before = current.accounts[key].profiles if key in current.accounts else {}
        for name, profile in sorted(account.profiles.items()):
            if not profile.suspended:
                inline = () if profile.inline_in is None else ("route", "newProfile")
                where = profile.where.at("spec", *inline, "credentials")
                yield Endpoint(key, name, profile.profile, before.get(name), where)


def look_up(secrets: Secrets, endpoint: Endpoint) -> Credential | SecretProblem | None:
    """None where it names no secret."""
    desired = endpoint.desired
    if desired.secret is None:
        return None
    namespace = PLATFORM_NAMESPACE if endpoint.key is PLATFORM else endpoint.key.namespace
    username = desired.username if isinstance(desired, Profile) else None
    ref = SecretRef(namespace, desired.secret)
    return secrets.credential(ref, desired.host, desired.port, username)


class SecretChecker:
    """``looks``: whether a secret that is not there counts as missing; ``shown`` are the changes
    of secrets that a saved plan has shown: then no other one is looked for."""

    def __init__(
        self,
        secrets: Secrets,
        sealer: Sealer | None,
        *,
        looks: bool,
        saves: bool,
        shown: Rotated | None = None,
    ) -> None:
        self._secrets = secrets
        self._sealer = sealer
        self._looks = looks or secrets.given
        self._saves = saves
        self._shown = shown

    def of(
        self, desired: Desired, current: Current, sealed: Sealed, only: frozenset[AccountKey] | None
    ) -> SecretCheck:
        """Raises :class:`ProblemError` where there is no key to seal with, or only wrong ones."""
        compared = SecretCheck()
        opened, closed = 0, list[Endpoint]()
        for endpoint in endpoints(desired, current, only):
            token = sealed.get(endpoint.key, {}).get(endpoint.name)
            match self._one(endpoint, token, compared):
                case True:
                    opened += 1
                case False:
                    closed.append(endpoint)
        if closed and not opened:
            raise ProblemError(_wrong_key(len(closed)))
        for endpoint in closed:
            compared.turn(endpoint)
            _tell_closed(endpoint, compared)
        return compared

    def _one(self, endpoint: Endpoint, token: str | None, compared: SecretCheck) -> bool | None:
        """Whether the token opened; None where that was not tried."""
        shown = self._shown is not None
        turned = shown and endpoint.name in (self._shown or {}).get(endpoint.key, frozenset())
        if turned and not self._is_saved(endpoint, token):
            compared.turn(endpoint)
        tried = endpoint.tried or turned
        if endpoint.desired.secret is None or (shown and not tried):
            return None
        if not self._looks:
            compared.unknown += not tried
            return None
        answer = look_up(self._secrets, endpoint)
        if not isinstance(answer, Credential):
            if answer is not None:
                self._lacking(endpoint, answer, token, compared, tried=tried)
            return None
        if self._saves and self._sealer is None and (tried or token is None):
            raise ProblemError(no_key())
        if tried:
            return None
        if token is None:
            compared.turn(endpoint)
            return None
        if self._sealer is None:
            compared.unknown += 1
            return None
        binding = binding_of(endpoint.key, endpoint.name, endpoint.desired)
        holds = self._sealer.holds(token, binding, answer)
        if holds is False:
            compared.turn(endpoint)
        return holds is not None

    def _is_saved(self, endpoint: Endpoint, token: str | None) -> bool:
        """Whether the content that was shown to change has been saved since."""
        answer = look_up(self._secrets, endpoint)
        if token is None or self._sealer is None or not isinstance(answer, Credential):
            return False
        binding = binding_of(endpoint.key, endpoint.name, endpoint.desired)
        return self._sealer.holds(token, binding, answer) is True

    def _lacking(
        self,
        endpoint: Endpoint,
        answer: SecretProblem,
        token: str | None,
        compared: SecretCheck,
        *,
        tried: bool,
    ) -> None:
        account = endpoint.key if endpoint.key is not PLATFORM else None
        if tried:
            compared.failed.setdefault(endpoint.key, {})[endpoint.name] = answer.code
            compared.tell(
                endpoint,
                answer.code,
                answer.message,
                hint=answer.hint,
                remedy=answer.remedy,
                account=account,
            )
        elif token is None:
            message = f"{answer.message} The store has none for {endpoint.called} either."
            compared.tell(
                endpoint,
                answer.code,
                message,
                hint=answer.hint,
                remedy=answer.remedy,
                account=account,
                severity=Severity.WARNING,
            )
        elif self._secrets.given:
            message = f"{answer.message} {endpoint.called.capitalize()} stays as it was saved."
            # One that is there but cannot be used is most likely a rotation that went wrong.
            spoilt = answer.code != "secret-missing"
            compared.tell(
                endpoint,
                "secret-not-compared",
                message,
                hint=answer.hint,
                remedy=answer.remedy,
                account=account,
                severity=Severity.WARNING if spoilt else None,
            )
        else:
            compared.unknown += 1


def tell_unknown(count: int, secrets: Secrets) -> tuple[Finding, ...]:
    """One line for all of them: a store may hold thousands."""
    if not count:
        return ()
    many = "The secret of 1 saved profile was" if count == 1 else f"{count} secrets were"
    why = "no key was" if secrets.given else "no secrets were"
    return (
        finding(
            "secret-not-compared",
            f"{many} not compared with the saved credentials, because {why} given.",
            hint=f"To see rotated secrets, give the {'key' if secrets.given else 'secrets'}.",
            remedy=Configure(Setting.KEY if secrets.given else Setting.SECRETS),
        ),
    )


def no_key() -> Finding:
    return finding(
        "key-missing",
        "The key of the credentials in the store was not given; nothing was done.",
        hint="Give the key that was created with the store.",
        remedy=Configure(Setting.KEY),
    )


def _wrong_key(count: int) -> Finding:
    many = "The stored credential does" if count == 1 else f"None of {count} stored credentials"
    return finding(
        "credential-unreadable",
        f"{many} {'not open' if count == 1 else 'opens'} with the key given.",
        hint="If the key is lost, create the store again from its lock file: credentials are then"
        " saved again from their secrets. Otherwise give the right key.",
        remedy=Configure(Setting.KEY),
    )


def _tell_closed(endpoint: Endpoint, compared: SecretCheck) -> None:
    compared.tell(
        endpoint,
        "credential-unreadable",
        f"The stored credential of {endpoint.called} does not open with the keys given, or was"
        " not sealed for it; it is saved anew.",
        hint="Look for who else writes to the store, or for a key that is not given here.",
        account=endpoint.key if endpoint.key is not PLATFORM else None,
        severity=Severity.WARNING,
    )
