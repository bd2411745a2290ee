"""Claims: which account gets a domain that several declare, or that another account holds.

The account that holds a contested domain keeps it; if none holds it, no account gets it. A domain
that is declared only by another account than its holder moves (step 6), in one transaction, and
only if both accounts change; otherwise it stays where it is.

The claims of accounts outside a plan are looked up by domain: :func:`open_domains` returns the
domains, a :class:`ClaimIndex` the accounts that declare them, and the store their holders.
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
    """The claims of the accounts outside a plan on the domains of :func:`open_domains`.

    ``declared``: by domain, the accounts that declare it once. ``contested``: the domains that an
    account declares twice, so that neither declaration counts. ``holders``: the account that holds
    each domain in the store.
    """

    declared: Mapping[str, Mapping[AccountKey, DesiredDomain]] = field(default_factory=dict)
    contested: AbstractSet[str] = frozenset()
    holders: Mapping[str, AccountKey] = field(default_factory=dict)


NO_OTHERS = OtherClaims()
"""A plan of every account has no accounts outside."""


class ClaimIndex:
    """Which accounts declare a domain. The owner of the desired state keeps the index beside that
    state, and replaces an account when its documents change, at a cost that depends only on that
    account."""

    def __init__(self, accounts: Iterable[DesiredAccount] = ()) -> None:
        self._accounts: dict[AccountKey, DesiredAccount] = {}
        self._first: dict[str, AccountKey] = {}
        self._further: dict[str, list[AccountKey]] = {}  # of the few that several declare
        for account in accounts:
            self.put(account)

    def put(self, account: DesiredAccount) -> None:
        """Add an account, or replace it."""
        key = account.key
        self.remove(key)
        self._accounts[key] = account
        first = self._first
        for domain in _declared_names(account):
            if first.setdefault(domain, key) is not key:
                self._further.setdefault(domain, []).append(key)

    def remove(self, key: AccountKey) -> None:
        """Remove an account, if it is in the index."""
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
        """The claims of the accounts outside a plan on some domains.

        Args:
            domains: those of :func:`open_domains`.
            planned: the accounts of the plan.
            holders: the account that holds each of these domains in the store.

        Returns:
            The claims.
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
    """The moves and conflicts between accounts.

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
        """The effect of the conflicts and moves on one account.

        Args:
            key: the account.
            immovable: accounts that do not change, so that nothing leaves or reaches them.
            blocked: moves that their target does not accept, so that the source retains the domain.

        Returns:
            The claims of the account, as the input of its plan.
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
    """The domains for which the claims of other accounts matter: those that an account declares but
    does not hold, holds but does not declare, or declares twice.

    A domain that its holder declares once is not among them, because it stays in any case.
    """
    names: set[str] = set()
    for key in accounts.keys() | current.keys():
        current_domains = current[key].domains.keys() if key in current else frozenset()
        account = accounts.get(key)
        if account is None:
            names.update(current_domains)
            continue
        names.update({desired.domain for desired in account.domains} ^ current_domains)
        names.update(account.contested)
    return names


def find_conflicts(
    accounts: DesiredAccounts, current: CurrentAccounts, others: OtherClaims = NO_OTHERS
) -> DomainConflicts:
    """Find every conflict and move of the accounts of a plan.

    Args:
        accounts: the manifests of these accounts.
        current: their state in the store.
        others: the claims of all other accounts on the domains of :func:`open_domains`.

    Returns:
        The moves and conflicts, by account.
    """
    names, repeated = _claimed_by_newcomers(accounts, current)
    contested = set(others.contested)
    contested.update(*(account.contested for account in accounts.values()))
    names |= contested | others.declared.keys()
    holders = {domain: key for domain, key in others.holders.items() if key not in current}
    for key, account in current.items():
        holders.update(dict.fromkeys(account.domains.keys() & names, key))
    # A domain that only one account claims and no account holds is created there. In a first apply,
    # nearly every domain is such a domain.
    examined = repeated | contested | holders.keys() | others.declared.keys()
    newcomers = _newcomers(accounts, current, examined)
    declaring = _holder_declarations(accounts, holders)
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
            if desired.suspended:  # a suspended domain does not move
                retained.setdefault(holder, set()).add(domain)
            else:
                for key in (holder, target):
                    moves.setdefault(key, []).append(Move(domain, holder, target))
    by_account = {key: tuple(account_moves) for key, account_moves in moves.items()}
    return DomainConflicts(by_account, denied, retained, findings)


def _claimed_by_newcomers(
    accounts: DesiredAccounts, current: CurrentAccounts
) -> tuple[set[str], set[str]]:
    """The domains that an account declares but does not hold, and those of them that several
    accounts declare. If nothing has changed there are none."""
    names: set[str] = set()
    repeated: set[str] = set()
    for key, account in accounts.items():
        current_domains = current[key].domains if key in current else {}
        for desired in account.domains:
            domain = desired.domain
            if domain not in current_domains:
                (repeated if domain in names else names).add(domain)
    return names, repeated


def _newcomers(
    accounts: DesiredAccounts, current: CurrentAccounts, domains: AbstractSet[str]
) -> dict[str, dict[AccountKey, DesiredDomain]]:
    """Every claim on one of ``domains`` by an account that does not hold it."""
    claims: dict[str, dict[AccountKey, DesiredDomain]] = {}
    for key, account in accounts.items() if domains else ():
        current_domains = current[key].domains if key in current else {}
        for desired in account.domains:
            if desired.domain in domains and desired.domain not in current_domains:
                claims.setdefault(desired.domain, {})[key] = desired
    return claims


def _holder_declarations(
    accounts: DesiredAccounts, holders: Mapping[str, AccountKey]
) -> dict[str, Where]:
    """The domains that their holder also declares, and where it does."""
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
