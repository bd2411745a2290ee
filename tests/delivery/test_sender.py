"""Sender addresses in the syntax of RFC 5321."""

import pytest

from sendroute.delivery.sender import read_sender
from sendroute.model.problem import ProblemError

SENDERS = {
    "an address": ("jane@shop.example.com", "jane@shop.example.com", "shop.example.com"),
    "an address in angle brackets": ("<jane@shop.example>", "jane@shop.example", "shop.example"),
    "the null sender": ("<>", "<>", None),
    "the null sender with a space": ("< >", "<>", None),
    "a bare domain": ("shop.example.com", "shop.example.com", "shop.example.com"),
    "a quoted local part with an at sign": ('"a@b c"@d.example', '"a@b c"@d.example', "d.example"),
    "a quoted quote": (r'"a\"@b"@d.example', r'"a\"@b"@d.example', "d.example"),
    "a source route, which is ignored": (
        "<@a.example,@b.example:c@d.example>",
        "c@d.example",
        "d.example",
    ),
    "a local part beyond ASCII": (
        "jürgen@bücher.example",
        "jürgen@bücher.example",
        "bücher.example",
    ),
    "an address literal": ("a@[192.0.2.1]", "a@[192.0.2.1]", "[192.0.2.1]"),
    "a tag": ("a+b=c@d.example", "a+b=c@d.example", "d.example"),
}


@pytest.mark.parametrize("case", SENDERS, ids=str)
def test_a_sender_is_split_into_address_and_domain(case: str) -> None:
    text, address, domain = SENDERS[case]
    assert read_sender(text) == (address, domain)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b@c.example",
        "a@b@c.example",
        "@c.example",
        "jane@",
        '"jane@c.example',
        "a, b",
        "<a",
        "jane@c.example>",
        "a@b.example,c",
    ],
)
def test_an_invalid_sender_is_reported(text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        read_sender(text)
    assert caught.value.findings[0].code == "invalid-value"
