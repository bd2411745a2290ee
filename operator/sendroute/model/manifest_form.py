"""States of objects in the form of the manifests: the one spelling in JSON and YAML."""

from typing import Any, assert_never

from sendroute.model.change import State
from sendroute.model.current import AccountState, DomainState
from sendroute.model.platform import Managed, PlanLimits, Platform, Relay, ServicePlan
from sendroute.model.profile import Profile, ProviderLimits

ManifestForm = dict[str, Any]


def as_manifest(state: State) -> ManifestForm:
    """Return the state in the form of its manifest; what is absent has no key. Secrets are
    references."""
    match state:
        case DomainState():
            return _domain(state)
        case AccountState():
            return _present(
                plan=state.plan,
                defaultRoute=state.default and state.default.as_manifest(),
                submission={"logins": list(state.logins)} if state.logins else None,
            )
        case Profile():
            return _profile_document(state)
        case Platform():
            return _platform(state)
        case _:
            assert_never(state)


def _domain(state: DomainState) -> ManifestForm:
    document: ManifestForm = {"route": state.route.as_manifest(), "origin": state.origin.value}
    if state.declared is not None:
        document["declared"] = state.declared.as_manifest()
    if state.overrides is not None:
        document["overrides"] = state.overrides
    if state.shadow is not None:
        document["shadowed_by"] = state.shadow
    return document


def _profile_document(profile: Profile) -> ManifestForm:
    reassign_to = profile.reassign_to
    return _present(
        displayName=profile.display_name,
        provider=profile.provider,
        host=profile.host,
        port=profile.port,
        encryption=profile.encryption.value,
        username=profile.username,
        credentials=_credentials(profile.secret),
        allowInsecureAuth=profile.allow_insecure_auth or None,
        connectionTest=profile.connection_test.value,
        limits=limits_form(profile.limits),
        senderAuthorization=profile.sender_authorization.value,
        onDelete={"reassignTo": reassign_to.as_manifest()} if reassign_to else None,
    )


def _platform(platform: Platform) -> ManifestForm:
    timeout = platform.test_timeout
    test = _present(
        allowNetworks=list(platform.allow_networks) or None,
        caFile=platform.ca_file,
        timeout=f"{timeout}s" if timeout else None,
    )
    return _present(
        managed=_managed_document(platform.managed) if platform.managed else None,
        heloName=platform.helo_name or None,
        bounces={"relay": _relay(platform.bounces)} if platform.bounces else None,
        connectionTest=test or None,
        plans=[_plan(plan) for plan in platform.plans],
    )


def _managed_document(managed: Managed) -> ManifestForm:
    return service_form(managed) | _present(relay=_relay(managed.relay), spf=managed.spf)


def service_form(managed: Managed) -> ManifestForm:
    """Return what users of the managed service configure in their mail clients; the relay is
    internal."""
    return _present(
        displayName=managed.display_name,
        host=managed.host,
        ports=[{"port": p.port, "encryption": p.encryption.value} for p in managed.ports],
    )


def _relay(relay: Relay) -> ManifestForm:
    return _present(
        host=relay.host,
        port=relay.port,
        encryption=relay.encryption.value,
        credentials=_credentials(relay.secret),
        allowInsecureAuth=relay.allow_insecure_auth or None,
    )


def _plan(plan: ServicePlan) -> ManifestForm:
    return _present(name=plan.name, managed=plan.managed, limits=limits_form(plan.limits))


def limits_form(limits: ProviderLimits | PlanLimits) -> ManifestForm | None:
    """Return the limits in the form of a manifest; None if there are none."""
    match limits:
        case ProviderLimits():
            document = _present(perSecond=limits.per_second, perDay=limits.per_day)
        case PlanLimits():
            document = _present(
                accountPerDay=limits.account_per_day, mailboxPerDay=limits.mailbox_per_day
            )
        case _:
            assert_never(limits)
    return document or None


def _credentials(secret: str | None) -> ManifestForm | None:
    return {"secretRef": {"name": secret}} if secret is not None else None


def _present(**fields: Any) -> ManifestForm:
    return {key: value for key, value in fields.items() if value is not None}
