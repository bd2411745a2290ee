"""The history told again from the beginning must lead to what the store holds, row by row.

Read by the driver alone, in one snapshot. What is checked:

* revisions are numbered 0, 1, … to the store's own, without a gap or a double, each with a commit
  id of its own; within an account ids rise as numbers do; each did something;
* each history row belongs to a revision, and its ``before`` is what the rows ahead of it left: so
  each change is told once, whole, and nothing was changed that is not told;
* what is left at the end are the tables: every domain with its owner, route, origin, declared route
  and shadow and since when; every account with its fence; every profile with its version; every
  destination that mail ever went to, with its making and its end;
* an apply-all took effect in the one revision in which its id was kept.
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
    maybe_route_of,
    platform_of,
    profile_of,
)
from sendroute.store.url import is_postgres

Owner = tuple[str, str]
Document = dict[str, Any]

_EACH = """\
SELECT r.number, h.namespace, h.account, h.kind, h.name, h.action, h."before", h."after", h.reason
FROM history h LEFT JOIN revision r ON r.id = h.revision ORDER BY r.number, h.seq"""
_WHOLE = """\
SELECT r.number, s.namespace, s.account, 'SendingDomain', d.name, s.action, s."before", s."after",
  s.reason
FROM switch s JOIN switched d ON d.switch = s.id LEFT JOIN revision r ON r.id = s.revision
ORDER BY r.number"""
_DOMAINS = """\
SELECT d.name, a.namespace, a.name, since.number, changed.number, d.kind, d.profile, d.origin,
  d.declared_kind, d.declared_profile, d.shadow
FROM domain d LEFT JOIN account a ON a.id = d.account_id
LEFT JOIN revision since ON since.id = d.since
LEFT JOIN revision changed ON changed.id = d.changed"""
_ACCOUNTS = """\
SELECT a.namespace, a.name, a.plan, a.default_kind, a.default_profile, r.number
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
class Told:
    """One change, by whichever table tells it. ``number`` is the revision's."""

    number: int
    owner: Owner
    kind: str
    name: str
    action: str
    before: Document | None
    after: Document | None
    reason: str


@dataclass
class Kept:
    """What is left of one object: ``since`` is when its route came, ``changed`` the last change;
    ``version`` counts a profile's."""

    document: Document
    owner: Owner
    since: int
    changed: int
    version: int = 1


@dataclass
class Replay:
    """The state that the changes told so far lead to."""

    objects: dict[tuple[str, ...], Kept] = field(default_factory=dict)
    fences: dict[Owner, int] = field(default_factory=dict)
    endpoints: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    shadowed: Counter[tuple[Owner, str, int]] = field(default_factory=Counter)

    def tell(self, told: Told) -> None:
        key = _key(told)
        was = self.objects.pop(key, None)
        assert told.before == (was.document if was is not None else None), f"{told} after {was}"
        if was is not None:
            assert was.owner == told.owner, f"{told} is of {was.owner}"
        expected = {(False, True): "create", (True, False): "delete"}.get(
            (told.before is not None, told.after is not None)
        )
        assert expected in (None, told.action), told
        self.fences[told.owner] = told.number
        if told.kind == "SMTPProfile":
            self._destination(told, was)
        if told.kind == "MailPlatform":
            self._relay(told, was)
        if told.kind == "SendingDomain":
            assert told.before != told.after, f"{told} is none"
            self._shadow(told)
        if told.after is None:
            return
        version = was.version + 1 if was is not None else 1
        stays = was is not None and was.document.get("route") == told.after.get("route")
        since = was.since if was is not None and stays else told.number
        self.objects[key] = Kept(told.after, told.owner, since, told.number, version)

    def _shadow(self, told: Told) -> None:
        shadow = (told.after or {}).get("shadowed_by")
        if shadow is not None and shadow != (told.before or {}).get("shadowed_by"):
            self.shadowed[told.owner, shadow, told.number] += 1

    def _destination(self, told: Told, was: Kept | None) -> None:
        version = was.version if was is not None else 0
        self._replace((*told.owner, told.name), version, was, told)

    def _relay(self, told: Told, was: Kept | None) -> None:
        version = was.version if was is not None else 0
        self._replace(("", "", "relay"), version, was, told)

    def _replace(self, name: tuple[str, ...], version: int, was: Kept | None, told: Told) -> None:
        if was is not None:
            self.endpoints -= Counter([(*name, version, was.changed, None)])
            self.endpoints[*name, version, was.changed, told.number] += 1
        if told.after is not None:
            self.endpoints[*name, version + 1, told.number, None] += 1

    def of(self, kind: str) -> dict[tuple[str, ...], Kept]:
        return {key[1:]: kept for key, kept in self.objects.items() if key[0] == kind}


def _key(told: Told) -> tuple[str, ...]:
    """Of all that there is, a domain's name alone says which one it is."""
    if told.kind == "SendingDomain":
        return told.kind, told.name
    return told.kind, *told.owner, told.name


def check(url: str) -> list[Told]:
    """Raises AssertionError; gives all that is told, in its order."""
    with opened(url) as raw, _snapshot(raw, url):
        numbers = _check_revisions(raw)
        told = sorted(
            [_told(row) for each in (_EACH, _WHOLE) for row in _rows(raw, each)],
            key=lambda one: one.number,
        )
        replay = _replayed(told)
        did = {one.number for one in told}
        assert did | {0} == set(numbers), f"revisions that did nothing: {set(numbers) - did}"
        _check_domains(raw, replay)
        _check_accounts(raw, replay)
        _check_profiles(raw, replay)
        _check_platform(raw, replay)
        found = Counter(tuple(row) for row in _rows(raw, _ENDPOINTS))
        assert found == replay.endpoints, _difference(found, replay.endpoints)
        _check_apply_alls(raw, replay, told)
    return told


@contextmanager
def _snapshot(raw: Raw, url: str) -> Iterator[None]:
    how = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY" if is_postgres(url) else "BEGIN"
    raw.execute(how)
    yield
    raw.execute("ROLLBACK")


def _rows(raw: Raw, statement: str) -> list[Any]:
    return raw.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]


def _check_revisions(raw: Raw) -> list[int]:
    [(head,)] = _rows(raw, "SELECT revision FROM store")
    found = _rows(raw, "SELECT number, id, commit_id FROM revision ORDER BY number")
    numbers = [row[0] for row in found]
    assert numbers == list(range(head + 1)), f"the store is at {head}, its revisions are {numbers}"
    commit_ids = [row[2] for row in found if row[0]]
    assert None not in commit_ids
    assert len(set(commit_ids)) == len(commit_ids)
    ids: dict[Any, int] = {}
    of_accounts = """\
SELECT DISTINCT r.number, r.id, c.namespace, c.account FROM revision r
JOIN (SELECT revision, namespace, account FROM history
  UNION ALL SELECT revision, namespace, account FROM switch) c ON c.revision = r.id
ORDER BY r.number"""
    for number, own, *owner in _rows(raw, of_accounts):
        assert ids.get(tuple(owner), -1) < own, f"revision {number} of {owner} has an older id"
        ids[tuple(owner)] = own
    return numbers


def _told(row: Any) -> Told:
    number, namespace, account, kind, name, action, before, after, reason = row
    assert number is not None, f"{row} is of no revision"
    documents = (_document(before), _document(after))
    return Told(number, (namespace, account), kind, name, action, *documents, reason)


@cache
def _document(text: str | None) -> Document | None:
    """Thousands of domains share few states."""
    return json.loads(text) if text else None


def _replayed(told: Iterable[Told]) -> Replay:
    replay = Replay()
    for one in told:
        if one.kind != "Store" and one.action != "approve":
            replay.tell(one)
    return replay


def _check_domains(raw: Raw, replay: Replay) -> None:
    found = {
        (name,): Kept(as_manifest(domain_state(tuple(state))), (namespace, account), since, changed)
        for name, namespace, account, since, changed, *state in _rows(raw, _DOMAINS)
    }
    _equal(found, replay.of("SendingDomain"), but="version")


def _check_accounts(raw: Raw, replay: Replay) -> None:
    expected = replay.of("MailAccount")
    found = {}
    for namespace, name, plan, kind, profile, fence in _rows(raw, _ACCOUNTS):
        owner = (namespace, name)
        state = as_manifest(AccountState(plan, maybe_route_of(kind, profile)))
        assert fence == replay.fences[owner], f"{owner} was last changed by {replay.fences[owner]}"
        found[*owner, name] = state
    assert found == {key: kept.document for key, kept in expected.items()}


def _check_profiles(raw: Raw, replay: Replay) -> None:
    expected = {
        key: (kept.version, kept.document) for key, kept in replay.of("SMTPProfile").items()
    }
    found = {
        (namespace, account, name): (version, _json(as_manifest(profile_of(spec))))
        for namespace, account, name, version, spec in _rows(raw, _PROFILES)
    }
    assert found == expected


def _check_platform(raw: Raw, replay: Replay) -> None:
    rows = _rows(raw, "SELECT spec, version FROM platform")
    found = [(_json(as_manifest(platform_of(spec))), version) for spec, version in rows]
    kept = replay.of("MailPlatform").values()
    assert found == [(one.document, one.version) for one in kept]


def _check_apply_alls(raw: Raw, replay: Replay, told: list[Told]) -> None:
    """The domains that it shadows came to be so with it, and with nothing else."""
    kept = {
        ((namespace, account), own): (number, domains)
        for namespace, account, own, number, domains in _rows(raw, _APPLY_ALLS)
    }
    accounts = {(one.owner, one.number) for one in told if one.kind == "MailAccount"}
    for (owner, own), (number, domains) in kept.items():
        assert (owner, number) in accounts, f"{own} of {owner} is not told at {number}"
        assert replay.shadowed[owner, own, number] in (0, domains), f"{own} of {owner} is half"
    for owner, own, number in replay.shadowed:
        assert kept.get((owner, own), (None, 0))[0] == number, f"{own} of {owner} at {number} too"


def _json(document: Document) -> Document:
    """As it is when it was text."""
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


def _equal(found: dict[Any, Kept], expected: dict[Any, Kept], *, but: str) -> None:
    for one in (*found.values(), *expected.values()):
        setattr(one, but, 0)
    assert found == expected, _difference(found, expected)


def _difference(found: dict[Any, Any], expected: dict[Any, Any]) -> str:
    keys = found.keys() | expected.keys()
    differ = sorted((key for key in keys if found.get(key) != expected.get(key)), key=repr)
    shown = "\n".join(f"{key}: {found.get(key)} for {expected.get(key)}" for key in differ[:10])
    return f"{len(differ)} are not as the history tells:\n{shown}"
