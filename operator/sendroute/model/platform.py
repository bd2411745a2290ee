"""The platform: its relays and its service plans."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from sendroute.model.profile import Encryption
from sendroute.model.route import MANAGED, UNCONFIGURED, Route
from sendroute.model.stored_values import (
    MOST_NETWORKS,
    MOST_PLANS,
    MOST_PORTS,
    StoredDisplayName,
    StoredFilePath,
    StoredHost,
    StoredHostName,
    StoredLabel,
    StoredLimit,
    StoredNetwork,
    StoredPort,
    StoredSeconds,
    StoredSecretName,
    StoredSpfTerm,
    is_network,
)


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

    display_name: StoredDisplayName | None
    host: StoredHost
    ports: Annotated[tuple[PublicPort, ...], Meta(max_length=MOST_PORTS)]
    relay: Relay
    spf: StoredSpfTerm | None = None


class PlanLimits(Struct, frozen=True, gc=False):
    """Messages per day, of the whole account and of one mailbox; None for no limit."""

    account_per_day: StoredLimit | None = None
    mailbox_per_day: StoredLimit | None = None


class ServicePlan(Struct, frozen=True):
    """A tier of the platform: whether it offers managed sending, and its limits."""

    name: StoredLabel
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
    plans: Annotated[tuple[ServicePlan, ...], Meta(max_length=MOST_PLANS)]
    allow_networks: Annotated[tuple[StoredNetwork, ...], Meta(max_length=MOST_NETWORKS)] = ()
    ca_file: StoredFilePath | None = None
    helo_name: StoredHostName | UnsetType = UNSET
    test_timeout: StoredSeconds | UnsetType = UNSET
    bounces: Relay | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not all(map(is_network, self.allow_networks)):
            raise ValueError("not a network")
        if len({plan.name for plan in self.plans}) != len(self.plans):
            raise ValueError("two service plans have one name")
        if self.managed is None and any(plan.managed for plan in self.plans):
            raise ValueError("a service plan has managed sending, and the platform has not")

    @property
    def null_sender_relay(self) -> Relay | None:
        """The relay that mail of the null sender takes; None if that mail is refused."""
        if self.bounces is not UNSET:
            return self.bounces
        return self.managed.relay if self.managed is not None else None

    def plan(self, name: str) -> ServicePlan | None:
        """Return the service plan of that name, None if the platform does not define it."""
        return next((plan for plan in self.plans if plan.name == name), None)
