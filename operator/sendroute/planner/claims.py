"""Claims: which account gets a domain that several declare, or that another holds.

The account that holds a contested domain keeps it; with none, neither gets it. A domain that is
declared only by another account than the one that holds it moves, in one transaction and only if
both accounts are changed at all: else it stays where it is.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct

from sendroute.model.codes import finding
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey, DesiredAccount, DesiredDomain
from sendroute.model.finding import Finding, Where
from sendroute.planner.inputs import Claims

Wants = Mapping[AccountKey, DesiredAccount]
Holds = Mapping[AccountKey, CurrentAccount]


class Move(Struct, frozen=True, order=True):
    """A domain that leaves the account that holds it for the only one that declares it."""

    domain: str
    source: AccountKey
    target: AccountKey


class DomainConflicts(Struct, frozen=True):
    """All that concerns more than one account. ``denied`` and ``kept`` are pairs of account and
    domain: claims that are stopped, and domains that stay though no single claim is theirs."""

    moves: tuple[Move, ...]
    denied: frozenset[tuple[AccountKey, str]]
    kept: frozenset[tuple[AccountKey, str]]
    findings: dict[AccountKey, list[Finding]]

    def involving(self, stopped: Iterable[AccountKey]) -> frozenset[AccountKey]:
        """The accounts at the other end of a move from or to one of ``stopped``."""
        gone = frozenset(stopped)
        return frozenset(
            other
            for move in self.moves
            for here, other in ((move.source, move.target), (move.target, move.source))
            if here in gone and other not in gone
        )

    def claims_of(
        self, key: AccountKey, immovable: frozenset[AccountKey], blocked: frozenset[Move]
    ) -> Claims:
        """``immovable`` accounts are not changed at all, so nothing leaves or reaches them;
        ``blocked`` moves find no place at the target, so the source keeps the domain."""
        denied = {domain for account, domain in self.denied if account == key}
        kept = {domain for account, domain in self.kept if account == key}
        waiting, outgoing, incoming = {}, {}, {}
        for move in self.moves:
            waits = move.source in immovable or move.target in immovable
            if move.source == key:
                if waits or move in blocked:
                    kept.add(move.domain)
                else:
                    outgoing[move.domain] = move.target
            elif move.target == key:
                if waits:
                    denied.add(move.domain)
                    waiting[move.domain] = move.source
                else:
                    incoming[move.domain] = move.source
        return Claims(frozenset(denied), frozenset(kept), waiting, outgoing, incoming)


def linked_accounts(
    accounts: Wants, current: Holds, chosen: frozenset[AccountKey]
) -> frozenset[AccountKey]:
    """``chosen`` and all that exchange a domain with them, directly or over others: a plan that
    left some of these out would leave the domains where they are."""
    conflicts = find_conflicts(accounts, current)
    while more := conflicts.involving(chosen):
        chosen |= more
    return chosen


def find_conflicts(accounts: Wants, current: Holds) -> DomainConflicts:
    names, repeated = _claimed_anew(accounts, current)
    contested = _contested(accounts)
    names.update(contested)
    holders = {
        domain: key
        for key, account in current.items()
        for domain in sorted(account.domains.keys() & names)
    }
    # Who alone claims what nobody holds simply gets it: that is nearly all of a first apply.
    looked_into = repeated | contested.keys() | holders.keys()
    newcomers = _newcomers(accounts, current, looked_into)
    declaring = _still_declaring(accounts, holders)
    moves: list[Move] = []
    denied: set[tuple[AccountKey, str]] = set()
    kept: set[tuple[AccountKey, str]] = set()
    findings: dict[AccountKey, list[Finding]] = {}
    for domain in sorted(looked_into):
        claims = newcomers.get(domain, {})
        holder = holders.get(domain)
        if domain in contested or len(claims) > 1 or domain in declaring:
            if holder is not None:
                kept.add((holder, domain))
            for key, desired in sorted(claims.items()):
                denied.add((key, domain))
                others = [declaring.get(domain), *(c.where for k, c in claims.items() if k != key)]
                told = _conflict(key, desired, holder, others)
                findings.setdefault(key, []).append(told)
        elif holder is not None:
            ((target, desired),) = claims.items()
            if desired.suspended:  # left as the store holds it: where it is
                kept.add((holder, domain))
            else:
                moves.append(Move(domain, holder, target))
    return DomainConflicts(tuple(moves), frozenset(denied), frozenset(kept), findings)


def _claimed_anew(accounts: Wants, current: Holds) -> tuple[set[str], set[str]]:
    """The domains claimed by an account that does not hold them, and those of them that are
    claimed so more than once. In a settled tree there are none."""
    names: set[str] = set()
    repeated: set[str] = set()
    for key, account in accounts.items():
        here = current[key].domains if key in current else {}
        for desired in account.domains:
            domain = desired.domain
            if domain not in here:
                (repeated if domain in names else names).add(domain)
    return names, repeated


def _newcomers(
    accounts: Wants, current: Holds, domains: AbstractSet[str]
) -> dict[str, dict[AccountKey, DesiredDomain]]:
    """Every claim on one of ``domains`` by an account that does not hold it."""
    found: dict[str, dict[AccountKey, DesiredDomain]] = {}
    for key, account in accounts.items() if domains else ():
        here = current[key].domains if key in current else {}
        for desired in account.domains:
            if desired.domain in domains and desired.domain not in here:
                found.setdefault(desired.domain, {})[key] = desired
    return found


def _contested(accounts: Wants) -> dict[str, AccountKey]:
    return {domain: key for key, account in accounts.items() for domain in account.contested}


def _still_declaring(accounts: Wants, holders: Mapping[str, AccountKey]) -> dict[str, Where]:
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
    others: Iterable[Where | None],
) -> Finding:
    if holder is None:
        message = f"{desired.domain} is declared more than once; no account gets it."
    else:
        message = f"{desired.domain} belongs to account {holder}; account {key} does not get it."
    return finding(
        "domain-conflict",
        message,
        hint="Leave it in one place only; to move it, take it out of the account that holds it.",
        where=desired.where.at("spec", "domain"),
        related=tuple(where for where in others if where is not None),
        account=key,
    )
