"""A second implementation of the routing rules, in simple Python: docs/rules.md step by step.

It was written from the rules alone and shares nothing with the planner, not even its values: an
account's key is a pair of strings, a route is ``"managed"``, ``"unconfigured"`` or
``"profile NAME"``. It is slow, and as repetitive as the page. Each step quotes the rule
that requires it.

``step`` returns the expected store and an expectation for each account: whether the account stays
unchanged, and which codes the plan must report. If the page allows several codes for one fact,
any of them is accepted; ``may`` holds the codes that the page neither requires nor forbids.
"""

from copy import deepcopy
from dataclasses import dataclass, field

Key = tuple[str, str]

MANAGED = "managed"
UNCONFIGURED = "unconfigured"


def via(name: str) -> str:
    return f"profile {name}"


def profile_of(route: str | None) -> str | None:
    if route is not None and route.startswith("profile "):
        return route.removeprefix("profile ")
    return None


# What the manifests say


@dataclass
class ProfileDoc:
    host: str
    note: str = ""
    reassign_to: str | None = None
    suspended: bool = False
    inline_in: str | None = None


@dataclass
class DomainDoc:
    """``overrides``: the id of an apply-all; it counts only beside a route."""

    route: str | None = None
    suspended: bool = False
    overrides: str | None = None


@dataclass
class ApplyAllField:
    id: str
    route: str
    confirm: int | None = None


@dataclass
class AccountDoc:
    """``broken``: one of the account's documents has an error, and in an incomplete tree is in the
    file that is not well-formed; ``is_undefined``: its MailAccount is that document. ``contested``:
    the domains that two documents of this account declare. They are not in ``domains``. ``remove``:
    the confirming number of its ``spec.remove``; ``logins``: empty if any authenticated client may
    send."""

    plan: str
    default: str | None = None
    apply_all: ApplyAllField | None = None
    suspended: bool = False
    broken: bool = False
    is_undefined: bool = False
    profiles: dict[str, ProfileDoc] = field(default_factory=dict)
    domains: dict[str, DomainDoc] = field(default_factory=dict)
    contested: set[str] = field(default_factory=set)
    remove: int | None = None
    logins: tuple[str, ...] = ()

    @property
    def is_removed(self) -> bool:
        """ "A suspended account is not planned", so it is not removed either."""
        return self.remove is not None and not self.suspended


@dataclass
class Tree:
    """``plans``: whether each plan offers managed sending, by name; None without a readable
    platform. ``orphans``: the documents of accounts that no document defines."""

    plans: dict[str, bool] | None
    platform_suspended: bool = False
    complete: bool = True
    accounts: dict[Key, AccountDoc] = field(default_factory=dict)
    orphans: dict[Key, AccountDoc] = field(default_factory=dict)


# What the store holds


@dataclass
class StoredProfile:
    host: str
    note: str = ""
    reassign_to: str | None = None


@dataclass
class Row:
    route: str
    origin: str
    declared: str | None = None
    shadow: str | None = None
    overrides: str | None = None


@dataclass
class Stored:
    plan: str
    default: str | None = None
    profiles: dict[str, StoredProfile] = field(default_factory=dict)
    domains: dict[str, Row] = field(default_factory=dict)
    logins: tuple[str, ...] = ()


@dataclass
class Store:
    """``ran`` outlives the accounts: "These ids are kept forever, also after the account is deleted
    and created again"."""

    plans: dict[str, bool] | None = None
    accounts: dict[Key, Stored] = field(default_factory=dict)
    ran: dict[Key, dict[str, str]] = field(default_factory=dict)


# Reported codes

# Advice that is not a rule of the page, and the codes of reading and testing a tree.
ALWAYS_ALLOWED = {
    "profile-unused",
    "unusual-port",
    "encryption-mismatch",
    "connection-test-failed",
    "connection-not-tested",
    "secret-missing",
    "secret-not-bound",
    "address-refused",
}
ERRORS = {"unknown-profile", "unknown-plan", "unknown-account", "account-not-empty"}
# An account that stays unchanged may be reported with any code that its change would have.
EVERYTHING = ERRORS | {
    "account-removal",
    "apply-all-id-reused",
    "apply-all-unsatisfiable",
    "apply-all-wins",
    "awaiting-confirmation",
    "confirmation-exceeded",
    "default-fell-back",
    "dependency-skipped",
    "domain-conflict",
    "domains-unconfigured",
    "held-back",
    "managed-not-in-plan",
    "profile-deleted",
    "removed-before-move",
    "suspended",
    "unknown-apply-all",
    "too-many-changes",
    "too-many-removals",
}


@dataclass
class AccountExpectation:
    """``unchanged``: the account stays as it is, ``by_whole_change`` because of the size of the
    whole change; ``saved``: otherwise, the profiles that are written. ``must``: at least one code
    of each set is reported."""

    unchanged: bool = False
    saved: set[str] = field(default_factory=set)
    must: list[set[str]] = field(default_factory=list)
    by_whole_change: bool = False
    may: set[str] = field(default_factory=set)

    def require(self, *any_of: str) -> None:
        self.must.append(set(any_of))

    def disagrees(self, reported: set[str]) -> str | None:
        """The problem with the reported codes, or None if they match the expectation."""
        for any_of in self.must:
            if not any_of & reported:
                return f"none of {sorted(any_of)} is reported"
        allowed = self.may.union(ALWAYS_ALLOWED, *self.must)
        if reported - allowed:
            return f"{sorted(reported - allowed)} should not be reported"
        return None


@dataclass
class Outcome:
    """An account after steps 1 to 6; ``stored`` is None if the account is removed."""

    stored: Stored | None
    ran: dict[str, str]
    saved: set[str] = field(default_factory=set)
    rerouted: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)


@dataclass
class Size:
    """What a guard compares: so many of ``domains`` are removed, and so many rerouted."""

    domains: int
    removed: int
    rerouted: int


def step(
    tree: Tree,
    store: Store,
    failing: frozenset[str] = frozenset(),
    rotated: frozenset[str] = frozenset(),
    change_percent: int = 30,
    remove_percent: int = 30,
    remove_accounts: frozenset[Key] = frozenset(),
    held: dict[Key, Size] | None = None,
) -> tuple[Store, dict[Key, AccountExpectation]]:
    """The store after the tree is applied, and the expectation of each account.

    ``failing``: the names of profiles whose connection test fails, in any account; ``rotated``: the
    names of profiles whose secret has new content; ``remove_accounts``: the accounts whose removal
    the user confirms; ``held``: by account that waits because of a whole change, the size of the
    store when it was first held back, and what was applied since.
    """
    after = deepcopy(store)
    # A profile moves too, and its document counts even if "it is ignored".
    profile_moves = moving_profiles(tree, store)
    # `spec.remove`: "The other documents of the account may stay or go: they are ignored".
    tree = deepcopy(tree)
    for doc in tree.accounts.values():
        if doc.broken and doc.is_undefined:
            # Nothing of the MailAccount is known. The account still claims its domains.
            doc.remove, doc.suspended = None, False
        if doc.is_removed:
            doc.profiles, doc.domains, doc.contested = {}, {}, set()
    expectations = {
        key: AccountExpectation() for key in {*tree.accounts, *tree.orphans, *store.accounts}
    }

    # "`spec.suspend: true` leaves an object as the store holds it."
    plans = tree.plans
    if plans is not None and tree.platform_suspended:
        plans = store.plans
    # "Without a readable platform [...] nothing is applied."
    if plans is None:
        for expectation in expectations.values():
            expectation.unchanged = True
            expectation.may = {"no-platform", "suspended", *ERRORS}
        return after, expectations
    after.plans = deepcopy(plans)

    # 1. What stops an account, whatever the other accounts do.
    denied, retained, moves = conflicts(tree, store, expectations)
    stopped = {
        key for key in expectations if is_stopped(key, tree, store, plans, expectations[key])
    }
    unchanged = set(stopped)

    # 2. "A domain that another account declares **moves**: it leaves one account and is new in the
    # other, in one transaction." If a move turns out to be blocked, the changes of the accounts are
    # computed again.
    blocked: set[str] = set()
    blocked_profiles: set[tuple[str, Key, Key]] = set()
    measures: list[Size] = []
    while True:
        outcomes: dict[Key, Outcome] = {}
        drafts: dict[Key, AccountExpectation] = {}
        for key in expectations:
            if key in unchanged:
                continue
            doc, stored = tree.accounts.get(key), store.accounts.get(key)
            outgoing = {name for name, (source, _) in moves.items() if source == key}
            incoming = {name for name, (_, target) in moves.items() if target == key}
            # "If one of the two accounts cannot change [...], the domain stays", within a
            # namespace. A domain that only other namespaces claim "is removed for its owner".
            waiting = {name for name in outgoing & blocked if moves[name][1][0] == key[0]}
            stays = waiting | (retained & set(stored.domains if stored else ()))
            # "A profile [...] stays until the other account can take it."
            profiles = {name for name, source, _ in blocked_profiles if source == key}
            drafts[key] = AccountExpectation()
            if doc is not None and not doc.is_removed:
                ignored = denied.get(key, set()) | (incoming & blocked)
                for name in ignored & set(doc.domains):
                    if doc.domains[name].suspended:
                        drafts[key].may.add("suspended")
                    if doc.domains[name].overrides is not None:
                        drafts[key].may.add("unknown-apply-all")
                outcomes[key] = change_account(
                    doc,
                    stored,
                    store.ran.get(key, {}),
                    plans[doc.plan],
                    failing,
                    rotated,
                    ignored,
                    stays,
                    profiles,
                    drafts[key],
                )
            elif stored is not None and (stays or profiles):
                # "An account is removed only with everything it owns": it waits for the other
                # account of its namespace, and "is skipped".
                unchanged.add(key)
                expectations[key].unchanged = True
                expectations[key].must = [{"dependency-skipped"}]
                expectations[key].may |= EVERYTHING
            elif stored is not None:
                outcomes[key] = Outcome(None, {}, removed=set(stored.domains))
        now_blocked = set(blocked)
        for name, (source, target) in moves.items():
            skipped = target in outcomes and name not in domains_of(outcomes[target])
            if source in unchanged or target in unchanged or skipped:
                now_blocked.add(name)
        profiles_blocked = set(blocked_profiles)
        for name, source, target in profile_moves:
            taken = target in outcomes and name in profiles_of(outcomes[target])
            if source in unchanged or not taken:
                profiles_blocked.add((name, source, target))
        if (now_blocked, profiles_blocked) != (blocked, blocked_profiles):
            blocked, blocked_profiles = now_blocked, profiles_blocked
            continue

        held_back = False
        for key, outcome in outcomes.items():
            before = store.accounts.get(key)
            if before is not None and not tree.complete and removes_anything(before, outcome):
                # "An account that would lose anything is held back as a whole (`held-back`), and
                # the others continue." A domain whose move is blocked is not lost.
                expectations[key].must = [{"held-back"}]
                expectations[key].may |= EVERYTHING
                held_back = expectations[key].unchanged = True
                unchanged.add(key)
        if held_back:
            continue

        # 3. The guards. "What counts is what the manifests would remove and reroute, whatever
        # another guard holds back." "A domain that moves [...] and a confirmed removal [...] do not
        # count."
        sizes: dict[Key, Size] = {}
        unconfirmed: set[Key] = set()
        for key, outcome in outcomes.items():
            before = store.accounts.get(key)
            if before is None:
                continue
            moved = {n for n, (source, _) in moves.items() if source == key} - blocked
            removed = len(outcome.removed - moved)
            if outcome.stored is None and removed:
                doc = tree.accounts.get(key)
                confirmed = doc is not None and doc.remove is not None and removed <= doc.remove
                if confirmed or key in remove_accounts:
                    removed = 0
                else:
                    unconfirmed.add(key)
            sizes[key] = Size(len(before.domains), removed, len(outcome.rerouted))
        if not measures:
            # "The change is measured twice: by the store as it is, and by the store as it was when
            # the account was first held back. What was approved or let through since then counts
            # as well."
            removed = sum(size.removed for size in sizes.values())
            rerouted = sum(size.rerouted for size in sizes.values())
            domains = sum(len(stored.domains) for stored in store.accounts.values())
            measures.append(Size(domains, removed, rerouted))
            for key, then in (held or {}).items():
                if key in sizes and (sizes[key].removed or sizes[key].rerouted):
                    measures.append(
                        Size(then.domains, removed + then.removed, rerouted + then.rerouted)
                    )
        halted = False
        for key, size in sizes.items():
            refusals = set()
            if key in unconfirmed:
                # `account-removal`: "an account that holds any domain vanishes from the tree", or
                # "has more domains than its `remove.confirm` says".
                refusals.add("account-removal")
            if too_many(size.removed, size.domains, remove_percent):
                refusals.add("too-many-removals")
            if too_many(size.rerouted, size.domains, change_percent):
                refusals.add("too-many-changes")
            for whole in measures:
                if size.removed and too_many(whole.removed, whole.domains, remove_percent):
                    refusals.add("too-many-removals")
                    expectations[key].by_whole_change = True
                if size.rerouted and too_many(whole.rerouted, whole.domains, change_percent):
                    refusals.add("too-many-changes")
                    expectations[key].by_whole_change = True
            if refusals:
                expectations[key].must += [*drafts[key].must, *({code} for code in refusals)]
                expectations[key].may |= drafts[key].may
                halted = expectations[key].unchanged = True
                unchanged.add(key)
        if not halted:
            break

    # "Waiting for something that failed elsewhere is skipped, on both sides": within a namespace.
    # Otherwise "only the claim waits".
    for name in blocked:
        source, target = moves[name]
        for key in (source, target) if source[0] == target[0] else (target,):
            expectations[key].may |= {"dependency-skipped", "domain-conflict"}
            if key not in unchanged:
                expectations[key].require("dependency-skipped")

    # 4. "Sendroute plans and commits each account as one transaction: all of it or nothing."
    for key, outcome in outcomes.items():
        expectations[key].must += drafts[key].must
        expectations[key].may |= drafts[key].may
        # "If other accounts declare the domain, and none of them gets it in this change, that is
        # the warning `removed-before-move`."
        moved = {name for name, (source, _) in moves.items() if source == key} - blocked
        for name in outcome.removed - moved:
            if any(name in d.domains or name in d.contested for d in tree.accounts.values()):
                expectations[key].require("removed-before-move")
        # "Domains that could send and become unconfigured without having been asked for are the
        # warning `domains-unconfigured`."
        if any(
            silenced(name, key, outcome, store, {n: s for n, (s, _) in moves.items()})
            for name in domains_of(outcome)
        ):
            expectations[key].require("domains-unconfigured")
        expectations[key].saved = outcome.saved
        if outcome.stored is None:
            after.accounts.pop(key, None)
        else:
            after.accounts[key] = outcome.stored
        # "These ids are kept forever, also after the account is deleted and created again."
        if outcome.ran:
            after.ran.setdefault(key, {}).update(outcome.ran)
    return after, expectations


def silenced(name: str, key: Key, outcome: Outcome, store: Store, sources: dict[str, Key]) -> bool:
    """Whether a domain could send and becomes unconfigured, although neither its manifest nor an
    apply-all asks for it, and no removed profile is reported for it."""
    assert outcome.stored is not None
    after = outcome.stored.domains[name]
    asked_for = after.declared == UNCONFIGURED or after.origin == "apply-all"
    if after.route != UNCONFIGURED or asked_for:
        return False
    holder = key if key in store.accounts and name in store.accounts[key].domains else None
    source = holder or sources.get(name)
    if source is None:
        return False
    before = store.accounts[source].domains[name]
    is_removed = profile_of(before.route) is not None and (
        profile_of(before.route) not in outcome.stored.profiles
    )
    return before.route != UNCONFIGURED and not (holder is not None and is_removed)


def too_many(count: int, domains: int, percent: int) -> bool:
    """More than 30 % of the domains, of an account or of the store, "from 10 domains"."""
    return domains >= 10 and count * 100 > percent * domains


def removes_anything(before: Stored, outcome: Outcome) -> bool:
    if outcome.stored is None:
        return True
    return bool(outcome.removed or set(before.profiles) - set(outcome.stored.profiles))


def domains_of(outcome: Outcome) -> set[str]:
    return set(outcome.stored.domains) if outcome.stored is not None else set()


def profiles_of(outcome: Outcome) -> set[str]:
    return set(outcome.stored.profiles) if outcome.stored is not None else set()


def moving_profiles(tree: Tree, store: Store) -> list[tuple[str, Key, Key]]:
    """Each profile whose document is now of another account of the namespace, with the account that
    holds it and that account. Accounts with a profile of this name in the store take nothing."""
    documents = {**tree.accounts, **tree.orphans}
    unread = {key for key, doc in tree.accounts.items() if doc.broken and doc.is_undefined}
    gone = {k for k, doc in tree.accounts.items() if doc.is_removed and k not in unread}

    def defined(key: Key, *, inline: bool) -> set[str]:
        doc = documents.get(key)
        if doc is None:
            return set()
        inline = inline and key not in gone
        return {name for name, p in doc.profiles.items() if inline or p.inline_in is None}

    return [
        (name, source, target)
        for source, stored in store.accounts.items()
        for name in stored.profiles
        if name not in defined(source, inline=True)
        for target in documents
        if target != source
        and target[0] == source[0]
        and name in defined(target, inline=False)
        and not (target in store.accounts and name in store.accounts[target].profiles)
        and not (source in gone and target in gone)
    ]


def conflicts(
    tree: Tree, store: Store, expectations: dict[Key, AccountExpectation]
) -> tuple[dict[Key, set[str]], set[str], dict[str, tuple[Key, Key]]]:
    """The denied claims of each account; the domains that stay in the store although the manifests
    of their account no longer declare them; and for each domain that moves, the account that loses
    it and the one that gets it."""
    claims: dict[str, list[Key]] = {}
    for key, doc in tree.accounts.items():
        for name in [*doc.domains, *doc.contested]:
            claims.setdefault(name, []).append(key)
    holders = {name: key for key, stored in store.accounts.items() for name in stored.domains}
    for key, doc in tree.orphans.items():
        for name in [*doc.domains, *doc.contested]:
            # An account that nothing defines "claims only what an account of its namespace holds".
            # In an incomplete tree its MailAccount may be unreadable.
            if not tree.complete or (name in holders and holders[name][0] == key[0]):
                claims.setdefault(name, []).append(key)
    documents = {**tree.accounts, **tree.orphans}
    unknown = set(tree.orphans) if tree.complete else set()

    denied: dict[Key, set[str]] = {}
    retained: set[str] = set()
    moves: dict[str, tuple[Key, Key]] = {}

    def deny(keys: list[Key], name: str) -> None:
        for key in keys:
            if key in unknown:
                continue  # "it has its own error"
            denied.setdefault(key, set()).add(name)
            if name not in documents[key].contested:
                expectations[key].require("domain-conflict")

    for name, claimants in claims.items():
        holder = holders.get(name)
        for key in claimants:
            # Two claims within one account: the reader of the tree reports it.
            if name in documents[key].contested:
                expectations[key].may.add("domain-conflict")
        others = [key for key in claimants if key != holder]
        if holder in claimants:
            # "If two accounts declare one domain, the account that holds it in the store keeps it."
            # If it declares it twice, it is unknown which declaration is meant.
            deny(others, name)
            if name in documents[holder].contested:
                retained.add(name)
            continue
        # "A namespace is one tenant": its claims come first.
        family = [key for key in others if holder is not None and key[0] == holder[0]]
        if family:
            deny([key for key in others if key not in family], name)
            others = family
        is_clear = len(others) == 1 and name not in documents[others[0]].contested
        if holder is not None and unknown.intersection(family):
            # "The domain stays as it is until the document is corrected."
            deny(family, name)
            moves[name] = (holder, min(unknown.intersection(family)))
        elif not is_clear:
            # "If none holds it, neither gets it (`domain-conflict`). This stops the claim, not the
            # accounts."
            if len(others) > 1:
                deny(others, name)
            if family:
                retained.add(name)
        elif holder is not None and documents[others[0]].domains[name].suspended:
            # "`spec.suspend: true` leaves an object as the store holds it": also in the account
            # that holds it. But "a claim never holds what its owner gave up".
            if family:
                retained.add(name)
        elif holder is not None:
            moves[name] = (holder, others[0])
    return denied, retained, moves


def is_stopped(
    key: Key,
    tree: Tree,
    store: Store,
    plans: dict[str, bool],
    expectation: AccountExpectation,
) -> bool:
    """Whether the account is not planned, because of its own documents."""
    doc = tree.accounts.get(key)
    stored = store.accounts.get(key)

    if doc is None and key in tree.orphans:
        # "An account is removed only with everything it owns; otherwise the finding is
        # `account-not-empty`." An account that no document defines is an error too
        # (`unknown-account`).
        expectation.unchanged = True
        # In an incomplete tree its MailAccount may be unreadable: it is held back.
        expectation.require(
            *(("account-not-empty", "unknown-account", "held-back") if stored else ())
        )
        expectation.must = expectation.must if stored else [{"unknown-account"}]
        expectation.may |= EVERYTHING
        return True

    # "A suspended account is not planned. Each is reported as `suspended`."
    if doc is not None and doc.suspended:
        expectation.unchanged = True
        expectation.must = stopped_by_file(doc, tree) if doc.broken else [{"suspended"}]
        expectation.may |= EVERYTHING
        return True

    # A removal needs no service plan, and refers to nothing.
    if doc is not None and doc.is_removed:
        if doc.broken:
            expectation.unchanged = True
            expectation.must = stopped_by_file(doc, tree)
            expectation.may |= EVERYTHING
        return doc.broken

    # "An error in a document or a reference stops its account."
    if doc is not None:
        codes = errors(doc, stored, store.ran.get(key, {}), plans)
        if doc.broken:
            # Other errors may only follow from the document that could not be read.
            expectation.unchanged = True
            expectation.must = stopped_by_file(doc, tree)
            expectation.may |= EVERYTHING
            return True
        if codes:
            expectation.unchanged = True
            expectation.must = [{code} for code in sorted(codes)]
            expectation.may |= EVERYTHING
            return True

    return False


def stopped_by_file(doc: AccountDoc, tree: Tree) -> list[set[str]]:
    """ "A file that is not well-formed stops every account of which it holds a document"
    (`held-back`)."""
    return [{"held-back"}] if doc.broken and not tree.complete else []


def errors(
    doc: AccountDoc,
    stored: Stored | None,
    ran: dict[str, str],
    plans: dict[str, bool],
) -> set[str]:
    """The errors of the account's references, also those of a denied claim: "An error in a document
    or a reference stops its account."
    """
    # A plan that the platform does not define is an error (`unknown-plan`).
    if doc.plan not in plans:
        return {"unknown-plan"}
    before = stored.profiles if stored else {}
    rows = stored.domains if stored else {}

    # The profiles that will "exist after the change". "A suspended profile keeps its stored
    # version", so it exists only if the store has one. A profile whose test fails is no error of
    # the reference: what depends on it is skipped.
    existing = {name for name, p in doc.profiles.items() if not p.suspended or name in before}

    def missing(route: str | None) -> bool:
        return profile_of(route) is not None and profile_of(route) not in existing

    codes = set()
    for name, domain in doc.domains.items():
        if domain.suspended:
            continue
        is_new_or_changed = newly_declared(domain, rows.get(name))
        # "A new or changed declaration that refers to a profile which will not exist after the
        # change is an error (`unknown-profile`)." A declaration is a domain's route, the default,
        # a `reassignTo` or an apply-all.
        if is_new_or_changed and missing(domain.route):
            codes.add("unknown-profile")
        # "`managed`, newly declared on a plan without it, is an error (`managed-not-in-plan`)."
        if is_new_or_changed and domain.route == MANAGED and not plans[doc.plan]:
            codes.add("managed-not-in-plan")
    if (stored is None or stored.default != doc.default) and missing(doc.default):
        codes.add("unknown-profile")
    for name, profile in doc.profiles.items():
        known = name in before and before[name].reassign_to == profile.reassign_to
        if not profile.suspended and not known and missing(profile.reassign_to):
            codes.add("unknown-profile")
    # "A refused apply-all is left out as a whole. The other changes of the account continue": if
    # its id was used before, it can never run, and its route does not matter.
    if doc.apply_all is not None and doc.apply_all.id not in ran and missing(doc.apply_all.route):
        codes.add("unknown-profile")
    return codes


def newly_declared(domain: DomainDoc, row: Row | None) -> bool:
    """Whether the declared route is new or changed. "`spec.overrides` is part of its declared
    route. If it is newly seen, step 3.3 applies although the route reads the same."
    """
    if row is None or row.declared != domain.route:
        return True
    return domain.overrides is not None and domain.overrides != row.overrides


def keeps_declared(row: Row, apply_all: str) -> bool:
    """Whether a domain keeps its declared route when this apply-all runs. "A domain whose
    `overrides` names the apply-all that runs keeps what step 3 gives it."
    """
    return row.declared is not None and row.overrides == apply_all


def apply_all_runs(
    doc: AccountDoc,
    documents: dict[str, DomainDoc],
    rows_before: dict[str, Row],
    stays: set[str],
    ran: dict[str, str],
    skipped: set[str],
    profiles: dict[str, StoredProfile],
    offers_managed: bool,
) -> bool:
    """Whether the apply-all will run in step 4, known before it. The count includes the "domains
    created in this change", but not those that are skipped."""
    request = doc.apply_all
    if request is None or request.id in ran or request.confirm is None:
        return False
    name = profile_of(request.route)
    if name is not None and (name in skipped or name not in profiles):
        return False
    if request.route == MANAGED and not offers_managed:
        return False
    count = len([name for name in stays if not keeps_declared(rows_before[name], request.id)])
    for name, domain in documents.items():
        starts_on = profile_of(domain.route if domain.route is not None else doc.default)
        created = not domain.suspended and starts_on not in skipped
        # "Without a declared route, or while it is suspended, the domain is no exception."
        if domain.route is not None and domain.overrides == request.id and not domain.suspended:
            continue
        count += 1 if name in rows_before or created else 0
    return count <= request.confirm


def change_account(
    doc: AccountDoc,
    stored: Stored | None,
    ran: dict[str, str],
    offers_managed: bool,
    failing: frozenset[str],
    rotated: frozenset[str],
    ignored: set[str],
    stays: set[str],
    staying_profiles: set[str],
    expectation: AccountExpectation,
) -> Outcome:
    """Steps 1 to 6 of "The order of one change".

    ``ignored``: the domains whose claim is denied; ``stays``: the domains that the store holds and
    that stay although no document of the account declares them; ``staying_profiles`` likewise. Adds
    codes to ``expectation``.
    """
    profiles_before = stored.profiles if stored else {}
    rows_before = stored.domains if stored else {}
    default_before = stored.default if stored else None
    documents = {name: d for name, d in doc.domains.items() if name not in ignored}
    # "The **plan default**: `managed` if the service plan offers it, otherwise `unconfigured`."
    plan_default = MANAGED if offers_managed else UNCONFIGURED

    # --- Step 1, profiles.
    # "Whatever depends on a profile that was not saved is **skipped** in this change": also a
    # profile whose new `reassignTo` names it.
    skipped: set[str] = set()

    def tested(name: str) -> bool:
        # "A new or changed profile (host, port, encryption or credentials) must pass its connection
        # test first." A changed secret is a change of the profile.
        previous = profiles_before.get(name)
        return previous is None or previous.host != doc.profiles[name].host or name in rotated

    while True:
        more = set()
        for name, profile in doc.profiles.items():
            if profile.suspended or name in skipped:
                continue
            previous = profiles_before.get(name)
            is_new_target = previous is None or previous.reassign_to != profile.reassign_to
            if name in failing and tested(name):
                more.add(name)
            elif is_new_target and profile_of(profile.reassign_to) in skipped:
                more.add(name)
                expectation.require("dependency-skipped")
        if not more:
            break
        skipped |= more

    profiles: dict[str, StoredProfile] = {}
    saved: set[str] = set()
    for name, profile in doc.profiles.items():
        if profile.suspended:
            # "A suspended profile keeps its stored version."
            expectation.require("suspended")
            if name in profiles_before:
                profiles[name] = profiles_before[name]
        elif name in skipped:
            # "The previous version stays in effect; a new profile does not exist."
            if name in profiles_before:
                profiles[name] = profiles_before[name]
        else:
            profiles[name] = StoredProfile(profile.host, profile.note, profile.reassign_to)
            if tested(name) or profiles[name] != profiles_before[name]:
                saved.add(name)

    for name in staying_profiles:
        profiles[name] = profiles_before[name]
        expectation.require("dependency-skipped")

    # The edits of domains that depend on a skipped profile: each domain "stays as it is, and the
    # plan says so".
    skipped_domains: set[str] = set()
    switched = apply_all_runs(
        doc, documents, rows_before, stays, ran, skipped, profiles, offers_managed
    )
    for name, domain in documents.items():
        confirmed = (
            doc.apply_all is not None
            and domain.route is not None
            and domain.overrides == doc.apply_all.id
        )
        if switched and name in rows_before and not confirmed:
            # "If one change edits a declared route and also runs an apply-all, the apply-all wins":
            # the edited route does not matter.
            continue
        if domain.suspended or profile_of(domain.route) not in skipped:
            continue
        row = rows_before.get(name)
        if newly_declared(domain, row):
            skipped_domains.add(name)
            expectation.require("dependency-skipped")
        elif (row.shadow is None or (confirmed and switched)) and row.route != domain.route:
            skipped_domains.add(name)
            expectation.may |= {"dependency-skipped", "profile-deleted"}
    # A skipped domain "stays as it is", so its profile must stay too: the removal of the profile
    # depends on the skipped edit and is skipped with it.
    for name, previous in profiles_before.items():
        # A domain that "stays on its route" because it cannot leave the account needs its profile.
        staying = {
            d
            for d in stays - set(documents)
            if not switched
            or (doc.apply_all is not None and keeps_declared(rows_before[d], doc.apply_all.id))
        }
        users = [d for d in skipped_domains | staying if d in rows_before]
        if name not in doc.profiles and via(name) in [rows_before[d].route for d in users]:
            profiles[name] = previous
            expectation.require("dependency-skipped")

    def satisfiable(route: str) -> bool:
        # `managed`: "the account's service plan offers managed sending"; `profile: NAME`: "the
        # account has that profile after the change"; `unconfigured`: "always".
        if route == MANAGED:
            return offers_managed
        if route == UNCONFIGURED:
            return True
        return profile_of(route) in profiles

    # --- Step 2, the default.
    default = doc.default
    effective: str | None
    if doc.default is not None and profile_of(doc.default) in skipped:
        # The default depends on a skipped profile, and so does every domain that would start on it.
        effective = None
        if doc.default != default_before:
            default = default_before
            expectation.require("dependency-skipped")
        expectation.may |= {"default-fell-back", "profile-deleted"}
    elif doc.default is not None and satisfiable(doc.default):
        # "A declared default that is satisfiable is kept."
        effective = doc.default
    else:
        # "The default falls back to the plan default, with the warning `default-fell-back`."
        effective = plan_default
        if doc.default is not None:
            expectation.require("default-fell-back")
            expectation.may.add("profile-deleted")

    # --- Step 3, each domain: "The first rule that matches decides".
    rows: dict[str, Row] = {}
    for name in stays:
        rows[name] = deepcopy(rows_before[name])
    for name, domain in documents.items():
        row = deepcopy(rows_before.get(name))
        declared = domain.route
        if domain.suspended:
            # "A suspended domain keeps its route through default, declaration and apply-all."
            expectation.require("suspended")
            if row is not None:
                rows[name] = row
        elif name in skipped_domains:
            # "A new domain that depends on such a profile is not created yet."
            if row is not None:
                rows[name] = row
        elif row is None and declared is not None:
            # 3.1: "is new and has a declared route": the declared route.
            rows[name] = Row(declared, "declared", declared, None, domain.overrides)
        elif row is None and effective is None:
            expectation.require("dependency-skipped")
        elif row is None and effective is not None:
            # 3.2: "is new and has none": the effective default.
            rows[name] = Row(effective, "default")
        elif row is not None:
            if declared is not None and newly_declared(domain, row):
                # 3.3: "has a declared route that differs from the one last seen": the declared
                # route; a shadow ends.
                row.route, row.origin, row.shadow = declared, "declared", None
            elif row.shadow is not None and not (
                declared is not None
                and (
                    domain.overrides == row.shadow
                    or (switched and doc.apply_all and domain.overrides == doc.apply_all.id)
                )
            ):
                # 3.4: "is shadowed by an apply-all": unchanged, unless `overrides` names that
                # apply-all, or the one that runs in this change.
                pass
            elif declared is not None and satisfiable(declared):
                # 3.5: "has a declared route that is satisfiable": the declared route. "This repairs
                # drift, and restores a route whose profile is declared again."
                row.route, row.origin, row.shadow = declared, "declared", None
            # 3.6: "has a declared route, unchanged and not satisfiable": unchanged here.
            # 3.7: "has no declared route": unchanged.
            row.declared, row.overrides = declared, domain.overrides
            rows[name] = row

    # Warnings: a declaration that the store already knew and that is no longer satisfiable.
    for name, domain in documents.items():
        known = not newly_declared(domain, rows_before.get(name))
        if domain.suspended:
            expectation.may |= {"profile-deleted", "managed-not-in-plan"}
        elif known and name not in skipped_domains and domain.route is not None:
            if profile_of(domain.route) in skipped:
                expectation.may.add("profile-deleted")
            elif profile_of(domain.route) is not None and not satisfiable(domain.route):
                # "If the store already knew the declaration, this is a deletion: the domains are
                # reassigned, with the warning `profile-deleted`."
                expectation.require("profile-deleted")
            if domain.route == MANAGED and not offers_managed:
                # "If the store already knew that declaration, step 5 decides." It is a warning.
                expectation.require("managed-not-in-plan")
    for profile in doc.profiles.values():
        if profile_of(profile.reassign_to) is not None and not satisfiable(
            str(profile.reassign_to)
        ):
            expectation.may.add("profile-deleted")

    # --- Step 4, the apply-all.
    ran_now: dict[str, str] = {}
    request = doc.apply_all
    if request is not None and request.id in ran:
        # "The same id with the same route has run already: nothing happens. The same id with
        # another route is refused (`apply-all-id-reused`)."
        if ran[request.id] != request.route:
            expectation.require("apply-all-id-reused")
    elif request is not None and profile_of(request.route) in skipped:
        expectation.require("dependency-skipped")
        expectation.may |= {
            "awaiting-confirmation",
            "confirmation-exceeded",
            "apply-all-unsatisfiable",
        }
    elif request is not None:
        # "The apply-all runs only while the account has **at most** that many domains."
        # "Domains that override it do not count."
        count = sum(
            not (documents[name].route is not None and documents[name].overrides == request.id)
            if name in documents
            else not keeps_declared(row, request.id)
            for name, row in rows.items()
        )
        too_many = request.confirm is not None and count > request.confirm
        refusals = set()
        if not satisfiable(request.route):
            refusals.add("apply-all-unsatisfiable")
        if request.confirm is None:
            refusals.add("awaiting-confirmation")
        if too_many:
            refusals.add("confirmation-exceeded")
        if refusals:
            # "A refused apply-all is left out as a whole. The other changes of the account
            # continue."
            expectation.require(*refusals)
        else:
            # The apply-all and the record of its id are one transaction.
            ran_now[request.id] = request.route
            for name, row in rows.items():
                document = documents.get(name)
                if document is not None and document.suspended:
                    continue
                confirmed = (
                    keeps_declared(row, request.id)
                    if document is None
                    else document.route is not None and document.overrides == request.id
                )
                if confirmed:
                    continue
                # "Every domain of the account gets its route, also domains created in this change.
                # The origin is `apply-all`, and the apply-all shadows their declared routes."
                row.route, row.origin, row.shadow = request.route, "apply-all", request.id
                # "If one change edits a declared route and also runs an apply-all, the apply-all
                # wins, with the warning `apply-all-wins`."
                if document is not None and document.route is not None:
                    edited = name in rows_before and newly_declared(document, rows_before[name])
                    # "If an apply-all makes a domain send whose manifest declares `unconfigured`,
                    # each such domain gets the warning `apply-all-wins`."
                    if document.route == UNCONFIGURED and request.route != UNCONFIGURED:
                        expectation.require("apply-all-wins")
                    if edited and document.route != request.route and name not in skipped_domains:
                        expectation.require("apply-all-wins")
                    expectation.may.add("apply-all-wins")

    # "An id that never ran in the account is the warning `unknown-apply-all`."
    for domain in documents.values():
        if domain.overrides is not None and domain.overrides not in {**ran, **ran_now}:
            expectation.require("unknown-apply-all")

    # --- Step 5, reassignment.
    for row in rows.values():
        if satisfiable(row.route):
            continue
        # "Every domain whose assigned route is not satisfiable gets the first of these that is: its
        # declared route (origin `declared`); the `onDelete.reassignTo` of the removed profile
        # (origin `reassigned`); the plan default (origin `reassigned`). A shadow ends."
        deleted = profile_of(row.route)
        target = profiles_before[deleted].reassign_to if deleted in profiles_before else None
        if row.declared is not None and satisfiable(row.declared):
            row.route, row.origin = row.declared, "declared"
        elif target is not None and satisfiable(target):
            row.route, row.origin = target, "reassigned"
        else:
            row.route, row.origin = plan_default, "reassigned"
        row.shadow = None
        if deleted is not None:
            expectation.require("profile-deleted")
        else:
            expectation.may.add("managed-not-in-plan")

    # --- Step 6: "A domain that no manifest declares any more is removed."
    rerouted = {
        name
        for name, row in rows.items()
        if name in rows_before
        and rows_before[name].route != row.route
        and not (row.origin == "apply-all" and row.shadow in ran_now)
    }
    removed = set(rows_before) - set(rows)
    # "The logins of an account are those of its manifest": no other rule concerns them.
    stored_after = Stored(doc.plan, default, profiles, rows, doc.logins)
    return Outcome(stored_after, ran_now, saved, rerouted, removed)
