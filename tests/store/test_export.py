"""Streams of the whole store: re-readable, of one revision, and complete."""

from typing import Any

import pytest

from sendroute.model.problem import ProblemError
from sendroute.store.record import Store

from .raw import opened


def test_an_export_has_every_account_with_its_profiles_and_domains(
    store: Store, say: Any, other: Any
) -> None:
    empty = type(say)("empty", "acme")
    store.commit(
        [
            say.start("b.example", "a.example"),
            other.start("c.example"),
            empty.plan(0, empty.account()),
        ],
        say.platform_change(None, say.platform),
        say.provenance,
    )
    with store.export_stream() as content:
        assert content.platform == say.platform
        for _ in range(2):
            read = [
                (account.key, list(account.profiles), [name for name, _ in account.domains])
                for account in content.accounts
            ]
            assert read == [
                (say.key, ["ses"], ["a.example", "b.example"]),
                (empty.key, [], []),
                (other.key, ["ses"], ["c.example"]),
            ]


def test_domains_that_are_not_read_do_not_shift_the_next_account(
    store: Store, say: Any, other: Any
) -> None:
    store.commit(
        [say.start("a.example", "b.example"), other.start("c.example")], None, say.provenance
    )
    with store.export_stream() as content:
        for account in content.accounts:
            if account.key == other.key:
                assert [name for name, _ in account.domains] == ["c.example"]


def test_object_names_are_ambiguous_within_their_namespace(
    store: Store, say: Any, other: Any
) -> None:
    sibling = type(say)("sibling", say.key.namespace)
    store.commit(
        [
            say.start("a-b.example", "x.example", "one_two.example"),
            sibling.start("a.b.example", "y.example"),
            other.start("x-example.example", "one-two.example"),
        ],
        None,
        say.provenance,
    )
    with store.export_stream() as content:
        assert content.ambiguous == {("acme", "a-b-example")}


def test_profile_names_are_shared_within_their_namespace(
    store: Store, say: Any, other: Any
) -> None:
    sibling = type(say)("sibling", say.key.namespace)
    starts = [say.start("a.example"), other.start("b.example")]
    store.commit(starts, None, say.provenance)
    with store.export_stream() as content:
        assert content.shared_profiles == frozenset()
    store.commit([sibling.start("c.example")], None, say.provenance)
    with store.export_stream() as content:
        assert content.shared_profiles == {(say.key.namespace, "ses")}


def test_a_stream_stays_at_its_revision(store: Store, say: Any, store_url: str) -> None:
    store.commit([say.start("a.example")], None, say.provenance)
    with store.route_stream() as routes:
        assert [row.domain for row in routes.rows] == ["a.example"]
        with opened(store_url) as other:
            other.execute("UPDATE domain SET origin = 'declared'")
        assert [row.state.origin.value for row in routes.rows] == ["default"]


def test_an_error_of_the_caller_is_raised_unchanged(store: Store, say: Any) -> None:
    store.commit([say.start("a.example")], None, say.provenance)
    with pytest.raises(KeyError, match="example"), store.route_stream() as routes:
        raise KeyError(next(iter(routes.rows)).domain)


def test_a_damaged_row_is_reported_as_a_damaged_store(
    store: Store, say: Any, store_url: str
) -> None:
    store.commit([say.start("a.example")], None, say.provenance)
    with opened(store_url) as other:
        constraint = "ALTER TABLE domain DROP CONSTRAINT ck_domain_origin"
        other.execute(
            "PRAGMA ignore_check_constraints = ON" if store_url.startswith("sqlite") else constraint
        )
        other.execute("UPDATE domain SET origin = 'nonsense'")
    with store.route_stream() as routes, pytest.raises(ProblemError, match="damaged"):
        list(routes.rows)
