"""Replays the recorded history from its first row and compares the result with the store's tables.

The database is read with the driver only, in one snapshot. The checks are:

* revisions are numbered 0, 1, … up to the store's revision, without gaps or duplicates; each has
  its own commit id; within an account, ids rise with the numbers; each revision changed something;
* each history row belongs to a revision, and its ``before`` is the result of the rows before it: so
  each change is recorded once and completely, and every change is recorded;
* the result of the replay equals the tables: every domain with its owner, route, origin, declared
  route, shadow and the revision of its route; every account with its fence; every profile with its
  version; every endpoint that mail was ever sent to, with the revisions that
  created and retired it;
* an apply-all took effect in the same revision that recorded its id.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.store.raw import Raw, opened

from sendroute.model.current import AccountState
from sendroute.model.manifest_form import as_manifest
from sendroute.store.states import (
    domain_state,
    logins_of,
    maybe_route_of,
    platform_of,
    profile_of,
)
from sendroute.store.url import is_postgres

Owner = tuple[str, str]
Document = dict[str, Any]

_HISTORY_ROWS = """\
SELECT r.number, h.namespace, h.account, h.kind, h.name, h.action, h."before", h."after", h.reason
FROM history h LEFT JOIN revision r ON r.id = h.revision ORDER BY r.number, h.seq"""
_SWITCHED_ROWS = """\
SELECT r.number, s.namespace, s.account, 'SendingDomain', d.name, s.action, s."before", s."after",
  s.reason
FROM switch s JOIN switched d ON d.switch = s.id LEFT JOIN revision r ON r.id = s.revision
ORDER BY r.number"""
_DOMAINS = """\
SELECT d.name, a.namespace, a.name, since.number, changed.number, d.kind, d.profile, d.origin,
  d.declared_kind, d.declared_profile, d.shadow, d.overrides
FROM domain d LEFT JOIN account a ON a.id = d.account_id
LEFT JOIN revision since ON since.id = d.since
LEFT JOIN revision changed ON changed.id = d.changed"""
_ACCOUNTS = """\
SELECT a.namespace, a.name, a.plan, a.default_kind, a.default_profile, a.logins, r.number
FROM account a LEFT JOIN revision r ON r.id = a.revision"""
_PROFILES = """\
SELECT a.namespace, a.name, p.name, p.version, p.spec
FROM profile p LEFT JOIN account a ON a.id = p.account_id"""
_ENDPOINTS = """\
SELECT e.namespace, e.account, e.name, e.version, made.number, retired.number
FROM endpoint e LEFT JOIN revision made ON made.id = e.made
LEFT JOIN revision retired ON retired.id = e.retired"""
_APPLY_ALLS = """\
SELECT p.namespace, p.account, p.id, r.number, p.domains
FROM apply_all p LEFT JOIN revision r ON r.id = p.revision"""


@dataclass(frozen=True)
class RecordedChange:
    """One recorded change of either table. ``number`` is the number of its revision."""

    number: int
    owner: Owner
    kind: str
    name: str
    action: str
    before: Document | None
    after: Document | None
    reason: str


@dataclass
class ReplayedObject:
    """The last state of one object: ``since`` is the revision of its route, ``changed`` the
    revision of its last change; ``version`` counts the versions of a profile."""

    document: Document
    owner: Owner
    since: int
    changed: int
    version: int = 1


@dataclass
class Replay:
    """The state after the changes applied so far."""

    objects: dict[tuple[str, ...], ReplayedObject] = field(default_factory=dict)
    fences: dict[Owner, int] = field(default_factory=dict)
    endpoints: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    shadowed: Counter[tuple[Owner, str, int]] = field(default_factory=Counter)

    def apply(self, change: RecordedChange) -> None:
        key = _key(change)
        previous = self.objects.pop(key, None)
        assert change.before == (previous.document if previous is not None else None), (
            f"{change} does not follow {previous}"
        )
        if previous is not None:
            assert previous.owner == change.owner, f"{change} changes the owner {previous.owner}"
        expected = {(False, True): "create", (True, False): "delete"}.get(
            (change.before is not None, change.after is not None)
        )
        assert expected in (None, change.action), change
        self.fences[change.owner] = change.number
        if change.kind == "SMTPProfile":
            self._apply_profile(change, previous)
        if change.kind == "MailPlatform":
            self._apply_platform(change, previous)
        if change.kind == "SendingDomain":
            assert change.before != change.after, f"{change} changes nothing"
            self._count_shadow(change)
        if change.after is None:
            return
        version = previous.version + 1 if previous is not None else 1
        stays = previous is not None and previous.document.get("route") == change.after.get("route")
        since = previous.since if previous is not None and stays else change.number
        self.objects[key] = ReplayedObject(
            change.after, change.owner, since, change.number, version
        )

    def _count_shadow(self, change: RecordedChange) -> None:
        shadow = (change.after or {}).get("shadowed_by")
        if shadow is not None and shadow != (change.before or {}).get("shadowed_by"):
            self.shadowed[change.owner, shadow, change.number] += 1

    def _apply_profile(self, change: RecordedChange, previous: ReplayedObject | None) -> None:
        version = previous.version if previous is not None else 0
        self._replace((*change.owner, change.name), version, previous, change)

    def _apply_platform(self, change: RecordedChange, previous: ReplayedObject | None) -> None:
        version = previous.version if previous is not None else 0
        self._replace(("", "", "relay"), version, previous, change)

    def _replace(
        self,
        name: tuple[str, ...],
        version: int,
        previous: ReplayedObject | None,
        change: RecordedChange,
    ) -> None:
        if previous is not None:
            self.endpoints -= Counter([(*name, version, previous.changed, None)])
            self.endpoints[*name, version, previous.changed, change.number] += 1
        if change.after is not None:
            self.endpoints[*name, version + 1, change.number, None] += 1

    def of(self, kind: str) -> dict[tuple[str, ...], ReplayedObject]:
        return {key[1:]: state for key, state in self.objects.items() if key[0] == kind}


def _key(change: RecordedChange) -> tuple[str, ...]:
    """A domain is identified by its name alone, every other object by owner and name."""
    if change.kind == "SendingDomain":
        return change.kind, change.name
    return change.kind, *change.owner, change.name


def check(url: str) -> list[RecordedChange]:
    """Return all recorded changes in order of their revisions; raise AssertionError if any check
    of the module fails."""
    with opened(url) as raw, _snapshot(raw, url):
        numbers = _check_revisions(raw)
        changes = sorted(
            [
                _recorded_change(row)
                for statement in (_HISTORY_ROWS, _SWITCHED_ROWS)
                for row in _rows(raw, statement)
            ],
            key=lambda change: change.number,
        )
        replay = _replay(changes)
        changed_revisions = {change.number for change in changes}
        assert changed_revisions | {0} == set(numbers), (
            f"revisions without changes: {set(numbers) - changed_revisions}"
        )
        _check_domains(raw, replay)
        _check_accounts(raw, replay)
        _check_profiles(raw, replay)
        _check_platform(raw, replay)
        actual = Counter(tuple(row) for row in _rows(raw, _ENDPOINTS))
        assert actual == replay.endpoints, _difference(actual, replay.endpoints)
        _check_apply_alls(raw, replay, changes)
    return changes


@contextmanager
def _snapshot(raw: Raw, url: str) -> Iterator[None]:
    statement = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY" if is_postgres(url) else "BEGIN"
    raw.execute(statement)
    yield
    raw.execute("ROLLBACK")


def _rows(raw: Raw, statement: str) -> list[Any]:
    return raw.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]


def _check_revisions(raw: Raw) -> list[int]:
    [(head,)] = _rows(raw, "SELECT revision FROM store")
    actual = _rows(raw, "SELECT number, id, commit_id FROM revision ORDER BY number")
    numbers = [row[0] for row in actual]
    assert numbers == list(range(head + 1)), f"the store is at {head}, its revisions are {numbers}"
    commit_ids = [row[2] for row in actual if row[0]]
    assert None not in commit_ids
    assert len(set(commit_ids)) == len(commit_ids)
    ids: dict[Any, int] = {}
    of_accounts = """\
SELECT DISTINCT r.number, r.id, c.namespace, c.account FROM revision r
JOIN (SELECT revision, namespace, account FROM history
  UNION ALL SELECT revision, namespace, account FROM switch) c ON c.revision = r.id
ORDER BY r.number"""
    for number, id_, *owner in _rows(raw, of_accounts):
        assert ids.get(tuple(owner), -1) < id_, f"revision {number} of {owner} has an older id"
        ids[tuple(owner)] = id_
    return numbers


def _recorded_change(row: Any) -> RecordedChange:
    number, namespace, account, kind, name, action, before, after, reason = row
    assert number is not None, f"{row} belongs to no revision"
    documents = (_document(before), _document(after))
    return RecordedChange(number, (namespace, account), kind, name, action, *documents, reason)


@cache
def _document(text: str | None) -> Document | None:
    """Cached, because thousands of domains share few states."""
    return json.loads(text) if text else None


def _replay(changes: Iterable[RecordedChange]) -> Replay:
    replay = Replay()
    for change in changes:
        if change.kind != "Store" and change.action != "approve":
            replay.apply(change)
    return replay


def _check_domains(raw: Raw, replay: Replay) -> None:
    actual = {
        (name,): ReplayedObject(
            as_manifest(domain_state(tuple(state))), (namespace, account), since, changed
        )
        for name, namespace, account, since, changed, *state in _rows(raw, _DOMAINS)
    }
    _equal(actual, replay.of("SendingDomain"), but="version")


def _check_accounts(raw: Raw, replay: Replay) -> None:
    expected = replay.of("MailAccount")
    actual = {}
    for namespace, name, plan, kind, profile, logins, fence in _rows(raw, _ACCOUNTS):
        owner = (namespace, name)
        state = as_manifest(AccountState(plan, maybe_route_of(kind, profile), logins_of(logins)))
        assert fence == replay.fences[owner], f"{owner} was last changed by {replay.fences[owner]}"
        actual[*owner, name] = state
    assert actual == {key: kept.document for key, kept in expected.items()}


def _check_profiles(raw: Raw, replay: Replay) -> None:
    expected = {
        key: (kept.version, kept.document) for key, kept in replay.of("SMTPProfile").items()
    }
    actual = {
        (namespace, account, name): (version, _json(as_manifest(profile_of(spec))))
        for namespace, account, name, version, spec in _rows(raw, _PROFILES)
    }
    assert actual == expected


def _check_platform(raw: Raw, replay: Replay) -> None:
    rows = _rows(raw, "SELECT spec, version FROM platform")
    actual = [(_json(as_manifest(platform_of(spec))), version) for spec, version in rows]
    platforms = replay.of("MailPlatform").values()
    assert actual == [(platform.document, platform.version) for platform in platforms]


def _check_apply_alls(raw: Raw, replay: Replay, changes: list[RecordedChange]) -> None:
    """The domains that an apply-all shadows were shadowed in its revision and in no other."""
    kept = {
        ((namespace, account), id_): (number, domains)
        for namespace, account, id_, number, domains in _rows(raw, _APPLY_ALLS)
    }
    accounts = {(change.owner, change.number) for change in changes if change.kind == "MailAccount"}
    for (owner, id_), (number, domains) in kept.items():
        assert (owner, number) in accounts, f"{id_} of {owner} is not recorded in revision {number}"
        assert replay.shadowed[owner, id_, number] in (0, domains), (
            f"{id_} of {owner} is partly applied"
        )
    for owner, id_, number in replay.shadowed:
        assert kept.get((owner, id_), (None, 0))[0] == number, (
            f"{id_} of {owner} is in revision {number} too"
        )


def _json(document: Document) -> Document:
    """The document after a round trip through JSON."""
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


def _equal(
    actual: dict[Any, ReplayedObject], expected: dict[Any, ReplayedObject], *, but: str
) -> None:
    for state in (*actual.values(), *expected.values()):
        setattr(state, but, 0)
    assert actual == expected, _difference(actual, expected)


def _difference(actual: dict[Any, Any], expected: dict[Any, Any]) -> str:
    keys = actual.keys() | expected.keys()
    differ = sorted((key for key in keys if actual.get(key) != expected.get(key)), key=repr)
    shown = "\n".join(
        f"{key}: {actual.get(key)}, expected: {expected.get(key)}" for key in differ[:10]
    )
    return f"{len(differ)} objects differ from the history:\n{shown}"
