"""The content of a store as manifests. Applied to that store or to an empty one, they give every
domain the route that it has, unless a finding reports another one."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeGuard

from sendroute.model.codes import finding
from sendroute.model.current import DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.export import AccountExport, StoreExport, object_name
from sendroute.model.finding import Finding, Severity
from sendroute.model.manifest_form import as_manifest
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.profile import Profile
from sendroute.model.remedy import Perform, Task
from sendroute.model.route import UNCONFIGURED, Route, RouteKind

API_VERSION = "sendroute.dev/v1alpha1"
_LABEL = 63
_NAMED = 3
DocumentFields = dict[str, Any]


class ExportFile(NamedTuple):
    """Documents of one file: ``path`` is relative, without an extension. The documents are read
    from the store while they are iterated, before the next batch."""

    path: str
    documents: Iterator[DocumentFields]


def manifests_of(store: StoreExport, report: Callable[[Finding], None]) -> Iterator[ExportFile]:
    """Write what a store declares as manifests: the platform, then each account with its profiles
    and domains, in the order of their names.

    A declared route that is no longer available (its profile was removed, or the plan no longer
    offers managed) is left out, because a manifest with it would be refused. A domain without a
    declared route whose assigned route is not the one of a new domain gets its assigned route as
    the declared one, because another store would give it the route of a new domain. A declared
    route is kept, also if an apply-all assigned another one.

    Args:
        store: what the store declares. It is read while the batches are read.
        report: called with a finding for each route that is left out, and for each account whose
            domains get their assigned routes declared, or would have other routes in another store.

    Yields:
        The documents of the platform, then of each account.
    """
    if store.platform is not None:
        yield ExportFile("platform", iter([_platform(store.platform)]))
    for account in store.accounts:
        plan = store.platform.plan(account.state.plan) if store.platform else None
        exporter = _Exporter(account, plan, store.ambiguous, report)
        yield ExportFile(f"{account.key.namespace}/{account.key.name}", exporter.documents())


class _Exporter:
    """Writes one account's documents."""

    def __init__(
        self,
        account: AccountExport,
        plan: ServicePlan | None,
        ambiguous: frozenset[tuple[str, str]],
        report: Callable[[Finding], None],
    ) -> None:
        self.account = account
        self.plan = plan
        self.ambiguous = ambiguous
        self.report = report
        # A million domains declare few routes, so equal routes are one value.
        self.forms: dict[Route, DocumentFields] = {}
        self.default = plan.plan_default if plan is not None else UNCONFIGURED
        self.declared = _DomainNames()
        self.elsewhere = _DomainNames()

    def documents(self) -> Iterator[DocumentFields]:
        yield self._account()
        for name, profile in self.account.profiles.items():
            yield self._profile(name, profile)
        for name, state in self.account.domains:
            yield self._domain(name, state)
        if self.declared.count:
            self.report(_now_declared(self.account.key, self.declared))
        if self.elsewhere.count:
            self.report(_elsewhere(self.account.key, self.elsewhere))

    def _account(self) -> DocumentFields:
        state = self.account.state
        spec: DocumentFields = {"plan": state.plan}
        if self._can_declare(state.default, "The default of the account"):
            spec["defaultRoute"] = state.default.as_manifest()
            self.default = state.default
        if state.logins:
            spec["submission"] = {"logins": list(state.logins)}
        return self._document("MailAccount", self.account.key.name, spec)

    def _profile(self, name: str, profile: Profile) -> DocumentFields:
        spec = {"account": self.account.key.name, **as_manifest(profile)}
        # The preset of `provider` sets it; it is no field of a manifest.
        spec.pop("username", None)
        usual = as_manifest(Profile(profile.host, profile.port, profile.encryption))
        for field in ("connectionTest", "senderAuthorization"):
            if spec[field] == usual[field]:
                del spec[field]
        if profile.reassign_to is not None and not self._can_declare(
            profile.reassign_to, f"The onDelete of profile {name}"
        ):
            spec.pop("onDelete")
        return self._document("SMTPProfile", name, spec)

    def _domain(self, name: str, state: DomainState) -> DocumentFields:
        spec: DocumentFields = {"account": self.account.key.name, "domain": name}
        declared, elsewhere = state.declared, self.default
        if self._can_declare(declared, f"The declared route of {name}"):
            spec["route"] = self._form(declared)
            if state.overrides is not None:
                spec["overrides"] = state.overrides
            elsewhere = declared
        elif state.route != self.default and self._is_available(state.route):
            spec["route"] = self._form(state.route)
            self.declared.add(name)
            elsewhere = state.route
        if elsewhere != state.route:
            self.elsewhere.add(name)
        return self._document("SendingDomain", self._object_name(name), spec)

    def _form(self, route: Route) -> DocumentFields:
        form = self.forms.get(route)
        if form is None:
            form = self.forms[route] = route.as_manifest()
        return form

    def _object_name(self, domain: str) -> str:
        """Unique in the namespace, and the same in every export."""
        name = object_name(domain)
        ambiguous = (self.account.key.namespace, name) in self.ambiguous
        return _distinct(domain, name) if ambiguous or len(name) > _LABEL else name

    def _document(self, kind: str, name: str, spec: DocumentFields) -> DocumentFields:
        metadata = {"name": name, "namespace": self.account.key.namespace}
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}

    def _can_declare(self, route: Route | None, subject: str) -> TypeGuard[Route]:
        """Whether a manifest with this route would be valid. Reports a route that is left out."""
        if route is None:
            return False
        is_available = self._is_available(route)
        if not is_available:
            self.report(_left_out(self.account.key, subject, route))
        return is_available

    def _is_available(self, route: Route) -> bool:
        return {
            RouteKind.UNCONFIGURED: True,
            RouteKind.MANAGED: self.plan is not None and self.plan.managed,
            RouteKind.PROFILE: route.profile in self.account.profiles,
        }[route.kind]


class _DomainNames:
    """Counts domains of an account, and keeps the first names."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[str] = []

    def add(self, name: str) -> None:
        self.count += 1
        if self.count <= _NAMED:
            self._first.append(name)

    @property
    def number(self) -> str:
        return "1 domain" if self.count == 1 else f"{self.count} domains"

    def __str__(self) -> str:
        more = self.count - len(self._first)
        return ", ".join(self._first) + (f" and {more} more" if more else "")


def _now_declared(key: AccountKey, domains: _DomainNames) -> Finding:
    return finding(
        "route-now-declared",
        f"The manifests declare the assigned route of {domains.number} of account {key}, whose"
        f" manifests declared none: {domains}.",
        hint="Otherwise another store would give these domains the route of a new domain. In this"
        " store they keep their route.",
        account=key,
    )


def _elsewhere(key: AccountKey, domains: _DomainNames) -> Finding:
    return finding(
        "out-of-sync",
        f"Applied to another store, these manifests would give {domains.number} of account {key}"
        f" another route than the assigned one: {domains}.",
        hint="Manifests hold what is declared. To copy a store with its assigned routes, back"
        " it up. To declare the assigned routes, write them into the manifests.",
        remedy=Perform(Task.SYNC),
        account=key,
        severity=Severity.INFO,
    )


def _left_out(key: AccountKey, subject: str, route: Route) -> Finding:
    is_removed = route.kind is RouteKind.PROFILE
    plan_fault = "the account's service plan does not offer managed sending"
    reason = "the profile was removed" if is_removed else plan_fault
    return finding(
        "profile-deleted" if is_removed else "managed-not-in-plan",
        f"{subject}, {route}, is left out: {reason}.",
        hint="The store keeps the assigned routes.",
        account=key,
        severity=Severity.WARNING,
    )


def _platform(platform: Platform) -> DocumentFields:
    return {
        "apiVersion": API_VERSION,
        "kind": "MailPlatform",
        "metadata": {"name": "default"},
        "spec": as_manifest(platform),
    }


def _distinct(domain: str, name: str) -> str:
    digest = hashlib.sha256(domain.encode()).hexdigest()[:10]
    return f"{name[: _LABEL - len(digest) - 1].rstrip('-')}-{digest}"
