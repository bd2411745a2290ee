"""The planner compared with the naive model and with the rules, on random histories."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from tests.planner import naive
from tests.planner.committed import committed
from tests.planner.histories import (
    ROUTES,
    Step,
    apply_all_histories,
    first_tree,
    histories,
    next_tree,
)
from tests.planner.naive import AccountExpectation, Key, Store, Tree
from tests.planner.values import apply_changes, as_desired, as_store, contents, empty_store

from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    DomainChange,
    DomainCounts,
    ObjectChange,
    Plan,
    ProfileChange,
    WholeChange,
)
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.route import RouteKind
from sendroute.model.secret import Resave
from sendroute.planner.claim_index import OtherAccounts
from sendroute.planner.guards import Guards, total
from sendroute.planner.plan import PlanScope, plan_accounts, plan_tree

LONGEST = 8


@dataclass
class Moment:
    """An apply in a history: the inputs, and the results of the planner and of the naive model."""

    tree: Tree
    desired: Desired
    store: Store
    current: Current
    failed: dict[AccountKey, dict[str, str]]
    rotated: dict[AccountKey, dict[str, Resave]]
    guards: Guards
    held: dict[AccountKey, WholeChange]
    plan: Plan
    after: Current
    expected: Store
    expectations: dict[Key, AccountExpectation]

    def replan(self, desired: Desired | None = None, current: Current | None = None) -> Plan:
        return plan_tree(
            desired or self.desired,
            current or self.current,
            failed=self.failed,
            rotated=self.rotated,
            guards=self.guards,
            held=self.held,
        )


def moments(history: list[Step]) -> Iterator[Moment]:
    tree, current, older = first_tree(), empty_store(), list[Tree]()
    held: dict[AccountKey, WholeChange] = {}
    for step in [Step([], True, frozenset()), *history]:
        store = as_store(current)
        tree = next_tree(tree, step, older, store)
        older.append(deepcopy(tree))
        desired = as_desired(tree)
        codes = dict.fromkeys(step.failing, "connection-test-failed")
        failed = {AccountKey(*key): codes for key in tree.accounts}
        # Only the secret of a saved profile can have new content.
        rotated = {
            AccountKey(*key): dict.fromkeys(
                step.rotated & set(store.accounts[key].profiles), Resave.ROTATED
            )
            for key in tree.accounts.keys() & store.accounts.keys()
        }
        guards = Guards(remove_accounts=frozenset(AccountKey(*key) for key in step.removals))
        plan = plan_tree(desired, current, failed=failed, rotated=rotated, guards=guards, held=held)
        after = committed(current, plan)
        expected, expectations = naive.step(
            tree,
            store,
            step.failing,
            step.rotated,
            remove_accounts=step.removals,
            held={
                (key.namespace, key.name): naive.Size(
                    whole.domain_count, whole.applied.removed, whole.applied.rerouted
                )
                for key, whole in held.items()
            },
        )
        yield Moment(
            tree,
            desired,
            store,
            current,
            failed,
            rotated,
            guards,
            held,
            plan,
            after,
            expected,
            expectations,
        )
        current, held = after, still_held(held, plan)


def still_held(before: dict[AccountKey, WholeChange], plan: Plan) -> dict[AccountKey, WholeChange]:
    """The whole changes that are held back after a plan was applied."""
    applied = total(a.counts for a in plan.accounts if a.key in before and not a.stopped)
    held = {a.key: a.whole or before.get(a.key) for a in plan.accounts if a.stopped}
    return {
        key: WholeChange(whole.domain_count, total((whole.applied, applied)))
        for key, whole in held.items()
        if whole is not None
    }


def plans_by_key(plan: Plan) -> dict[AccountKey, AccountPlan]:
    return {account.key: account for account in plan.accounts}


def effective(plan: AccountPlan) -> list[ObjectChange]:
    return [change for change in plan.changes if change.action is not Action.SKIP]


def decisions(plan: Plan) -> Mapping[AccountKey, object]:
    """The decisions of a plan, independent of their order."""
    return {
        account.key: (
            account.stopped,
            sorted(map(repr, account.changes)),
            sorted(map(repr, account.findings)),
            sorted(map(repr, account.shadowed)),
        )
        for account in plan.accounts
    }


@given(histories(LONGEST))
def test_a_domain_that_waits_says_so_as_data_in_its_finding_and_its_change(
    history: list[Step],
) -> None:
    for moment in moments(history):
        for account in moment.plan.accounts:
            waits = {
                item.domain: item
                for item in account.findings
                if item.wait is not None and item.domain is not None
            }
            for item in account.findings:
                about = item.message.partition(" ")[0]
                if item.code == "dependency-skipped" and "." in about:
                    assert item.domain == about
                    assert item.wait is not None
                    assert item.message == item.wait.of(about)
            for change in account.changes:
                if isinstance(change, DomainChange) and change.action is Action.SKIP:
                    assert change.wait == waits[change.name].wait
                    assert change.message == waits[change.name].message


@given(histories(LONGEST))
def test_the_planner_decides_as_the_naive_model_does(history: list[Step]) -> None:
    compare_with_the_naive_model(history)


@given(apply_all_histories(LONGEST))
def test_shadows_begin_and_end_as_in_the_naive_model(history: list[Step]) -> None:
    compare_with_the_naive_model(history)


def compare_with_the_naive_model(history: list[Step]) -> None:
    for now in moments(history):
        assert as_store(now.after) == now.expected
        account_plans = plans_by_key(now.plan)
        for key, expectation in now.expectations.items():
            account = account_plans.get(AccountKey(*key))
            codes = {finding.code for finding in account.findings} if account else set()
            if now.tree.plans is None or (now.tree.platform_suspended and not now.store.plans):
                continue  # no platform: a single finding for the whole tree, nothing is applied
            assert (problem := expectation.disagrees(codes)) is None, f"{key}: {problem}"
            if account is not None and effective(account):
                assert account.stopped == expectation.unchanged, key
                assert (account.whole is not None) == expectation.by_whole_change, key
                if account.whole is not None:
                    assert account.whole == now.held.get(account.key, account.whole), key
            if account is not None and not expectation.unchanged:
                assert saved_by(account) == expectation.saved, key


def saved_by(account: AccountPlan) -> set[str]:
    return {
        change.name
        for change in effective(account)
        if isinstance(change, ProfileChange) and change.action is not Action.DELETE
    }


@given(histories(LONGEST))
def test_a_rotated_secret_updates_only_its_profile(history: list[Step]) -> None:
    for now in moments(history):
        unrotated = plans_by_key(plan_tree(now.desired, now.current))
        for account in plan_tree(now.desired, now.current, rotated=now.rotated).accounts:
            rotated = now.rotated.get(account.key, {})
            for change in effective(account):
                if change.reason == "credentials-changed":
                    assert change.before == change.after
                    assert change.name in rotated
            rest = [c for c in account.changes if c.reason != "credentials-changed"]
            others = unrotated[account.key].changes
            assert [(c.name, c.before, c.after) for c in rest] == [
                (c.name, c.before, c.after) for c in others
            ]


@given(histories(LONGEST))
def test_no_domain_refers_to_a_missing_profile(history: list[Step]) -> None:
    for now in moments(history):
        for account in now.after.accounts.values():
            for name, domain in account.domains.items():
                if domain.route.kind is RouteKind.PROFILE:
                    assert domain.route.profile in account.profiles, (account.key, name)


@given(histories(LONGEST))
def test_a_domain_has_one_account_and_moves_in_one_transaction(history: list[Step]) -> None:
    for now in moments(history):
        before, after = holders(now.current), holders(now.after)
        for name, key in after.items():
            if before.get(name, key) != key:
                groups = [group for group in now.plan.groups if key in group]
                assert any(before[name] in group for group in groups), (name, now.plan.groups)
        lost = {name for name in before.keys() - after.keys() if is_kept(now, name, before[name])}
        assert not lost, f"{lost}: declared by the tenant that held them, and now lost"


def holders(current: Current) -> dict[str, AccountKey]:
    keys: dict[str, AccountKey] = {}
    for key, account in current.accounts.items():
        for name in account.domains:
            assert name not in keys, f"{name} belongs to {keys[name]} and to {key}"
            keys[name] = key
    return keys


def is_kept(now: Moment, name: str, holder: AccountKey) -> bool:
    """Whether any account in the namespace of its holder declares the domain."""
    return any(
        key[0] == holder.namespace and name in {*doc.domains, *doc.contested}
        for key, doc in [*now.tree.accounts.items(), *now.tree.orphans.items()]
        if not doc.is_removed
    )


@given(histories(LONGEST))
def test_an_apply_all_id_runs_at_most_once_per_account(history: list[Step]) -> None:
    ran: set[tuple[AccountKey, str]] = set()
    for now in moments(history):
        for account in now.plan.accounts:
            for change in account.changes:
                if account.stopped or not isinstance(change, AccountChange) or not change.completed:
                    continue
                assert (account.key, change.completed[0]) not in ran
                ran.add((account.key, change.completed[0]))
        stored = {
            (key, id_)
            for key, account in now.after.accounts.items()
            for id_ in account.completed_apply_alls
        }
        assert stored == ran


@given(histories(LONGEST), st.sampled_from([None, *ROUTES]))
def test_default_change_does_not_reroute_existing_domains(
    history: list[Step], default: str | None
) -> None:
    for now in moments(history):
        tree = deepcopy(now.tree)
        for doc in tree.accounts.values():
            doc.default = default
        # Only domains that exist already: the other default must give them the same routes.
        for doc_key, doc in tree.accounts.items():
            stored = now.store.accounts.get(doc_key)
            doc.domains = {
                name: domain
                for name, domain in doc.domains.items()
                if stored is not None and name in stored.domains
            }
        same_default = deepcopy(tree)
        for doc_key, doc in same_default.accounts.items():
            stored = now.store.accounts.get(doc_key)
            doc.default = stored.default if stored else None
        changed, same = now.replan(as_desired(tree)), now.replan(as_desired(same_default))
        for key, account in plans_by_key(changed).items():
            if account.stopped or key not in plans_by_key(same) or plans_by_key(same)[key].stopped:
                continue
            before = now.current.accounts.get(key)
            first = committed(now.current, changed).accounts.get(key)
            second = committed(now.current, same).accounts.get(key)
            if before is not None and first is not None and second is not None:
                assert {n: d.route for n, d in first.domains.items()} == {
                    n: d.route for n, d in second.domains.items()
                }


@given(histories(LONGEST))
def test_a_second_plan_of_the_same_tree_is_empty(history: list[Step]) -> None:
    for now in moments(history):
        # The secret of a profile that was not saved still differs from the stored secret.
        unsaved = {
            key: {name: resave for name, resave in names.items() if name in now.failed[key]}
            for key, names in now.rotated.items()
        }
        held = still_held(now.held, now.plan)
        second = plan_tree(now.desired, now.after, failed=now.failed, rotated=unsaved, held=held)
        assert second.platform is None
        for account in second.accounts:
            assert account.stopped or not effective(account), account.key
        assert contents(committed(now.after, second)) == contents(now.after)


@given(histories(LONGEST), st.integers(1, 11))
def test_the_order_of_documents_never_changes_a_plan(history: list[Step], turn: int) -> None:
    for now in moments(history):
        rotated_order = now.replan(as_desired(now.tree, turn))
        assert decisions(rotated_order) == decisions(now.plan)
        assert rotated_order == now.plan, "the order of a plan does not depend on the documents"


@given(histories(LONGEST))
def test_the_shown_changes_are_the_committed_changes(history: list[Step]) -> None:
    for now in moments(history):
        assert apply_changes(now.current, now.plan) == contents(now.after)
        for account in now.plan.accounts:
            for change in effective(account):
                runs = isinstance(change, AccountChange) and change.completed is not None
                hidden = runs or change.reason == "credentials-changed"
                assert change.before != change.after or hidden, change
        platform = now.current.platform if now.plan.platform is None else now.plan.platform.after
        assert now.after.platform == platform


def ends_of_profile_moves(now: Moment) -> set[Key]:
    moves = naive.moving_profiles(now.tree, now.store)
    return {key for _, source, target in moves for key in (source, target)}


@given(histories(LONGEST))
def test_the_plan_of_an_account_does_not_depend_on_unrelated_accounts(history: list[Step]) -> None:
    for now in moments(history):
        for key in now.tree.accounts:
            others = domains_of_others(now, key)
            domains = set(now.tree.accounts[key].domains) | set(now.tree.accounts[key].contested)
            domains |= set(now.store.accounts[key].domains) if key in now.store.accounts else set()
            if domains & others or key in ends_of_profile_moves(now):
                continue
            alone = deepcopy(now.tree)
            alone.accounts = {key: alone.accounts[key]}
            alone.orphans.clear()
            current = Current(
                now.current.lineage,
                now.current.revision,
                now.current.platform,
                {k: a for k, a in now.current.accounts.items() if k == key},
            )
            separate = plan_accounts(
                as_desired(alone),
                current,
                PlanScope(
                    now.guards,
                    frozenset([AccountKey(*key)]),
                    OtherAccounts(domain_count=len(domains_of_others(now, key, stored_only=True))),
                    pending(now.plan),
                    now.held,
                ),
                failed=now.failed,
                rotated=now.rotated,
            )
            together = plans_by_key(now.plan).get(AccountKey(*key))
            assert plans_by_key(separate).get(AccountKey(*key)) == together


def pending(plan: Plan) -> dict[AccountKey, DomainCounts]:
    return {account.key: account.counts for account in plan.accounts}


def domains_of_others(now: Moment, key: Key, *, stored_only: bool = False) -> set[str]:
    names: set[str] = set()
    documents = {**now.tree.orphans, **now.tree.accounts}
    for other, doc in documents.items() if not stored_only else ():
        names |= (set(doc.domains) | doc.contested) if other != key else set()
    for other, stored in now.store.accounts.items():
        names |= set(stored.domains) if other != key else set()
    return names


@given(histories(LONGEST))
def test_a_stopped_account_stays_unchanged(history: list[Step]) -> None:
    for now in moments(history):
        for account in now.plan.accounts:
            if account.stopped:
                before = now.current.accounts.get(account.key)
                assert now.after.accounts.get(account.key) == before
