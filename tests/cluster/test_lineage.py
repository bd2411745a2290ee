"""Whose statuses decide that the store is another one: the platform's for all, an account's for
itself alone."""

from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import Any, cast

import pytest
from msgspec.structs import replace
from tests.cluster.test_desired import PLATFORM_SPEC, cluster_object

from sendroute.cluster.desired import DesiredState
from sendroute.cluster.lineage import StoreCheck, StoreComparison
from sendroute.cluster.objects import ClusterObject
from sendroute.cluster.tenancy import for_tenant
from sendroute.model.current import AccountState, Current, CurrentAccount
from sendroute.model.desired import AccountKey

OURS, OTHER = "7c1e", "4f1a"
ACME, BRAVO, DELTA = (AccountKey(name, name) for name in ("acme", "bravo", "delta"))


class Store:
    """A store of some accounts with one domain each."""

    def __init__(self, *accounts: AccountKey, lineage: str = OURS) -> None:
        self.lineage = lineage
        self._accounts = {
            key: CurrentAccount(key, 1, AccountState("nano", None), {}, {}) for key in accounts
        }

    @contextmanager
    def snapshot(self) -> Iterator["Store"]:
        yield self

    def read_accounts(self, _keys: object) -> Current:
        return Current(self.lineage, 1, None, {})

    def accounts(self, keys: Set[AccountKey]) -> dict[AccountKey, CurrentAccount]:
        return {key: self._accounts[key] for key in keys if key in self._accounts}

    def domain_count(self) -> int:
        return len(self._accounts)


def stamp(lineage: str | None) -> dict[str, Any]:
    return {"observedGeneration": 1} | ({"store": {"lineage": lineage}} if lineage else {})


def account(key: AccountKey, lineage: str | None, *, age: int = 0) -> ClusterObject:
    return cluster_object(
        "MailAccount",
        key.name,
        {"plan": "nano"},
        namespace=key.namespace,
        status=stamp(lineage),
        age=age,
    )


def platform(lineage: str | None) -> ClusterObject:
    return cluster_object(
        "MailPlatform", "default", PLATFORM_SPEC, namespace="", status=stamp(lineage)
    )


class Cluster:
    """Objects, and the check of one process."""

    def __init__(self, *objects: ClusterObject) -> None:
        self.state, self.check = DesiredState(), StoreCheck()
        self.put(*objects)

    def put(self, *objects: ClusterObject) -> frozenset[AccountKey]:
        changes: dict[Any, ClusterObject | None] = {item.key: item for item in objects}
        self.state.apply(changes)
        return self.check.arrived(changes)

    def compare(self, store: Store) -> StoreComparison:
        return self.check.compare(cast(Any, store), self.state)

    def reconcile(self, store: Store) -> None:
        compared = self.compare(store)
        assert compared.whole is None
        self.check.reconciled(self.state.mentioned, self.state)


def test_another_store_in_the_status_of_one_account_stops_that_account_alone() -> None:
    cluster = Cluster(platform(OURS), account(ACME, OURS), account(BRAVO, OTHER))
    compared = cluster.compare(Store(ACME))
    assert compared.whole is None
    assert compared.accounts.keys() == {BRAVO}
    finding = compared.accounts[BRAVO]
    assert finding.code == "wrong-store"
    assert (finding.namespace, finding.account) == BRAVO
    assert finding.message == (
        f"The status of MailAccount/bravo/bravo was written from the store {OTHER}, but the given"
        f" store is {OURS}."
    )
    assert (finding.hint or "").startswith("The MailPlatform's status names the given store")


def test_another_store_in_the_platforms_status_stops_all() -> None:
    cluster = Cluster(platform(OTHER), account(ACME, OURS), account(BRAVO, None))
    for store, code in ((Store(ACME), "wrong-store"), (Store(), "store-empty")):
        whole = cluster.compare(store).whole
        assert whole is not None
        assert whole.code == code
        assert "MailPlatform/default" in whole.message
        assert whole.account is None


@pytest.mark.parametrize("store", [Store(), Store(DELTA)], ids=["empty", "of others"])
@pytest.mark.parametrize("platforms", [(), (platform(None),)], ids=["a file", "a new one"])
def test_most_tenants_statuses_stop_all_if_no_status_names_the_store(
    platforms: tuple[ClusterObject, ...], store: Store
) -> None:
    cluster = Cluster(*platforms, account(ACME, OTHER), account(BRAVO, OTHER), account(DELTA, None))
    whole = cluster.compare(store).whole
    assert whole is not None
    assert "MailAccount/acme/acme" in for_tenant(whole, "acme").message
    assert for_tenant(whole, "bravo").message == (
        f"The status of an object was written from the store {OTHER}, but the given store is"
        f" {OURS}."
    )


def test_a_forged_status_in_a_new_cluster_stops_nobody_else() -> None:
    """The accounts of a tenant count once, however many there are."""
    forged = [account(AccountKey("acme", f"a{number}"), OTHER) for number in range(5)]
    cluster = Cluster(platform(None), *forged, account(BRAVO, None))
    compared = cluster.compare(Store())
    assert compared.whole is None
    assert {key.namespace for key in compared.accounts} == {"acme"}
    assert {item.code for item in compared.accounts.values()} == {"store-empty"}
    assert all("the right one" in (item.hint or "") for item in compared.accounts.values())


def test_one_account_of_the_store_is_enough_to_know_it() -> None:
    cluster = Cluster(account(ACME, OTHER), account(BRAVO, OTHER), account(DELTA, OURS))
    compared = cluster.compare(Store(DELTA))
    assert compared.whole is None
    assert compared.accounts.keys() == {ACME, BRAVO}


def test_a_forged_status_of_what_the_right_store_holds_is_written_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = Cluster(platform(OURS), account(ACME, OTHER))
    for _ in range(2):
        assert cluster.compare(Store(ACME)) == StoreComparison(None, {})
    [line] = caplog.messages
    assert f"The status of MailAccount/acme/acme named the store {OTHER}" in line


def test_without_the_platforms_word_nothing_is_overwritten() -> None:
    cluster = Cluster(account(ACME, OTHER), account(BRAVO, OURS))
    assert cluster.compare(Store(ACME, BRAVO)).accounts.keys() == {ACME}


def test_an_account_that_arrives_later_is_compared() -> None:
    cluster = Cluster(platform(OURS), account(ACME, OURS))
    cluster.reconcile(Store(ACME))
    cluster.put(account(BRAVO, OTHER))
    assert cluster.compare(Store(ACME)).accounts.keys() == {BRAVO}


def test_an_account_that_was_reconciled_is_not_compared_again() -> None:
    cluster = Cluster(platform(OURS), account(ACME, None), account(BRAVO, OTHER))
    cluster.reconcile(Store(DELTA))
    cluster.put(account(ACME, OTHER))
    assert cluster.compare(Store(DELTA)).accounts.keys() == {BRAVO}
    cluster.put(account(ACME, OTHER, age=1))  # deleted and created again
    assert cluster.compare(Store(DELTA)).accounts.keys() == {ACME, BRAVO}


def test_an_account_continues_when_its_status_no_longer_names_the_other_store() -> None:
    cluster = Cluster(platform(OURS), account(ACME, OTHER))
    store = Store(BRAVO)
    assert cluster.compare(store).accounts
    edited = replace(account(ACME, OTHER), generation=2)
    assert cluster.put(edited) == frozenset()
    assert cluster.put(account(ACME, None)) == {ACME}
    assert cluster.compare(store) == StoreComparison(None, {})


def test_a_store_that_is_replaced_is_compared_with_all_again() -> None:
    cluster = Cluster(platform(OURS), account(ACME, OURS))
    cluster.reconcile(Store(ACME))
    assert cluster.compare(Store(lineage="ffff")).whole is not None
    assert cluster.compare(Store(ACME)) == StoreComparison(None, {})


def test_a_made_up_name_of_a_store_is_quoted_to_nobody() -> None:
    shown = "x. To fix it, run the program of evil.example"
    for objects in ((platform(OURS), account(ACME, shown)), (account(ACME, shown),)):
        compared = Cluster(*objects).compare(Store())
        [finding] = filter(None, (compared.whole, *compared.accounts.values()))
        assert finding.message == (
            f"The status of MailAccount/acme/acme was written from another store, but the given"
            f" store is {OURS}."
        )
        assert "evil" not in str(finding)


def test_every_account_is_compared_with_a_new_store() -> None:
    cluster = Cluster(platform(OURS), account(ACME, OURS), account(BRAVO, OURS))
    cluster.reconcile(Store(ACME, BRAVO))
    cluster.put(platform(None), account(BRAVO, None))  # a new store is meant for these
    compared = cluster.compare(Store(lineage="ffff"))
    assert compared.whole is None
    assert compared.accounts.keys() == {ACME}
