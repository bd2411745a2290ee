"""Trees of manifests that go on and on: in each, every account has something to be done, so that a
program that is killed at any moment is killed in the middle of work.

What a tree comes to is said by the naive model of the rules, which knows nothing of a store.
"""

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from tests.planner import naive
from tests.planner.histories import tidy
from tests.planner.naive import AccountDoc, ApplyAllField, DomainDoc, Key, ProfileDoc, Store, Tree

# Those of one pair exchange domains, and are in one file.
PAIRS: list[tuple[Key, Key]] = [
    (("acme", "acme"), ("acme", "beta")),
    (("zeta", "acme"), ("zeta", "delta")),
    (("omega", "east"), ("omega", "west")),
]
ACCOUNTS = [key for pair in PAIRS for key in pair]
PROFILES = ["mailgun", "postmark", "ses"]
ANYTHING = 100
"""Per cent: no guard is in the way."""

_API = "sendroute.dev/v1alpha1"
MANY = 1_000_000


class Estate:
    """``trees`` are all that were made, ``stores`` what one applier that walks over them leaves."""

    def __init__(self, chance: random.Random, accounts: list[Key] = ACCOUNTS, size: int = 80):
        self._chance = chance
        self._keys = accounts
        self._size = size
        self._made = 0
        tree = Tree(plans={"nano": False, "pro": True, "trial": True})
        self.trees: list[Tree] = []
        self.stores = [Store()]
        for key in accounts:
            tree.accounts[key] = AccountDoc("pro")
            self._put_profile(tree, key)
            self._put_domains(tree, key)
        self._add(tree)

    @property
    def tree(self) -> Tree:
        return self.trees[-1]

    @property
    def before(self) -> Store:
        return self.stores[-2]

    @property
    def after(self) -> Store:
        return self.stores[-1]

    def go_on(self) -> None:
        """The next tree, which asks for something of nearly every account."""
        tree = deepcopy(self.tree)
        for key in self._keys:
            self.edit(tree, key)
        if self._chance.random() < 0.1:
            assert tree.plans is not None
            tree.plans["trial"] = not tree.plans["trial"]
        self._add(tree)

    def edit(self, tree: Tree, key: Key) -> None:
        if key not in tree.accounts:
            self._bring_back(tree, key)
        for edit in self._chance.choices([*self.edits(), self._drop_account], k=2):
            if key in tree.accounts:
                edit(tree, key)

    def _add(self, tree: Tree) -> None:
        tidy(tree, self.after)
        self.trees.append(tree)
        self.stores.append(then(tree, self.after))

    def edits(self) -> list[Callable[[Tree, Key], None]]:
        """Of an account that is there, and stays."""
        often = [self._put_domains, self._put_profile, self._declare, self._apply_to_all]
        return [
            *often * 3,
            *[self._move, self._drop_profile, self._drop_domains] * 2,
            self._change_plan,
            self._set_default,
        ]

    def _put_domains(self, tree: Tree, key: Key) -> None:
        doc = tree.accounts[key]
        room = max(0, 3 * self._size - len(doc.domains))
        for _ in range(min(room, self._chance.randint(self._size // 2, self._size))):
            self._made += 1
            doc.domains[f"d{self._made:06}.{key[1]}.{key[0]}.example"] = DomainDoc(
                self._route(doc, may_be_none=True)
            )

    def _drop_domains(self, tree: Tree, key: Key) -> None:
        doc = tree.accounts[key]
        for name in self._some(doc, 3):
            del doc.domains[name]

    def _declare(self, tree: Tree, key: Key) -> None:
        doc = tree.accounts[key]
        for name in self._some(doc, 2):
            doc.domains[name].route = self._route(doc, may_be_none=True)

    def _put_profile(self, tree: Tree, key: Key) -> None:
        doc, name = tree.accounts[key], self._chance.choice(profiles_of(key))
        reassign = self._route(doc, may_be_none=True)
        if reassign == naive.via(name):
            reassign = None
        self._made += 1
        host = f"smtp{self._chance.randrange(3)}.example"
        doc.profiles[name] = ProfileDoc(host, f"the {self._made}th", reassign)

    def _drop_profile(self, tree: Tree, key: Key) -> None:
        """It may be what domains go through, declare and are to be reassigned to."""
        doc = tree.accounts[key]
        if doc.profiles:
            del doc.profiles[self._chance.choice(sorted(doc.profiles))]

    def _apply_to_all(self, tree: Tree, key: Key) -> None:
        doc = tree.accounts[key]
        self._made += 1
        route = self._route(doc)
        assert route is not None
        doc.apply_all = ApplyAllField(f"switch-{self._made}", route, MANY)

    def _move(self, tree: Tree, key: Key) -> None:
        other = partner(key)
        if other not in tree.accounts:
            return
        for name in self._some(tree.accounts[key], 5):
            tree.accounts[other].domains[name] = tree.accounts[key].domains.pop(name)

    def _change_plan(self, tree: Tree, key: Key) -> None:
        tree.accounts[key].plan = self._chance.choice(["nano", "pro", "trial"])

    def _set_default(self, tree: Tree, key: Key) -> None:
        tree.accounts[key].default = self._route(tree.accounts[key], may_be_none=True)

    def _drop_account(self, tree: Tree, key: Key) -> None:
        del tree.accounts[key]

    def _bring_back(self, tree: Tree, key: Key) -> None:
        """As it was once: names, and ids of apply-alls that ran."""
        past = [old.accounts[key] for old in self.trees if key in old.accounts]
        tree.accounts[key] = deepcopy(self._chance.choice(past))

    def _some(self, doc: AccountDoc, part: int) -> list[str]:
        """A part of its domains."""
        names = sorted(doc.domains)
        return self._chance.sample(names, len(names) // part)

    def _route(self, doc: AccountDoc, *, may_be_none: bool = False) -> str | None:
        routes: list[str | None] = [naive.MANAGED, naive.UNCONFIGURED]
        routes += map(naive.via, sorted(doc.profiles))
        return self._chance.choice(routes + [None] * may_be_none)


def profiles_of(key: Key) -> list[str]:
    """A name is of one profile in a namespace."""
    return [f"{key[1]}-{name}" for name in PROFILES]


def partner(key: Key) -> Key:
    one, other = next(pair for pair in PAIRS if key in pair)
    return other if key == one else one


def then(tree: Tree, store: Store) -> Store:
    after, _ = naive.step(tree, store, change_percent=ANYTHING, remove_percent=ANYTHING)
    return after


def holdings(store: Store, key: Key) -> tuple[object, object]:
    """All of an account: what it holds, and the ids that ran."""
    return store.accounts.get(key), store.ran.get(key, {})


# As files


def lay(tree: Tree, folder: Path) -> Path:
    """A file for each pair, each there whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    put(folder / "platform.yaml", [platform(tree)])
    for pair in PAIRS:
        lay_pair(tree, pair, folder)
    return folder


def lay_pair(tree: Tree, pair: tuple[Key, Key], folder: Path) -> None:
    documents = [one for key in pair for one in documents_of(tree, key)]
    put(folder / f"{pair[0][0]}.yaml", documents)


def put(path: Path, documents: list[dict[str, Any]]) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.write_text("\n---\n".join(json.dumps(one) for one in documents))
    beside.rename(path)


def platform(tree: Tree) -> dict[str, Any]:
    assert tree.plans is not None
    relay = {
        "host": "relay.managed.example",
        "port": 587,
        "encryption": "starttls",
        "credentials": {"secretRef": {"name": "managed-relay"}},
    }
    ports = [{"port": 587, "encryption": "starttls"}]
    managed = {"host": "smtp.managed.example", "ports": ports, "relay": relay}
    plans = [{"name": name, "managed": offered} for name, offered in tree.plans.items()]
    spec = {"managed": managed, "plans": plans}
    return {"apiVersion": _API, "kind": "MailPlatform", "metadata": {"name": "default"}} | {
        "spec": spec
    }


def documents_of(tree: Tree, key: Key) -> Iterator[dict[str, Any]]:
    doc = tree.accounts.get(key)
    if doc is None:
        return
    spec: dict[str, Any] = {"plan": doc.plan}
    if doc.default is not None:
        spec["defaultRoute"] = route(doc.default)
    if (asked := doc.apply_all) is not None:
        spec["applyToAll"] = {"id": asked.id, "route": route(asked.route)}
        spec["applyToAll"]["confirm"] = {"domains": asked.confirm}
    yield _object("MailAccount", key, key[1], spec)
    for name, profile in doc.profiles.items():
        spec = {
            "account": key[1],
            "host": profile.host,
            "port": 587,
            "encryption": "starttls",
            "displayName": profile.note,
            "credentials": {"secretRef": {"name": key[1]}},
            "connectionTest": "skip",  # there are no such hosts
        }
        if profile.reassign_to is not None:
            spec["onDelete"] = {"reassignTo": route(profile.reassign_to)}
        yield _object("SMTPProfile", key, name, spec)
    for name, domain in doc.domains.items():
        spec = {"account": key[1], "domain": name}
        if domain.route is not None:
            spec["route"] = route(domain.route)
        yield _object("SendingDomain", key, name.replace(".", "-"), spec)


def route(words: str) -> dict[str, Any]:
    name = naive.profile_of(words)
    return {words: {}} if name is None else {"profile": name}


def _object(kind: str, key: Key, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": key[0]}
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": spec}
