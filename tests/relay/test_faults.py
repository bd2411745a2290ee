"""What happens when something beside the agent fails: mail continues by the last revision."""

import fcntl
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.crash.fork_server import handles
from tests.loop.conftest import LoopProcess, wait_until
from tests.relay.conftest import Site, profile
from tests.relay.test_agent import PROVIDER_ONE, PROVIDER_TWO, page

from sendroute.model.route import via


@pytest.fixture
def served(small_site: Site) -> tuple[Site, LoopProcess]:
    """A site at revision 1, with its agent."""
    small_site.fill(small_site.create("a.example", via("one")))
    agent = small_site.start("--listen", "127.0.0.1:0")
    small_site.wait_until_served(1)
    return small_site, agent


def switch(site: Site) -> int:
    return site.commit(site.reroute("a.example", via("one"), via("two")))


def many(site: Site) -> int:
    """A change of some megabytes."""
    return site.commit(
        *(site.create(f"domain-{number:06}.example", via("two")) for number in range(20_000)),
        site.reroute("a.example", via("one"), via("two")),
    )


def test_while_the_store_is_away_mail_continues(served: tuple[Site, LoopProcess]) -> None:
    site, agent = served
    url = agent.wait_for_log("Serving http")["url"]
    path = Path(site.url.removeprefix("sqlite:///"))
    hidden = path.with_name("hidden")
    path.rename(hidden)
    agent.wait_for_log("There is no store")
    wait_until(lambda: "the store has not answered for" in page(f"{url}/readyz"))
    assert "sendroute_store_up 0.0" in page(f"{url}/metrics")
    assert site.rows("transport")["a.example"] == PROVIDER_ONE
    hidden.rename(path)
    agent.wait_for_log("The store answers again.")
    site.wait_until_served(switch(site))
    assert site.rows("transport")["a.example"] == PROVIDER_TWO


def test_an_agent_that_starts_without_the_store_serves_what_it_has(
    served: tuple[Site, LoopProcess],
) -> None:
    site, agent = served
    assert agent.stop() == 0
    path = Path(site.url.removeprefix("sqlite:///"))
    path.rename(path.with_name("hidden"))
    again = site.start("--listen", "127.0.0.1:0")
    again.wait_for_log("There is no store")
    url = again.wait_for_log("Serving http")["url"]
    wait_until(lambda: "Revision 1 is served" in page(f"{url}/readyz"))
    assert site.rows("transport")["a.example"] == PROVIDER_ONE


def test_an_agent_waits_a_moment_for_what_a_killed_one_started(
    served: tuple[Site, LoopProcess],
) -> None:
    """A process that it had forked keeps its lock until it runs another program."""
    site, agent = served
    assert agent.stop() == 0
    with (site.tables / "agent.lock").open() as child:
        fcntl.flock(child, fcntl.LOCK_EX)
        again = site.start()
        wait_until(lambda: handles(again.pid, signal.SIGTERM), "it has started")
        fcntl.flock(child, fcntl.LOCK_UN)
    again.wait_for_log("keeps the tables")


def processor_seconds(pid: int) -> float:
    """User and system time of a process (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("had_tables", [False, True])
def test_an_agent_that_waits_for_the_store_uses_no_processor(
    small_site: Site, *, had_tables: bool
) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    if had_tables:
        agent = site.start()
        site.wait_until_served(1)
        assert agent.stop() == 0
    path = Path(site.url.removeprefix("sqlite:///"))
    path.rename(path.with_name("hidden"))
    agent = site.start()
    agent.wait_for_log("There is no store")
    before = processor_seconds(agent.pid)
    time.sleep(3)
    assert processor_seconds(agent.pid) - before < 0.6


def test_a_server_that_goes_and_comes_back_is_followed(
    make_site: Callable[[str], Site], postgres_url: str
) -> None:
    site = make_site(postgres_url)
    site.fill(site.create("a.example", via("one")))
    agent = site.start()
    site.wait_until_served(1)
    site.store._database.write(  # the server ends every other connection
        lambda connection: connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    )
    site.wait_until_served(switch(site))
    assert site.rows("transport")["a.example"] == PROVIDER_TWO
    assert agent.stop() == 0


class Limit:
    """A disk with little room, by a limit of the process, or a small file system of its own."""

    def __init__(self, agent: LoopProcess, mounted: Path | None) -> None:
        self._agent, self._mounted = agent, mounted
        self._before = resource.prlimit(agent.pid, resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        if self._mounted is None:
            limits = (200_000, self._before[1])
            resource.prlimit(self._agent.pid, resource.RLIMIT_FSIZE, limits)

    def make_room(self) -> None:
        if self._mounted is None:
            resource.prlimit(self._agent.pid, resource.RLIMIT_FSIZE, self._before)
        else:
            command = ("mount", "-o", "remount,size=64m", str(self._mounted))
            subprocess.run(command, check=True)


@pytest.fixture(params=["limited process", "small file system"])
def full(request: pytest.FixtureRequest, small_site: Site) -> Iterator[tuple[Site, Limit]]:
    """A site at revision 1 whose disk can be filled."""
    site, mounted = small_site, None
    if request.param == "small file system":
        site.tables.mkdir()
        options = ("-t", "tmpfs", "-o", "size=600k,mode=0750", "tmpfs", str(site.tables))
        if subprocess.run(("mount", *options), capture_output=True).returncode != 0:
            pytest.skip("this machine mounts no file system for the tests")
        mounted = site.tables
    try:
        site.fill(site.create("a.example", via("one")))
        agent = site.start()
        site.wait_until_served(1)
        yield site, Limit(agent, mounted)
        agent.kill()
    finally:
        if mounted is not None:
            subprocess.run(("umount", "--lazy", str(mounted)), check=True)


def test_a_full_disk_leaves_the_previous_revision(full: tuple[Site, Limit]) -> None:
    site, limit = full
    limit.fill()
    last = many(site)
    agent = site.agents[-1]
    line = agent.wait_for_log("Cannot write the tables", "revision 1 is served")
    assert line["code"] == "tables-not-written"
    assert site.rows("transport") == {
        "a.example": PROVIDER_ONE,
        "<>": "sendroute-starttls:[m0r1]:587",
    }
    assert site.store.relays()[0].revision == 1
    limit.make_room()
    site.wait_until_served(last)
    assert len(site.rows("transport")) == 20_002
    agent.wait_for_log("The tables are written again.")


def test_a_locked_file_leaves_the_previous_revision(served: tuple[Site, LoopProcess]) -> None:
    site, agent = served
    with closing(sqlite3.connect(site.tables / "tables.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        last = switch(site)
        agent.wait_for_log("another process has locked the file; revision 1 is served")
        assert site.rows("transport")["a.example"] == PROVIDER_ONE
        other.execute("ROLLBACK")
    site.wait_until_served(last)
    assert site.rows("transport")["a.example"] == PROVIDER_TWO


def test_an_alias_file_that_cannot_be_written_leaves_the_previous_revision(
    served: tuple[Site, LoopProcess],
) -> None:
    site, agent = served
    (site.tables / "aliases.new").mkdir()
    new = profile("smtp.three.example")
    tokens = {"three": site.token("three", new, "of-three")}
    last = site.commit(
        site.say.profile("three", None, new),
        site.reroute("a.example", via("one"), via("three")),
        tokens=tokens,
    )
    agent.wait_for_log("Cannot write the tables", "revision 1 is served")
    assert site.rows("transport")["a.example"] == PROVIDER_ONE
    assert "p3r1" not in site.rows("credentials")
    (site.tables / "aliases.new").rmdir()
    site.wait_until_served(last)
    assert site.aliases()["p3r1"] == "smtp.three.example"
    assert site.rows("transport")["a.example"] == "sendroute-starttls:[p3r1]:587"


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.write_text("p1r1 elsewhere\n")])
def test_an_alias_file_that_others_change_is_written_again(
    served: tuple[Site, LoopProcess], lose: Callable[[Path], object]
) -> None:
    site, _ = served
    aliases = site.aliases()
    lose(site.tables / "aliases")
    wait_until(lambda: (site.tables / "aliases").exists() and site.aliases() == aliases)


def scribble(path: Path) -> None:
    """As a failing disk or another program leaves it."""
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [scribble, empty, Path.unlink])
def test_damaged_tables_are_built_again_and_postfix_opens_them(
    served: tuple[Site, LoopProcess], damage: Callable[[Path], None]
) -> None:
    site, agent = served
    assert agent.stop() == 0
    damage(site.tables / "tables.sqlite")
    again = site.start()
    last = switch(site)
    site.wait_until_served(last)
    wait_until(lambda: site.rows("transport").get("a.example") == PROVIDER_TWO)
    if damage is not Path.unlink:
        assert again.logged("is damaged. It is built again")
        assert len(site.reloads()) == 1
        again.wait_for_log("Postfix is reloaded, because the tables were built again.")
    assert not list(site.tables.glob("*.new*"))


def delete_the_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def delete_the_index(path: Path) -> None:
    path.with_name(path.name + "-shm").unlink()


def leave_a_link(path: Path) -> None:
    """A program that opens the link looks for a log of the other name."""
    path.rename(path.with_name("tables.sqlite-moved"))
    path.symlink_to("tables.sqlite-moved")


@pytest.mark.parametrize("lose", [Path.unlink, delete_the_log, delete_the_index, leave_a_link])
def test_tables_that_are_deleted_while_the_agent_runs_are_built_again(
    served: tuple[Site, LoopProcess], lose: Callable[[Path], None]
) -> None:
    site, agent = served
    path = site.tables / "tables.sqlite"
    lose(path)
    last = switch(site)
    agent.wait_for_log("was moved or deleted. It is built again")
    wait_until(lambda: len(site.reloads()) == 1)
    site.wait_until_served(last)
    assert site.rows("transport")["a.example"] == PROVIDER_TWO
    assert not path.is_symlink()
    assert all(path.with_name(path.name + suffix).exists() for suffix in ("", "-wal", "-shm"))


@pytest.mark.parametrize("name", [".", "aliases", "tables.sqlite", "tables.sqlite-shm"])
def test_the_rights_of_postfix_are_restored(served: tuple[Site, LoopProcess], name: str) -> None:
    site, agent = served
    path = site.tables / name
    before = path.stat()
    path.chmod(0)
    wait_until(lambda: path.stat().st_mode == before.st_mode)
    if os.geteuid() == 0:
        os.chown(path, -1, before.st_gid + 1)
        wait_until(lambda: path.stat().st_gid == before.st_gid)
    assert not agent.logged("It is built again")
    site.wait_until_served(switch(site))


def test_a_directory_that_others_use_by_now_keeps_its_rights(
    served: tuple[Site, LoopProcess],
) -> None:
    site, _agent = served
    before = (site.tables / "aliases").stat()
    (site.tables / "other").touch()
    site.tables.chmod(0o755)
    (site.tables / "aliases").chmod(0)
    wait_until(lambda: (site.tables / "aliases").stat().st_mode == before.st_mode)
    assert stat.S_IMODE(site.tables.stat().st_mode) == 0o755


def test_tables_that_are_damaged_while_the_agent_runs_are_built_again(
    served: tuple[Site, LoopProcess],
) -> None:
    site, agent = served
    scribble(site.tables / "tables.sqlite")
    agent.wait_for_log("is damaged. It is built again")
    wait_until(lambda: len(site.reloads()) == 1)
    assert site.rows("transport")["a.example"] == PROVIDER_ONE
    site.wait_until_served(switch(site))
    assert site.rows("transport")["a.example"] == PROVIDER_TWO


def test_without_the_key_no_mail_is_sent_unauthenticated(small_site: Site) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    hidden = site.key_file.rename(site.key_file.with_name("hidden"))
    agent = site.start()
    agent.wait_for_log("Mail waits", "profile one of account acme/acme")
    assert site.rows("transport") == {}
    assert site.rows("access") == {"a.example": "OK", "<>": "OK"}
    assert site.rows("credentials") == {}
    hidden.rename(site.key_file)
    wait_until(lambda: site.rows("transport").get("a.example") == PROVIDER_ONE)
    assert site.rows("credentials")["p1r1"] == "user:of-one"


def test_a_key_that_is_lost_later_stops_only_new_nexthops(
    served: tuple[Site, LoopProcess],
) -> None:
    site, agent = served
    assert agent.stop() == 0
    site.key_file.unlink()
    again = site.start()
    new = profile("smtp.three.example")
    tokens = {"three": site.token("three", new, "of-three")}
    last = site.commit(
        site.say.profile("three", None, new), site.create("b.example", via("three")), tokens=tokens
    )
    site.wait_until_served(last)
    assert site.rows("transport").keys() == {"a.example", "<>"}
    assert site.rows("access")["b.example"] == "OK"
    assert again.logged("Mail waits", "profile three of account acme/acme")


def test_mail_of_a_profile_without_its_credential_waits(
    served: tuple[Site, LoopProcess],
) -> None:
    site, agent = served
    before, after = profile("smtp.one.example"), profile("smtp.moved.example")
    site.wait_until_served(site.commit(site.say.profile("one", before, after)))
    assert "a.example" not in site.rows("transport"), "the old credential is of another host"
    assert site.rows("access")["a.example"] == "OK"
    agent.wait_for_log("Mail waits", "profile one of account acme/acme")
    assert len(site.reloads()) == 1, "mail in the active queue waits too"


def test_an_alias_is_deleted_when_no_mail_can_take_it(served: tuple[Site, LoopProcess]) -> None:
    site, agent = served
    before, after = profile("smtp.one.example"), profile("smtp.new.example")
    message = '{"queue_name": "active", "queue_id": "A1"}'
    site.queue(message)
    tokens = {"one": site.token("one", after, "new")}
    site.wait_until_served(site.commit(site.say.profile("one", before, after), tokens=tokens))
    path = site.tables / "tables.sqlite"
    with closing(sqlite3.connect(path, timeout=10)) as other, other:
        other.execute("UPDATE nexthop SET retired = retired - 100 WHERE alias = 'p1r1'")
    looks = len(site.queue_reads())
    wait_until(lambda: len(site.queue_reads()) > looks)
    assert "p1r1" in site.rows("credentials")
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        site.queue(message.replace("A1", "B2"))
        wait_until(lambda: "p1r1" not in site.aliases(), "the alias goes first")
        assert "p1r1" in site.rows("credentials"), "no alias is without its credential"
        other.execute("ROLLBACK")
    agent.wait_for_log("Deleted 1 aliases")
    assert site.rows("credentials").keys() == {"p1r2", "p2r1", "m0r1"}
    assert "[p1r1]:587" not in site.rows("tls_policy")
    wait_until(lambda: "p1r1" not in site.aliases())


def test_a_listing_of_the_queue_that_hangs_delays_no_revision(
    served: tuple[Site, LoopProcess],
) -> None:
    site, agent = served
    site.hang_queue(hangs=True)
    before, after = profile("smtp.one.example"), profile("smtp.new.example")
    tokens = {"one": site.token("one", after, "new")}
    site.wait_until_served(site.commit(site.say.profile("one", before, after), tokens=tokens))
    path = site.tables / "tables.sqlite"
    with closing(sqlite3.connect(path, timeout=10)) as other, other:
        other.execute("UPDATE nexthop SET retired = retired - 100 WHERE alias = 'p1r1'")
    wait_until(lambda: _children(agent.pid), "the queue is listed")
    revision = site.commit(site.create("late.example", via("two")))
    wait_until(lambda: site.sql("SELECT revision FROM served") == [(revision,)])
    assert _children(agent.pid), "it is still listed"
    assert "p1r1" in site.aliases()
    site.hang_queue(hangs=False)
    agent.wait_for_log("Deleted 1 aliases")


def _children(pid: int) -> list[str]:
    """The processes that a process started (proc(5))."""
    return [
        child
        for thread in Path(f"/proc/{pid}/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]
