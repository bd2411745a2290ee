"""The hint "Did you mean …?"."""

import pytest

from sendroute.model.spelling import did_you_mean


@pytest.mark.parametrize(
    ("name", "known", "nearest"),
    [
        pytest.param("mailgnu", ["ses", "mailgun"], "mailgun", id="two letters exchanged"),
        pytest.param("defaultroute", ["defaultRoute"], "defaultRoute", id="case differs"),
        pytest.param("zzz", ["ses", "mailgun"], None, id="nothing is near"),
        pytest.param("ses", [], None, id="nothing is known"),
    ],
)
def test_the_nearest_known_name_is_suggested(
    name: str, known: list[str], nearest: str | None
) -> None:
    assert did_you_mean(name, known) == nearest


def test_the_order_of_known_names_does_not_matter() -> None:
    known = ["acme-1", "acme-2", "ACME-1"]
    assert did_you_mean("acme-3", known) == did_you_mean("acme-3", reversed(known))
