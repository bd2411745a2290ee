"""A second opinion on the routing rules: semantics.md in the plainest Python there is.

It was written from the page alone and shares nothing with the planner, not even its values: an
account's key is a pair of strings, a route is ``"managed"``, ``"unconfigured"`` or
``"profile NAME"``. It is slow, and it repeats itself where the page does. Beside each step stands
the sentence that asks for it.

``step`` gives the store as it must be afterwards and, for each account, a verdict: whether the
account is left as it is, and which codes must be told. Where the page lets two codes tell one
fact, any of them will do; ``may`` are those that the page neither asks for nor forbids.
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
    route: str | None = None
    suspended: bool = False


@dataclass
class ApplyAllField:
    id: str
    route: str
    confirm: int | None = None


@dataclass
class AccountDoc:
    """``broken``: reading found an error in one of the account's documents; ``contested``: the
    domains that two of the account's own documents claim, which are not in ``domains``."""

    plan: str
    default: str | None = None
    apply_all: ApplyAllField | None = None
    suspended: bool = False
    broken: bool = False
    profiles: dict[str, ProfileDoc] = field(default_factory=dict)
    domains: dict[str, DomainDoc] = field(default_factory=dict)
    contested: set[str] = field(default_factory=set)


@dataclass
class Tree:
    """``plans``: each plan's name and whether it offers managed sending; None where there is no
    readable platform. ``orphans``: accounts that own documents but have none themselves."""

    plans: dict[str, bool] | None
    platform_suspended: bool = False
    complete: bool = True
    accounts: dict[Key, AccountDoc] = field(default_factory=dict)
    orphans: set[Key] = field(default_factory=set)


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


@dataclass
class Stored:
    plan: str
    default: str | None = None
    profiles: dict[str, StoredProfile] = field(default_factory=dict)
    domains: dict[str, Row] = field(default_factory=dict)


@dataclass
class Store:
    """``ran`` outlives the accounts: "for ever (also after the account is deleted and made
    again)"."""

    plans: dict[str, bool] | None = None
    accounts: dict[Key, Stored] = field(default_factory=dict)
    ran: dict[Key, dict[str, str]] = field(default_factory=dict)


# What is told

# Advice that is no rule of the page, and what the reading and the testing of a tree tell.
ALWAYS_ALLOWED = {
    "profile-unused",
    "unusual-port",
    "connection-test-failed",
    "connection-not-tested",
    "secret-missing",
    "secret-not-bound",
    "address-refused",
}
ERRORS = {"unknown-profile", "unknown-plan", "unknown-account", "account-not-empty"}
# Of an account that is left as it is, what else would have to be said of it may be said.
EVERYTHING = ERRORS | {
    "apply-all-id-reused",
    "apply-all-unsatisfiable",
    "apply-all-wins",
    "awaiting-confirmation",
    "confirmation-exceeded",
    "default-fell-back",
    "dependency-skipped",
    "domain-conflict",
    "held-back",
    "managed-not-in-plan",
    "profile-deleted",
    "suspended",
    "too-many-changes",
    "too-many-removals",
}


@dataclass
class Verdict:
    """``left``: the account stays as it is; ``saved``: the profiles that are written, where it
    does not. ``must``: of each set at least one code is told."""

    left: bool = False
    saved: set[str] = field(default_factory=set)
    must: list[set[str]] = field(default_factory=list)
    may: set[str] = field(default_factory=set)

    def tell(self, *any_of: str) -> None:
        self.must.append(set(any_of))

    def disagrees(self, told: set[str]) -> str | None:
        """What is wrong with the codes that were told, None where nothing is."""
        for any_of in self.must:
            if not any_of & told:
                return f"none of {sorted(any_of)} is told"
        allowed = self.may.union(ALWAYS_ALLOWED, *self.must)
        if told - allowed:
            return f"{sorted(told - allowed)} should not be told"
        return None


@dataclass
class Outcome:
    """One account after its steps 1 to 6; ``stored`` is None for an account that goes."""

    stored: Stored | None
    ran: dict[str, str]
    saved: set[str] = field(default_factory=set)
    rerouted: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)


def step(
    tree: Tree,
    store: Store,
    failing: frozenset[str] = frozenset(),
    rotated: frozenset[str] = frozenset(),
    change_percent: int = 30,
    remove_percent: int = 30,
) -> tuple[Store, dict[Key, Verdict]]:
    """The store after the tree was applied, and what is told of each account. ``failing``: the
    names whose connection test fails wherever it is made; ``rotated``: those whose secret has
    another content now."""
    after = deepcopy(store)
    verdicts = {key: Verdict() for key in {*tree.accounts, *tree.orphans, *store.accounts}}

    # "`suspend: true` on an object leaves what the store holds of it as it is".
    plans = tree.plans
    if plans is not None and tree.platform_suspended:
        plans = store.plans
    # "Without a readable platform [...] nothing is applied."
    if plans is None:
        for verdict in verdicts.values():
            verdict.left = True
            verdict.may = {"no-platform", "suspended", *ERRORS}
        return after, verdicts
    after.plans = deepcopy(plans)

    # 1. What leaves an account as it is, whatever the other accounts do.
    stopped_claims, kept = conflicts(tree, store, verdicts)
    out = {key for key in verdicts if stays_whole(key, tree, store, plans, verdicts[key])}
    # What a change "would" take, remove or re-route is what it says, whatever error another
    # account has; but what is suspended says nothing.
    left = {key for key in out if key in tree.accounts and tree.accounts[key].suspended}

    # 2. "A domain declared by another account is a move: it leaves the one and is new in the
    # other, in one transaction": so it stays where it is unless both accounts can go on. What an
    # account's change comes to is looked at anew whenever a move is found not to happen.
    moves = the_moves(tree, store, stopped_claims, kept)
    blocked: set[str] = set()
    while True:
        outcomes: dict[Key, Outcome] = {}
        told: dict[Key, Verdict] = {}
        for key in verdicts:
            if key in left | out:
                continue
            doc, stored = tree.accounts.get(key), store.accounts.get(key)
            leaves = {name for name, (source, _) in moves.items() if source == key}
            arrives = {name for name, (_, target) in moves.items() if target == key}
            stays = (leaves & blocked) | (kept & set(stored.domains if stored else ()))
            told[key] = Verdict()
            if doc is not None:
                ignored = stopped_claims.get(key, set()) | (arrives & blocked)
                for name in ignored & set(doc.domains):
                    if doc.domains[name].suspended:
                        told[key].may.add("suspended")
                outcomes[key] = one_account(
                    doc,
                    stored,
                    store.ran.get(key, {}),
                    plans[doc.plan],
                    failing,
                    rotated,
                    ignored,
                    stays,
                    told[key],
                )
            elif stored is not None and stays:
                # "An account may be removed only with all that it owns."
                left.add(key)
                verdicts[key].left = True
                verdicts[key].may |= EVERYTHING
            elif stored is not None:
                outcomes[key] = Outcome(None, {}, removed=set(stored.domains))
        still_blocked = set(blocked)
        for name, (source, target) in moves.items():
            skipped = target in outcomes and name not in domains_of(outcomes[target])
            if source in left or target in left or skipped:
                still_blocked.add(name)
        if still_blocked != blocked:
            blocked = still_blocked
            continue
        halted = bool(out - left)
        left |= out
        for key, outcome in outcomes.items():
            before = store.accounts.get(key)
            if before is None:
                continue
            if too_much(before, outcome, told[key], change_percent, remove_percent):
                verdicts[key].must += told[key].must
                verdicts[key].may |= told[key].may | {"held-back"}
                halted = verdicts[key].left = True
                left.add(key)
            if not tree.complete and takes(before, outcome):
                # "an account from which the change would take anything (a domain, a profile, the
                # account) is held back whole (`held-back`), and the others go on".
                verdicts[key].must = [{"held-back"}]
                verdicts[key].may |= EVERYTHING
                halted = verdicts[key].left = True
                left.add(key)
        if not halted:
            break

    # "waiting for something that failed elsewhere (a move whose other side cannot change [...]) is
    # `skipped`, exit 4, on both sides."
    for name in blocked:
        for key in moves[name]:
            verdicts[key].may |= {"dependency-skipped", "domain-conflict"}
            if key not in left:
                verdicts[key].tell("dependency-skipped")

    # 3. "One account is planned and committed as one transaction: all of it or none of it".
    for key, outcome in outcomes.items():
        verdicts[key].must += told[key].must
        verdicts[key].may |= told[key].may
        verdicts[key].saved = outcome.saved
        if outcome.stored is None:
            after.accounts.pop(key, None)
        else:
            after.accounts[key] = outcome.stored
        # "for ever (also after the account is deleted and made again)"
        if outcome.ran:
            after.ran.setdefault(key, {}).update(outcome.ran)
    return after, verdicts


def too_much(
    before: Stored, outcome: Outcome, told: Verdict, change_percent: int, remove_percent: int
) -> bool:
    """ "when one change would remove more than 30 % of an account's domains, or re-route more than
    30 % of them other than by a confirmed apply-all (reassignments count; both from 10 domains
    on)". A move is one of the removals of rule 6: the domain "leaves the one"."""
    had = len(before.domains)
    if had < 10:
        return False
    if len(outcome.removed) * 100 > remove_percent * had:
        told.tell("too-many-removals")
    if len(outcome.rerouted) * 100 > change_percent * had:
        told.tell("too-many-changes")
    return {"too-many-removals"} in told.must or {"too-many-changes"} in told.must


def takes(before: Stored, outcome: Outcome) -> bool:
    if outcome.stored is None:
        return True
    return bool(outcome.removed or set(before.profiles) - set(outcome.stored.profiles))


def domains_of(outcome: Outcome) -> set[str]:
    return set(outcome.stored.domains) if outcome.stored is not None else set()


def conflicts(
    tree: Tree, store: Store, verdicts: dict[Key, Verdict]
) -> tuple[dict[Key, set[str]], set[str]]:
    """The claims that do not count, and the domains that stay though their account's manifests
    do not name them (any more)."""
    claims: dict[str, list[Key]] = {}
    for key, doc in tree.accounts.items():
        for name in doc.domains:
            claims.setdefault(name, []).append(key)
        for name in doc.contested:
            claims.setdefault(name, []).append(key)

    stopped: dict[Key, set[str]] = {}
    kept: set[str] = set()
    for name, claimants in claims.items():
        holders = [key for key, stored in store.accounts.items() if name in stored.domains]
        # Two claims within one account: nobody can say which of them is meant. It is the reading
        # that tells it.
        for key in claimants:
            if name in tree.accounts[key].contested:
                for claimant in claimants:
                    if claimant not in holders or claimant == key:
                        stopped.setdefault(claimant, set()).add(name)
                verdicts[key].may.add("domain-conflict")
                kept.add(name)
        if len(claimants) < 2:
            continue
        # "Two accounts declaring one domain: the account that holds it in the store keeps it;
        # with none, neither gets it (`domain-conflict`, exit 1). It stops the claim, not the
        # accounts".
        for key in claimants:
            verdicts[key].may.add("domain-conflict")
            if key not in holders:
                stopped.setdefault(key, set()).add(name)
                if name not in tree.accounts[key].contested:
                    verdicts[key].tell("domain-conflict")
        if holders and holders[0] not in claimants:
            kept.add(name)
            verdicts[holders[0]].may.add("domain-conflict")
    return stopped, kept


def the_moves(
    tree: Tree, store: Store, stopped_claims: dict[Key, set[str]], kept: set[str]
) -> dict[str, tuple[Key, Key]]:
    moves = {}
    for source, stored in store.accounts.items():
        for name in stored.domains:
            for target, doc in tree.accounts.items():
                if target == source or name not in doc.domains:
                    continue
                if doc.domains[name].suspended:
                    # "`suspend: true` on an object leaves what the store holds of it as it is":
                    # where it is, too.
                    kept.add(name)
                elif name not in stopped_claims.get(target, set()):
                    moves[name] = (source, target)
    return moves


def stays_whole(
    key: Key,
    tree: Tree,
    store: Store,
    plans: dict[str, bool],
    verdict: Verdict,
) -> bool:
    """Whether the account is not even looked at."""
    doc = tree.accounts.get(key)
    stored = store.accounts.get(key)

    if doc is None and key in tree.orphans:
        # "An account may be removed only with all that it owns"; "an account that nothing defines
        # too [is an error] (`unknown-account`)".
        verdict.left = True
        verdict.tell(*(("account-not-empty", "unknown-account") if stored else ()))
        verdict.must = verdict.must if stored else [{"unknown-account"}]
        verdict.may |= EVERYTHING
        return True

    # "a suspended account is not planned at all. Each is told as `suspended`".
    if doc is not None and doc.suspended:
        verdict.left = True
        verdict.must = [] if doc.broken else [{"suspended"}]
        verdict.may |= EVERYTHING
        return True

    # "An error in a document or reference stops its account".
    if doc is not None:
        found = errors(doc, stored, store.ran.get(key, {}), plans)
        if doc.broken:
            # What else is wrong may follow from what could not be read.
            verdict.left = True
            verdict.may |= EVERYTHING
            return True
        if found:
            verdict.left = True
            verdict.must = [{code} for code in sorted(found)]
            verdict.may |= EVERYTHING
            return True

    return False


def errors(
    doc: AccountDoc,
    stored: Stored | None,
    ran: dict[str, str],
    plans: dict[str, bool],
) -> set[str]:
    """The errors of the account's references, those of a claim that does not count included: "An
    error in a document or reference stops its account"."""
    # "A plan that the platform does not define is an error (`unknown-plan`)".
    if doc.plan not in plans:
        return {"unknown-plan"}
    before = stored.profiles if stored else {}
    rows = stored.domains if stored else {}

    # "names a profile that will not exist after the change". A suspended profile "keeps its
    # stored version", so it exists only where the store has one. One whose test fails is no error
    # of the reference: what depends on it is skipped.
    there = {name for name, p in doc.profiles.items() if not p.suspended or name in before}

    def missing(route: str | None) -> bool:
        return profile_of(route) is not None and profile_of(route) not in there

    found = set()
    for name, domain in doc.domains.items():
        if domain.suspended:
            continue
        is_new_or_changed = name not in rows or rows[name].declared != domain.route
        # "A declaration (a domain's route, the default, a `reassignTo`, an apply-all) that is new
        # or changed and names a profile that will not exist after the change is an error".
        if is_new_or_changed and missing(domain.route):
            found.add("unknown-profile")
        # "`managed` declared by a domain that is new, or whose declared route changes, on a plan
        # that does not offer it is an error (`managed-not-in-plan`)".
        if is_new_or_changed and domain.route == MANAGED and not plans[doc.plan]:
            found.add("managed-not-in-plan")
    if (stored is None or stored.default != doc.default) and missing(doc.default):
        found.add("unknown-profile")
    for name, profile in doc.profiles.items():
        known = name in before and before[name].reassign_to == profile.reassign_to
        if not profile.suspended and not known and missing(profile.reassign_to):
            found.add("unknown-profile")
    # "An apply-all that is refused ([...], id used before, [...]) is left out whole; the account's
    # other changes go on": one whose id ran can never run, so where it leads is no question.
    if doc.apply_all is not None and doc.apply_all.id not in ran and missing(doc.apply_all.route):
        found.add("unknown-profile")
    return found


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
    """Whether step 4 will run, said ahead of it: the count is that of the account's domains,
    "those created in this same change included", without those that are not created."""
    request = doc.apply_all
    if request is None or request.id in ran or request.confirm is None:
        return False
    name = profile_of(request.route)
    if name is not None and (name in skipped or name not in profiles):
        return False
    if request.route == MANAGED and not offers_managed:
        return False
    count = len(stays)
    for name, domain in documents.items():
        starts_on = profile_of(domain.route if domain.route is not None else doc.default)
        created = not domain.suspended and starts_on not in skipped
        count += 1 if name in rows_before or created else 0
    return count <= request.confirm


def one_account(
    doc: AccountDoc,
    stored: Stored | None,
    ran: dict[str, str],
    offers_managed: bool,
    failing: frozenset[str],
    rotated: frozenset[str],
    ignored: set[str],
    stays: set[str],
    told: Verdict,
) -> Outcome:
    """Steps 1 to 6 of "Order of one change". ``ignored`` are documents whose claim does not count,
    ``stays`` the held domains that no document of the account names and that stay all the same."""
    profiles_before = stored.profiles if stored else {}
    rows_before = stored.domains if stored else {}
    default_before = stored.default if stored else None
    documents = {name: d for name, d in doc.domains.items() if name not in ignored}
    # "baseline: the plan's own default: `managed` where the plan offers it, else `unconfigured`".
    plan_default = MANAGED if offers_managed else UNCONFIGURED

    # --- Step 1, profiles.
    # "A profile that fails is not saved [...], and whatever in this change depends on it is
    # **skipped**": a profile whose new `reassignTo` names it, too.
    skipped: set[str] = set()

    def tested(name: str) -> bool:
        # "A new or changed profile (host, port, encryption, credentials) must pass its connection
        # test first"; "a changed value is a new revision of the profile, tested like one".
        was = profiles_before.get(name)
        return was is None or was.host != doc.profiles[name].host or name in rotated

    while True:
        more = set()
        for name, profile in doc.profiles.items():
            if profile.suspended or name in skipped:
                continue
            was = profiles_before.get(name)
            says_something_new = was is None or was.reassign_to != profile.reassign_to
            if name in failing and tested(name):
                more.add(name)
            elif says_something_new and profile_of(profile.reassign_to) in skipped:
                more.add(name)
                told.tell("dependency-skipped")
        if not more:
            break
        skipped |= more

    profiles: dict[str, StoredProfile] = {}
    saved: set[str] = set()
    for name, profile in doc.profiles.items():
        if profile.suspended:
            # "a suspended profile keeps its stored version".
            told.tell("suspended")
            if name in profiles_before:
                profiles[name] = profiles_before[name]
        elif name in skipped:
            # "the previous version stays in effect, or it does not exist".
            if name in profiles_before:
                profiles[name] = profiles_before[name]
        else:
            profiles[name] = StoredProfile(profile.host, profile.note, profile.reassign_to)
            if tested(name) or profiles[name] != profiles_before[name]:
                saved.add(name)

    # Which edits of domains depend on a skipped profile: they are "kept as [they are], and
    # reported".
    skipped_domains: set[str] = set()
    switched = apply_all_runs(
        doc, documents, rows_before, stays, ran, skipped, profiles, offers_managed
    )
    for name, domain in documents.items():
        if switched and name in rows_before:
            # "A change that edits a domain's declared route and brings a new apply-all too: the
            # apply-all wins, with a warning": where the edit leads is no question any more.
            continue
        if domain.suspended or profile_of(domain.route) not in skipped:
            continue
        row = rows_before.get(name)
        if row is None or row.declared != domain.route:
            skipped_domains.add(name)
            told.tell("dependency-skipped")
        elif row.shadow is None and row.route != domain.route:
            skipped_domains.add(name)
            told.may |= {"dependency-skipped", "profile-deleted"}
    # "skipped (kept as it is": a domain cannot be kept on a profile that goes, so the profile's
    # going depends on the skipped edit and is skipped with it.
    for name, was in profiles_before.items():
        users = [d for d in skipped_domains if d in rows_before]
        if name not in doc.profiles and via(name) in [rows_before[d].route for d in users]:
            profiles[name] = was
            told.tell("dependency-skipped")

    def satisfiable(route: str) -> bool:
        # "`managed`: the account's plan offers it. `profile`: the profile exists in that account
        # after this change. `unconfigured`: always".
        if route == MANAGED:
            return offers_managed
        if route == UNCONFIGURED:
            return True
        return profile_of(route) in profiles

    # --- Step 2, the default.
    default = doc.default
    effective: str | None
    if doc.default is not None and profile_of(doc.default) in skipped:
        # The default depends on what is skipped, and so does every domain that would start on it.
        effective = None
        if doc.default != default_before:
            default = default_before
            told.tell("dependency-skipped")
        told.may |= {"default-fell-back", "profile-deleted"}
    elif doc.default is not None and satisfiable(doc.default):
        # "A declared default that is satisfiable is kept."
        effective = doc.default
    else:
        # "falls back to the baseline, with a warning that says so".
        effective = plan_default
        if doc.default is not None:
            told.tell("default-fell-back")
            told.may.add("profile-deleted")

    # --- Step 3, the domains: "each by the first line that fits".
    rows: dict[str, Row] = {}
    for name in stays:
        rows[name] = deepcopy(rows_before[name])
    for name, domain in documents.items():
        row = deepcopy(rows_before.get(name))
        declared = domain.route
        if domain.suspended:
            # "a suspended domain keeps its route through default, declaration and apply-all".
            told.tell("suspended")
            if row is not None:
                rows[name] = row
        elif name in skipped_domains:
            # "A domain that is new and depends on a skipped profile is not created."
            if row is not None:
                rows[name] = row
        elif row is None and declared is not None:
            # "new, with a declared route → that route, origin `declared`".
            rows[name] = Row(declared, "declared", declared)
        elif row is None and effective is None:
            told.tell("dependency-skipped")
        elif row is None and effective is not None:
            # "new, without one → the effective default as it is after step 2, origin `default`".
            rows[name] = Row(effective, "default")
        elif row is not None:
            if declared is not None and declared != row.declared:
                # "its declared route differs from the one last seen, and is present → that route,
                # origin `declared`; a shadow ends".
                row.route, row.origin, row.shadow = declared, "declared", None
            elif row.shadow is not None:
                # "shadowed by an apply-all → stays as assigned".
                pass
            elif declared is not None and satisfiable(declared):
                # "declared route present and satisfiable → that route (this also repairs drift,
                # and brings back a route whose profile was deleted and is declared again)".
                row.route, row.origin = declared, "declared"
            # "declared route present, unchanged, but not satisfiable → stays as assigned"; "no
            # declared route → stays as assigned."
            row.declared = declared
            rows[name] = row

    # What the page warns of: a declaration that the store already knew and that cannot be had.
    for name, domain in documents.items():
        known = name in rows_before and rows_before[name].declared == domain.route
        if domain.suspended:
            told.may |= {"profile-deleted", "managed-not-in-plan"}
        elif known and name not in skipped_domains and domain.route is not None:
            if profile_of(domain.route) in skipped:
                told.may.add("profile-deleted")
            elif profile_of(domain.route) is not None and not satisfiable(domain.route):
                # "One that the store already knew, whose profile goes or went, is a deletion:
                # domains are reassigned, with a warning (`profile-deleted`)."
                told.tell("profile-deleted")
            if domain.route == MANAGED and not offers_managed:
                # "Where the store already knew that declaration (the plan changed under it), it
                # is a warning, and rule 5 decides."
                told.tell("managed-not-in-plan")
    for profile in doc.profiles.values():
        if profile_of(profile.reassign_to) is not None and not satisfiable(
            str(profile.reassign_to)
        ):
            told.may.add("profile-deleted")

    # --- Step 4, the apply-all.
    ran_now: dict[str, str] = {}
    request = doc.apply_all
    if request is not None and request.id in ran:
        # "The same id with the same route: done already, nothing happens, whatever changed
        # meanwhile. The same id with another route: refused (`apply-all-id-reused`)."
        if ran[request.id] != request.route:
            told.tell("apply-all-id-reused")
    elif request is not None and profile_of(request.route) in skipped:
        told.tell("dependency-skipped")
        told.may |= {"awaiting-confirmation", "confirmation-exceeded", "apply-all-unsatisfiable"}
    elif request is not None:
        # "it runs only while the account has **at most** that many domains".
        too_many = request.confirm is not None and len(rows) > request.confirm
        refusals = set()
        if not satisfiable(request.route):
            refusals.add("apply-all-unsatisfiable")
        if request.confirm is None:
            refusals.add("awaiting-confirmation")
        if too_many:
            refusals.add("confirmation-exceeded")
        if refusals:
            # "An apply-all that is refused [...] is left out whole; the account's other changes
            # go on".
            told.tell(*refusals)
        else:
            # "It and the record of its id commit together."
            ran_now[request.id] = request.route
            for name, row in rows.items():
                document = documents.get(name)
                if document is not None and document.suspended:
                    continue
                # "every domain of the account, those created in this same change included, gets
                # its route, origin `apply-all`, shadowed by that id".
                row.route, row.origin, row.shadow = request.route, "apply-all", request.id
                # "A change that edits a domain's declared route and brings a new apply-all too:
                # the apply-all wins, with a warning."
                if document is not None and document.route is not None:
                    edited = name in rows_before and rows_before[name].declared != document.route
                    if edited and document.route != request.route and name not in skipped_domains:
                        told.tell("apply-all-wins")
                    told.may.add("apply-all-wins")

    # --- Step 5, reassignment.
    for row in rows.values():
        if satisfiable(row.route):
            continue
        # "in this order: its declared route if that is satisfiable; else the removed profile's
        # `onDelete.reassignTo` if that is satisfiable; else the baseline. Origin `reassigned` (or
        # `declared`), the shadow ends."
        lost = profile_of(row.route)
        target = profiles_before[lost].reassign_to if lost in profiles_before else None
        if row.declared is not None and satisfiable(row.declared):
            row.route, row.origin = row.declared, "declared"
        elif target is not None and satisfiable(target):
            row.route, row.origin = target, "reassigned"
        else:
            row.route, row.origin = plan_default, "reassigned"
        row.shadow = None
        if lost is not None:
            told.tell("profile-deleted")
        else:
            told.may.add("managed-not-in-plan")

    # --- Step 6: "A domain no longer in the manifests is removed".
    rerouted = {
        name
        for name, row in rows.items()
        if name in rows_before
        and rows_before[name].route != row.route
        and not (row.origin == "apply-all" and row.shadow in ran_now)
    }
    removed = set(rows_before) - set(rows)
    return Outcome(Stored(doc.plan, default, profiles, rows), ran_now, saved, rerouted, removed)
