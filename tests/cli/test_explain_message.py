"""The change that created the nexthop which a message used."""

import gzip
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.store.conftest import Say

from sendroute.cli.explain_message import _creation
from sendroute.store.create import init_store

from .conftest import Program


def test_it_is_the_change_of_that_profile_and_of_no_other(tmp_path: Path) -> None:
    say = Say()
    with init_store(f"sqlite:///{tmp_path}/s.db", say.provenance) as store:
        store.commit([say.plan(0, say.account(), say.profile("aaa"))], None, say.provenance)
        moved = say.profile("aaa", say.ses, replace(say.ses, port=465))
        store.commit([say.plan(1, moved, say.profile("bbb"))], None, say.provenance)
        for endpoint in store.endpoints():
            made = _creation(store, endpoint)
            assert made is not None
            assert (made.name, made.revision) == (endpoint.binding.profile, endpoint.made)


LINE = (
    "Nov 28 10:00:00 mx postfix/qmgr[1]: 4F2A81C0B7: from=<a@shop.example.com>, size=1, nrcpt=1"
    " (queue active)\n"
)


@pytest.mark.usefixtures("store")
def test_a_log_may_be_compressed_by_gzip(sendroute: Program, workdir: Path) -> None:
    (workdir / "mail.log.2.gz").write_bytes(gzip.compress(LINE.encode()))
    result = sendroute("explain", "--message", "4F2A81C0B7", "--log", "mail.log.2.gz")
    assert (result.status, result.err) == (0, "")
    assert "a@shop.example.com" in result.out


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(LINE.encode() * 99)[:-9], "it is damaged"),
        (b"\x1f\x8bxx", "it is damaged"),
        (b"\xfd7zXZ\0", "it is compressed by xz: give it by standard input"),
    ],
)
def test_a_log_that_cannot_be_read_says_why(
    sendroute: Program, workdir: Path, content: bytes, reason: str
) -> None:
    (workdir / "old").write_bytes(content)
    result = sendroute("explain", "--message", "4F2A81C0B7", "--log", "old")
    assert result.status == 1
    assert f"The mail log old cannot be read: {reason}." in result.err
