"""The hint "Did you mean …?"."""

import pytest

from sendroute.model.spelling import did_you_mean, nearest, suggestions


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        pytest.param("mailgnu", ["ses", "mailgun"], "mailgun", id="two letters exchanged"),
        pytest.param("defaultroute", ["defaultRoute"], "defaultRoute", id="case differs"),
        pytest.param("zzz", ["ses", "mailgun"], None, id="nothing is near"),
        pytest.param("--strictt", ["--store", "--test"], None, id="only the dashes are alike"),
        pytest.param("--strictt", ["--store", "--strict"], "--strict", id="a letter too many"),
        pytest.param("--onyl", ["--only", "--out"], "--only", id="an option"),
        pytest.param("nope.example", ["g3.example"], None, id="only the ending is alike"),
        pytest.param("shpo.example", ["shop.example", "so.example"], "shop.example", id="a domain"),
        pytest.param("A_B_REAL_MAIL", ["A_B_INSTALL"], None, id="only the beginning is alike"),
        pytest.param("A_B_STOR", ["A_B_INSTALL", "A_B_STORE"], "A_B_STORE", id="a variable"),
        pytest.param("set-rute", ["set-route", "set-default"], "set-route", id="a command"),
        pytest.param("hostname", ["host", "port"], "host", id="a longer word"),
        pytest.param("confidentialtest", ["connectiontest"], None, id="too many edits"),
        pytest.param("a-3", ["a-1"], None, id="the only letter differs"),
        pytest.param("ses", [], None, id="nothing is known"),
    ],
)
def test_the_nearest_known_name_is_suggested(
    name: str, known: list[str], expected: str | None
) -> None:
    assert nearest(name, known) == expected
    hint = f"Did you mean {expected}?" if expected else None
    assert did_you_mean(name, known) == hint


def test_the_order_of_known_names_does_not_matter() -> None:
    known = ["acme-10", "acme-20", "ACME-10"]
    first = nearest("acme-30", known)
    assert first is not None
    assert first == nearest("acme-30", reversed(known))


def test_several_names_get_their_suggestions_but_no_more_than_can_be_compared_soon() -> None:
    known = [f"profile-{number:03}" for number in range(100)]
    names = {"profile-007x", "nothing"}
    assert suggestions(names, known) == {"profile-007x": "Did you mean profile-007?"}
    assert suggestions({f"{name}x" for name in known}, known)
    assert suggestions({f"{name}{letter}" for name in known for letter in "xyz"}, known) == {}
