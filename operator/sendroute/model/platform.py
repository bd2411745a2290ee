"""The platform: its relays and its service plans."""

from msgspec import UNSET, Struct, UnsetType

from sendroute.model.profile import Encryption
from sendroute.model.route import MANAGED, UNCONFIGURED, Route
from sendroute.model.stored_names import StoredHost, StoredPort, StoredSecretName


class PublicPort(Struct, frozen=True, gc=False):
    """A port of the managed service that is shown to users."""

    port: StoredPort
    encryption: Encryption


class Relay(Struct, frozen=True):
    """A host that relays mail for the platform: managed mail, or bounces. ``secret`` is a name in
    the platform's namespace."""

    host: StoredHost
    port: StoredPort
    encryption: Encryption
    secret: StoredSecretName | None = None
    allow_insecure_auth: bool = False


class Managed(Struct, frozen=True):
    """Managed sending: what users are shown (``display_name``, ``host``, ``ports``, ``spf``) and
    the relay behind it."""

    display_name: str | None
    host: StoredHost
    ports: tuple[PublicPort, ...]
    relay: Relay
    spf: str | None = None


class PlanLimits(Struct, frozen=True, gc=False):
    """Messages per day, of the whole account and of one mailbox; None for no limit."""

    account_per_day: int | None = None
    mailbox_per_day: int | None = None


class ServicePlan(Struct, frozen=True):
    """A tier of the platform: whether it offers managed sending, and its limits."""

    name: str
    managed: bool
    limits: PlanLimits = PlanLimits()

    @property
    def plan_default(self) -> Route:
        """The default of a new domain: managed if the service plan offers it, else unconfigured."""
        return MANAGED if self.managed else UNCONFIGURED


class Platform(Struct, frozen=True):
    """``plans`` is sorted by name, so that the order in a manifest never causes a change.
    ``bounces`` is the relay that the null sender's mail takes; unset for the managed relay.
    ``helo_name`` is the name for EHLO, ``test_timeout`` the seconds of a connection test; unset for
    the default of :mod:`~sendroute.model.smtp_client`. What is unset is no part of a digest, so
    earlier plans and approvals stay valid."""

    managed: Managed | None
    plans: tuple[ServicePlan, ...]
    allow_networks: tuple[str, ...] = ()
    ca_file: str | None = None
    helo_name: str | UnsetType = UNSET
    test_timeout: int | UnsetType = UNSET
    bounces: Relay | UnsetType = UNSET

    @property
    def null_sender_relay(self) -> Relay | None:
        """The relay that mail of the null sender takes; None if that mail is refused."""
        if self.bounces is not UNSET:
            return self.bounces
        return self.managed.relay if self.managed is not None else None

    def plan(self, name: str) -> ServicePlan | None:
        """Return the service plan of that name, None if the platform does not define it."""
        return next((plan for plan in self.plans if plan.name == name), None)
