"""The platform: its managed relay and its plans."""

from msgspec import Struct

from sendroute.model.profile import Encryption
from sendroute.model.route import MANAGED, UNCONFIGURED, Route


class PublicPort(Struct, frozen=True, gc=False):
    """A port of the managed service that users are shown."""

    port: int
    encryption: Encryption


class Relay(Struct, frozen=True):
    """The host that managed mail is handed to. ``secret`` is a name in the platform's namespace."""

    host: str
    port: int
    encryption: Encryption
    secret: str | None = None
    allow_insecure_auth: bool = False


class Managed(Struct, frozen=True):
    display_name: str | None
    host: str
    ports: tuple[PublicPort, ...]
    relay: Relay
    spf: str | None = None


class PlanLimits(Struct, frozen=True, gc=False):
    """Messages a day: of the whole account, of one mailbox."""

    account_per_day: int | None = None
    mailbox_per_day: int | None = None


class ServicePlan(Struct, frozen=True):
    """A tier of the platform: whether it offers managed sending, and its limits."""

    name: str
    managed: bool
    limits: PlanLimits = PlanLimits()

    @property
    def plan_default(self) -> Route:
        """The plan's own default: managed where the plan offers it, else unconfigured."""
        return MANAGED if self.managed else UNCONFIGURED


class Platform(Struct, frozen=True):
    """``plans`` is sorted by name, so that the order of a manifest never makes a change."""

    managed: Managed | None
    plans: tuple[ServicePlan, ...]
    allow_networks: tuple[str, ...] = ()
    ca_file: str | None = None

    def plan(self, name: str) -> ServicePlan | None:
        return next((plan for plan in self.plans if plan.name == name), None)
