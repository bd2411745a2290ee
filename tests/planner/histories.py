"""Random histories: trees that are edited step by step, and the planner's values for them.

An edit is a function of a tree that does nothing where it does not apply, made from a few small
integers, so that every list of edits is a history and a failing one shrinks to a short one.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import strategies as st
from tests.planner import naive
from tests.planner.naive import AccountDoc, ApplyAllField, DomainDoc, Key, ProfileDoc, Store, Tree

T = TypeVar("T")

ACCOUNTS: list[Key] = [("acme", "acme"), ("acme", "beta"), ("zeta", "acme")]
PROFILES = ["mailgun", "ses", "smtp2go"]
DOMAINS = [f"d{number:02}.example" for number in range(12)]
PLANS = ["nano", "pro", "trial"]
ROUTES = [naive.MANAGED, naive.UNCONFIGURED, *(naive.via(name) for name in PROFILES)]
IDS = ["one", "two", "three"]


# Edits

Edit = Callable[[Tree], None]


@dataclass(frozen=True)
class Did:
    """An edit by its name and numbers: what a failing history is printed as."""

    verb: str
    account: int
    thing: int = 0
    value: int = 0

    def apply(self, tree: Tree, older: list[Tree]) -> None:
        EDITS[self.verb](tree, older, self)

    def __repr__(self) -> str:
        return f"{self.verb}({self.account},{self.thing},{self.value})"


def account_of(tree: Tree, did: Did) -> AccountDoc | None:
    return tree.accounts.get(ACCOUNTS[did.account % len(ACCOUNTS)])


def pick(values: list[T], number: int) -> T:
    return values[number % len(values)]


def route_or_none(number: int) -> str | None:
    return pick([None, *ROUTES], number)


def nothing(_tree: Tree, _older: list[Tree], _did: Did) -> None:
    """What the edits of a failing history shrink to."""


def add_account(tree: Tree, _older: list[Tree], did: Did) -> None:
    key = pick(ACCOUNTS, did.account)
    tree.orphans.discard(key)
    tree.accounts.setdefault(key, AccountDoc(plan=pick(PLANS, did.thing)))


def drop_account(tree: Tree, _older: list[Tree], did: Did) -> None:
    tree.accounts.pop(pick(ACCOUNTS, did.account), None)


def orphan(tree: Tree, _older: list[Tree], did: Did) -> None:
    drop_account(tree, _older, did)
    tree.orphans.add(pick(ACCOUNTS, did.account))


def change_plan(tree: Tree, _older: list[Tree], did: Did) -> None:
    if doc := account_of(tree, did):
        doc.plan = pick([*PLANS, "nano", "pro", "gone"], did.value)


def change_platform(tree: Tree, _older: list[Tree], did: Did) -> None:
    if tree.plans is not None:
        tree.plans[pick(PLANS, did.thing)] = bool(did.value % 2)


def set_default(tree: Tree, _older: list[Tree], did: Did) -> None:
    if doc := account_of(tree, did):
        doc.default = route_or_none(did.value)


def put_domain(tree: Tree, _older: list[Tree], did: Did) -> None:
    if doc := account_of(tree, did):
        name = pick(DOMAINS, did.thing)
        suspended = name in doc.domains and doc.domains[name].suspended
        doc.domains[name] = DomainDoc(route_or_none(did.value), suspended)
        doc.contested.discard(name)
        drop_inline(doc, name)


def put_many(tree: Tree, _older: list[Tree], did: Did) -> None:
    if doc := account_of(tree, did):
        for name in DOMAINS[: 10 + did.thing % 3]:
            if name not in doc.contested:
                doc.domains.setdefault(name, DomainDoc(route_or_none(did.value)))


def drop_domain(tree: Tree, _older: list[Tree], did: Did) -> None:
    if doc := account_of(tree, did):
        for offset in range(1 + did.value % 3):
            name = pick(DOMAINS, did.thing + offset)
            doc.domains.pop(name, None)
            drop_inline(doc, name)


def move_domain(tree: Tree, _older: list[Tree], did: Did) -> None:
    source = account_of(tree, did)
    target = tree.accounts.get(pick(ACCOUNTS, did.account + 1))
    if source is None or target is None:
        return
    for name in list(source.domains)[: 1 + did.thing % 2]:
        drop_inline(source, name)
        target.domains[name] = source.domains.pop(name)
        target.contested.discard(name)


def claim_domain(tree: Tree, _older: list[Tree], did: Did) -> None:
    for doc in tree.accounts.values():
        if pick(DOMAINS, did.thing) not in doc.contested:
            doc.domains.setdefault(pick(DOMAINS, did.thing), DomainDoc())


def contest_domain(tree: Tree, _older: list[Tree], did: Did) -> None:
    if doc := account_of(tree, did):
        name = pick(DOMAINS, did.thing)
        if name in doc.contested:
            doc.contested.discard(name)
        else:
            doc.contested.add(name)
            doc.domains.pop(name, None)
            drop_inline(doc, name)


def put_profile(tree: Tree, _older: list[Tree], did: Did) -> None:
    if doc := account_of(tree, did):
        name = pick(PROFILES, did.thing)
        reassign = pick([None, None, *ROUTES], did.value // 4)
        host = f"smtp{did.value % 2}.example"
        doc.profiles[name] = ProfileDoc(host, pick(["", "a note"], did.value // 2), reassign)


def put_inline(tree: Tree, _older: list[Tree], did: Did) -> None:
    if doc := account_of(tree, did):
        name, domain = pick(PROFILES, did.value), pick(DOMAINS, did.thing)
        if name in doc.profiles:
            return
        drop_inline(doc, domain)
        doc.domains[domain] = DomainDoc(naive.via(name))
        doc.contested.discard(domain)
        doc.profiles[name] = ProfileDoc(f"smtp{did.value % 2}.example", inline_in=domain)


def drop_inline(doc: AccountDoc, domain: str) -> None:
    """A definition in line goes with the manifest that makes it."""
    for name in [n for n, p in doc.profiles.items() if p.inline_in == domain]:
        del doc.profiles[name]


def drop_profile(tree: Tree, _older: list[Tree], did: Did) -> None:
    doc, name = account_of(tree, did), pick(PROFILES, did.thing)
    if doc is not None and name in doc.profiles and doc.profiles[name].inline_in is None:
        del doc.profiles[name]


def ask_apply_all(tree: Tree, _older: list[Tree], did: Did) -> None:
    if doc := account_of(tree, did):
        confirm = pick([12, 12, None, 4, 1], did.thing)
        doc.apply_all = ApplyAllField(pick(IDS, did.value), pick(ROUTES, did.value // 3), confirm)


def drop_apply_all(tree: Tree, _older: list[Tree], did: Did) -> None:
    if doc := account_of(tree, did):
        doc.apply_all = None


def suspend(tree: Tree, _older: list[Tree], did: Did) -> None:
    doc = account_of(tree, did)
    if did.value % 8 == 0:
        tree.platform_suspended = not tree.platform_suspended
    elif doc is not None and did.value % 8 < 2:
        doc.suspended = not doc.suspended
    elif doc is not None and did.value % 8 < 5:
        name = pick(DOMAINS, did.thing)
        if name in doc.domains:
            set_suspended(doc, name)
    elif doc is not None and pick(PROFILES, did.thing) in doc.profiles:
        profile = doc.profiles[pick(PROFILES, did.thing)]
        if profile.inline_in is None:
            profile.suspended = not profile.suspended
        else:
            set_suspended(doc, profile.inline_in)


def set_suspended(doc: AccountDoc, name: str) -> None:
    """A profile in line is part of its domain's object, and suspended with it."""
    doc.domains[name].suspended = not doc.domains[name].suspended
    for profile in doc.profiles.values():
        if profile.inline_in == name:
            profile.suspended = doc.domains[name].suspended


def break_document(tree: Tree, _older: list[Tree], did: Did) -> None:
    if doc := account_of(tree, did):
        doc.broken = not doc.broken


def lose_a_file(tree: Tree, _older: list[Tree], _did: Did) -> None:
    tree.complete = not tree.complete


def lose_the_platform(tree: Tree, _older: list[Tree], _did: Did) -> None:
    tree.plans = {"nano": False, "pro": True, "trial": True} if tree.plans is None else None


def go_back(tree: Tree, older: list[Tree], did: Did) -> None:
    if older:
        then = deepcopy(pick(older, did.value))
        tree.__dict__.update(then.__dict__)


EDITS: dict[str, Callable[[Tree, list[Tree], Did], None]] = {
    "nothing": nothing,
    "add_account": add_account,
    "drop_account": drop_account,
    "stray": orphan,
    "change_plan": change_plan,
    "change_platform": change_platform,
    "set_default": set_default,
    "put_domain": put_domain,
    "put_many": put_many,
    "drop_domain": drop_domain,
    "move_domain": move_domain,
    "claim_domain": claim_domain,
    "contest_domain": contest_domain,
    "put_profile": put_profile,
    "put_inline": put_inline,
    "drop_profile": drop_profile,
    "ask_apply_all": ask_apply_all,
    "drop_apply_all": drop_apply_all,
    "suspend": suspend,
    "break_document": break_document,
    "lose_a_file": lose_a_file,
    "lose_the_platform": lose_the_platform,
    "go_back": go_back,
}
# What people do often stands often: most steps should get through.
OFTEN = [
    "nothing",
    *["put_domain"] * 6,
    *["put_many"] * 2,
    *["put_profile"] * 5,
    *["put_inline"] * 2,
    *["drop_profile"] * 3,
    *["drop_domain"] * 2,
    *["move_domain"] * 3,
    *["ask_apply_all"] * 4,
    *["set_default"] * 3,
    *["change_plan"] * 2,
    *["add_account"] * 3,
    *["suspend"] * 2,
    *["go_back"] * 2,
    *["lose_a_file"] * 2,
    *list(EDITS)[1:],
]


@dataclass(frozen=True)
class Step:
    """What happens between two applies. ``tidy``: the author leaves no reference to what is not
    there; ``failing``: which of the new and changed profiles fail their connection test;
    ``rotated``: those whose secret's content changes."""

    edits: list[Did]
    tidy: bool
    failing: frozenset[str]
    rotated: frozenset[str] = frozenset()


edits = st.builds(
    Did,
    verb=st.sampled_from(OFTEN),
    account=st.sampled_from([0, 0, 0, 1, 1, 2]),
    thing=st.integers(0, 11),
    value=st.integers(0, 29),
)
steps = st.builds(
    Step,
    edits=st.lists(edits, min_size=3, max_size=8),
    tidy=st.sampled_from([True, True, True, False]),
    failing=st.sampled_from(
        [frozenset[str]()] * 3 + [frozenset([name]) for name in PROFILES] + [frozenset(PROFILES)]
    ),
    rotated=st.sampled_from([frozenset[str]()] * 3 + [frozenset([name]) for name in PROFILES]),
)


def histories(longest: int) -> st.SearchStrategy[list[Step]]:
    return st.lists(steps, min_size=longest // 2, max_size=longest)


def first_tree() -> Tree:
    """Two accounts of one namespace, one in another, for a history need not begin with nothing."""
    return Tree(
        plans={"nano": False, "pro": True, "trial": True},
        accounts={
            ACCOUNTS[0]: AccountDoc(
                plan="pro",
                profiles={"ses": ProfileDoc("smtp0.example")},
                domains={
                    DOMAINS[0]: DomainDoc(naive.via("ses")),
                    DOMAINS[1]: DomainDoc(),
                },
            ),
            ACCOUNTS[1]: AccountDoc(plan="nano"),
        },
    )


def next_tree(tree: Tree, step: Step, older: list[Tree], store: Store) -> Tree:
    tree = deepcopy(tree)
    for edit in step.edits:
        edit.apply(tree, older)
    if step.tidy:
        tidy(tree, store)
    return tree


def tidy(tree: Tree, store: Store) -> None:
    """What a careful author would not commit is taken out: errors, claims on others' domains."""
    if tree.plans is None:
        lose_the_platform(tree, [], Did("", 0))
    tree.orphans -= set(store.accounts)
    seen: set[str] = set()
    for key, doc in tree.accounts.items():
        doc.broken = False
        doc.contested.clear()
        doc.plan = doc.plan if doc.plan in PLANS else "pro"
        for name in seen & set(doc.domains):
            del doc.domains[name]
            drop_inline(doc, name)
        seen |= set(doc.domains)
        untangle(key, doc, tree, store)


def untangle(key: Key, doc: AccountDoc, tree: Tree, store: Store) -> None:
    stored = store.accounts.get(key)
    assert tree.plans is not None
    there = {n for n, p in doc.profiles.items() if not p.suspended} | (
        set(doc.profiles) & set(stored.profiles if stored else ())
    )

    def good(route: str | None) -> bool:
        assert tree.plans is not None
        if route == naive.MANAGED:
            return tree.plans[doc.plan]
        return naive.profile_of(route) is None or naive.profile_of(route) in there

    rows = stored.domains if stored else {}
    for name, domain in doc.domains.items():
        known = name in rows and rows[name].declared == domain.route
        if not known and not good(domain.route):
            domain.route = None
    if not good(doc.default) and not (stored and stored.default == doc.default):
        doc.default = None
    for name, profile in doc.profiles.items():
        was = stored.profiles.get(name) if stored else None
        if not good(profile.reassign_to) and (
            was is None or was.reassign_to != profile.reassign_to
        ):
            profile.reassign_to = None
    ran = store.ran.get(key, {})
    request = doc.apply_all
    if request is not None and ran.get(request.id) != request.route and not good(request.route):
        doc.apply_all = None
