"""A course of trees whose end is one and the same, whoever has applied which of them when.

An applier reads its tree first and the store later: it may put an older tree in the place of a
newer one, until somebody applies the newer again. What was *declared* comes back then. What depends
on when a domain was seen (a default, an apply-all, a reassignment) need not: a domain that an older
tree removed comes back as a new one. So a round of this course has three legs, and before the
second and the third nobody is left who has read anything older than the tree before (a barrier):

1. *Wandering*: anything, a pair of accounts at a time, the next edit of a pair after the one before
   was committed by somebody. Every id of an apply-all has run then. Where domains are is not known
   to us: it depends on who came when.
2. *Settling*, from any state: an account either declares, for each domain, a profile of a new name
   (what is declared anew is assigned, and a shadow ends), or it stays as it was and has an
   apply-all with a new id (it switches all that the tree names, runs once, and the tree before
   differs in nothing else, so that nobody can remove a domain and bring it back unshadowed).
3. *Closing*, from that state: what has the same outcome though the settled tree comes in between
   again and again. An apply-all comes alone; domains that move, come by the default, or are
   reassigned as their profile goes, do so in accounts without one. A route is declared otherwise,
   never left out, for one that comes back would be declared anew. An account goes, and its domains
   move.

Each tree is sound by itself: none declares what only another tree's profile or plan would give.
"""

import random
from copy import deepcopy

from tests.planner import naive
from tests.planner.histories import tidy
from tests.planner.naive import AccountDoc, ApplyAllField, DomainDoc, Key, ProfileDoc, Store, Tree

from .estates import MANY, PAIRS, Estate, then

Pair = tuple[Key, Key]


class Course:
    """``tree`` is the newest, ``expected`` what one applier leaves who walks over all of them."""

    def __init__(self, chance: random.Random, size: int = 16) -> None:
        self._chance = chance
        self._made = 0
        self._estate = Estate(chance, size=size)
        self.tree = self._estate.tree
        self.expected = Store()
        self.ids: list[tuple[Key, str]] = []
        self._taken(self.tree)

    def wander(self, pair: Pair) -> list[str]:
        """Two edits or so of a pair; what tells that it was committed, by account."""
        tree = deepcopy(self.tree)
        for key in pair:
            doc = tree.accounts.setdefault(key, AccountDoc("pro"))
            for edit in self._chance.choices(self._estate.edits(), k=2):
                edit(tree, key)
            if self._chance.random() < 0.3:
                self._switch(doc)
        marks = [self._mark(tree, key) for key in pair]
        self._taken(tree)
        return marks

    def assess(self) -> None:
        tree = deepcopy(self.tree)
        for key, doc in tree.accounts.items():
            if self._chance.random() < 0.5:
                self._switch(doc)
            else:
                self._declare_all(doc, key)
        self._taken(tree)

    def close(self) -> None:
        tree = deepcopy(self.tree)
        for pair in PAIRS:
            for doc in (tree.accounts[key] for key in pair):
                doc.apply_all = None
            match self._chance.choice(["switch", "edit", "edit", "leave"]):
                case "switch":
                    for key in pair:
                        self._switch(tree.accounts[key])
                case "edit":
                    self._edit_well(tree, pair)
                case "leave":
                    gone = tree.accounts.pop(pair[0])
                    tree.accounts[pair[1]].domains |= {
                        name: DomainDoc(self._route(tree.accounts[pair[1]]))
                        for name in gone.domains
                    }
        self._taken(tree)

    def _taken(self, tree: Tree) -> None:
        tidy(tree, Store())
        self.tree = tree
        self.expected = then(tree, self.expected)
        self.ids += [(key, doc.apply_all.id) for key, doc in tree.accounts.items() if doc.apply_all]

    def _mark(self, tree: Tree, key: Key) -> str:
        """On a profile of the account that nothing needs."""
        self._made += 1
        note = f"mark {self._made}."
        profile = ProfileDoc("smtp.example", note)
        tree.accounts[key].profiles[f"{key[1]}-ses"] = profile
        return note

    def _switch(self, doc: AccountDoc) -> None:
        self._made += 1
        doc.apply_all = ApplyAllField(f"all-{self._made}", self._route(doc), MANY)

    def _declare_all(self, doc: AccountDoc, key: Key) -> None:
        doc.apply_all = None
        self._made += 1
        for part in ("a", "b"):
            name = f"{key[1]}-{part}{self._made}"
            doc.profiles[name] = ProfileDoc("smtp.example", "a new one", naive.UNCONFIGURED)
        for number, domain in enumerate(doc.domains.values()):
            domain.route = naive.via(f"{key[1]}-{'ab'[number % 2]}{self._made}")

    def _edit_well(self, tree: Tree, pair: Pair) -> None:
        for key in pair:
            doc = tree.accounts[key]
            names = sorted(doc.domains)
            self._chance.shuffle(names)
            goes = self._chance.choice([*sorted(doc.profiles), None])
            if goes is not None:
                del doc.profiles[goes]
            doc.default = self._chance.choice([None, self._route(doc)])
            for name, domain in doc.domains.items():
                is_gone = goes is not None and domain.route == naive.via(goes)
                if is_gone or (domain.route is not None and name in names[: len(names) // 3]):
                    domain.route = self._route(doc)
            for name in names[: len(names) // 5]:
                del doc.domains[name]
            for _ in range(3):
                self._made += 1
                doc.domains[f"new{self._made}.{key[1]}.{key[0]}.example"] = DomainDoc()
        one, other = (tree.accounts[key] for key in pair)
        for name in sorted(one.domains)[:5]:
            one.domains.pop(name)
            other.domains[name] = DomainDoc(self._chance.choice([None, self._route(other)]))

    def _route(self, doc: AccountDoc) -> str:
        routes = [naive.UNCONFIGURED, *map(naive.via, sorted(doc.profiles))]
        if doc.plan == "pro":
            routes.append(naive.MANAGED)
        return self._chance.choice(routes)
