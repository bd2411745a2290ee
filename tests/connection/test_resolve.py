"""How a host is resolved: DNS, the hosts file, address literals, and only once."""

from pathlib import Path

import pytest

from sendroute.connection.resolve import Nameserver, Resolver

from .peers import HOST, Check, Hosts, NameServer, Serve, asking

HERE: dict[str, list[str]] = {"A": ["127.0.0.1"], "AAAA": []}


def test_a_name_is_queried_once_per_address_family(
    check: Check, serve: Serve, name_server: NameServer
) -> None:
    names = name_server(lambda _name, kind, _before: HERE[kind])
    result = check(serve().port, resolver=asking(names))
    assert result.outcome == "ok"
    assert sorted(kind for _, kind, _ in names.asked) == ["A", "AAAA"]


def test_dns_rebinding_has_no_effect(check: Check, serve: Serve, name_server: NameServer) -> None:
    """The first answer is an allowed address, each later one is not."""
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


def test_one_refused_address_among_allowed_ones_fails_the_test(
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


def test_cnames_are_followed(check: Check, serve: Serve, name_server: NameServer) -> None:
    names = name_server(lambda _name, kind, _before: HERE[kind])
    names.cnames = {f"{HOST}.": "a.example.test.", "a.example.test.": "b.example.test."}
    assert check(serve().port, resolver=asking(names)).outcome == "ok"


def test_a_cname_to_a_refused_address_is_refused(check: Check, name_server: NameServer) -> None:
    names = name_server(lambda _name, kind, _before: ["169.254.169.254"] if kind == "A" else [])
    names.cnames = {f"{HOST}.": "metadata.example.test."}
    result = check(1, resolver=asking(names))
    assert result.outcome == "address-refused"
    assert "metadata" in result.detail


def test_a_truncated_answer_is_queried_over_tcp(
    check: Check, serve: Serve, name_server: NameServer
) -> None:
    names = name_server(lambda _name, kind, _before: HERE[kind])
    names.truncates = True
    assert check(serve().port, resolver=asking(names)).outcome == "ok"
    assert {over for _, _, over in names.asked} == {"udp", "tcp"}


def test_one_address_family_is_enough(check: Check, serve: Serve, name_server: NameServer) -> None:
    names = name_server(lambda _name, kind, _before: "SERVFAIL" if kind == "AAAA" else HERE[kind])
    assert check(serve().port, resolver=asking(names)).outcome == "ok"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param("NXDOMAIN", "does not exist", id="no such name"),
        pytest.param("SERVFAIL", "could not resolve", id="the name server fails"),
        pytest.param("REFUSED", "could not resolve", id="the name server refuses"),
        pytest.param([], "neither an IPv4 nor an IPv6 address", id="a name without addresses"),
    ],
)
def test_a_name_without_an_address_fails(
    check: Check, name_server: NameServer, answer: str | list[str], reason: str
) -> None:
    names = name_server(lambda _name, _kind, _before: answer)
    result = check(25, resolver=asking(names))
    assert result.outcome == "dns-failed"
    assert reason in result.detail


def test_a_silent_name_server_fails_at_the_deadline(check: Check, name_server: NameServer) -> None:
    names = name_server(lambda _name, _kind, _before: None)
    result = check(25, resolver=asking(names), deadline=0.5)
    assert result.outcome == "dns-failed"
    assert "within 0.5 seconds" in result.detail


def test_an_unreachable_name_server_fails(check: Check, name_server: NameServer) -> None:
    names = name_server(lambda _name, _kind, _before: None)
    names.stop()
    resolver = Resolver((Nameserver("127.0.0.1", names.port),), hosts_file=None)
    assert check(25, resolver=resolver, deadline=1).outcome == "dns-failed"


@pytest.mark.parametrize(
    "host", ["a..example", "x" * 64 + ".example", "a." * 130 + "example", "smtp.exämple.test", ""]
)
def test_an_invalid_name_is_not_queried(check: Check, name_server: NameServer, host: str) -> None:
    names = name_server(lambda _name, kind, _before: HERE[kind])
    result = check(25, host=host, resolver=asking(names))
    assert result.outcome == "dns-failed"
    assert not names.asked


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1"])
def test_an_address_in_an_old_notation_is_a_name(
    check: Check, name_server: NameServer, host: str
) -> None:
    names = name_server(lambda _name, _kind, _before: "NXDOMAIN")
    assert check(25, host=host, resolver=asking(names)).outcome == "dns-failed"
    assert names.asked


def test_the_result_says_that_a_host_is_from_the_hosts_file(
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
        pytest.param("10.0.0.1", "address-refused", id="a refused literal is not reached"),
        pytest.param("::ffff:127.0.0.1", "address-refused", id="also not in another notation"),
    ],
)
def test_an_address_literal_is_checked_too(
    check: Check, serve: Serve, host: str, outcome: str
) -> None:
    assert check(serve().port, host=host, credential=None).outcome == outcome


def test_a_machine_without_dns_servers_fails(check: Check, tmp_path: Path) -> None:
    result = check(25, resolver=Resolver((), hosts_file=str(tmp_path / "none")), deadline=1)
    assert result.outcome == "dns-failed"
