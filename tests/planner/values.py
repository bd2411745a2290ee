"""Conversion between the values of the naive model and those of the planner."""

from dataclasses import dataclass, field
from typing import TypeVar, assert_never

from msgspec import UNSET
from tests.planner import naive
from tests.planner.naive import AccountDoc, ApplyAllField, Key, ProfileDoc, Store, Tree

from sendroute.model.change import (
    AccountChange,
    Action,
    DomainChange,
    ObjectChange,
    Plan,
    ProfileChange,
)
from sendroute.model.codes import finding
from sendroute.model.current import Current, CurrentAccount
from sendroute.model.desired import (
    AccountKey,
    ApplyAll,
    Desired,
    DesiredAccount,
    DesiredDomain,
    DesiredPlatform,
    DesiredProfile,
    Orphan,
)
from sendroute.model.finding import Where, whole_file
from sendroute.model.platform import Managed, PlanLimits, Platform, Relay, ServicePlan
from sendroute.model.profile import Encryption, Profile
from sendroute.model.route import MANAGED, UNCONFIGURED, Route
from sendroute.model.route import via as route_via

T = TypeVar("T")

ILL_FORMED = finding("yaml-syntax", "Invalid YAML.", where=whole_file("half-written.yaml"))


# From the naive values to the planner's


def as_route(route: str | None) -> Route | None:
    match route:
        case None:
            return None
        case naive.MANAGED:
            return MANAGED
        case naive.UNCONFIGURED:
            return UNCONFIGURED
        case _:
            return route_via(str(naive.profile_of(route)))


def as_profile(profile: ProfileDoc) -> Profile:
    return Profile(
        host=profile.host,
        port=587,
        encryption=Encryption.STARTTLS,
        display_name=profile.note or None,
        reassign_to=as_route(profile.reassign_to),
    )


def as_platform(plans: dict[str, bool]) -> Platform:
    return Platform(
        managed=Managed(
            display_name=None,
            host="smtp.managed.example",
            ports=(),
            relay=Relay("relay.managed.example", 587, Encryption.STARTTLS),
        ),
        plans=tuple(ServicePlan(name, plans[name], PlanLimits()) for name in sorted(plans)),
    )


@dataclass
class Positions:
    """A different position for every object, independent of the order of the documents."""

    known: dict[str, Where] = field(default_factory=dict)

    def of(self, *words: object) -> Where:
        name = " ".join(map(str, words))
        return self.known.setdefault(name, Where(f"{name.replace(' ', '-')}.yaml", 0))


def as_desired(tree: Tree, turn: int = 0) -> Desired:
    """The tree as the reader would return it; ``turn`` rotates the order of all objects."""

    def rotated_order(values: list[T]) -> list[T]:
        values = values[::-1] if turn % 2 else values
        offset = turn % len(values) if values else 0
        return values[offset:] + values[:offset]

    def domains_of(doc: AccountDoc, key: Key) -> list[DesiredDomain]:
        return [
            DesiredDomain(
                name,
                as_route(d.route),
                positions.of("domain", *key, name),
                d.suspended,
                d.overrides,
            )
            for name, d in rotated_order(list(doc.domains.items()))
        ]

    def contested_of(doc: AccountDoc, key: Key) -> dict[str, Where]:
        return {
            name: positions.of("contested", *key, name)
            for name in rotated_order(sorted(doc.contested))
        }

    def documented_of(doc: AccountDoc) -> tuple[str, ...]:
        return tuple(sorted(name for name, p in doc.profiles.items() if p.inline_in is None))

    positions = Positions()
    accounts: dict[AccountKey, DesiredAccount] = {}
    undefined: dict[AccountKey, DesiredAccount] = {}
    orphans = [
        *tree.orphans,
        *(key for key, doc in tree.accounts.items() if doc.is_undefined),
    ]
    for key, doc in rotated_order([*tree.accounts.items(), *tree.orphans.items()]):
        if doc.is_undefined or key in tree.orphans:
            if not (doc.domains or doc.contested or doc.profiles):
                continue
            account_key = AccountKey(*key)
            undefined[account_key] = DesiredAccount(
                account_key,
                "",
                positions.of("account", *key),
                domains=domains_of(doc, key),
                contested=contested_of(doc, key),
                unknown=key in tree.orphans and tree.complete,
                ignored_profiles=documented_of(doc),
            )
            continue
        if doc.is_removed:
            where = positions.of("account", *key)
            account_key = AccountKey(*key)
            accounts[account_key] = DesiredAccount(
                account_key,
                doc.plan,
                where,
                remove=doc.remove,
                ignored_profiles=documented_of(doc),
            )
            continue
        accounts[AccountKey(*key)] = DesiredAccount(
            key=AccountKey(*key),
            plan=doc.plan,
            where=positions.of("account", *key),
            default=as_route(doc.default),
            apply_all=as_apply_all(doc.apply_all),
            suspended=doc.suspended,
            profiles={
                name: DesiredProfile(
                    as_profile(p), positions.of("profile", *key, name), p.suspended, p.inline_in
                )
                for name, p in rotated_order(list(doc.profiles.items()))
            },
            domains=domains_of(doc, key),
            contested=contested_of(doc, key),
            logins=doc.logins or UNSET,
        )
    return Desired(
        platform=None
        if tree.plans is None
        else DesiredPlatform(
            as_platform(tree.plans), positions.of("platform"), tree.platform_suspended
        ),
        accounts=accounts,
        orphans={
            AccountKey(*key): [Orphan("SMTPProfile", "lost", positions.of("orphan", *key))]
            for key in rotated_order(sorted(orphans))
        },
        stopped=frozenset(AccountKey(*key) for key, doc in tree.accounts.items() if doc.broken),
        ill_formed={}
        if tree.complete
        else {AccountKey(*key): ILL_FORMED for key, doc in tree.accounts.items() if doc.broken},
        unread=() if tree.complete else (ILL_FORMED,),
        undefined=undefined,
    )


def as_apply_all(request: ApplyAllField | None) -> ApplyAll | None:
    if request is None:
        return None
    route = as_route(request.route)
    assert route is not None
    return ApplyAll(request.id, route, request.confirm)


def empty_store() -> Current:
    return Current(lineage="the-store", revision=0, platform=None, accounts={})


def as_store(current: Current) -> Store:
    """The planner's store as a store of the naive model."""

    def words(route: Route | None) -> str | None:
        return None if route is None else str(route)

    store = Store(
        plans=None
        if current.platform is None
        else {plan.name: plan.managed for plan in current.platform.plans}
    )
    for account_key, account in current.accounts.items():
        key = (account_key.namespace, account_key.name)
        if account.completed_apply_alls:
            store.ran[key] = {
                id_: str(ran.route) for id_, ran in account.completed_apply_alls.items()
            }
        if account.state is None:
            assert not account.profiles, "an account that is gone owns no profile"
            assert not account.domains, "an account that is gone owns no domain"
            continue
        store.accounts[key] = naive.Stored(
            plan=account.state.plan,
            default=words(account.state.default),
            profiles={
                name: naive.StoredProfile(p.host, p.display_name or "", words(p.reassign_to))
                for name, p in account.profiles.items()
            },
            domains={
                name: naive.Row(
                    str(d.route), str(d.origin), words(d.declared), d.shadow, d.overrides
                )
                for name, d in account.domains.items()
            },
            logins=account.state.logins or (),
        )
    return store


def contents(current: Current) -> dict[AccountKey, CurrentAccount]:
    """The accounts without their revisions; without accounts of which nothing is stored."""
    return {
        key: CurrentAccount(key, 0, a.state, a.profiles, a.domains, a.completed_apply_alls)
        for key, a in current.accounts.items()
        if a.state is not None or a.completed_apply_alls
    }


def apply_changes(current: Current, plan: Plan) -> dict[AccountKey, CurrentAccount]:
    """The accounts after the changes of a plan, applied one after the other as a reader would.

    Fails if the ``before`` of a change is not what the store holds.
    """
    accounts = {
        key: CurrentAccount(
            key,
            0,
            account.state,
            dict(account.profiles),
            dict(account.domains),
            dict(account.completed_apply_alls),
        )
        for key, account in current.accounts.items()
    }
    for account_plan in plan.accounts:
        if account_plan.stopped:
            continue
        for change in account_plan.changes:
            key = change.account
            account = accounts.setdefault(key, CurrentAccount(key, 0, None))
            accounts[key] = with_change(account, change)
    return {key: a for key, a in accounts.items() if a.state is not None or a.completed_apply_alls}


def with_change(account: CurrentAccount, change: ObjectChange) -> CurrentAccount:
    state, ran = account.state, dict(account.completed_apply_alls)
    profiles, domains = dict(account.profiles), dict(account.domains)
    if change.action is Action.SKIP:
        return account
    match change:
        case AccountChange():
            assert change.before == state, f"{change} starts from something else"
            state = change.after
            if change.completed is not None:
                assert change.completed[0] not in ran, f"{change.completed[0]} runs twice"
                ran[change.completed[0]] = change.completed[1]
        case ProfileChange():
            assert change.before == profiles.get(change.name), f"{change} starts from another"
            profiles.pop(change.name, None)
            if change.after is not None:
                profiles[change.name] = change.after
        case DomainChange():
            assert change.before == domains.get(change.name), f"{change} starts from another"
            domains.pop(change.name, None)
            if change.after is not None:
                domains[change.name] = change.after
        case _:
            assert_never(change)
    return CurrentAccount(account.key, 0, state, profiles, domains, ran)
