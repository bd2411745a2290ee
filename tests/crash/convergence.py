"""Sequences of trees whose final state does not depend on which applier applied which tree when.

An applier reads its tree first and the store later: it may overwrite the result of a newer tree
with an older one, until another applier applies the newer tree again. *Declared* state is restored
by that. State that depends on when a domain was first seen (a default, an apply-all, a
reassignment) may not be: a domain that an older tree removed is created again as a new domain.
Therefore each round has three phases. Before the second and the third phase no process remains that
has read a tree older than the previous one (a barrier):

1. *Wandering*: any edits, one pair of accounts at a time; the next edit of a pair follows after the
   previous one was committed. Every apply-all id has run at the end. The routes of the domains are
   unknown, because they depend on the order of the appliers.
2. *Assessing*, from any state: an account either declares a new profile for each domain (a domain
   whose declared route changes is assigned, and its shadow ends), or it stays unchanged and gets an
   apply-all with a new id (which switches all domains of the tree and runs once; the previous tree
   differs in nothing else, so that no applier can remove a domain and create it again unshadowed).
3. *Closing*, from that state: edits with the same result even if the previous tree is applied
   repeatedly in between. An apply-all is the only edit of its account; domains that move, that use
   the default, or that are reassigned because their profile is deleted are in accounts without an
   apply-all. A declared route is changed but never removed, because adding it again would count as
   a new declaration. An account is deleted, and its domains move.

Each tree is valid on its own: none declares a route that needs the profile or plan of another tree.
"""

import random
from copy import deepcopy

from tests.planner import naive
from tests.planner.histories import tidy
from tests.planner.naive import AccountDoc, ApplyAllField, DomainDoc, Key, ProfileDoc, Store, Tree

from .manifest_trees import MANY, PAIRS, TreeSequence, apply_tree

Pair = tuple[Key, Key]


class ConvergingTrees:
    """``tree`` is the newest tree, ``expected`` the store after one applier applied all of them."""

    def __init__(self, rng: random.Random, size: int = 16) -> None:
        self._rng = rng
        self._counter = 0
        self._sequence = TreeSequence(rng, size=size)
        self.tree = self._sequence.tree
        self.expected = Store()
        self.ids: list[tuple[Key, str]] = []
        self._adopt(self.tree)

    def wander(self, pair: Pair) -> list[str]:
        """Edit a pair of accounts about twice; return, for each account, the mark whose presence in
        the history proves the commit."""
        tree = deepcopy(self.tree)
        for key in pair:
            doc = tree.accounts.setdefault(key, AccountDoc("pro"))
            for edit in self._rng.choices(self._sequence.edits(), k=2):
                edit(tree, key)
            if self._rng.random() < 0.3:
                self._switch(doc)
        marks = [self._mark(tree, key) for key in pair]
        self._adopt(tree)
        return marks

    def assess(self) -> None:
        tree = deepcopy(self.tree)
        for key, doc in tree.accounts.items():
            if self._rng.random() < 0.5:
                self._switch(doc)
            else:
                self._declare_all(doc, key)
        self._adopt(tree)

    def close(self) -> None:
        tree = deepcopy(self.tree)
        for pair in PAIRS:
            for doc in (tree.accounts[key] for key in pair):
                doc.apply_all = None
            match self._rng.choice(["switch", "edit", "edit", "delete"]):
                case "switch":
                    for key in pair:
                        self._switch(tree.accounts[key])
                case "edit":
                    self._edit_deterministically(tree, pair)
                case "delete":
                    deleted = tree.accounts.pop(pair[0])
                    tree.accounts[pair[1]].domains |= {
                        name: DomainDoc(self._route(tree.accounts[pair[1]]))
                        for name in deleted.domains
                    }
        self._adopt(tree)

    def _adopt(self, tree: Tree) -> None:
        tidy(tree, Store())
        self.tree = tree
        self.expected = apply_tree(tree, self.expected)
        self.ids += [(key, doc.apply_all.id) for key, doc in tree.accounts.items() if doc.apply_all]

    def _mark(self, tree: Tree, key: Key) -> str:
        """Mark a profile of the account that nothing refers to."""
        self._counter += 1
        note = f"mark {self._counter}."
        profile = ProfileDoc("smtp.example", note)
        tree.accounts[key].profiles[f"{key[1]}-ses"] = profile
        return note

    def _switch(self, doc: AccountDoc) -> None:
        self._counter += 1
        doc.apply_all = ApplyAllField(f"all-{self._counter}", self._route(doc), MANY)

    def _declare_all(self, doc: AccountDoc, key: Key) -> None:
        doc.apply_all = None
        self._counter += 1
        for part in ("a", "b"):
            name = f"{key[1]}-{part}{self._counter}"
            doc.profiles[name] = ProfileDoc("smtp.example", "a new one", naive.UNCONFIGURED)
        for number, domain in enumerate(doc.domains.values()):
            domain.route = naive.via(f"{key[1]}-{'ab'[number % 2]}{self._counter}")

    def _edit_deterministically(self, tree: Tree, pair: Pair) -> None:
        for key in pair:
            doc = tree.accounts[key]
            names = sorted(doc.domains)
            self._rng.shuffle(names)
            deleted_profile = self._rng.choice([*sorted(doc.profiles), None])
            if deleted_profile is not None:
                del doc.profiles[deleted_profile]
            doc.default = self._rng.choice([None, self._route(doc)])
            for name, domain in doc.domains.items():
                is_deleted = deleted_profile is not None and domain.route == naive.via(
                    deleted_profile
                )
                if is_deleted or (domain.route is not None and name in names[: len(names) // 3]):
                    domain.route = self._route(doc)
            for name in names[: len(names) // 5]:
                del doc.domains[name]
            for _ in range(3):
                self._counter += 1
                doc.domains[f"new{self._counter}.{key[1]}.{key[0]}.example"] = DomainDoc()
        account, other = (tree.accounts[key] for key in pair)
        for name in sorted(account.domains)[:5]:
            account.domains.pop(name)
            other.domains[name] = DomainDoc(self._rng.choice([None, self._route(other)]))

    def _route(self, doc: AccountDoc) -> str:
        routes = [naive.UNCONFIGURED, *map(naive.via, sorted(doc.profiles))]
        if doc.plan == "pro":
            routes.append(naive.MANAGED)
        return self._rng.choice(routes)
