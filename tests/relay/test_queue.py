"""Which retired aliases no mail can take any more."""

import json

import pytest

from sendroute.relay.queue import RetiredAliases, active_messages


def message(queue: str, identity: str) -> str:
    return json.dumps(
        {
            "queue_name": queue,
            "queue_id": identity,
            "arrival_time": 1795880686,
            "message_size": 400,
            "forced_expire": False,
            "sender": "jane@shop.example",
            "recipients": [{"address": "joe@example.com", "delay_reason": "timeout"}],
        }
    )


def test_only_the_active_queue_keeps_a_route() -> None:
    lines = [message("active", "A1"), message("deferred", "D1"), "", message("hold", "H1")]
    assert active_messages(lines) == {"A1"}


@pytest.mark.parametrize("line", ["mail system is down", "[]", '{"queue_name": 1}', "{}"])
def test_an_answer_of_another_form_is_an_error(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        active_messages([line])


def test_an_alias_is_free_when_what_was_active_has_left() -> None:
    aliases = RetiredAliases()
    retired = {"p1r1": 1000.0}
    assert aliases.free(retired, frozenset({"A", "B"}), 1070) == []
    assert aliases.free(retired, frozenset({"B", "C"}), 1100) == []
    assert aliases.free(retired, frozenset({"C"}), 1130) == ["p1r1"]


def test_a_message_that_comes_back_was_decided_again() -> None:
    aliases = RetiredAliases()
    retired = {"p1r1": 1000.0}
    assert aliases.free(retired, frozenset({"A"}), 1070) == []
    assert aliases.free(retired, frozenset(), 1100) == ["p1r1"]
    assert aliases.free(retired, frozenset({"A"}), 1130) == []


def test_an_alias_is_not_free_while_postfix_may_remember_it() -> None:
    aliases = RetiredAliases()
    assert not aliases.due({"p1r1": 1000.0}, 1059)
    assert aliases.free({"p1r1": 1000.0}, frozenset(), 1059) == []
    assert aliases.due({"p1r1": 1000.0}, 1060)
    assert aliases.free({"p1r1": 1000.0}, frozenset(), 1060) == ["p1r1"]


def test_each_alias_waits_for_its_own_messages() -> None:
    aliases = RetiredAliases()
    assert aliases.free({"p1r1": 1000.0}, frozenset({"A"}), 1100) == []
    both = {"p1r1": 1000.0, "p2r1": 1030.0}
    assert aliases.free(both, frozenset({"A", "B"}), 1100) == []
    assert aliases.free(both, frozenset({"B"}), 1130) == ["p1r1"]


def test_an_alias_that_is_in_use_again_starts_over() -> None:
    aliases = RetiredAliases()
    assert aliases.free({"p1r1": 1000.0}, frozenset({"A"}), 1100) == []
    assert aliases.free({}, frozenset({"A"}), 1110) == []
    assert aliases.free({"p1r1": 1200.0}, frozenset({"B"}), 1300) == []


def test_an_alias_that_was_in_use_between_two_slow_readings_starts_over() -> None:
    aliases = RetiredAliases()
    assert aliases.free({"p1r1": 1000.0}, frozenset({"A"}), 1070) == []
    assert aliases.free({"p1r1": 1080.0}, frozenset({"B"}), 1150) == []
