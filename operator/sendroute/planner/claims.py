"""Claims: which account gets a domain that several declare, or that another account holds.

The account that holds a contested domain keeps it; if none holds it, no account gets it. A domain
that is declared only by another account than its holder moves (step 6), in one transaction, and
only if both accounts change.

A namespace is one tenant. Within it a domain that cannot move stays where it is. A tenant gives a
domain up if no account of its namespace declares it: then the domain leaves its holder whatever the
claims of other tenants look like, and a claim that cannot be served now waits without it. As long
as an account of the holder's namespace claims the domain, claims of other tenants are denied.

The claim of an account that no MailAccount defines, or that is to be removed, gets nothing: most
likely the account's name is a typo. In the namespace of the holder it keeps the domain where it is,
like a move that waits. Elsewhere it does not count, so a tenant cannot hold what it does not own.

The claims of accounts outside a plan are looked up by domain: :func:`open_domains` returns the
domains, a :class:`~sendroute.planner.claim_index.ClaimIndex` the accounts that declare them, and
the store their holders.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain

from msgspec import Struct

from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey, DesiredDomain
from sendroute.model.finding import Finding, TenantText, Where
from sendroute.model.words import unlisted
from sendroute.planner.claim_index import NO_OTHERS, ClaimLimit, OtherAccounts, inert_among
from sendroute.planner.inputs import ClaimEffect
from sendroute.planner.moves import (
    CurrentAccounts,
    DesiredAccounts,
    Move,
    find_profile_moves,
)

# A finding shows the positions of so many other declarations.
_MOST_RELATED = 10


class DomainConflicts(Struct, frozen=True):
    """The moves and conflicts between accounts.

    ``moves``: by account, those from it and those to it, of domains and of profiles. ``denied``: by
    account, the domains that it declares but does not get. ``retained``: by account, the domains
    that it holds and keeps although no single claim on them is its own. ``given_up``: by account,
    the domains that it holds and neither declares nor keeps, although other accounts declare them,
    which do not get them. ``findings``: by account, its conflicts. ``planned`` are the accounts of
    the plan, ``inert`` those of all accounts to which nothing can come.
    """

    moves: Mapping[AccountKey, Sequence[Move]]
    denied: Mapping[AccountKey, AbstractSet[str]]
    retained: Mapping[AccountKey, AbstractSet[str]]
    given_up: Mapping[AccountKey, Mapping[str, tuple[AccountKey, ...]]]
    findings: Mapping[AccountKey, Sequence[Finding]]
    planned: AbstractSet[AccountKey]
    inert: Mapping[AccountKey, ClaimLimit]

    def all_moves(self) -> Iterable[Move]:
        """Each move once, in the order of accounts and domains."""
        for key, moves in sorted(self.moves.items()):
            yield from (move for move in moves if move.holder == key)

    def involving(self, accounts: Iterable[AccountKey]) -> frozenset[AccountKey]:
        """The accounts at the other end of a move from or to one of these."""
        ends = frozenset(accounts)
        moves = (move for key in ends for move in self.moves.get(key, ()))
        return frozenset(key for move in moves for key in (move.holder, move.claimant)) - ends

    def claims_of(
        self, key: AccountKey, immovable: frozenset[AccountKey], blocked: frozenset[Move]
    ) -> ClaimEffect:
        """The effect of the conflicts and moves on one account.

        Args:
            key: the account.
            immovable: accounts that do not change, so that nothing leaves or reaches them.
            blocked: moves that the claimant does not accept, so that the holder retains the domain
                or the profile. The claimant creates a profile also if it cannot leave its holder.

        Returns:
            The claims of the account, as the input of its plan.
        """
        denied = set(self.denied.get(key, ()))
        retained = set(self.retained.get(key, ()))
        given_up = dict(self.given_up.get(key, {}))
        waiting, unmoved, outgoing, incoming = {}, {}, {}, {}
        unmoved_profiles: dict[str, AccountKey] = {}
        moved_profiles: dict[str, AccountKey] = {}
        for move in self.moves.get(key, ()):
            waits = move.holder in immovable or move.claimant in immovable
            if move.is_profile:
                if move.holder == key:
                    stays = waits or move in blocked
                    moving = unmoved_profiles if stays else moved_profiles
                    moving.setdefault(move.name, move.claimant)
            elif move.holder == key:
                if not (waits or move in blocked):
                    outgoing[move.name] = move.claimant
                elif move.is_within_tenant:
                    retained.add(move.name)
                    unmoved[move.name] = move.claimant
                else:
                    given_up[move.name] = (move.claimant,)
            elif waits:
                denied.add(move.name)
                waiting[move.name] = move.holder
            else:
                incoming[move.name] = move.holder
        others = {
            *waiting.values(),
            *unmoved.values(),
            *unmoved_profiles.values(),
            *chain.from_iterable(given_up.values()),
        }
        return ClaimEffect(
            frozenset(denied),
            frozenset(retained),
            waiting,
            unmoved,
            outgoing,
            incoming,
            given_up,
            frozenset(others - self.planned),
            {key: self.inert[key] for key in sorted(others & self.inert.keys())},
            unmoved_profiles,
            moved_profiles,
        )


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
        names.update(desired.domain for desired in account.ignored)
        names.update(account.contested)
    return names


def find_conflicts(
    accounts: DesiredAccounts, current: CurrentAccounts, others: OtherAccounts = NO_OTHERS
) -> DomainConflicts:
    """Find every conflict and move of the accounts of a plan.

    Args:
        accounts: the manifests of these accounts.
        current: their state in the store.
        others: the claims of all other accounts on the domains of :func:`open_domains` and the
            profiles of :func:`~sendroute.planner.moves.open_profiles`.

    Returns:
        The moves and conflicts, by account.
    """
    names, repeated = _claimed_by_newcomers(accounts, current)
    contested = _contested(accounts, others)
    names |= contested.keys() | others.declared.keys()
    holders = _holders(current, others, names)
    # A domain that only one account claims and no account holds is created there. In a first apply,
    # nearly every domain is such a domain.
    examined = repeated | contested.keys() | holders.keys() | others.declared.keys()
    newcomers = _newcomers(accounts, current, examined)
    declaring = _holder_declarations(accounts, holders)
    _add_others(newcomers, declaring, others, holders)
    inert = {**others.inert, **inert_among(accounts.values())}
    decisions = _Decisions(inert.keys())
    for domain in sorted(examined):
        holder = holders.get(domain)
        claims = DomainClaims(
            domain,
            dict(sorted(newcomers.get(domain, {}).items())),
            contested.get(domain, frozenset()),
        )
        if inert:
            claims = claims.that_count(holder, inert)
        if holder is None:
            decisions.of_new_domain(claims)
        else:
            decisions.of_held_domain(claims, holder, declaring.get(domain))
    for move in find_profile_moves(accounts, current, others, inert):
        decisions.add_move(move)
    return DomainConflicts(
        decisions.moves,
        decisions.denied,
        decisions.retained,
        decisions.given_up,
        decisions.findings,
        accounts.keys() | current.keys(),
        inert,
    )


class DomainClaims(Struct, frozen=True):
    """The claims on one domain by other accounts than its holder, and the accounts that declare it
    twice, among which the holder may be."""

    domain: str
    single: Mapping[AccountKey, DesiredDomain]
    contested: AbstractSet[AccountKey]

    def of(self, accounts: Callable[[AccountKey], bool]) -> "DomainClaims":
        """Those of some accounts."""
        return DomainClaims(
            self.domain,
            {key: desired for key, desired in self.single.items() if accounts(key)},
            frozenset(filter(accounts, self.contested)),
        )

    def that_count(
        self, holder: AccountKey | None, inert: Mapping[AccountKey, ClaimLimit]
    ) -> "DomainClaims":
        """Those that count if no domain can come to the ``inert`` accounts: their claims count only
        in the namespace of the holder, and not if both accounts are to be removed."""

        def counts(key: AccountKey) -> bool:
            if key not in inert:
                return True
            if holder is None or key.namespace != holder.namespace:
                return False
            return not inert[key] is inert.get(holder) is ClaimLimit.LEAVING

        return self.of(counts)

    @property
    def only(self) -> tuple[AccountKey, DesiredDomain] | None:
        """The only claim; None if there are several, or none."""
        return next(iter(self.single.items())) if self._is_clear else None

    @property
    def accounts(self) -> tuple[AccountKey, ...]:
        """The accounts that claim the domain, once or twice."""
        return tuple(sorted({*self.single, *self.contested}))

    @property
    def _is_clear(self) -> bool:
        return len(self.single) == 1 and not self.contested


class _Decisions:
    """The decisions about one domain after the other. ``inert`` are the accounts to which no domain
    can come."""

    def __init__(self, inert: AbstractSet[AccountKey]) -> None:
        self._inert = inert
        self.moves: dict[AccountKey, list[Move]] = {}
        self.denied: dict[AccountKey, set[str]] = {}
        self.retained: dict[AccountKey, set[str]] = {}
        self.given_up: dict[AccountKey, dict[str, tuple[AccountKey, ...]]] = {}
        self.findings: dict[AccountKey, list[Finding]] = {}

    def of_new_domain(self, claims: DomainClaims) -> None:
        """A domain that no account holds: several claims on it are denied."""
        if claims.only is None:
            self._deny(claims, None)

    def of_held_domain(
        self, claims: DomainClaims, holder: AccountKey, declared: Where | None
    ) -> None:
        """A domain that an account holds. ``declared`` is the position at which its holder declares
        it; None if it does not."""
        if declared is not None or holder in claims.contested:
            self._retain(claims.domain, holder)
            self._deny(claims, holder, declared)
            return
        of_tenant = claims.of(lambda key: key.namespace == holder.namespace)
        of_others = claims.of(lambda key: key.namespace != holder.namespace)
        if of_tenant.single or of_tenant.contested:
            self._deny(of_others, holder)
            inert = self._inert & set(of_tenant.accounts)
            if inert:  # a move to an account that cannot take it
                self._deny(of_tenant, holder)
                self.add_move(Move(claims.domain, holder, min(inert)))
            elif (only := of_tenant.only) is None:
                self._retain(claims.domain, holder)
                self._deny(of_tenant, holder)
            elif only[1].suspended:  # a suspended domain does not move
                self._retain(claims.domain, holder)
            else:
                self.add_move(Move(claims.domain, holder, only[0]))
        elif (only := of_others.only) is None:
            self._deny(of_others, None)
            self._give_up(of_others, holder)
        elif only[1].suspended:  # a suspended domain does not move
            self._give_up(of_others, holder)
        else:
            self.add_move(Move(claims.domain, holder, only[0]))

    def add_move(self, move: Move) -> None:
        for key in (move.holder, move.claimant):
            self.moves.setdefault(key, []).append(move)

    def _retain(self, domain: str, holder: AccountKey) -> None:
        self.retained.setdefault(holder, set()).add(domain)

    def _give_up(self, claims: DomainClaims, holder: AccountKey) -> None:
        if claims.accounts:
            self.given_up.setdefault(holder, {})[claims.domain] = claims.accounts

    def _deny(
        self, claims: DomainClaims, holder: AccountKey | None, declared: Where | None = None
    ) -> None:
        """``holder`` keeps the domain; None if no account gets it. A claim of an account to
        which no domain can come has a finding of its own."""
        for key, desired in claims.single.items():
            if key in self._inert:
                continue
            self.denied.setdefault(key, set()).add(claims.domain)
            others = (other.where for k, other in claims.single.items() if k != key)
            self.findings.setdefault(key, []).append(
                _conflict(key, desired, holder, [*filter(None, [declared]), *others])
            )


def _claimed_by_newcomers(
    accounts: DesiredAccounts, current: CurrentAccounts
) -> tuple[set[str], set[str]]:
    """The domains that an account declares but does not hold, and those of them that several
    accounts declare. If nothing has changed there are none."""
    names: set[str] = set()
    repeated: set[str] = set()
    for key, account in accounts.items():
        current_domains = current[key].domains if key in current else {}
        for desired in account.claims:
            domain = desired.domain
            if domain not in current_domains:
                (repeated if domain in names else names).add(domain)
    return names, repeated


def _contested(accounts: DesiredAccounts, others: OtherAccounts) -> dict[str, set[AccountKey]]:
    """By domain, the accounts that declare it twice."""
    contested = {domain: set(keys) for domain, keys in others.contested.items()}
    for key, account in accounts.items():
        for domain in account.contested:
            contested.setdefault(domain, set()).add(key)
    return contested


def _holders(
    current: CurrentAccounts, others: OtherAccounts, domains: AbstractSet[str]
) -> dict[str, AccountKey]:
    """The account that holds each of ``domains``, and of the domains asked of the store."""
    holders = {domain: key for domain, key in others.holders.items() if key not in current}
    for key, account in current.items():
        holders.update(dict.fromkeys(account.domains.keys() & domains, key))
    return holders


def _newcomers(
    accounts: DesiredAccounts, current: CurrentAccounts, domains: AbstractSet[str]
) -> dict[str, dict[AccountKey, DesiredDomain]]:
    """Every claim on one of ``domains`` by an account that does not hold it."""
    claims: dict[str, dict[AccountKey, DesiredDomain]] = {}
    for key, account in accounts.items() if domains else ():
        current_domains = current[key].domains if key in current else {}
        for desired in account.claims:
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


def _add_others(
    newcomers: dict[str, dict[AccountKey, DesiredDomain]],
    declaring: dict[str, Where],
    others: OtherAccounts,
    holders: Mapping[str, AccountKey],
) -> None:
    """Add the claims of the accounts outside the plan: of holders and of others."""
    for domain, claims in others.declared.items():
        for key, desired in claims.items():
            if key == holders.get(domain):
                declaring[domain] = desired.where
            else:
                newcomers.setdefault(domain, {})[key] = desired


def _conflict(
    key: AccountKey,
    desired: DesiredDomain,
    holder: AccountKey | None,
    others: Sequence[Where],
) -> Finding:
    """``others`` are the other declarations of the domain."""
    hint = "Keep one declaration. To move the domain, remove it from the account that holds it."
    more = unlisted(len(others) - _MOST_RELATED)
    if holder is None:
        message = (
            f"{desired.domain} is declared by more than one account: the one that holds it in the"
            " store keeps it; if none does, no account gets it."
        )
        for_tenant = TenantText(message, hint) if more else None
    else:
        belongs, consequence = f"{desired.domain} belongs to", f"account {key} does not get it."
        message = f"{belongs} account {holder}; {consequence}"
        for_tenant = TenantText(f"{belongs} another account; {consequence}", hint, (holder,))
    return finding(
        "domain-conflict",
        message + more,
        hint=hint,
        where=desired.where.at("spec", "domain"),
        related=tuple(where.at("spec", "domain") for where in others[:_MOST_RELATED]),
        account=key,
        for_tenant=for_tenant,
        domain=desired.domain,
    )
