"""Sender addresses in the syntax of RFC 5321."""

import pytest

from sendroute.delivery.sender import domain_keys, is_looked_up_as, read_sender
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


@pytest.mark.parametrize(
    ("domain", "keys"),
    [
        ("shop.example.com", ("shop.example.com",)),
        ("xn--bcher-kva.example", ("xn--bcher-kva.example", "bücher.example")),
        # Postfix folds these to strasse.example and to another Greek word.
        ("xn--strae-oqa.example", ("xn--strae-oqa.example",)),
        ("xn--bza.example", ("xn--bza.example",)),
        ("xn--99999999.example", ("xn--99999999.example",)),
        # One letter, which Postfix folds to three.
        ("xn--owa.example", ("xn--owa.example", "\u03b9\u0308\u0301.example")),
        ("xn--ska.example", ("xn--ska.example", "j\u030c.example")),
    ],
    ids=["ASCII", "both forms", "sharp s", "final sigma", "no U-label", "iota", "j"],
)
def test_a_domain_has_a_key_for_each_form_that_postfix_finds(
    domain: str, keys: tuple[str, ...]
) -> None:
    assert domain_keys(domain) == keys


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("a@BÜCHER.test.", "xn--bcher-kva.test"),
        ("a@XN--BCHER-KVA.test", "xn--bcher-kva.test"),
        ('"a@straße.test"@late.test', "late.test"),
        ("a@\u0390.test", "xn--owa.test"),
        ("a@\u03b9\u0308\u0301.test", "xn--owa.test"),
        ("a@ki\u017f.test", "kis.test"),
        ("straße.test", "xn--strae-oqa.test"),
    ],
)
def test_postfix_folds_the_case_of_a_domain(address: str, domain: str) -> None:
    assert is_looked_up_as(address, domain)


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("a@bu\u0308cher.test", "xn--bcher-kva.test"),
        ("a@ｌａｔｅ.test", "late.test"),
        ("a@late\u3002test", "late.test"),
        ("a@la\u00adte.test", "late.test"),
        ("a@late.test\u200b", "late.test"),
        ("a@straße.test", "xn--strae-oqa.test"),
        ("a@STRAẞE.test", "strasse.test"),
        ("a@σας.test", "xn--mxa8ab.test"),
    ],
)
def test_postfix_maps_nothing_else_in_a_domain(address: str, domain: str) -> None:
    assert not is_looked_up_as(address, domain)
