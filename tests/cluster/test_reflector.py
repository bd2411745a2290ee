"""The copy of one kind follows the API through lost watches, refusals and damaged answers, and
nothing seems deleted that was not."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cluster.scripted_api import (
    ScriptedApi,
    ScriptedResponse,
    domain,
    page,
    refusal,
    scripted_api,
    watch,
)

from sendroute.cluster import reflector as reflector_module
from sendroute.cluster.objects import ClusterObject, ListedObject, ObjectKey, object_of
from sendroute.cluster.reflector import Changes, Inbox, Reflector
from sendroute.cluster.times import Times

DEADLINE = 20.0
DEFAULTS = Times()


class Copy(Inbox):
    """The state after every change, and the names of what was deleted, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, ClusterObject] = {}
        self.deleted: list[str] = []

    def put(self, changes: Changes) -> None:
        for key, item in changes.items():
            if item is None:
                self.deleted.append(key.name)
                del self.objects[key.name]
            else:
                self.objects[key.name] = item

    @property
    def versions(self) -> dict[str, str]:
        return {name: item.resource_version for name, item in self.objects.items()}


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as scripted:
        yield scripted


@contextmanager
def reflecting(api: ScriptedApi, times: Times = DEFAULTS) -> Iterator[tuple[Reflector, Copy]]:
    copy = Copy()
    reflector = Reflector(api.api, "SendingDomain", "", copy, lambda: 0.0, times)
    reflector.start()
    try:
        yield reflector, copy
    finally:
        reflector.stop()
        reflector.join(5)
        assert not reflector.is_alive()


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)


def test_pages_are_listed_and_then_watched_from_the_version_of_the_list(api: ScriptedApi) -> None:
    api.script += [
        page([domain("a", 3), domain("b", 4)], 10, "next"),
        page([domain("c", 5)], 10),
        watch(
            ("ADDED", domain("d", 11)), ("MODIFIED", domain("a", 12)), ("DELETED", domain("b", 13))
        ),
    ]
    with reflecting(api) as (reflector, copy):
        eventually(lambda: copy.versions == {"a": "12", "c": "5", "d": "11"})
        assert reflector.synced
        assert reflector.count == 3
    first, second, watched = api.queries[:3]
    assert first["limit"] == second["limit"] == "500"
    assert second["continue"] == "next"
    assert "resourceVersion" not in first
    assert watched["resourceVersion"] == "10"
    assert watched["allowWatchBookmarks"] == "true"


def test_large_objects_of_one_tenant_are_listed_a_few_at_a_time(api: ScriptedApi) -> None:
    """A page of them would not fit into the memory of the operator."""
    large = {f"large-{number:02}": "x" * (1 << 20) for number in range(40)}
    names = [*large, *(f"small-{number:03}" for number in range(600))]

    def list_or_watch(query: dict[str, str]) -> ScriptedResponse:
        if "watch" in query:
            return watch()
        start, limit = int(query.get("continue", "0")), int(query["limit"])
        end = start + limit
        items = [domain(name, 3) for name in names[start:end]]
        for item in items:
            item["metadata"]["annotations"] = {"a": large.get(item["metadata"]["name"], "")}
        return page(items, 10, str(end) if end < len(names) else "")

    api.otherwise = list_or_watch
    with reflecting(api) as (_, copy):
        eventually(lambda: len(copy.versions) == 640)
    limits = [int(query["limit"]) for query in api.queries if "watch" not in query]
    assert limits[:3] == [500, 125, 31]
    assert limits[-1] > 100, "the small objects that follow are listed by many again"


def test_an_object_that_is_too_long_by_itself_is_a_fault(api: ScriptedApi) -> None:
    huge = domain("a", 3)
    huge["metadata"]["annotations"] = {"a": "x" * (33 << 20)}
    api.otherwise = lambda query: watch() if "watch" in query else page([huge], 10)
    with reflecting(api) as (reflector, _):
        eventually(lambda: reflector.fault is not None)
        assert not reflector.synced
    assert [query["limit"] for query in api.queries[:5]] == ["500", "125", "31", "7", "1"]


def test_a_watch_goes_on_from_the_last_bookmark(api: ScriptedApi) -> None:
    bookmark = {"kind": "SendingDomain", "metadata": {"resourceVersion": "40"}}
    api.script += [page([], 10), watch(("BOOKMARK", bookmark), lasting=False), watch()]
    with reflecting(api):
        eventually(lambda: len(api.requests) == 3)
    assert api.queries[2]["resourceVersion"] == "40"


def test_what_was_deleted_behind_a_410_is_noticed(api: ScriptedApi) -> None:
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    api.script += [
        page([domain("a", 3), domain("b", 4)], 10),
        watch(("ERROR", gone)),
        page([domain("b", 4), domain("c", 20)], 21),
    ]
    with reflecting(api) as (reflector, copy):
        eventually(lambda: copy.versions == {"b": "4", "c": "20"})
        assert copy.deleted == ["a"]
        assert reflector.fault is None


def test_a_watch_that_is_refused_with_410_is_followed_by_a_list(api: ScriptedApi) -> None:
    api.script += [page([domain("a", 3)], 10), refusal(410, "Expired"), page([], 21)]
    with reflecting(api) as (_, copy):
        eventually(lambda: copy.deleted == ["a"])


def test_a_list_whose_rest_has_expired_begins_again(api: ScriptedApi) -> None:
    api.script += [
        page([domain("a", 3), domain("deleted", 2)], 10, "next"),
        refusal(410, "Expired"),
        page([domain("a", 3)], 12, "next"),
        page([domain("b", 4)], 12),
    ]
    with reflecting(api) as (_, copy):
        eventually(lambda: len(api.requests) == 5)
        assert copy.versions == {"a": "3", "b": "4"}
        assert copy.deleted == ["deleted"], "it was deleted while it was listed"
    pages = [query.get("continue") for query in api.queries[:4]]
    assert pages == [None, "next", None, "next"]
    assert {query["limit"] for query in api.queries[:4]} == {"500"}, "never all on one page"


def test_a_list_that_expires_each_time_begins_again_after_a_wait(api: ScriptedApi) -> None:
    api.otherwise = lambda query: (
        refusal(410, "Expired") if "continue" in query else page([domain("a", 3)], 10, "next")
    )
    started = time.monotonic()
    with reflecting(api, Times(first_retry=1.0)) as (reflector, _):
        eventually(lambda: len(api.requests) >= 10)
        assert time.monotonic() - started >= 0.5
        assert not reflector.synced
        assert not reflector.follows


@pytest.mark.parametrize(
    "answer",
    [
        refusal(403, "Forbidden"),
        refusal(404),
        refusal(429, Retry_After="1"),
        refusal(500),
        ScriptedResponse(body={}),
        ScriptedResponse(body={"metadata": {}, "items": []}),
        ScriptedResponse(body="<html>"),
        ScriptedResponse(body=page([], 50).body, cut=True),
        page([], 7),
        page([domain("b", 4)], 50, "next"),
    ],
    ids=["403", "404", "429", "500", "nothing", "no version", "text", "cut", "old", "half a list"],
)
def test_nothing_seems_deleted_by_an_answer_that_is_no_complete_list(
    api: ScriptedApi, answer: ScriptedResponse
) -> None:
    api.script += [
        page([domain("a", 3), domain("b", 4)], 10),
        refusal(410, "Expired"),
        answer,
        refusal(500),
        page([domain("a", 3), domain("b", 4), domain("c", 30)], 60),
    ]
    with reflecting(api) as (reflector, copy):
        eventually(lambda: len(api.requests) >= 4)
        assert copy.versions == {"a": "3", "b": "4"}
        eventually(lambda: "c" in copy.versions)
        assert copy.deleted == []
        assert reflector.synced


def test_a_kind_that_was_never_listed_is_not_synced(api: ScriptedApi) -> None:
    api.otherwise = lambda _query: refusal(403, "Forbidden")
    with reflecting(api) as (reflector, copy):
        eventually(lambda: reflector.fault is not None)
        assert not reflector.synced
        assert reflector.fault is not None
        assert reflector.fault.status == 403
        assert copy.objects == {}


def test_an_api_that_is_down_is_asked_rarely(api: ScriptedApi) -> None:
    api.otherwise = lambda _query: refusal(503)
    with reflecting(api):
        time.sleep(6)
        assert 2 <= len(api.requests) <= 6


def test_a_watch_that_ends_at_once_is_not_repeated_at_once(api: ScriptedApi) -> None:
    api.script += [page([], 10)]
    api.otherwise = lambda _query: watch(lasting=False)
    with reflecting(api):
        time.sleep(3)
        assert len(api.requests) <= 5


def test_the_api_is_asked_no_sooner_than_it_says(api: ScriptedApi) -> None:
    api.script += [refusal(429, Retry_After="2"), page([], 10)]
    with reflecting(api) as (reflector, _):
        eventually(lambda: reflector.synced)
    (first, _), (second, _) = api.requests[:2]
    assert second - first >= 2


def test_everything_is_listed_again_after_a_while(api: ScriptedApi) -> None:
    api.script += [
        page([domain("a", 3)], 10),
        watch(lasting=False),
        page([], 11),
    ]
    with reflecting(api, Times(relist=0.1)) as (_, copy):
        eventually(lambda: copy.deleted == ["a"])


def test_a_cluster_that_was_set_back_is_believed_in_the_end(api: ScriptedApi) -> None:
    api.script += [page([domain("a", 30)], 40), refusal(410, "Expired")]
    api.otherwise = lambda query: watch() if "watch" in query else page([], 7)
    with reflecting(api, Times(longest_wait=0.02)) as (_, copy):
        eventually(lambda: copy.deleted == ["a"])
    lists = [query for query in api.queries if "watch" not in query]
    assert len(lists) == 12


def test_an_object_that_did_not_change_is_reported_once(api: ScriptedApi) -> None:
    copy = Inbox()
    reflector = Reflector(api.api, "SendingDomain", "", copy, lambda: 0.0)
    gone = {"kind": "Status", "code": 410}
    api.script += [page([domain("a", 3)], 10), watch(("ERROR", gone)), page([domain("a", 3)], 12)]
    reflector.start()
    eventually(lambda: reflector.synced)
    assert list(copy.take()) == [ObjectKey("SendingDomain", "acme", "a")]
    eventually(lambda: len(api.requests) == 4)
    assert copy.take() == {}
    reflector.stop()


def test_a_stop_ends_a_silent_watch_at_once(api: ScriptedApi) -> None:
    api.script += [page([], 10), watch()]
    with reflecting(api) as (reflector, _):
        eventually(lambda: len(api.requests) == 2)
        time.sleep(0.1)
        started = time.monotonic()
        reflector.stop()
        reflector.join(5)
        assert time.monotonic() - started < 1


def test_what_a_person_reads_of_a_refusal_is_the_message_of_the_api(api: ScriptedApi) -> None:
    api.otherwise = lambda _query: refusal(403, "Forbidden")
    with reflecting(api) as (reflector, _):
        eventually(lambda: reflector.fault is not None)
        assert str(reflector.fault) == "refused with 403"


def test_only_one_module_imports_the_library() -> None:
    package = Path(__file__).parents[2] / "operator/sendroute"
    users = {path.name for path in package.rglob("*.py") if "kubernetes import" in path.read_text()}
    assert users == {"api.py"}


def test_a_kind_is_followed_from_the_answer_of_a_watch_on_also_without_an_event(
    api: ScriptedApi,
) -> None:
    api.script += [page([domain("a", 1)], 1)]
    api.otherwise = lambda _query: refusal(500)
    with reflecting(api, Times(first_retry=0.02, longest_wait=0.05)) as (reflector, _):
        eventually(lambda: len(api.requests) > 3)
        assert reflector.synced
        assert not reflector.follows
        api.otherwise = lambda _query: watch()
        eventually(lambda: reflector.follows)
        api.otherwise = lambda _query: refusal(503)
        api.ended.set()
        eventually(lambda: not reflector.follows)


def test_a_copy_that_is_behind_is_listed_again(api: ScriptedApi) -> None:
    api.script += [
        page([domain("a", 3)], 10),
        watch(),
        page([domain("a", 3)], 14),  # behind too
        page([domain("a", 12)], 16),
    ]
    with reflecting(api, Times(longest_wait=0.02)) as (reflector, copy):
        eventually(lambda: len(api.requests) == 2)
        reflector.catch_up(10)
        assert not reflector.is_behind
        reflector.catch_up(15)
        assert reflector.is_behind
        eventually(lambda: not reflector.is_behind)
        assert copy.versions == {"a": "12"}
        assert reflector.reported == 16
        eventually(lambda: len(api.requests) == 5)
    assert ["watch" in query for query in api.queries] == [False, True, False, False, True]
    assert reflector.fault is None


def test_a_cluster_without_the_version_that_is_needed_is_believed_in_the_end(
    api: ScriptedApi,
) -> None:
    api.otherwise = lambda query: watch() if "watch" in query else page([domain("a", 3)], 10)
    with reflecting(api, Times(longest_wait=0.02)) as (reflector, copy):
        reflector.catch_up(1000)
        eventually(lambda: reflector.fault is not None)
        assert reflector.is_behind
        assert copy.versions == {}
        eventually(lambda: not reflector.is_behind)
        assert copy.versions == {"a": "3"}
        assert reflector.reported == 10
    lists = [query for query in api.queries if "watch" not in query]
    assert len(lists) == 11


def test_an_error_of_ours_is_a_fault_and_does_not_end_the_thread(
    api: ScriptedApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = iter((True, False))

    def broken(kind: str, item: ListedObject) -> ClusterObject:
        if next(calls, False):
            raise LookupError("a fault of the tests")
        return object_of(kind, item)

    monkeypatch.setattr(reflector_module, "object_of", broken)
    api.otherwise = lambda query: watch() if "watch" in query else page([domain("a", 3)], 10)
    with reflecting(api, Times(first_retry=0.01)) as (reflector, copy):
        eventually(lambda: copy.versions == {"a": "3"})
        assert reflector.is_alive()
    assert "This is an error in Sendroute: LookupError." in caplog.text
