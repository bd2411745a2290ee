"""States of objects as the manifests write them, and the step from one to the next in words."""

from collections.abc import Iterator
from typing import Any, assert_never

from sendroute.model.change import AccountChange, Action, Change, DomainChange, State
from sendroute.model.current import AccountState, DomainState
from sendroute.model.platform import Managed, PlanLimits, Platform, Relay, ServicePlan
from sendroute.model.profile import Profile, ProviderLimits

Document = dict[str, Any]


def as_manifest(state: State) -> Document:
    """The state in the manifests' form; what is absent has no key. A secret is named, never
    shown."""
    match state:
        case DomainState():
            return _domain(state)
        case AccountState():
            return _present(
                plan=state.plan, defaultRoute=state.default and state.default.as_manifest()
            )
        case Profile():
            return _profile(state)
        case Platform():
            return _platform(state)
        case _:
            assert_never(state)


def _domain(state: DomainState) -> Document:
    document: Document = {"route": state.route.as_manifest(), "origin": state.origin.value}
    if state.declared is not None:
        document["declared"] = state.declared.as_manifest()
    if state.shadow is not None:
        document["shadowed_by"] = state.shadow
    return document


def _profile(profile: Profile) -> Document:
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
        limits=_limits(profile.limits),
        senderAuthorization=profile.sender_authorization.value,
        onDelete={"reassignTo": reassign_to.as_manifest()} if reassign_to else None,
    )


def _platform(platform: Platform) -> Document:
    test = _present(allowNetworks=list(platform.allow_networks) or None, caFile=platform.ca_file)
    return _present(
        managed=_managed(platform.managed) if platform.managed else None,
        connectionTest=test or None,
        plans=[_plan(plan) for plan in platform.plans],
    )


def _managed(managed: Managed) -> Document:
    return _present(
        displayName=managed.display_name,
        host=managed.host,
        ports=[{"port": p.port, "encryption": p.encryption.value} for p in managed.ports],
        relay=_relay(managed.relay),
        spf=managed.spf,
    )


def _relay(relay: Relay) -> Document:
    return _present(
        host=relay.host,
        port=relay.port,
        encryption=relay.encryption.value,
        credentials=_credentials(relay.secret),
        allowInsecureAuth=relay.allow_insecure_auth or None,
    )


def _plan(plan: ServicePlan) -> Document:
    return _present(name=plan.name, managed=plan.managed, limits=_limits(plan.limits))


def _limits(limits: ProviderLimits | PlanLimits) -> Document | None:
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


def _credentials(secret: str | None) -> Document | None:
    return {"secretRef": {"name": secret}} if secret is not None else None


def _present(**fields: Any) -> Document:
    return {key: value for key, value in fields.items() if value is not None}


def step(change: Change) -> str:
    """``managed → profile ses``: what the change changes, in a line; ``→ …`` for what is new."""
    before, after = change.before, change.after
    if change.action is Action.SKIP:
        return f"stays {brief(before)}" if before is not None else "is not created"
    if before is None:
        return f"→ {brief(after)}" if after is not None else ""
    if after is None:
        return f"{brief(before)} → none"
    if isinstance(change, DomainChange) and brief(before) != brief(after):
        return f"{brief(before)} → {brief(after)}"
    fields = list(_differing(as_manifest(before), as_manifest(after)))
    if isinstance(change, AccountChange) and change.ran is not None:
        apply_all, ran = change.ran
        fields.append(f"apply-all {apply_all} → {ran.route}")
    return ", ".join(fields) or brief(after)


def brief(state: State) -> str:
    """The state in a few words."""
    match state:
        case DomainState():
            return str(state.route)
        case AccountState():
            default = f", default {state.default}" if state.default is not None else ""
            return f"plan {state.plan}{default}"
        case Profile():
            return f"{state.host}:{state.port} {state.encryption}"
        case Platform():
            return "plans " + (", ".join(plan.name for plan in state.plans) or "none")
        case _:
            assert_never(state)


def _differing(before: Document, after: Document) -> Iterator[str]:
    """``port 587 → 465`` for each field that differs, in the order of the manifest."""
    old, new = dict(_fields(before)), dict(_fields(after))
    for field in {**old, **new}:
        was, becomes = old.get(field, "none"), new.get(field, "none")
        if was != becomes:
            yield f"{field} {was} → {becomes}"


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each field by its path, ``plans.pro.managed``; a route and a list are one field."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if inner == {} or key == "profile":
                yield path, f"{key} {inner}" if inner else key
            else:
                yield from _fields(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and all(isinstance(item, dict) for item in value):
        for item in value:
            rest = dict(item)
            name = rest.pop("name") if "name" in rest else rest.pop("port")
            yield from _fields(rest, f"{path}.{name}")
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value))
    else:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)
