"""Shapes: which documents are accepted; all validators give the same result."""

import copy
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendroute.manifests import shapes
from sendroute.manifests.problems import problems
from sendroute.manifests.schema import DRAFTS, schema_for

PROFILE_FIELDS: dict[str, Any] = {
    "displayName": "Amazon SES, Ireland",
    "provider": "ses",
    "host": "email-smtp.eu-west-1.amazonaws.com",
    "port": 587,
    "encryption": "starttls",
    "credentials": {"secretRef": {"name": "ses-smtp"}},
    "allowInsecureAuth": False,
    "connectionTest": "required",
    "limits": {"perSecond": 14, "perDay": 50000},
    "senderAuthorization": "warn",
    "onDelete": {"reassignTo": {"managed": {}}},
    "suspend": False,
}

SPECS: list[tuple[str, dict[str, Any]]] = [
    (
        "MailPlatform",
        {
            "managed": {
                "displayName": "TrekMail SMTP",
                "host": "smtp.trekmail.example",
                "ports": [{"port": 587, "encryption": "starttls"}],
                "relay": {
                    "host": "relay.internal.example",
                    "port": 587,
                    "encryption": "starttls",
                    "credentials": {"secretRef": {"name": "managed-relay"}},
                    "allowInsecureAuth": True,
                },
                "spf": "include:spf.trekmail.example",
            },
            "connectionTest": {"allowNetworks": ["10.0.0.0/8"], "caFile": "/etc/ssl/our-ca.pem"},
            "plans": [
                {"name": "nano", "managed": False},
                {
                    "name": "pro",
                    "managed": True,
                    "limits": {"accountPerDay": 20000, "mailboxPerDay": 1000},
                },
            ],
            "suspend": True,
        },
    ),
    (
        "MailAccount",
        {
            "plan": "pro",
            "defaultRoute": {"profile": "ses"},
            "applyToAll": {
                "id": "2026-11-move-to-ses",
                "route": {"unconfigured": {}},
                "confirm": {"domains": 0},
            },
            "suspend": False,
        },
    ),
    ("SMTPProfile", {"account": "acme", **PROFILE_FIELDS}),
    ("SMTPProfile", {"account": "acme"}),
    ("SendingDomain", {"account": "acme", "domain": "shop.example.com"}),
    (
        "SendingDomain",
        {
            "account": "acme",
            "domain": "bücher.example",
            "route": {"newProfile": {"name": "managed", **PROFILE_FIELDS}},
            "suspend": True,
        },
    ),
]

ACCEPTED = [
    {
        "apiVersion": "sendroute.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "default", "labels": {"a": "b"}, "creationTimestamp": None}
        | ({} if kind == "MailPlatform" else {"namespace": "acme"}),
        "spec": spec,
        "status": {"observedGeneration": -1},
    }
    for kind, spec in SPECS
]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 587, 587.0, 587.5, 65535, 65536, 2**63 - 1, 2**63, 2**64, 1e300]),
    st.sampled_from(
        ["", "a", "a\n", "A", "a-", "-a", "a.b", "a..b", "587", "starttls", "a\u0085b"]
    ),
    st.sampled_from(["x" * 63, "x" * 64, "x" * 80, "x" * 81, "x" * 253, "x" * 254, "x" * 1025]),
    st.sampled_from(["\u2028", "\u202eb", "é", "\U0001f600", "managed", "ses", "required"]),
    st.text(max_size=5),
    st.integers(),
)
VALUES = st.one_of(
    SCALARS,
    st.just({}),
    st.just([]),
    st.sampled_from(
        [
            {"managed": {}},
            {"profile": "ses"},
            {"managed": {}, "profile": "ses"},
            {"newProfile": {"name": "a"}},
            {"port": 1, "encryption": "none"},
            ["10.0.0.0/8"],
            {"bogus": 1, "unconfigured": {}},
        ]
    ),
)
KEYS = st.sampled_from(
    ["name", "namespace", "port", "profile", "managed", "Host", "display_name", "suspend", "bogus"]
)


def paths_of(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [path for key, item in items for path in [(*at, key), *paths_of(item, (*at, key))]]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A valid document after one to three changes: a value replaced, a key removed or added."""
    document = copy.deepcopy(draw(st.sampled_from(ACCEPTED)))
    for _ in range(draw(st.integers(1, 3))):
        paths = [path for path in paths_of(document) if path not in {("kind",), ("apiVersion",)}]
        path = draw(st.sampled_from(paths))
        parent: Any = document
        for step in path[:-1]:
            parent = parent[step]
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                parent[path[-1]] = copy.deepcopy(draw(VALUES))
            case "remove":
                del parent[path[-1]]
            case _ if isinstance(parent, dict):
                parent[draw(KEYS)] = copy.deepcopy(draw(VALUES))
            case _:
                parent.append(copy.deepcopy(draw(VALUES)))
    return document


def decodes(document: dict[str, Any]) -> bool:
    try:
        shapes.decode(document)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("document", ACCEPTED, ids=lambda document: str(document["kind"]))
def test_a_document_with_every_field_is_accepted(document: dict[str, Any]) -> None:
    assert type(shapes.decode(document)).__name__ == document["kind"]
    assert problems(document["kind"], document) == []


SCHEMAS = {
    (kind, draft): jsonschema.validators.validator_for(schema_for(kind, draft))(
        schema_for(kind, draft)
    )
    for kind in [*shapes.KINDS, None]
    for draft in DRAFTS
}


def assert_all_validators_agree(document: dict[str, Any]) -> None:
    """Compare decoding, the problem report, and the schemas in both drafts."""
    accepted = decodes(document)
    assert (problems(document["kind"], document) == []) == accepted
    for kind in (document["kind"], None):
        for draft in DRAFTS:
            assert SCHEMAS[kind, draft].is_valid(document) == accepted


@settings(max_examples=400, deadline=None)
@given(mutated())
def test_all_validators_agree_on_a_changed_document(document: dict[str, Any]) -> None:
    assert_all_validators_agree(document)


@pytest.mark.parametrize("document", ACCEPTED, ids=lambda document: str(document["kind"]))
def test_all_validators_agree_on_each_single_change(document: dict[str, Any]) -> None:
    wrong: list[Any] = [None, "", "x\n", 587.0, 587.5, True, [], {}, {"bogus": 1}]
    for path in paths_of(document):
        if path in {("kind",), ("apiVersion",)}:
            continue
        for value in wrong:
            changed = copy.deepcopy(document)
            parent: Any = changed
            for step in path[:-1]:
                parent = parent[step]
            parent[path[-1]] = value
            assert_all_validators_agree(changed)


@pytest.mark.parametrize(
    "spec",
    [{"displayName": "\ud800"}, {"provider": "\ud800"}, {"host": "\ud800"}, {"\ud800": 1}],
    ids=["text", "a choice", "a name", "a key"],
)
def test_half_of_a_surrogate_pair_is_refused_like_any_other_value(spec: dict[str, Any]) -> None:
    document = copy.deepcopy(ACCEPTED[3])
    document["spec"] = {"account": "acme"} | spec
    assert not decodes(document)
    (problem,) = problems("SMTPProfile", document)
    assert problem.message.isprintable()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 10**40, -(10**30), b"x"], ids=repr)
def test_values_beyond_json_are_refused_without_a_traceback(wrong: Any) -> None:
    document = copy.deepcopy(ACCEPTED[3])
    document["spec"] = {"account": "acme", "port": wrong}
    assert not decodes(document)
    assert [problem.path for problem in problems("SMTPProfile", document)] == [("spec", "port")]


@pytest.mark.parametrize("value", [None, [], {}, {"kind": "MailBox"}, {"kind": []}], ids=repr)
def test_an_unknown_kind_is_refused(value: Any) -> None:
    assert not decodes(value)
