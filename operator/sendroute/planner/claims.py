"""Claims: which account gets a domain that several declare, or that another account holds.

The account that holds a contested domain keeps it; if none holds it, nobody gets it. A domain that
is declared only by another account than its holder moves (step 6): in one transaction, and only if
both accounts are changed at all; otherwise it stays where it is.

What the accounts outside a plan say is asked for by domain: :func:`open_domains` names the domains,
a :class:`ClaimIndex` answers for the manifests and the store for the holders.
"""

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct, field

from sendroute.model.codes import finding
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey, DesiredAccount, DesiredDomain
from sendroute.model.finding import Finding, Where
from sendroute.planner.inputs import Claims

DesiredAccounts = Mapping[AccountKey, DesiredAccount]
CurrentAccounts = Mapping[AccountKey, CurrentAccount]


class Move(Struct, frozen=True, order=True):
    """A domain that leaves its holder for the only account that declares it."""

    domain: str
    source: AccountKey
    target: AccountKey


class OtherClaims(Struct, frozen=True):
    """What the accounts outside a plan say of the domains that :func:`open_domains` names.

    ``declared``: by domain, the accounts that declare it once; ``contested``: the domains that one
    of them declares twice, so that neither declaration counts; ``holders``: the account that holds
    each domain in the store.
    """

    declared: Mapping[str, Mapping[AccountKey, DesiredDomain]] = field(default_factory=dict)
    contested: AbstractSet[str] = frozenset()
    holders: Mapping[str, AccountKey] = field(default_factory=dict)


NO_OTHERS = OtherClaims()
"""A plan of every account has no accounts outside."""


class ClaimIndex:
    """Which accounts declare a domain. The owner of the desired state keeps it beside that state
    and replaces an account when its documents change, at the cost of that account alone."""

    def __init__(self, accounts: Iterable[DesiredAccount] = ()) -> None:
        self._accounts: dict[AccountKey, DesiredAccount] = {}
        self._first: dict[str, AccountKey] = {}
        self._further: dict[str, list[AccountKey]] = {}  # of the few that several declare
        for account in accounts:
            self.put(account)

    def put(self, account: DesiredAccount) -> None:
        """Adds an account, in place of what was known of it."""
        key = account.key
        self.remove(key)
        self._accounts[key] = account
        first = self._first
        for domain in _declared_names(account):
            if first.setdefault(domain, key) is not key:
                self._further.setdefault(domain, []).append(key)

    def remove(self, key: AccountKey) -> None:
        """Forgets an account; one that is unknown is no error."""
        account = self._accounts.pop(key, None)
        for domain in _declared_names(account) if account is not None else ():
            further = self._further.get(domain, [])
            if self._first[domain] != key:
                further.remove(key)
            elif further:
                self._first[domain] = further.pop(0)
            else:
                del self._first[domain]
            if not further:
                self._further.pop(domain, None)

    def declaring(self, domain: str) -> tuple[AccountKey, ...]:
        """The accounts that declare a domain, once or twice."""
        first = self._first.get(domain)
        return () if first is None else (first, *self._further.get(domain, ()))

    def others(
        self,
        domains: Iterable[str],
        planned: Collection[AccountKey],
        holders: Mapping[str, AccountKey],
    ) -> OtherClaims:
        """What the accounts that are not planned say of some domains.

        Args:
            domains: those of :func:`open_domains`.
            planned: the accounts of the plan.
            holders: who holds these domains in the store.
        """
        requested: dict[AccountKey, set[str]] = {}
        for domain in domains:
            for key in self.declaring(domain):
                if key not in planned:
                    requested.setdefault(key, set()).add(domain)
        declared: dict[str, dict[AccountKey, DesiredDomain]] = {}
        contested: set[str] = set()
        for key, names in sorted(requested.items()):
            account = self._accounts[key]
            contested |= account.contested.keys() & names
            for desired in account.domains:
                if desired.domain in names:
                    declared.setdefault(desired.domain, {})[key] = desired
        return OtherClaims(declared, contested, holders)


def _declared_names(account: DesiredAccount) -> Iterable[str]:
    yield from account.contested
    for desired in account.domains:
        yield desired.domain


class DomainConflicts(Struct, frozen=True):
    """All that concerns more than one account.

    ``moves``: by account, those from it and those to it. ``denied``: by account, the domains that
    it declares but does not get. ``retained``: by account, the domains that it holds and keeps
    although no single claim on them is its own. ``findings``: by account, its conflicts.
    """

    moves: Mapping[AccountKey, tuple[Move, ...]]
    denied: Mapping[AccountKey, AbstractSet[str]]
    retained: Mapping[AccountKey, AbstractSet[str]]
    findings: Mapping[AccountKey, list[Finding]]

    def all_moves(self) -> Iterable[Move]:
        """Each move once, in the order of accounts and domains."""
        for key, moves in sorted(self.moves.items()):
            yield from (move for move in moves if move.source == key)

    def involving(self, accounts: Iterable[AccountKey]) -> frozenset[AccountKey]:
        """The accounts at the other end of a move from or to one of these."""
        ends = frozenset(accounts)
        moves = (move for key in ends for move in self.moves.get(key, ()))
        return frozenset(key for move in moves for key in (move.source, move.target)) - ends

    def claims_of(
        self, key: AccountKey, immovable: frozenset[AccountKey], blocked: frozenset[Move]
    ) -> Claims:
        """What the conflicts and moves mean for one account.

        Args:
            key: the account.
            immovable: accounts that do not change, so that nothing leaves or reaches them.
            blocked: moves that their target does not take, so that the source retains the domain.
        """
        denied = set(self.denied.get(key, ()))
        retained = set(self.retained.get(key, ()))
        waiting, unmoved, outgoing, incoming = {}, {}, {}, {}
        for move in self.moves.get(key, ()):
            waits = move.source in immovable or move.target in immovable
            if move.source == key:
                if waits or move in blocked:
                    retained.add(move.domain)
                    unmoved[move.domain] = move.target
                else:
                    outgoing[move.domain] = move.target
            elif waits:
                denied.add(move.domain)
                waiting[move.domain] = move.source
            else:
                incoming[move.domain] = move.source
        return Claims(frozenset(denied), frozenset(retained), waiting, unmoved, outgoing, incoming)


def open_domains(accounts: DesiredAccounts, current: CurrentAccounts) -> set[str]:
    """The domains of these accounts of which other accounts may have a say: those that an account
    declares but does not hold, holds but does not declare, or declares twice.

    A domain that its holder declares once is not among them: whatever others declare, it stays.
    """
    names: set[str] = set()
    for key in accounts.keys() | current.keys():
        held = current[key].domains.keys() if key in current else frozenset()
        account = accounts.get(key)
        if account is None:
            names.update(held)
            continue
        names.update({desired.domain for desired in account.domains} ^ held)
        names.update(account.contested)
    return names


def others_at_hand(
    accounts: DesiredAccounts, current: CurrentAccounts, planned: frozenset[AccountKey]
) -> OtherClaims:
    """What the accounts that are not planned say, where the whole tree and store are at hand."""
    names = open_domains(
        {key: accounts[key] for key in planned if key in accounts},
        {key: current[key] for key in planned if key in current},
    )
    holders = {
        domain: key
        for key, account in current.items()
        if key not in planned
        for domain in account.domains.keys() & names
    }
    return ClaimIndex(accounts.values()).others(names, planned, holders)


def find_conflicts(
    accounts: DesiredAccounts, current: CurrentAccounts, others: OtherClaims = NO_OTHERS
) -> DomainConflicts:
    """Every conflict and move that concerns one of these accounts.

    Args:
        accounts: what the manifests say of the accounts of a plan.
        current: what the store holds of them.
        others: what the other accounts say of the domains of :func:`open_domains`.
    """
    names, repeated = _claimed_by_newcomers(accounts, current)
    contested = set(others.contested)
    contested.update(*(account.contested for account in accounts.values()))
    names |= contested | others.declared.keys()
    holders = {domain: key for domain, key in others.holders.items() if key not in current}
    for key, account in current.items():
        holders.update(dict.fromkeys(account.domains.keys() & names, key))
    # A domain that one account alone claims and nobody holds is simply created there: that is
    # nearly all of a first apply.
    examined = repeated | contested | holders.keys() | others.declared.keys()
    newcomers = _newcomers(accounts, current, examined)
    declaring = _still_declaring(accounts, holders)
    for domain, claims in others.declared.items():
        for key, desired in claims.items():
            if key == holders.get(domain):
                declaring[domain] = desired.where
            else:
                newcomers.setdefault(domain, {})[key] = desired
    moves: dict[AccountKey, list[Move]] = {}
    denied: dict[AccountKey, set[str]] = {}
    retained: dict[AccountKey, set[str]] = {}
    findings: dict[AccountKey, list[Finding]] = {}
    for domain in sorted(examined):
        claims, holder = dict(sorted(newcomers.get(domain, {}).items())), holders.get(domain)
        if domain in contested or len(claims) > 1 or domain in declaring:
            if holder is not None:
                retained.setdefault(holder, set()).add(domain)
            for key, desired in claims.items():
                denied.setdefault(key, set()).add(domain)
                related = [declaring.get(domain), *(c.where for k, c in claims.items() if k != key)]
                findings.setdefault(key, []).append(_conflict(key, desired, holder, related))
        elif holder is not None and claims:
            ((target, desired),) = claims.items()
            if desired.suspended:  # suspended: it stays where the store holds it
                retained.setdefault(holder, set()).add(domain)
            else:
                for key in (holder, target):
                    moves.setdefault(key, []).append(Move(domain, holder, target))
    by_account = {key: tuple(some) for key, some in moves.items()}
    return DomainConflicts(by_account, denied, retained, findings)


def _claimed_by_newcomers(
    accounts: DesiredAccounts, current: CurrentAccounts
) -> tuple[set[str], set[str]]:
    """The domains that an account declares but does not hold, and those of them that several do.
    If nothing has changed there are none."""
    names: set[str] = set()
    repeated: set[str] = set()
    for key, account in accounts.items():
        held = current[key].domains if key in current else {}
        for desired in account.domains:
            domain = desired.domain
            if domain not in held:
                (repeated if domain in names else names).add(domain)
    return names, repeated


def _newcomers(
    accounts: DesiredAccounts, current: CurrentAccounts, domains: AbstractSet[str]
) -> dict[str, dict[AccountKey, DesiredDomain]]:
    """Every claim on one of ``domains`` by an account that does not hold it."""
    claims: dict[str, dict[AccountKey, DesiredDomain]] = {}
    for key, account in accounts.items() if domains else ():
        held = current[key].domains if key in current else {}
        for desired in account.domains:
            if desired.domain in domains and desired.domain not in held:
                claims.setdefault(desired.domain, {})[key] = desired
    return claims


def _still_declaring(
    accounts: DesiredAccounts, holders: Mapping[str, AccountKey]
) -> dict[str, Where]:
    """The domains of ``holders`` that their own account declares too, and where."""
    return {
        desired.domain: desired.where
        for key in sorted(set(holders.values()))
        if key in accounts
        for desired in accounts[key].domains
        if holders.get(desired.domain) == key
    }


def _conflict(
    key: AccountKey,
    desired: DesiredDomain,
    holder: AccountKey | None,
    related: Iterable[Where | None],
) -> Finding:
    if holder is None:
        message = f"{desired.domain} is declared more than once; no account gets it."
    else:
        message = f"{desired.domain} belongs to account {holder}; account {key} does not get it."
    return finding(
        "domain-conflict",
        message,
        hint="Keep one declaration. To move the domain, remove it from the account that holds it.",
        where=desired.where.at("spec", "domain"),
        related=tuple(where for where in related if where is not None),
        account=key,
    )
