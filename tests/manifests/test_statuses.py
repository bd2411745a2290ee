"""The fields of statuses: what is written is read back, and what cannot be read is none."""

from datetime import UTC, datetime

import msgspec
import pytest

from sendroute.manifests.shapes import KINDS
from sendroute.manifests.statuses import (
    STATUSES,
    AccountCounts,
    Condition,
    HeldBackAccount,
    LastApplyAll,
    MailAccountStatus,
    MailPlatformStatus,
    ObjectStatus,
    SendingDomainStatus,
    SMTPProfileStatus,
    StoreIdentity,
    decode_status,
    encode_status,
    route_shape,
)
from sendroute.model.route import MANAGED, UNCONFIGURED, Origin, Route, via

AT = datetime(2026, 11, 28, 19, 30, tzinfo=UTC)
READY = Condition(
    type="Ready",
    status="True",
    reason="Applied",
    message="The store holds it.",
    observed_generation=3,
    last_transition_time=AT,
)
WRITTEN: dict[str, ObjectStatus] = {
    "MailPlatform": MailPlatformStatus(
        observed_generation=3,
        conditions=[READY],
        held_back=[HeldBackAccount(namespace="acme", account="acme", effect="…", digest="4f1a")],
        held_back_total=1,
        store=StoreIdentity(lineage="7c1e"),
    ),
    "MailAccount": MailAccountStatus(
        observed_generation=3,
        conditions=[READY],
        effective_default=route_shape(via("ses")),
        effective_default_text="profile ses",
        counts=AccountCounts(domains=2, profiles=1, shadowed=0),
        last_apply_all=LastApplyAll(id="to-ses", route=route_shape(via("ses")), domains=2),
        store=StoreIdentity(lineage="7c1e"),
    ),
    "SMTPProfile": SMTPProfileStatus(observed_generation=3, conditions=[READY]),
    "SendingDomain": SendingDomainStatus(
        observed_generation=3,
        conditions=[READY],
        route=route_shape(MANAGED),
        route_text="managed",
        origin=Origin.APPLY_ALL,
        shadowed_by="to-managed",
        since=AT,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_status_is_read_back_as_it_was_written(kind: str) -> None:
    data = msgspec.json.encode(encode_status(WRITTEN[kind]))
    assert decode_status(kind, data) == WRITTEN[kind]


def test_the_form_of_a_status_is_that_of_the_api() -> None:
    assert encode_status(WRITTEN["SendingDomain"]) == {
        "observedGeneration": 3,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Applied",
                "message": "The store holds it.",
                "observedGeneration": 3,
                "lastTransitionTime": "2026-11-28T19:30:00Z",
            }
        ],
        "route": {"managed": {}},
        "routeText": "managed",
        "origin": "apply-all",
        "shadowedBy": "to-managed",
        "since": "2026-11-28T19:30:00Z",
    }


@pytest.mark.parametrize("route", [MANAGED, UNCONFIGURED, via("ses")], ids=str)
def test_a_route_has_the_form_of_a_manifest(route: Route) -> None:
    assert msgspec.to_builtins(route_shape(route)) == route.as_manifest()


@pytest.mark.parametrize("kind", KINDS)
def test_a_status_with_fields_of_another_release_is_read_and_a_broken_one_is_none(
    kind: str,
) -> None:
    assert decode_status(kind, b'{"observedGeneration": -1, "newer": 1}') is not None
    for broken in (
        b'{"observedGeneration": "x"}',
        b'{"conditions": [{"type": "Ready"}]}',
        b"null",
        b"[]",
        b"{",
        b"",
    ):
        assert decode_status(kind, broken) is None


def test_every_field_of_a_status_has_a_description() -> None:
    def check(schema: object) -> None:
        assert isinstance(schema, dict)
        for name, field in schema.get("properties", {}).items():
            assert "description" in field, name

    for kind in STATUSES.values():
        for definition in msgspec.json.schema(kind)["$defs"].values():
            if definition.get("title") not in {"RouteShape", "Empty"}:
                check(definition)
