"""How a host becomes addresses: DNS, the hosts file, literals, and one look only."""

from pathlib import Path

import pytest

from sendroute.connection.resolve import Nameserver, Resolver

from .peers import HOST, Check, Hosts, NameServer, Serve, asking

HERE: dict[str, list[str]] = {"A": ["127.0.0.1"], "AAAA": []}


def test_a_name_is_asked_for_once_in_both_families(
    check: Check, serve: Serve, name_server: NameServer
) -> None:
    names = name_server(lambda _name, kind, _before: HERE[kind])
    result = check(serve().port, resolver=asking(names))
    assert result.outcome == "ok"
    assert sorted(kind for _, kind, _ in names.asked) == ["A", "AAAA"]


def test_an_answer_that_changes_does_not_matter(
    check: Check, serve: Serve, name_server: NameServer
) -> None:
    """The first answer is allowed, each later one leads to an address that is not: rebinding."""
    allowed, forbidden = serve(address="127.0.0.2"), serve()
    names = name_server(
        lambda _name, kind, before: [] if kind == "AAAA" else [f"127.0.0.{1 if before else 2}"]
    )
    result = check(allowed.port, resolver=asking(names), allow=("127.0.0.2/32",))
    assert result.outcome == "ok"
    assert len(allowed.talks) == 1
    assert not forbidden.talks
    result = check(allowed.port, resolver=asking(names), allow=("127.0.0.2/32",))
    assert result.outcome == "address-refused"
    assert len(allowed.talks) == 1


def test_one_refused_address_among_allowed_ones_is_enough(
    check: Check, serve: Serve, name_server: NameServer
) -> None:
    server = serve()
    for family, answers in (("A", ["127.0.0.1", "10.0.0.7"]), ("AAAA", ["fd00::7"])):
        names = name_server(
            lambda _name, kind, _before, f=family, a=answers: a if kind == f else HERE[kind]
        )
        result = check(server.port, resolver=asking(names))
        assert result.outcome == "address-refused"
        assert "One of the host's 2 addresses" in result.detail
        assert "private" in result.detail or "unique-local" in result.detail
    assert not server.talks


def test_aliases_are_followed(check: Check, serve: Serve, name_server: NameServer) -> None:
    names = name_server(lambda _name, kind, _before: HERE[kind])
    names.cnames = {f"{HOST}.": "a.example.test.", "a.example.test.": "b.example.test."}
    assert check(serve().port, resolver=asking(names)).outcome == "ok"


def test_an_alias_to_a_refused_address_is_refused(check: Check, name_server: NameServer) -> None:
    names = name_server(lambda _name, kind, _before: ["169.254.169.254"] if kind == "A" else [])
    names.cnames = {f"{HOST}.": "metadata.example.test."}
    result = check(1, resolver=asking(names))
    assert result.outcome == "address-refused"
    assert "metadata" in result.detail


def test_a_truncated_answer_is_asked_for_by_tcp(
    check: Check, serve: Serve, name_server: NameServer
) -> None:
    names = name_server(lambda _name, kind, _before: HERE[kind])
    names.truncates = True
    assert check(serve().port, resolver=asking(names)).outcome == "ok"
    assert {over for _, _, over in names.asked} == {"udp", "tcp"}


def test_one_family_without_an_answer_does_not_spoil_the_other(
    check: Check, serve: Serve, name_server: NameServer
) -> None:
    names = name_server(lambda _name, kind, _before: "SERVFAIL" if kind == "AAAA" else HERE[kind])
    assert check(serve().port, resolver=asking(names)).outcome == "ok"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param("NXDOMAIN", "does not exist", id="no such name"),
        pytest.param("SERVFAIL", "could not answer", id="the name server fails"),
        pytest.param("REFUSED", "could not answer", id="the name server refuses"),
        pytest.param([], "neither an IPv4 nor an IPv6 address", id="a name without addresses"),
    ],
)
def test_a_name_without_an_address(
    check: Check, name_server: NameServer, answer: str | list[str], told: str
) -> None:
    names = name_server(lambda _name, _kind, _before: answer)
    result = check(25, resolver=asking(names))
    assert result.outcome == "dns-failed"
    assert told in result.detail


def test_a_silent_name_server_ends_with_the_deadline(check: Check, name_server: NameServer) -> None:
    names = name_server(lambda _name, _kind, _before: None)
    result = check(25, resolver=asking(names), deadline=0.5)
    assert result.outcome == "dns-failed"
    assert "within 0.5 seconds" in result.detail


def test_a_name_server_that_is_not_there(check: Check, name_server: NameServer) -> None:
    names = name_server(lambda _name, _kind, _before: None)
    names.stop()
    resolver = Resolver((Nameserver("127.0.0.1", names.port),), hosts_file=None)
    assert check(25, resolver=resolver, deadline=1).outcome == "dns-failed"


@pytest.mark.parametrize(
    "host", ["a..example", "x" * 64 + ".example", "a." * 130 + "example", "smtp.exämple.test", ""]
)
def test_what_cannot_be_a_name_is_not_asked_for(
    check: Check, name_server: NameServer, host: str
) -> None:
    names = name_server(lambda _name, kind, _before: HERE[kind])
    result = check(25, host=host, resolver=asking(names))
    assert result.outcome == "dns-failed"
    assert not names.asked


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1"])
def test_an_address_in_an_old_spelling_is_but_a_name(
    check: Check, name_server: NameServer, host: str
) -> None:
    names = name_server(lambda _name, _kind, _before: "NXDOMAIN")
    assert check(25, host=host, resolver=asking(names)).outcome == "dns-failed"
    assert names.asked


def test_a_host_of_the_hosts_file_is_found_there_and_that_is_told(
    check: Check, serve: Serve, name_server: NameServer, hosts: Hosts
) -> None:
    result = check(serve().port, resolver=hosts("# ours", f"127.0.0.1 x {HOST.upper()}. # y"))
    assert result.outcome == "ok"
    assert "hosts file" in result.detail
    names = name_server(lambda _name, kind, _before: HERE[kind])
    assert "hosts file" not in check(serve().port, resolver=asking(names)).detail


def test_every_line_of_the_hosts_file_counts(check: Check, hosts: Hosts) -> None:
    resolver = hosts("not-an-address", f"127.0.0.1 {HOST}", f"10.0.0.1 {HOST}")
    assert check(25, resolver=resolver).outcome == "address-refused"


@pytest.mark.parametrize(
    ("host", "outcome"),
    [
        pytest.param("127.0.0.1", "ok", id="an allowed literal is reached"),
        pytest.param("10.0.0.1", "address-refused", id="a refused one is not"),
        pytest.param("::ffff:127.0.0.1", "address-refused", id="nor in another form"),
    ],
)
def test_a_literal_passes_the_same_policy(
    check: Check, serve: Serve, host: str, outcome: str
) -> None:
    assert check(serve().port, host=host, credential=None).outcome == outcome


def test_a_machine_without_name_servers(check: Check, tmp_path: Path) -> None:
    result = check(25, resolver=Resolver((), hosts_file=str(tmp_path / "none")), deadline=1)
    assert result.outcome == "dns-failed"
