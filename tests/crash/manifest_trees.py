"""Endless sequences of manifest trees: each tree changes nearly every account, so that a command
that is killed at any moment is killed while it works.

The naive model of the rules, which uses no store, computes the expected result of a tree.
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

# The accounts of a pair exchange domains and share one file.
PAIRS: list[tuple[Key, Key]] = [
    (("acme", "acme"), ("acme", "beta")),
    (("zeta", "acme"), ("zeta", "delta")),
    (("omega", "east"), ("omega", "west")),
]
ACCOUNTS = [key for pair in PAIRS for key in pair]
PROFILES = ["mailgun", "postmark", "ses"]
NO_LIMIT = 100
"""Percent: no guard refuses a plan."""

_API = "sendroute.dev/v1alpha1"
MANY = 1_000_000


class TreeSequence:
    """``trees`` are all trees so far, ``stores`` the stores after each of them was applied."""

    def __init__(self, rng: random.Random, accounts: list[Key] = ACCOUNTS, size: int = 80):
        self._rng = rng
        self._keys = accounts
        self._size = size
        self._counter = 0
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

    def next_tree(self) -> None:
        """Add the next tree, which changes nearly every account."""
        tree = deepcopy(self.tree)
        for key in self._keys:
            self.edit(tree, key)
        if self._rng.random() < 0.1:
            assert tree.plans is not None
            tree.plans["trial"] = not tree.plans["trial"]
        self._add(tree)

    def edit(self, tree: Tree, key: Key) -> None:
        if tree.accounts[key].is_removed:
            self._restore_account(tree, key)
        for edit in self._rng.choices([*self.edits(), self._remove_account], k=2):
            if not tree.accounts[key].is_removed:
                edit(tree, key)

    def _add(self, tree: Tree) -> None:
        tidy(tree, self.after)
        self.trees.append(tree)
        self.stores.append(apply_tree(tree, self.after))

    def edits(self) -> list[Callable[[Tree, Key], None]]:
        """The edits of an account that exists and is not deleted."""
        frequent = [self._put_domains, self._put_profile, self._declare, self._apply_to_all]
        return [
            *frequent * 3,
            *[self._move, self._drop_profile, self._drop_domains] * 2,
            self._change_plan,
            self._set_default,
        ]

    def _put_domains(self, tree: Tree, key: Key) -> None:
        doc = tree.accounts[key]
        free = max(0, 3 * self._size - len(doc.domains))
        for _ in range(min(free, self._rng.randint(self._size // 2, self._size))):
            self._counter += 1
            doc.domains[f"d{self._counter:06}.{key[1]}.{key[0]}.example"] = DomainDoc(
                self._route(doc, may_be_none=True)
            )

    def _drop_domains(self, tree: Tree, key: Key) -> None:
        doc = tree.accounts[key]
        for name in self._sample(doc, 3):
            del doc.domains[name]

    def _declare(self, tree: Tree, key: Key) -> None:
        doc = tree.accounts[key]
        for name in self._sample(doc, 2):
            doc.domains[name].route = self._route(doc, may_be_none=True)

    def _put_profile(self, tree: Tree, key: Key) -> None:
        doc, name = tree.accounts[key], self._rng.choice(profiles_of(key))
        reassign = self._route(doc, may_be_none=True)
        if reassign == naive.via(name):
            reassign = None
        self._counter += 1
        host = f"smtp{self._rng.randrange(3)}.example"
        doc.profiles[name] = ProfileDoc(host, f"the {self._counter}th", reassign)

    def _drop_profile(self, tree: Tree, key: Key) -> None:
        """Delete a profile that domains may use, declare or be reassigned to."""
        doc = tree.accounts[key]
        if doc.profiles:
            del doc.profiles[self._rng.choice(sorted(doc.profiles))]

    def _apply_to_all(self, tree: Tree, key: Key) -> None:
        doc = tree.accounts[key]
        self._counter += 1
        route = self._route(doc)
        assert route is not None
        doc.apply_all = ApplyAllField(f"switch-{self._counter}", route, MANY)

    def _move(self, tree: Tree, key: Key) -> None:
        other = partner(key)
        if tree.accounts[other].is_removed:
            return
        for name in self._sample(tree.accounts[key], 5):
            tree.accounts[other].domains[name] = tree.accounts[key].domains.pop(name)

    def _change_plan(self, tree: Tree, key: Key) -> None:
        tree.accounts[key].plan = self._rng.choice(["nano", "pro", "trial"])

    def _set_default(self, tree: Tree, key: Key) -> None:
        tree.accounts[key].default = self._route(tree.accounts[key], may_be_none=True)

    def _remove_account(self, tree: Tree, key: Key) -> None:
        """Remove the account with its domains. Its other documents are deleted too, because they
        would be ignored."""
        tree.accounts[key] = AccountDoc(tree.accounts[key].plan, remove=MANY)

    def _restore_account(self, tree: Tree, key: Key) -> None:
        """Restore an earlier version of the account, with its names and apply-all ids that ran."""
        versions = [old.accounts[key] for old in self.trees if not old.accounts[key].is_removed]
        tree.accounts[key] = deepcopy(self._rng.choice(versions))

    def _sample(self, doc: AccountDoc, part: int) -> list[str]:
        """A random sample of the domains: one in ``part``."""
        names = sorted(doc.domains)
        return self._rng.sample(names, len(names) // part)

    def _route(self, doc: AccountDoc, *, may_be_none: bool = False) -> str | None:
        routes: list[str | None] = [naive.MANAGED, naive.UNCONFIGURED]
        routes += map(naive.via, sorted(doc.profiles))
        return self._rng.choice(routes + [None] * may_be_none)


def profiles_of(key: Key) -> list[str]:
    """Profile names are unique in a namespace."""
    return [f"{key[1]}-{name}" for name in PROFILES]


def partner(key: Key) -> Key:
    first, second = next(pair for pair in PAIRS if key in pair)
    return second if key == first else first


def apply_tree(tree: Tree, store: Store) -> Store:
    after, _ = naive.step(tree, store, change_percent=NO_LIMIT, remove_percent=NO_LIMIT)
    return after


def holdings(store: Store, key: Key) -> tuple[object, object]:
    """The complete state of an account: its objects and the apply-all ids that ran."""
    return store.accounts.get(key), store.ran.get(key, {})


# Manifest files


def write_tree(tree: Tree, directory: Path) -> Path:
    """Write one file for each pair, each atomically."""
    directory.mkdir(parents=True, exist_ok=True)
    write_documents(directory / "platform.yaml", [platform(tree)])
    for pair in PAIRS:
        write_pair(tree, pair, directory)
    return directory


def write_pair(tree: Tree, pair: tuple[Key, Key], directory: Path) -> None:
    documents = [document for key in pair for document in documents_of(tree, key)]
    write_documents(directory / f"{pair[0][0]}.yaml", documents)


def write_documents(path: Path, documents: list[dict[str, Any]]) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text("\n---\n".join(json.dumps(document) for document in documents))
    temporary.rename(path)


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
    if (apply_all := doc.apply_all) is not None:
        spec["applyToAll"] = {"id": apply_all.id, "route": route(apply_all.route)}
        spec["applyToAll"]["confirm"] = {"domains": apply_all.confirm}
    if doc.remove is not None:
        spec["remove"] = {"confirm": {"domains": doc.remove}}
    yield _object("MailAccount", key, key[1], spec)
    for name, profile in doc.profiles.items():
        spec = {
            "account": key[1],
            "host": profile.host,
            "port": 587,
            "encryption": "starttls",
            "displayName": profile.note,
            "credentials": {"secretRef": {"name": key[1]}},
            "connectionTest": "skip",  # these hosts do not exist
        }
        if profile.reassign_to is not None:
            spec["onDelete"] = {"reassignTo": route(profile.reassign_to)}
        yield _object("SMTPProfile", key, name, spec)
    for name, domain in doc.domains.items():
        spec = {"account": key[1], "domain": name}
        if domain.route is not None:
            spec["route"] = route(domain.route)
        yield _object("SendingDomain", key, name.replace(".", "-"), spec)


def route(text: str) -> dict[str, Any]:
    name = naive.profile_of(text)
    return {text: {}} if name is None else {"profile": name}


def _object(kind: str, key: Key, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": key[0]}
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": spec}
