"""A store's content as manifests: what, planned against that store, changes nothing."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from sendroute.model.codes import finding
from sendroute.model.current import Current, CurrentAccount
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.profile import Profile
from sendroute.model.route import Route, RouteKind
from sendroute.reports.states import as_manifest

API_VERSION = "sendroute.dev/v1alpha1"
_LABEL = 63
Document = dict[str, Any]


class Batch(NamedTuple):
    """Documents that belong into one file: ``path`` is relative, without an extension."""

    path: str
    documents: list[Document]
    findings: tuple[Finding, ...] = ()


def manifests_of(current: Current) -> Iterator[Batch]:
    """The platform, then each account with its profiles and domains, in order of their names.

    A declaration that cannot be had any more (its profile is gone, or the plan lost managed) is
    left out and told: a manifest that holds it would be refused.
    """
    if current.platform is not None:
        yield Batch("platform", [_platform(current.platform)])
    names = _object_names(current)
    for key in sorted(current.accounts):
        account = current.accounts[key]
        if account.state is not None:
            plan = current.platform.plan(account.state.plan) if current.platform else None
            yield _Export(account, plan, names[key.namespace]).batch()


class _Export:
    """One account's documents."""

    def __init__(
        self, account: CurrentAccount, plan: ServicePlan | None, names: dict[str, str]
    ) -> None:
        self.account = account
        self.plan = plan
        self.names = names
        self.left_out: list[Finding] = []

    def batch(self) -> Batch:
        key = self.account.key
        documents = [self._account()]
        documents += [self._profile(*item) for item in sorted(self.account.profiles.items())]
        documents += [self._domain(name) for name in sorted(self.account.domains)]
        return Batch(f"{key.namespace}/{key.name}", documents, tuple(self.left_out))

    def _account(self) -> Document:
        state = self.account.state
        assert state is not None  # noqa: S101
        spec: Document = {"plan": state.plan}
        if self._can_declare(state.default, "The default of the account"):
            spec["defaultRoute"] = state.default.as_manifest()  # type: ignore[union-attr]
        return self._document("MailAccount", self.account.key.name, spec)

    def _profile(self, name: str, profile: Profile) -> Document:
        spec = {"account": self.account.key.name, **as_manifest(profile)}
        # The preset that `provider` names fills it; it is no field of a manifest.
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

    def _domain(self, name: str) -> Document:
        declared = self.account.domains[name].declared
        spec: Document = {"account": self.account.key.name, "domain": name}
        if self._can_declare(declared, f"The declared route of {name}"):
            spec["route"] = declared.as_manifest()  # type: ignore[union-attr]
        return self._document("SendingDomain", self.names[name], spec)

    def _document(self, kind: str, name: str, spec: Document) -> Document:
        metadata = {"name": name, "namespace": self.account.key.namespace}
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}

    def _can_declare(self, route: Route | None, what: str) -> bool:
        if route is None:
            return False
        gone = {
            RouteKind.UNCONFIGURED: False,
            RouteKind.MANAGED: self.plan is None or not self.plan.managed,
            RouteKind.PROFILE: route.profile not in self.account.profiles,
        }[route.kind]
        if gone:
            self.left_out.append(_left_out(self.account.key, what, route))
        return not gone


def _left_out(key: AccountKey, what: str, route: Route) -> Finding:
    gone = route.kind is RouteKind.PROFILE
    why = "its profile is gone" if gone else "the account's plan does not offer it"
    return finding(
        "profile-deleted" if gone else "managed-not-in-plan",
        f"{what}, {route}, is left out: {why}.",
        hint="The assigned routes are kept; `sendroute routes` lists them.",
        account=key,
        severity=Severity.WARNING,
    )


def _platform(platform: Platform) -> Document:
    return {
        "apiVersion": API_VERSION,
        "kind": "MailPlatform",
        "metadata": {"name": "default"},
        "spec": as_manifest(platform),
    }


def _object_names(current: Current) -> dict[str, dict[str, str]]:
    """For each namespace, each domain's object name: unique there, and the same on every run."""
    of_namespace: dict[str, list[str]] = {}
    for key, account in current.accounts.items():
        of_namespace.setdefault(key.namespace, []).extend(account.domains)
    named = {}
    for namespace, domains in of_namespace.items():
        plain = {domain: domain.replace(".", "-").replace("_", "-") for domain in domains}
        often = Counter(plain.values())
        named[namespace] = {
            domain: name if often[name] == 1 and len(name) <= _LABEL else _distinct(domain, name)
            for domain, name in plain.items()
        }
    return named


def _distinct(domain: str, name: str) -> str:
    mark = hashlib.sha256(domain.encode()).hexdigest()[:10]
    return f"{name[: _LABEL - len(mark) - 1].rstrip('-')}-{mark}"
