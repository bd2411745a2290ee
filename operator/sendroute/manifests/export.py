"""The content of a store as manifests. Applied to that store or to an empty one, they give every
domain the route that it has, unless a finding reports another one."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeGuard

from sendroute.model.codes import finding
from sendroute.model.current import DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.export import AccountExport, StoreExport, object_name
from sendroute.model.finding import Finding, Severity
from sendroute.model.manifest_form import as_manifest
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile
from sendroute.model.remedy import Perform, Task
from sendroute.model.route import MANAGED, UNCONFIGURED, Route, RouteKind, via

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

    A profile is written as a document. If several accounts of a namespace have a profile of that
    name, it is written inline in the first domain that declares it, because documents of one kind
    have different names in a namespace. At most one account without such a domain gets a document;
    the profile of another one is left out.

    A declared route that is no longer available (its profile was removed, or the plan no longer
    offers managed) is left out, because a manifest with it would be refused. A domain without a
    declared route whose assigned route is not the one of a new domain gets its assigned route as
    the declared one, because another store would give it the route of a new domain. A declared
    route is kept, also if an apply-all assigned another one.

    Args:
        store: what the store declares. It is read while the batches are read.
        report: called with a finding for a relative caFile, for each route and profile that is left
            out, for each account
            whose domains get their assigned routes declared, or would have other routes in another
            store, and for each one whose service plan the platform does not define.

    Yields:
        The documents of the platform, then of each account.
    """
    if store.platform is not None:
        ca_file = store.platform.ca_file
        if ca_file is not None and not ca_file.startswith("/"):
            report(_relative(ca_file))
        yield ExportFile("platform", iter([_platform(store.platform)]))
    names = _profile_names(store)
    for account in store.accounts:
        exporter = _Exporter(store, account, names.get(account.key, _AS_DOCUMENTS), report)
        yield ExportFile(f"{account.key.namespace}/{account.key.name}", exporter.documents())


class _ProfileNames(NamedTuple):
    """The profiles of an account that are not written as documents: ``inline`` are those that a
    domain defines, with its name; ``left_out`` those whose document another account has."""

    inline: Mapping[str, str]
    left_out: Mapping[str, AccountKey]


_AS_DOCUMENTS = _ProfileNames({}, {})


def _profile_names(store: StoreExport) -> dict[AccountKey, _ProfileNames]:
    """Decide how the profiles are written whose names several accounts of a namespace have. The
    domains of such a store are read twice."""
    inlines: dict[AccountKey, dict[str, str]] = {}
    holders: dict[tuple[str, str], list[AccountKey]] = {}
    if not store.shared_profiles:
        return {}
    for account in store.accounts:
        namespace = account.key.namespace
        shared = {name for name in account.profiles if (namespace, name) in store.shared_profiles}
        if not shared:
            continue
        inline, used = _defining_domains(account, shared, _WrittenRoutes(store, account))
        inlines[account.key] = inline
        for name in sorted(shared - inline.keys()):
            # The document is that of an account whose domains would lose the profile.
            keys = holders.setdefault((namespace, name), [])
            keys.insert(0 if name in used else len(keys), account.key)
    left_out: dict[AccountKey, dict[str, AccountKey]] = {key: {} for key in inlines}
    for (_, name), (holder, *others) in holders.items():
        for key in others:
            left_out[key][name] = holder
    return {key: _ProfileNames(inline, left_out[key]) for key, inline in inlines.items()}


def _defining_domains(
    account: AccountExport, shared: set[str], routes: "_WrittenRoutes"
) -> tuple[dict[str, str], set[str | None]]:
    """For each profile the first domain whose document declares it; else the first one that uses
    it, and could define it. And the profiles that any domain uses."""
    used = set[str | None]()
    declaring: dict[str, str] = {}
    using: dict[str, str] = {}
    for domain, state in account.domains:
        used.add(state.route.profile)
        route = routes.declared_by(state)
        if route is not None and route.profile in shared:
            declaring.setdefault(route.profile, domain)
        elif route is None and state.route.profile in shared:
            using.setdefault(state.route.profile, domain)
    return using | declaring, used


class _WrittenRoutes:
    """Which routes an account's documents declare. ``left_out`` are profiles without a document."""

    def __init__(
        self, store: StoreExport, account: AccountExport, left_out: Iterable[str] = ()
    ) -> None:
        self.plan = store.platform.plan(account.state.plan) if store.platform else None
        managed = (MANAGED,) if self.plan is not None and self.plan.managed else ()
        profiles = account.profiles.keys() - set(left_out)
        self.available = frozenset((UNCONFIGURED, *managed, *map(via, profiles)))
        declared = account.state.default
        plan_default = self.plan.plan_default if self.plan is not None else UNCONFIGURED
        self.default = (
            declared if declared is not None and declared in self.available else plan_default
        )

    def declared_by(self, state: DomainState) -> Route | None:
        """The route that a domain's document declares; None for none."""
        if state.declared in self.available:
            return state.declared
        is_default = state.route == self.default
        return state.route if not is_default and state.route in self.available else None


class _Exporter:
    """Writes one account's documents."""

    def __init__(
        self,
        store: StoreExport,
        account: AccountExport,
        names: _ProfileNames,
        report: Callable[[Finding], None],
    ) -> None:
        self.account = account
        self.names = names
        self.routes = _WrittenRoutes(store, account, names.left_out)
        self.ambiguous = store.ambiguous
        self.report = report
        # A million domains declare few routes, so equal routes are one value.
        self.forms: dict[Route, DocumentFields] = {}
        self.declared = _DomainNames()
        self.elsewhere = _DomainNames()

    def documents(self) -> Iterator[DocumentFields]:
        yield self._account()
        for name, profile in self.account.profiles.items():
            holder = self.names.left_out.get(name)
            if holder is not None:
                self.report(_profile_left_out(self.account.key, name, holder))
            elif name not in self.names.inline:
                spec = {"account": self.account.key.name, **self._profile(name, profile)}
                yield self._document("SMTPProfile", name, spec)
        for name, state in self.account.domains:
            yield self._domain(name, state)
        if self.declared.count:
            self.report(_now_declared(self.account.key, self.declared))
        if self.elsewhere.count:
            self.report(_elsewhere(self.account.key, self.elsewhere))

    def _account(self) -> DocumentFields:
        state = self.account.state
        if self.routes.plan is None:
            self.report(_unknown_plan(self.account.key, state.plan))
        spec: DocumentFields = {"plan": state.plan}
        if self._can_declare(state.default, "The default of the account"):
            spec["defaultRoute"] = state.default.as_manifest()
        if state.logins:
            spec["submission"] = {"logins": list(state.logins)}
        return self._document("MailAccount", self.account.key.name, spec)

    def _profile(self, name: str, profile: Profile) -> DocumentFields:
        """The fields of a profile, in a document or inline."""
        fields = as_manifest(profile)
        # The preset of `provider` sets it; it is no field of a manifest.
        fields.pop("username", None)
        usual = as_manifest(Profile(profile.host, profile.port, profile.encryption))
        for field in ("connectionTest", "senderAuthorization"):
            if fields[field] == usual[field]:
                del fields[field]
        if profile.reassign_to is not None and not self._can_declare(
            profile.reassign_to, f"The onDelete of profile {name}"
        ):
            fields.pop("onDelete")
        return fields

    def _domain(self, name: str, state: DomainState) -> DocumentFields:
        spec: DocumentFields = {"account": self.account.key.name, "domain": name}
        route = self.routes.declared_by(state)
        is_declared = self._can_declare(state.declared, f"The declared route of {name}")
        inline = (state.route if route is None else route).profile
        if inline is not None and self.names.inline.get(inline) == name:
            route = via(inline)
            fields = self._profile(inline, self.account.profiles[inline])
            spec["route"] = {"newProfile": {"name": inline, **fields}}
        elif route is not None:
            spec["route"] = self._form(route)
        if is_declared and state.overrides is not None:
            spec["overrides"] = state.overrides
        if route is not None and not is_declared:
            self.declared.add(name)
        if (self.routes.default if route is None else route) != state.route:
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
        is_available = route in self.routes.available
        if not is_available:
            self.report(_left_out(self.account.key, subject, route, self.names.left_out))
        return is_available


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


def _left_out(
    key: AccountKey, subject: str, route: Route, profiles: Mapping[str, AccountKey]
) -> Finding:
    """``profiles`` are those that are left out themselves."""
    is_removed = route.kind is RouteKind.PROFILE
    plan_fault = "the account's service plan does not offer managed sending"
    gone = "the profile is left out" if route.profile in profiles else "the profile was removed"
    reason = gone if is_removed else plan_fault
    return finding(
        "profile-deleted" if is_removed else "managed-not-in-plan",
        f"{subject}, {route}, is left out: {reason}.",
        hint="The store keeps the assigned routes.",
        account=key,
        severity=Severity.WARNING,
    )


def _profile_left_out(key: AccountKey, name: str, holder: AccountKey) -> Finding:
    return finding(
        "duplicate-object",
        f"Profile {name} of account {key} is left out: account {holder} has a profile of that name,"
        f" and no domain of {key} uses this one.",
        hint="Names are unique in a namespace. Applied to this store, these manifests remove the"
        " profile, so rename it in its manifest and apply that before the export.",
        account=key,
        severity=Severity.WARNING,
    )


def _unknown_plan(key: AccountKey, plan: str) -> Finding:
    return finding(
        "unknown-plan",
        f"Account {key} is on service plan {plan}, which the platform in the store does not"
        " define, so its manifests are refused.",
        hint="Add the service plan to the MailPlatform, or use another one in the MailAccount.",
        account=key,
        severity=Severity.WARNING,
    )


def _relative(ca_file: str) -> Finding:
    return finding(
        "relative-ca-file",
        f"The caFile of the MailPlatform, {ca_file}, is relative to its manifest, and is not"
        " exported.",
        hint="Copy the file to there, or declare an absolute path.",
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
