"""Carries out planned changes in one transaction, and says in the history what was done.

The order is what the schema's keys ask for: domains leave before they arrive elsewhere, a profile
comes before the domains that use it and goes after they have left it, the account goes last.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

from msgspec import Struct, field
from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from sendroute.model.change import (
    PLATFORM_KEY,
    RELAY,
    AccountChange,
    AccountPlan,
    Action,
    DomainChange,
    PlatformChange,
    ProfileChange,
)
from sendroute.model.desired import AccountKey
from sendroute.model.provenance import Provenance
from sendroute.model.secret import binding_of
from sendroute.store import account_status, bulk_switch, endpoints, going_back, revisions
from sendroute.store.bulk import chunks, execute_many
from sendroute.store.endpoints import Sealed
from sendroute.store.errors import stale
from sendroute.store.going_back import Past
from sendroute.store.problems import is_taken
from sendroute.store.recording import Recorder
from sendroute.store.states import (
    DOMAIN_COLUMNS,
    domain_columns,
    platform_of,
    route_columns,
    spec,
)
from sendroute.store.tables import (
    account,
    apply_all,
    domain,
    platform,
    profile,
    revision,
    store,
)


class Work(Struct):
    """One account's changes, sorted by what they are. ``number`` is the account's row."""

    key: AccountKey
    fence: int
    account: AccountChange | None = None
    profiles_made: list[ProfileChange] = field(default_factory=list)
    profiles_changed: list[ProfileChange] = field(default_factory=list)
    profiles_gone: list[ProfileChange] = field(default_factory=list)
    domains_made: list[DomainChange] = field(default_factory=list)
    domains_changed: list[DomainChange] = field(default_factory=list)
    domains_gone: list[DomainChange] = field(default_factory=list)
    number: int = 0

    @property
    def arrives(self) -> bool:
        return self.account is not None and self.account.before is None

    @property
    def leaves(self) -> bool:
        return self.account is not None and self.account.after is None

    @property
    def shadows(self) -> set[str]:
        """The apply-alls that shadow a domain once it is done."""
        after = (change.after for change in (*self.domains_made, *self.domains_changed))
        return {state.shadow for state in after if state is not None and state.shadow}


def commit(
    connection: Connection,
    plans: Sequence[AccountPlan],
    change: PlatformChange | None,
    provenance: Provenance,
    sealed: Sealed,
    attempt: str | None = None,
    back: Past | None = None,
) -> int:
    """All of it or none. Returns the revision it made, or the present one where there was nothing
    to do.

    ``sealed`` are the credentials of what is new or changed; what stays at its destination keeps
    the one it has. ``attempt`` is recorded with the revision. ``back`` is given where the changes
    go back to an earlier state. Raises :class:`~sendroute.model.problem.StaleError` where an
    account, or the platform, is not any more what it was planned on, and where another account
    took a domain meanwhile.
    """
    try:
        return _commit(connection, plans, change, provenance, sealed, attempt, back)
    except IntegrityError as error:
        if is_taken(error):
            raise stale(*(plan.key for plan in plans)) from error
        raise


def _commit(
    connection: Connection,
    plans: Sequence[AccountPlan],
    change: PlatformChange | None,
    provenance: Provenance,
    sealed: Sealed,
    attempt: str | None,
    back: Past | None,
) -> int:
    works = [work for plan in plans if (work := _sorted(plan)) is not None]
    if change is not None and change.action is Action.SKIP:
        change = None
    if not works and change is None and back is None:
        return int(connection.execute(select(store.c.revision)).scalar_one())
    if back is not None:
        going_back.check_still(connection, back.on)
    elsewhere = back is not None and going_back.take_over(connection, back.head, provenance)
    now = revisions.begin(connection, provenance, attempt)
    record = Recorder(connection, now)
    if change is not None:
        _write_platform(connection, change, now, sealed.get(PLATFORM_KEY, {}).get(RELAY))
        record.changes([change])
    _fence(connection, works, now)
    if back is not None:
        going_back.remember(connection, back, now)
        for work in works:
            going_back.adopt(connection, work.key, work.number, work.shadows)
    for work in works:
        _record_apply_all(connection, work, now)
        if work.account is not None:
            record.changes([work.account])
    for work in works:
        _remove_domains(connection, work, record)
    for work in works:
        _write_profiles(connection, work, record, now, sealed.get(work.key, {}))
    for work in works:
        _write_domains(connection, work, now, record)
    for work in works:
        _remove_profiles(connection, work, record, now)
    gone = [work.number for work in works if work.leaves]
    for some in chunks(gone):
        connection.execute(delete(account).where(account.c.id.in_(some)))
    account_status.clear(connection, [work.key for work in works])
    if back is not None:
        going_back.conclude(connection, back, now, elsewhere=elsewhere)
    return revisions.end(connection, now)


def _sorted(plan: AccountPlan) -> Work | None:
    """None where the account is left as it is: stopped, or nothing but skips."""
    if plan.stopped:
        return None
    work = Work(plan.key, plan.revision)
    domains = {Action.CREATE: work.domains_made, Action.DELETE: work.domains_gone}
    profiles = {Action.CREATE: work.profiles_made, Action.DELETE: work.profiles_gone}
    some = False
    for change in plan.changes:
        if change.action is Action.SKIP:
            continue
        some = True
        match change:
            case DomainChange():
                domains.get(change.action, work.domains_changed).append(change)
            case ProfileChange():
                profiles.get(change.action, work.profiles_changed).append(change)
            case AccountChange():
                work.account = change
            case _:
                assert_never(change)
    return work if some else None


def _write_platform(
    connection: Connection, change: PlatformChange, now: int, token: str | None
) -> None:
    """Fenced on its content: a plan names the platform it was made from, not its version."""
    row = connection.execute(select(platform).with_for_update()).one_or_none()
    if (None if row is None else platform_of(row.spec)) != change.before:
        raise stale("the platform")
    if change.after is None:
        raise ValueError("a platform is never deleted")
    version = 1 if row is None else row.version + 1
    values = {"spec": spec(change.after), "version": version}
    connection.execute(
        insert(platform).values(id=1, **values) if row is None else update(platform).values(values)
    )
    before = change.before.managed if change.before is not None else None
    endpoints.write_relay(
        connection, version, change.after, before.relay if before else None, now, token
    )


def _fence(connection: Connection, works: list[Work], now: int) -> None:
    """Each account is still what it was planned on, or still not there; and what it is now."""
    for work in works:
        mine = (account.c.namespace == work.key.namespace, account.c.name == work.key.name)
        columns = _account_columns(work)
        if work.arrives:
            connection.execute(
                insert(account).values(
                    namespace=work.key.namespace, name=work.key.name, revision=now, **columns
                )
            )
        else:
            planned_on = select(revision.c.id).where(revision.c.number == work.fence)
            fenced = update(account).where(
                *mine, account.c.revision == planned_on.scalar_subquery()
            )
            if connection.execute(fenced.values(revision=now, **columns)).rowcount != 1:
                raise stale(work.key)
        work.number = connection.execute(select(account.c.id).where(*mine)).scalar_one()


def _account_columns(work: Work) -> dict[str, str | None]:
    if work.account is None or work.account.after is None:
        return {}
    state = work.account.after
    kind, name = route_columns(state.default)
    return {"plan": state.plan, "default_kind": kind, "default_profile": name}


def _record_apply_all(connection: Connection, work: Work, now: int) -> None:
    if work.account is None or work.account.ran is None:
        return
    ran_id, ran = work.account.ran
    connection.execute(
        insert(apply_all).values(
            namespace=work.key.namespace,
            account=work.key.name,
            id=ran_id,
            account_id=work.number,
            kind=ran.route.kind.value,
            profile=ran.route.profile,
            domains=ran.domains,
            revision=now,
        )
    )


def _write_profiles(
    connection: Connection,
    work: Work,
    record: Recorder,
    now: int,
    tokens: Mapping[str, str],
) -> None:
    for change in work.profiles_made:
        number = revisions.next_profile(connection)
        connection.execute(
            insert(profile).values(
                id=number,
                account_id=work.number,
                name=change.name,
                version=1,
                spec=spec(change.written),
            )
        )
        endpoints.write(
            connection,
            (number, 1),
            binding_of(work.key, change.name, change.written),
            now,
            tokens.get(change.name),
        )
    for change in work.profiles_changed:
        mine = and_(profile.c.account_id == work.number, profile.c.name == change.name)
        values = {"version": profile.c.version + 1, "spec": spec(change.written)}
        if connection.execute(update(profile).where(mine).values(values)).rowcount != 1:
            raise stale(work.key)
        row = connection.execute(select(profile.c.id, profile.c.version).where(mine)).one()
        endpoints.replace(
            connection,
            (row.id, row.version),
            binding_of(work.key, change.name, change.written),
            now,
            tokens.get(change.name),
            keeps=endpoints.same_identity(change.before, change.written),
        )
    record.changes(work.profiles_made)
    record.changes(work.profiles_changed)


def _remove_profiles(connection: Connection, work: Work, record: Recorder, now: int) -> None:
    for some in chunks(work.profiles_gone):
        names = [change.name for change in some]
        ids = select(profile.c.id).where(
            profile.c.account_id == work.number, profile.c.name.in_(names)
        )
        endpoints.retire(connection, connection.execute(ids).scalars(), now)
        gone = delete(profile).where(profile.c.account_id == work.number, profile.c.name.in_(names))
        if connection.execute(gone).rowcount != len(some):
            raise stale(work.key)
    record.changes(work.profiles_gone)


def _remove_domains(connection: Connection, work: Work, record: Recorder) -> None:
    for some in chunks(work.domains_gone):
        names = [change.name for change in some]
        gone = delete(domain).where(domain.c.account_id == work.number, domain.c.name.in_(names))
        if connection.execute(gone).rowcount != len(some):
            raise stale(work.key)
    record.changes(work.domains_gone)


def _write_domains(connection: Connection, work: Work, now: int, record: Recorder) -> None:
    """Those that an apply-all switches first and as a set where that can be; then those that
    change one by one; then the new."""
    switch = None
    if work.account is not None and work.account.ran is not None:
        switch = bulk_switch.whole_switch(work.account.ran, work.domains_changed)
    if switch is None or not bulk_switch.switch(connection, work.key, work.number, switch, now):
        _change_domains(connection, work, now)
        record.changes(work.domains_changed)
    made = (
        (change.name, work.number, now, now, *domain_columns(change.written))
        for change in work.domains_made
    )
    names = ("name", "account_id", "since", "changed", *DOMAIN_COLUMNS)
    execute_many(connection, insert(domain), names, made)
    record.changes(work.domains_made)


def _change_domains(connection: Connection, work: Work, now: int) -> None:
    changed = (
        update(domain)
        .where(domain.c.account_id == work.number, domain.c.name == bindparam("b_name"))
        .values(
            {name: bindparam(f"b_{name}") for name in DOMAIN_COLUMNS}
            | {
                "since": case((bindparam("b_moved") == literal(1), now), else_=domain.c.since),
                "changed": now,
            }
        )
    )
    names = ("b_name", "b_moved", *(f"b_{name}" for name in DOMAIN_COLUMNS))
    rows = (
        (change.name, int(_moved(change)), *domain_columns(change.written))
        for change in work.domains_changed
    )
    if execute_many(connection, changed, names, rows) != len(work.domains_changed):
        raise stale(work.key)


def _moved(change: DomainChange) -> bool:
    """Whether it has another route now."""
    return change.before is None or change.before.route != change.written.route
