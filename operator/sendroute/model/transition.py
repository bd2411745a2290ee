"""A state, and the step from one state to the next, in a few words."""

from collections.abc import Iterator
from typing import Any, assert_never

from sendroute.model.change import AccountChange, Action, Change, DomainChange, State
from sendroute.model.current import AccountState, DomainState
from sendroute.model.manifest_form import ManifestForm, as_manifest
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile


def step(change: Change) -> str:
    """Return what a change changes, in a line: ``managed → profile ses``; ``→ …`` for what is
    new."""
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
    if isinstance(change, AccountChange) and change.completed is not None:
        apply_all, ran = change.completed
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


def _differing(before: ManifestForm, after: ManifestForm) -> Iterator[str]:
    """``port 587 → 465`` for each field that differs, in the order of the manifest."""
    old, new = dict(_fields(before)), dict(_fields(after))
    for field in {**old, **new}:
        was, becomes = old.get(field, "none"), new.get(field, "none")
        if was != becomes:
            yield f"{field.replace('_', ' ')} {was} → {becomes}"


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
            fields = dict(item)
            name = fields.pop("name") if "name" in fields else fields.pop("port")
            yield from _fields(fields, f"{path}.{name}")
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value))
    else:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)
