"""The history shows every state in the form of its manifest, also rows of older versions."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from sendroute.model.change import Kind, State
from sendroute.model.current import AccountState, DomainState, RanApplyAll
from sendroute.model.manifest_form import as_manifest
from sendroute.model.platform import Managed, PlanLimits, Platform, PublicPort, Relay, ServicePlan
from sendroute.model.profile import Encryption, Profile, ProviderLimits
from sendroute.model.route import MANAGED, UNCONFIGURED, Origin, via
from sendroute.store.record import Store

from .raw import opened

ROW = "(revision, namespace, account, kind, name, action, before, after, reason, message)"
SWITCH = "(id, revision, namespace, account, action, before, after, reason, message)"

# A state, and the JSON that the history stored for it before it used the form of the manifests.
EARLIER: dict[str, tuple[Kind, State, dict[str, Any]]] = {
    "domain": (
        Kind.DOMAIN,
        DomainState(via("ses"), Origin.APPLY_ALL, MANAGED, "once"),
        {
            "route": {"profile": "ses"},
            "origin": "apply-all",
            "declared": {"managed": {}},
            "shadow": "once",
        },
    ),
    "account": (
        Kind.ACCOUNT,
        AccountState("nano", UNCONFIGURED),
        {"plan": "nano", "default": {"unconfigured": {}}},
    ),
    "profile": (
        Kind.PROFILE,
        Profile(
            "smtp.ses.example",
            587,
            Encryption.STARTTLS,
            secret="ses",
            limits=ProviderLimits(per_day=100),
            reassign_to=via("mailgun"),
        ),
        {
            "host": "smtp.ses.example",
            "port": 587,
            "encryption": "starttls",
            "secret": "ses",
            "allow_insecure_auth": False,
            "connection_test": "required",
            "limits": {"per_second": None, "per_day": 100},
            "sender_authorization": "warn",
            "reassign_to": {"profile": "mailgun"},
        },
    ),
    "platform": (
        Kind.PLATFORM,
        Platform(
            Managed(
                None,
                "smtp.example",
                (PublicPort(465, Encryption.TLS),),
                Relay("relay.example", 25, Encryption.NONE),
            ),
            (ServicePlan("nano", managed=True, limits=PlanLimits(mailbox_per_day=5)),),
            ("10.0.0.0/8",),
        ),
        {
            "managed": {
                "display_name": None,
                "host": "smtp.example",
                "ports": [{"port": 465, "encryption": "tls"}],
                "relay": {
                    "host": "relay.example",
                    "port": 25,
                    "encryption": "none",
                    "secret": None,
                    "allow_insecure_auth": False,
                },
                "spf": None,
            },
            "plans": [
                {
                    "name": "nano",
                    "managed": True,
                    "limits": {"account_per_day": None, "mailbox_per_day": 5},
                }
            ],
            "allow_networks": ["10.0.0.0/8"],
        },
    ),
}


@pytest.mark.parametrize("name", EARLIER)
def test_an_earlier_entry_has_the_form_of_the_manifests(
    store: Store, store_url: str, name: str
) -> None:
    kind, state, earlier = EARLIER[name]
    text = json.dumps(earlier)
    with opened(store_url) as raw:
        raw.execute(
            f"INSERT INTO history {ROW} VALUES (0, 'acme', 'acme', '{kind.value}', 'x', 'update',"  # noqa: S608
            f" '{text}', '{text}', 'declared', '')"
        )
    entry = store.history(limit=1)[0]
    assert entry.before == entry.after == as_json(state)


def test_an_earlier_bulk_switch_has_the_form_of_the_manifests(store: Store, store_url: str) -> None:
    _, state, earlier = EARLIER["domain"]
    text = json.dumps(earlier)
    with opened(store_url) as raw:
        raw.execute(
            f"INSERT INTO switch {SWITCH} VALUES (1, 0, 'acme', 'acme', 'reroute',"  # noqa: S608
            f" '{text}', '{text}', 'apply-all', '')"
        )
        raw.execute("INSERT INTO switched (switch, name) VALUES (1, 'a.example')")
    (entry,) = store.history(domain="a.example")
    assert entry.before == entry.after == as_json(state)


def test_an_entry_has_the_form_of_the_manifests(store: Store, say: Any) -> None:
    states = {kind: state for kind, state, _ in EARLIER.values()}
    platform, account = states[Kind.PLATFORM], states[Kind.ACCOUNT]
    profile, domain = states[Kind.PROFILE], states[Kind.DOMAIN]
    plan = say.plan(
        0,
        say.account(after=account, ran=("once", RanApplyAll(via("ses"), 1))),
        say.profile("ses", after=profile),
        say.domain("a.example", None, domain),
    )
    store.commit([plan], say.platform_change(None, platform), say.provenance)
    entries = {entry.kind: entry.after for entry in store.history() if entry.revision == 1}
    assert entries == {kind.value: as_json(state) for kind, state in states.items()}


def test_a_bulk_switch_has_the_form_of_the_manifests(store: Store, say: Any) -> None:
    names = [f"d{number:03}.example" for number in range(200)]
    store.commit([say.start(*names)], None, say.provenance)
    before = DomainState(MANAGED, Origin.DEFAULT)
    after = DomainState(via("ses"), Origin.APPLY_ALL, None, "once")
    account = AccountState("nano")
    run = say.account(account, account, ran=("once", RanApplyAll(via("ses"), len(names))))
    changes = [say.domain(name, before, after) for name in names]
    store.commit([say.plan(1, run, *changes)], None, say.provenance)
    entry = store.history(domain=names[0])[0]
    assert (entry.before, entry.after) == (as_json(before), as_json(after))
    assert as_json(after)["shadowed_by"] == "once"


def as_json(state: State) -> Any:
    return json.loads(json.dumps(as_manifest(state)))


def test_a_clock_that_was_set_back_hides_no_later_revision(store: Store, say: Any) -> None:
    """The revisions 2, 3 and 4 were committed at ten, nine and eleven o'clock."""
    times = [datetime(2026, 11, 29, hour, tzinfo=UTC) for hour in (10, 9, 11)]
    store.commit([say.start("a.example")], None, replace(say.provenance, at=times[0]))
    state = DomainState(MANAGED, Origin.DEFAULT)
    for index, at in enumerate(times[1:]):
        revision = store.read().accounts[say.key].revision
        change = say.domain(f"b{index}.example", None, state)
        store.commit([say.plan(revision, change)], None, replace(say.provenance, at=at))
    newest = store.head().revision

    def shown(hour: int, minute: int = 0) -> set[int]:
        since = datetime(2026, 11, 29, hour, minute, tzinfo=UTC)
        return {entry.revision for entry in store.history(owner=say.key, since=since)}

    assert shown(9, 30) == {newest - 2, newest - 1, newest}
    assert shown(10, 30) == {newest}
    assert shown(11, 30) == set()
