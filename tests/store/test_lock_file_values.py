"""Each value of a lock file is one that manifests could have given: whatever its field is, another
one is a finding. What Sendroute writes is read again as it was."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect
from msgspec.structs import replace
from tests.manifests.test_export import platforms, profiles

from sendroute.model.platform import Managed, PlanLimits, Platform, PublicPort, Relay, ServicePlan
from sendroute.model.problem import ProblemError
from sendroute.model.profile import Encryption, Profile, ProviderLimits
from sendroute.model.route import Origin, via
from sendroute.store import lockfile
from sendroute.store.lockfile import Lock, LockAccount, LockApplyAll, LockDomain, LockProfile

LINEAGE = "12345678-1234-1234-1234-123456789abc"
RELAY = Relay("relay.example", 587, Encryption.STARTTLS, "relay", False)
PLATFORM = Platform(
    Managed(
        "Managed",
        "smtp.example",
        (PublicPort(587, Encryption.STARTTLS),),
        RELAY,
        "include:x.example",
    ),
    (ServicePlan("pro", True, PlanLimits(1, 2)),),
    ("10.0.0.0/8",),
    "/etc/ca.pem",
    "mail.example",
    30,
    RELAY,
)
PROFILE = Profile(
    host="smtp.ses.example",
    port=587,
    encryption=Encryption.TLS,
    display_name="Amazon SES",
    provider="ses",
    secret="ses-smtp",
    username="apikey",
    limits=ProviderLimits(1, 2),
    reassign_to=via("ses"),
)
ROUTE = {"profile": "ses"}
LOCK = Lock(
    lockfile.FORMAT_VERSION,
    LINEAGE,
    7,
    1,
    PLATFORM,
    1,
    [
        LockAccount(
            "acme",
            "acme",
            "pro",
            ROUTE,
            {"ses": LockProfile(1, 1, PROFILE)},
            {"shop.example": LockDomain(ROUTE, Origin.APPLY_ALL, ROUTE, "go", "earlier")},
            {"go": LockApplyAll(ROUTE, 1)},
            ("app",),
        )
    ],
    LINEAGE,
)
TEXTS: tuple[Any, ...] = (7, "", "\0", "a\nb", "a\u202eb", "x" * 5000, "A b", [], {})
NUMBERS: tuple[Any, ...] = (-1, 2**63, 2**70, 1.5, "7", "", [], {})
WRONG: dict[type, tuple[Any, ...]] = {
    str: TEXTS,
    int: NUMBERS,
    bool: ("true", 1, [], {}),
    list: ({}, "x", 7),
    dict: ([], "x", 7),
}
KEYS = ("", "\0", "a\nb", "x" * 5000)
# Any line of text is right there.
LINES = {"display_name", "spf", "ca_file", "username", "shadow", "overrides"}

Steps = tuple[str | int, ...]


def written(lock: Lock, path: Path) -> Any:
    """The file's content, without the digest of its text."""
    lockfile.write(lock, path)
    content = json.loads(path.read_text("utf-8"))
    assert content.pop("digest")
    return content


def values_of(form: inspect.Type, value: Any, path: Steps = ()) -> Iterator[Steps]:
    """The position of every value. Fails if the file lacks a field that a lock file can have."""
    yield path
    match _bare(form), value:
        case inspect.StructType(fields=fields), dict():
            assert {field.encode_name for field in fields} == value.keys(), path
            for field in fields:
                yield from values_of(
                    field.type, value[field.encode_name], (*path, field.encode_name)
                )
        case inspect.DictType(value_type=item), dict():
            assert value, path
            for key in value:
                yield from values_of(item, value[key], (*path, key))
        case ((inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item)), list()):
            assert value, path
            for index, entry in enumerate(value):
                yield from values_of(item, entry, (*path, index))
        case inspect.AnyType(), str():
            pass


def _bare(form: inspect.Type) -> inspect.Type:
    """The type of a value that is there."""
    match form:
        case inspect.Metadata(type=inner):
            return _bare(inner)
        case inspect.UnionType(types=types):
            [inner] = [item for item in types if not isinstance(item, inspect.NoneType)]
            return _bare(inner)
    return form


def at(content: Any, path: Steps) -> Any:
    for step in path:
        content = content[step]
    return content


def with_value(content: Any, path: Steps, value: Any) -> Any:
    changed = deepcopy(content)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def damages(content: Any) -> Iterator[tuple[str, Any]]:
    """Every value, replaced by each that is wrong there."""
    for path in values_of(inspect.type_info(Lock), content):
        value = at(content, path)
        for wrong in WRONG[type(value)] if path else ():
            if wrong == "A b" and path[-1] in LINES:
                continue
            yield f"{path}: {wrong!r:.40}", with_value(content, path, wrong)
        if path and path[-1] in ("profiles", "domains", "apply_all") and isinstance(value, dict):
            for key in KEYS:
                renamed = dict.fromkeys([key], next(iter(value.values())))
                yield f"{path} with the key {key!r:.40}", with_value(content, path, renamed)


def test_every_value_that_manifests_cannot_give_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "sendroute.lock"
    content = written(LOCK, path)
    assert lockfile.read(path) == LOCK
    accepted = []
    for damage, changed in damages(content):
        path.write_text(json.dumps(changed), "utf-8")
        try:
            lockfile.read(path)
        except ProblemError as problem:
            [finding] = problem.findings
            assert (finding.code, finding.where is not None) == ("invalid-value", True), damage
        else:
            accepted.append(damage)
    assert accepted == []
    assert len(list(damages(content))) > 300


@settings(max_examples=60)
@given(platform=st.none() | platforms, profile=profiles)
def test_a_lock_file_of_any_valid_platform_and_profile_is_read_again(
    platform: Platform | None, profile: Profile, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("lock") / "sendroute.lock"
    [account] = LOCK.accounts
    saved = replace(account, profiles={"ses": LockProfile(1, 1, profile)})
    lock = replace(LOCK, platform=platform, accounts=[saved])
    lockfile.write(lock, path)
    assert lockfile.read(path) == lock


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("platform", "plans"), [{"name": "pro", "managed": True}] * 2),
        (("platform", "plans"), [{"name": f"p{n}", "managed": True} for n in range(501)]),
        (("platform", "managed"), None),
        (("platform", "allow_networks", 0), "10.0.0.0/33"),
        (("platform", "allow_networks", 0), "example.com"),
        (("platform", "helo_name"), "10.0.0.1"),
        (("platform", "managed", "host"), "a..b"),
        (("accounts", 0, "profiles", "ses", "spec", "reassign_to", "kind"), "managed"),
        (("accounts", 0, "domains"), {"single": {"route": ROUTE, "origin": "default"}}),
        (("accounts", 0, "default"), {"profile": "x", "managed": {}}),
        (("accounts", 0, "logins"), []),
    ],
)
def test_values_that_do_not_go_together_are_damage(
    path: Steps, wrong: object, tmp_path: Path
) -> None:
    file = tmp_path / "sendroute.lock"
    file.write_text(json.dumps(with_value(written(LOCK, file), path, wrong)), "utf-8")
    with pytest.raises(ProblemError, match="is not a valid lock file"):
        lockfile.read(file)
