"""Random histories: manifest trees that are edited step by step.

An edit is a function of a tree and a few small integers; it does nothing if it does not apply. So
every list of edits is a history, and a failing history shrinks to a short one.
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


@dataclass(frozen=True)
class Edit:
    """The name and the numbers of an edit, as a failing history is printed."""

    verb: str
    account: int
    item: int = 0
    value: int = 0

    def apply(self, tree: Tree, older: list[Tree]) -> None:
        EDITS[self.verb](tree, older, self)

    def __repr__(self) -> str:
        return f"{self.verb}({self.account},{self.item},{self.value})"


def account_of(tree: Tree, edit: Edit) -> AccountDoc | None:
    return tree.accounts.get(ACCOUNTS[edit.account % len(ACCOUNTS)])


def pick(values: list[T], number: int) -> T:
    return values[number % len(values)]


def route_or_none(number: int) -> str | None:
    return pick([None, *ROUTES], number)


def nothing(_tree: Tree, _older: list[Tree], _did: Edit) -> None:
    """The edit to which the edits of a failing history shrink."""


def add_account(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    key = pick(ACCOUNTS, edit.account)
    tree.orphans.pop(key, None)
    tree.accounts.setdefault(key, AccountDoc(plan=pick(PLANS, edit.item)))


def drop_account(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    tree.accounts.pop(pick(ACCOUNTS, edit.account), None)


def orphan(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    """Remove a MailAccount; the other documents of its account stay, or some of them."""
    key = pick(ACCOUNTS, edit.account)
    doc = tree.accounts.pop(key, None) or AccountDoc("")
    if edit.value % 2:
        doc.domains, doc.contested = {}, set()
    profiles = {name: p for name, p in doc.profiles.items() if p.inline_in is None}
    left = AccountDoc("", domains=doc.domains, contested=doc.contested, profiles=profiles)
    tree.orphans.setdefault(key, left)


def misspell_account(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    """Domains whose spec.account is that of an account which nothing defines, perhaps in another
    namespace."""
    if doc := account_of(tree, edit):
        namespace = pick([pick(ACCOUNTS, edit.account)[0]] * 3 + ["zeta"], edit.value)
        key = (namespace, pick(["tpyo", "typo"], edit.item))
        misspelled = tree.orphans.setdefault(key, AccountDoc(""))
        for name in list(doc.domains)[: 1 + edit.item % 2]:
            drop_inline(doc, name)
            misspelled.domains[name] = doc.domains.pop(name)
            if edit.item % 5 == 0:
                misspelled.contested.add(name)
                del misspelled.domains[name]


def correct_accounts(tree: Tree, _older: list[Tree], _did: Edit) -> None:
    tree.orphans.clear()


def change_plan(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if doc := account_of(tree, edit):
        doc.plan = pick([*PLANS, "nano", "pro", "gone"], edit.value)


def change_platform(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if tree.plans is not None:
        tree.plans[pick(PLANS, edit.item)] = bool(edit.value % 2)


def set_default(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if doc := account_of(tree, edit):
        doc.default = route_or_none(edit.value)


def set_logins(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if doc := account_of(tree, edit):
        doc.logins = pick([(), ("app",), ("app", "crm")], edit.value)


def put_domain(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if doc := account_of(tree, edit):
        name = pick(DOMAINS, edit.item)
        suspended = name in doc.domains and doc.domains[name].suspended
        doc.domains[name] = DomainDoc(route_or_none(edit.value), suspended)
        doc.contested.discard(name)
        drop_inline(doc, name)


def put_many(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if doc := account_of(tree, edit):
        for name in DOMAINS[: 10 + edit.item % 3]:
            if name not in doc.contested:
                doc.domains.setdefault(name, DomainDoc(route_or_none(edit.value)))


def spread_domains(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    """Few domains in each account, many in the store."""
    for number, doc in enumerate(tree.accounts.values()):
        for name in DOMAINS[4 * number : 4 * number + 4]:
            if name not in doc.contested:
                doc.domains.setdefault(name, DomainDoc(route_or_none(edit.value)))


def ask_removal(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if doc := account_of(tree, edit):
        doc.remove = pick([12, None, 3, 0], edit.value)


def drop_domain(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if doc := account_of(tree, edit):
        for offset in range(1 + edit.value % 3):
            name = pick(DOMAINS, edit.item + offset)
            doc.domains.pop(name, None)
            drop_inline(doc, name)


def move_domain(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    source = account_of(tree, edit)
    target = tree.accounts.get(pick(ACCOUNTS, edit.account + 1))
    if source is None or target is None:
        return
    for name in list(source.domains)[: 1 + edit.item % 2]:
        drop_inline(source, name)
        target.domains[name] = source.domains.pop(name)
        target.contested.discard(name)


def claim_domain(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    for doc in tree.accounts.values():
        if pick(DOMAINS, edit.item) not in doc.contested:
            doc.domains.setdefault(pick(DOMAINS, edit.item), DomainDoc())


def contest_domain(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if doc := account_of(tree, edit):
        name = pick(DOMAINS, edit.item)
        if name in doc.contested:
            doc.contested.discard(name)
        else:
            doc.contested.add(name)
            doc.domains.pop(name, None)
            drop_inline(doc, name)


def put_profile(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if doc := account_of(tree, edit):
        name = pick(PROFILES, edit.item)
        reassign = pick([None, None, *ROUTES], edit.value // 4)
        host = f"smtp{edit.value % 2}.example"
        doc.profiles[name] = ProfileDoc(host, pick(["", "a note"], edit.value // 2), reassign)


def put_inline(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if doc := account_of(tree, edit):
        name, domain = pick(PROFILES, edit.value), pick(DOMAINS, edit.item)
        if name in doc.profiles:
            return
        drop_inline(doc, domain)
        doc.domains[domain] = DomainDoc(naive.via(name))
        doc.contested.discard(domain)
        doc.profiles[name] = ProfileDoc(f"smtp{edit.value % 2}.example", inline_in=domain)


def drop_inline(doc: AccountDoc, domain: str) -> None:
    """Remove the inline profiles of a domain together with its manifest."""
    for name in [n for n, p in doc.profiles.items() if p.inline_in == domain]:
        del doc.profiles[name]


def drop_profile(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    doc, name = account_of(tree, edit), pick(PROFILES, edit.item)
    if doc is not None and name in doc.profiles and doc.profiles[name].inline_in is None:
        del doc.profiles[name]


def move_profile(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    """The document of a profile is now of another account: of the same namespace, of one that
    nothing defines, or of another namespace."""
    source, name = account_of(tree, edit), pick(PROFILES, edit.item)
    if source is None or name not in source.profiles or source.profiles[name].inline_in is not None:
        return
    key = pick(ACCOUNTS, edit.account + 1 + (edit.value % 6 == 0))
    target = tree.accounts.get(key)
    if edit.value % 6 == 1:
        target = tree.orphans.setdefault((pick(ACCOUNTS, edit.account)[0], "typo"), AccountDoc(""))
    if target is not None and target is not source:
        target.profiles.setdefault(name, source.profiles.pop(name))


def ask_apply_all(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if doc := account_of(tree, edit):
        confirm = pick([12, 12, None, 4, 1], edit.item)
        doc.apply_all = ApplyAllField(pick(IDS, edit.value), pick(ROUTES, edit.value // 3), confirm)


def put_overrides(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    """Confirm, or stop confirming, declared routes after an apply-all, perhaps one that never
    ran."""
    if doc := account_of(tree, edit):
        for name, domain in doc.domains.items():
            if domain.route is not None and (edit.item % 2 or name == pick(DOMAINS, edit.item)):
                domain.overrides = pick([*IDS, None], edit.value)


def drop_apply_all(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if doc := account_of(tree, edit):
        doc.apply_all = None


def suspend(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    doc = account_of(tree, edit)
    if edit.value % 8 == 0:
        tree.platform_suspended = not tree.platform_suspended
    elif doc is not None and edit.value % 8 < 2:
        doc.suspended = not doc.suspended
    elif doc is not None and edit.value % 8 < 5:
        name = pick(DOMAINS, edit.item)
        if name in doc.domains:
            set_suspended(doc, name)
    elif doc is not None and pick(PROFILES, edit.item) in doc.profiles:
        profile = doc.profiles[pick(PROFILES, edit.item)]
        if profile.inline_in is None:
            profile.suspended = not profile.suspended
        else:
            set_suspended(doc, profile.inline_in)


def set_suspended(doc: AccountDoc, name: str) -> None:
    """Toggle a domain and its inline profiles, which are part of the same object."""
    doc.domains[name].suspended = not doc.domains[name].suspended
    for profile in doc.profiles.values():
        if profile.inline_in == name:
            profile.suspended = doc.domains[name].suspended


def break_document(tree: Tree, _older: list[Tree], edit: Edit) -> None:
    if doc := account_of(tree, edit):
        doc.broken = not doc.broken
        doc.is_undefined = doc.broken and edit.value % 2 == 1


def toggle_unreadable_file(tree: Tree, _older: list[Tree], _did: Edit) -> None:
    tree.complete = not tree.complete


def toggle_platform(tree: Tree, _older: list[Tree], _did: Edit) -> None:
    tree.plans = {"nano": False, "pro": True, "trial": True} if tree.plans is None else None


def restore_older_tree(tree: Tree, older: list[Tree], edit: Edit) -> None:
    if older:
        earlier = deepcopy(pick(older, edit.value))
        tree.__dict__.update(earlier.__dict__)


EDITS: dict[str, Callable[[Tree, list[Tree], Edit], None]] = {
    "nothing": nothing,
    "add_account": add_account,
    "drop_account": drop_account,
    "orphan": orphan,
    "misspell_account": misspell_account,
    "correct_accounts": correct_accounts,
    "change_plan": change_plan,
    "change_platform": change_platform,
    "set_default": set_default,
    "set_logins": set_logins,
    "put_domain": put_domain,
    "put_many": put_many,
    "spread_domains": spread_domains,
    "ask_removal": ask_removal,
    "drop_domain": drop_domain,
    "move_domain": move_domain,
    "claim_domain": claim_domain,
    "contest_domain": contest_domain,
    "put_profile": put_profile,
    "put_inline": put_inline,
    "drop_profile": drop_profile,
    "move_profile": move_profile,
    "ask_apply_all": ask_apply_all,
    "put_overrides": put_overrides,
    "drop_apply_all": drop_apply_all,
    "suspend": suspend,
    "break_document": break_document,
    "toggle_unreadable_file": toggle_unreadable_file,
    "toggle_platform": toggle_platform,
    "restore_older_tree": restore_older_tree,
}
# Common edits are listed several times, so that most steps are applied.
WEIGHTED_VERBS = [
    "nothing",
    *["put_domain"] * 6,
    *["put_many"] * 2,
    *["spread_domains"] * 2,
    *["put_profile"] * 5,
    *["put_inline"] * 2,
    *["drop_profile"] * 3,
    *["move_profile"] * 4,
    *["drop_domain"] * 2,
    *["move_domain"] * 3,
    *["misspell_account"] * 3,
    *["ask_apply_all"] * 4,
    *["set_default"] * 3,
    *["change_plan"] * 2,
    *["add_account"] * 3,
    *["suspend"] * 2,
    *["restore_older_tree"] * 2,
    *["toggle_unreadable_file"] * 2,
    *list(EDITS)[1:],
]


@dataclass(frozen=True)
class Step:
    """The edits between two applies.

    ``tidy``: errors are removed from the tree; ``failing``: the new and changed profiles whose
    connection test fails; ``rotated``: the profiles whose secret has new content; ``removals``: the
    accounts whose removal the user confirms.
    """

    edits: list[Edit]
    tidy: bool
    failing: frozenset[str]
    rotated: frozenset[str] = frozenset()
    removals: frozenset[Key] = frozenset()


edits = st.builds(
    Edit,
    verb=st.sampled_from(WEIGHTED_VERBS),
    account=st.sampled_from([0, 0, 0, 1, 1, 2]),
    item=st.integers(0, 11),
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
    removals=st.sampled_from(
        [frozenset[Key](), frozenset(ACCOUNTS), *(frozenset([key]) for key in ACCOUNTS)]
    ),
)


def histories(longest: int) -> st.SearchStrategy[list[Step]]:
    return st.lists(steps, min_size=longest // 2, max_size=longest)


def apply_all_histories(longest: int) -> st.SearchStrategy[list[Step]]:
    """One account whose routes are declared, switched, and confirmed after the switch."""
    verbs = ["put_domain", "ask_apply_all", "put_overrides", "put_profile", "drop_profile"]
    of_one_account = st.builds(
        Edit,
        verb=st.sampled_from(verbs),
        account=st.just(0),
        item=st.integers(0, 3),
        value=st.integers(0, 29),
    )
    step = st.builds(
        Step,
        edits=st.lists(of_one_account, min_size=1, max_size=4),
        tidy=st.just(True),
        failing=st.sampled_from([frozenset[str](), frozenset(["ses"])]),
    )
    return st.lists(step, min_size=longest // 2, max_size=longest)


def first_tree() -> Tree:
    """Two accounts in one namespace, because a history need not start with an empty tree."""
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
    for call in step.edits:
        call.apply(tree, older)
    if step.tidy:
        tidy(tree, store)
    return tree


def tidy(tree: Tree, store: Store) -> None:
    """Remove what a careful author would not commit: errors, and claims on others' domains."""
    if tree.plans is None:
        toggle_platform(tree, [], Edit("", 0))
    tree.orphans = {k: doc for k, doc in tree.orphans.items() if k not in store.accounts}
    seen: set[str] = set()
    for key, doc in tree.accounts.items():
        doc.broken = doc.is_undefined = False
        doc.contested.clear()
        doc.plan = doc.plan if doc.plan in PLANS else "pro"
        for name in seen & set(doc.domains):
            del doc.domains[name]
            drop_inline(doc, name)
        seen |= set(doc.domains)
        drop_dangling_references(key, doc, tree, store)
    for doc in tree.orphans.values():
        doc.contested.clear()
        doc.domains = {n: domain for n, domain in doc.domains.items() if n not in seen}


def drop_dangling_references(key: Key, doc: AccountDoc, tree: Tree, store: Store) -> None:
    stored = store.accounts.get(key)
    assert tree.plans is not None
    existing = {n for n, p in doc.profiles.items() if not p.suspended} | (
        set(doc.profiles) & set(stored.profiles if stored else ())
    )

    def resolves(route: str | None) -> bool:
        assert tree.plans is not None
        if route == naive.MANAGED:
            return tree.plans[doc.plan]
        return naive.profile_of(route) is None or naive.profile_of(route) in existing

    rows = stored.domains if stored else {}
    for name, domain in doc.domains.items():
        known = (
            name in rows
            and rows[name].declared == domain.route
            and domain.overrides in (None, rows[name].overrides)
        )
        if not known and not resolves(domain.route):
            domain.route = domain.overrides = None
    if not resolves(doc.default) and not (stored and stored.default == doc.default):
        doc.default = None
    for name, profile in doc.profiles.items():
        previous = stored.profiles.get(name) if stored else None
        if not resolves(profile.reassign_to) and (
            previous is None or previous.reassign_to != profile.reassign_to
        ):
            profile.reassign_to = None
    ran = store.ran.get(key, {})
    request = doc.apply_all
    if request is not None and ran.get(request.id) != request.route and not resolves(request.route):
        doc.apply_all = None
