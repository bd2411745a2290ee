"""Names: the form in which they are compared, and a message for each invalid form."""

import subprocess
import sys

import pytest

from sendroute.manifests.names import Host, InvalidNameError, domain_name, host, to_unicode

SAME = [
    ("shop.example.com", "shop.example.com"),
    ("Shop.EXAMPLE.com", "shop.example.com"),
    ("bücher.example", "xn--bcher-kva.example"),
    ("BÜCHER.example", "xn--bcher-kva.example"),
    ("bu\u0308cher.example", "xn--bcher-kva.example"),
    ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
    ("faß.de", "xn--fa-hia.de"),  # non-transitional: not fass.de
    ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
    ("\u212aelvin.example", "kelvin.example"),
    ("1.example", "1.example"),
    ("a" * 63 + ".example", "a" * 63 + ".example"),
    ("r3--x.example", "r3--x.example"),
]


@pytest.mark.parametrize(("text", "name"), SAME)
def test_a_domain_is_compared_by_its_lower_case_a_label(text: str, name: str) -> None:
    assert domain_name(text) == name
    assert domain_name(name) == name
    assert host(text) == Host(name)


REFUSED = [
    ("example.com.", "must not end in a dot"),
    ("例え.テスト。", "must not end in a dot"),
    ("localhost", "not a single label"),
    ("192.0.2.1", "not an IP address"),
    ("2001:db8::1", "not an IP address"),
    ("[2001:db8::1]", "not an IP address"),
    ("a_b.example", "must not contain an underscore"),
    ("a b.example", "spaces or control characters"),
    ("a.example\n", "spaces or control characters"),
    ("a\x85.example", "spaces or control characters"),
    ("a..example", "empty label"),
    (".example.com", "empty label"),
    ("-a.example", "begins or ends with a hyphen"),
    ("a-.example", "begins or ends with a hyphen"),
    ("a" * 64 + ".example", "at most 63 characters, not 64"),
    (".".join(["a" * 62] * 5), "at most 253 characters, not 314"),
    ("ü" * 63 + ".example", "at most 63 characters in their xn-- form"),
    ("xn--zzzzzzz999.example", "one of its xn-- labels is not"),
    ("a\u2028.example", "valid internationalised name"),
    ("\u202eb.example", "valid internationalised name"),
    ("\ud800.example", "valid internationalised name"),
    ("☃.example", "valid internationalised name"),
    ("me@example.com", "not a mail address"),
    ("https://me:hunter2@example.com", "not a mail address"),
    ("https://example.com/x", "not a URL"),
    ("example.com:587", "without a port"),
    ("*.example.com", "not a pattern"),
    ("example.123", "must not end in a number"),
    ("a.0x7f", "must not end in a number"),
    ("999.999.999.999", "must not end in a number"),
    ("a!b.example", "only letters, digits, hyphens and dots"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[ascii(row[0])[:40] for row in REFUSED])
def test_an_invalid_domain_is_refused_with_its_own_message(text: str, message: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        domain_name(text)
    assert message in caught.value.message
    assert caught.value.hint.endswith(".")
    assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("relay", Host("relay")),
        ("SMTP.Example.com", Host("smtp.example.com")),
        ("192.0.2.1", Host("192.0.2.1", is_address=True)),
        ("2001:DB8:0::1", Host("2001:db8::1", is_address=True)),
        ("[2001:db8::1]", Host("2001:db8::1", is_address=True)),
        ("[192.0.2.1]", Host("192.0.2.1", is_address=True)),
    ],
)
def test_a_host_is_a_name_or_an_address(text: str, expected: Host) -> None:
    assert host(text) == expected


@pytest.mark.parametrize(
    "text",
    ["127.1", "0x7f.1", "2130706433", "0x7f000001", "fe80::1%eth0", "a.example.", "[a]", "a_b"],
)
def test_a_number_that_a_resolver_reads_as_an_address_is_not_a_host(text: str) -> None:
    with pytest.raises(InvalidNameError):
        host(text)


def test_names_are_shown_in_unicode() -> None:
    assert to_unicode("xn--bcher-kva.example") == "bücher.example"
    assert to_unicode("shop.example.com") == "shop.example.com"
    assert to_unicode("xn--zzzzzzz999.example") == "xn--zzzzzzz999.example"


def test_ascii_names_do_not_import_idna() -> None:
    code = (
        "import sys; from sendroute.manifests.names import domain_name;"
        "domain_name('a.example'); print('idna' in sys.modules, 'ipaddress' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        ("\U0001f62d.example", "xn--o38h.example"),
        ("i\u2764\ufe0f.example", "xn--i-7iq.example"),
        ("b\xfccher.\U0001f62d", "xn--bcher-kva.xn--o38h"),
    ],
)
def test_symbols_that_idna_does_not_know_are_accepted_as_a_labels_only(
    shown: str, name: str
) -> None:
    with pytest.raises(InvalidNameError) as refused:
        domain_name(shown)
    assert f"Write {name}." in refused.value.hint
    assert (domain_name(name), domain_name(name.upper()), to_unicode(name)) == (name, name, name)
    assert host(name) == Host(name)


@pytest.mark.parametrize(
    "name",
    [
        "xn--o38h0.example",  # does not encode back to itself
        "xn--a.example",  # a control character
        "xn--a-ecp.example",  # a character that is mapped to others
        "xn--ab-m1t.example",  # an invisible joiner between letters
        "xn--.example",
        "\u00ad.example",  # a soft hyphen, which is not shown
    ],
)
def test_an_a_label_that_is_not_the_form_of_its_characters_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError):
        domain_name(name)
