"""Aliases of nexthops: one spelling for one revision of one destination."""

import pytest

from sendroute.model.nexthop import BOUNCES_ID, RELAY_ID, Alias


@pytest.mark.parametrize(
    ("alias", "text"),
    [
        (Alias(42, 7), "p42r7"),
        (Alias(1, 1), "p1r1"),
        (Alias(RELAY_ID, 3), "m0r3"),
        (Alias(BOUNCES_ID, 3), "b0r3"),
    ],
)
def test_an_alias_is_parsed_and_formatted(alias: Alias, text: str) -> None:
    assert str(alias) == text
    assert Alias.parse(text) == alias


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p42",
        "p042r7",
        "p42r07",
        "p0r1",
        "p42r0",
        "m1r3",
        "b1r3",
        "m0r0",
        "x42r7",
        "p42r7 ",
        "p4²r7",
        "p1r" + "9" * 10,
        "p" + "9" * 19 + "r1",
        "p" + "9" * 5000 + "r1",
    ],
)
def test_an_invalid_alias_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an alias"):
        Alias.parse(text)
