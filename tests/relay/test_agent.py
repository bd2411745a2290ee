"""The agent follows the store, keeps the tables at its revision, and reports what is served."""

import grp
import json
import os
import re
import socket
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from multiprocessing import Pipe
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from tests.loop.conftest import wait_until
from tests.postgres import Cluster
from tests.relay.conftest import Site, profile

from sendroute.model.route import MANAGED, UNCONFIGURED, via
from sendroute.store.backups import backup_store
from sendroute.store.create import init_store

PROVIDER_ONE, PROVIDER_TWO = "sendroute-starttls:[p1r1]:587", "sendroute-starttls:[p2r1]:587"


def test_the_tables_hold_what_the_store_decided(site: Site) -> None:
    revision = site.fill(
        site.create("a.example", via("one")),
        site.create("b.example", MANAGED),
        site.create("c.example", UNCONFIGURED),
    )
    site.start()
    site.wait_until_served(revision)
    managed = "sendroute-starttls:[m0r1]:587"
    assert site.rows("transport") == {
        "a.example": PROVIDER_ONE,
        "b.example": managed,
        "<>": managed,
    }
    assert site.rows("access").keys() == {"a.example", "b.example", "c.example", "<>"}
    assert site.rows("access")["c.example"].startswith("REJECT 5.7.1 ")
    assert site.rows("credentials") == {
        "p1r1": "user:of-one",
        "p2r1": "user:of-two",
        "m0r1": "user:of-relay",
    }
    assert site.aliases() == {
        "p1r1": "smtp.one.example",
        "p2r1": "smtp.two.example",
        "m0r1": "relay.internal.example",
    }
    assert site.reloads() == []


def test_a_change_is_followed(site: Site) -> None:
    site.fill(site.create("a.example", via("one")))
    agent = site.start()
    site.wait_until_served(1)
    site.wait_until_served(site.commit(site.create("new.example", via("two"))))
    assert site.rows("transport")["new.example"] == PROVIDER_TWO
    assert site.reloads() == [], "a new domain needs no reload"
    site.wait_until_served(site.commit(site.reroute("a.example", via("one"), via("two"))))
    assert site.rows("transport")["a.example"] == PROVIDER_TWO
    assert len(site.reloads()) == 1, "it is reported after the reload"
    site.wait_until_served(site.commit(site.delete("new.example", via("two"))))
    assert "new.example" not in site.rows("access")
    assert not agent.logged("everything read", "revision 2")
    assert agent.stop() == 0


def test_a_new_profile_version_takes_its_domains_along(site: Site) -> None:
    site.fill(site.create("a.example", via("one")))
    site.start()
    site.wait_until_served(1)
    before, after = profile("smtp.one.example"), profile("smtp.new.example")
    tokens = {"one": site.token("one", after, "new")}
    site.wait_until_served(site.commit(site.say.profile("one", before, after), tokens=tokens))
    assert site.rows("transport")["a.example"] == "sendroute-starttls:[p1r2]:587"
    assert site.rows("credentials")["p1r2"] == "user:new"
    assert site.rows("credentials")["p1r1"] == "user:of-one", "queued mail may need it"
    assert site.aliases()["p1r1"] == "smtp.one.example"


def test_what_changed_while_the_agent_was_away_is_read_at_its_start(site: Site) -> None:
    site.fill(site.create("a.example", via("one")), site.create("b.example", via("one")))
    agent = site.start()
    site.wait_until_served(1)
    assert agent.stop() == 0
    site.commit(site.reroute("a.example", via("one"), via("two")))
    last = site.commit(site.delete("b.example", via("one")))
    again = site.start()
    site.wait_until_served(last)
    assert site.rows("transport") == {
        "a.example": PROVIDER_TWO,
        "<>": "sendroute-starttls:[m0r1]:587",
    }
    assert again.logged("Serving revision 3: the changes read")
    assert len(site.reloads()) == 1


def test_reloads_are_seconds_apart(small_site: Site) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    site.start()
    site.wait_until_served(1)
    for number in range(7):
        before, after = (via("one"), via("two")) if number % 2 == 0 else (via("two"), via("one"))
        last = site.commit(site.reroute("a.example", before, after))
        transport = PROVIDER_TWO if number % 2 == 0 else PROVIDER_ONE
        wait_until(lambda expected=transport: site.rows("transport")["a.example"] == expected)
    site.wait_until_served(last)
    reloads = site.reloads()
    assert 1 <= len(reloads) <= 4
    assert all(after - before > 2.5 for before, after in pairwise(reloads))


def test_a_failed_reload_is_repeated_before_the_revision_is_reported(small_site: Site) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    agent = site.start()
    site.wait_until_served(1)
    site.fail_reloads("fatal: no")
    last = site.commit(site.reroute("a.example", via("one"), via("two")))
    agent.wait_for_log("fatal: no")
    assert site.store.relays()[0].revision == 1
    site.fail_reloads("")
    site.wait_until_served(last)
    assert len(site.reloads()) == 1


def test_a_reload_that_was_due_is_done_after_a_kill(small_site: Site) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    agent = site.start()
    site.wait_until_served(1)
    site.fail_reloads("fatal: no")
    site.commit(site.reroute("a.example", via("one"), via("two")))
    agent.wait_for_log("fatal: no")
    agent.kill()
    site.fail_reloads("")
    site.start()
    site.wait_until_served(2)
    assert len(site.reloads()) == 1


def test_a_postfix_that_does_not_run_needs_no_reload(small_site: Site) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    agent = site.start()
    site.wait_until_served(1)
    site.run_postfix(running=False)
    site.fail_reloads(" ")  # its message is in the log only
    site.wait_until_served(site.commit(site.reroute("a.example", via("one"), via("two"))))
    assert not agent.logged("exit status")


def test_without_reloads_postfix_is_left_alone(small_site: Site) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    site.start("--no-reload")
    site.wait_until_served(1)
    site.wait_until_served(site.commit(site.reroute("a.example", via("one"), via("two"))))
    assert site.reloads() == []


def test_without_postfix_the_agent_says_what_it_cannot_do(small_site: Site) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    agent = site.start(PATH="/nowhere")
    site.wait_until_served(1)
    site.wait_until_served(site.commit(site.reroute("a.example", via("one"), via("two"))))
    assert agent.logged("Postfix is not reloaded, and no alias is ever deleted.")


def test_an_agent_that_does_not_reload_says_so_at_its_start(small_site: Site) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    agent = site.start("--no-reload")
    agent.wait_for_log("Postfix is not reloaded, so mail in its active queue keeps an old route")


def test_only_the_owner_and_the_group_may_read_the_directory(small_site: Site) -> None:
    site = small_site
    site.tables.mkdir(mode=0o777)
    site.tables.chmod(0o777)
    site.fill(site.create("a.example", via("one")))
    site.start()
    site.wait_until_served(1)
    assert stat.S_IMODE(site.tables.stat().st_mode) == 0o750
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in site.tables.iterdir()}
    assert modes == {
        "agent.lock": 0o600,
        "aliases": 0o640,
        "tables.sqlite": 0o640,
        "tables.sqlite-wal": 0o640,
        "tables.sqlite-boot": 0o640,
        "tables.sqlite-shm": 0o640,
    }


def test_a_directory_with_other_files_keeps_its_rights(small_site: Site) -> None:
    site = small_site
    site.tables.mkdir()
    site.tables.chmod(0o755)
    (site.tables / "other").touch()
    agent = site.start()
    assert agent.wait_for_exit() == 1
    assert agent.lines[-1]["code"] == "unsafe-directory"
    assert stat.S_IMODE(site.tables.stat().st_mode) == 0o755
    assert sorted(path.name for path in site.tables.iterdir()) == ["other"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(small_site: Site) -> None:
    site = small_site
    site.tables.mkdir()
    os.chown(site.tables, 12345, -1)
    agent = site.start()
    assert agent.wait_for_exit() == 1
    assert agent.lines[-1]["code"] == "unsafe-directory"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another group")
def test_the_files_belong_to_the_group_that_may_read_them(small_site: Site) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    agent = site.start("--group", "mail")
    site.wait_until_served(1)
    groups = {path.group() for path in (site.tables, *site.tables.iterdir())}
    assert groups == {"mail", "root"}
    assert (site.tables / "agent.lock").group() == "root"
    assert (site.tables / "tables.sqlite-wal").group() == "mail"
    assert not agent.logged("does not belong to the group")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another group")
@pytest.mark.parametrize(("group", "owner"), [("nosuch", os.getegid()), ("4711", 4711)])
def test_a_group_of_before_cannot_read_what_is_no_longer_its_own(
    small_site: Site, group: str, owner: int
) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    agent = site.start("--group", "mail")
    site.wait_until_served(1)
    assert agent.stop() == 0
    again = site.start("--group", group)
    site.wait_until_served(site.commit(site.create("b.example", via("two"))))
    assert {path.stat().st_gid for path in (site.tables, *site.tables.iterdir())} <= {owner, 0}
    assert bool(again.logged("does not belong to the group")) is (group == "nosuch")


def read_as_postfix(path: Path, group: int) -> list[tuple[str, str]]:
    """Read the routes as a process of Postfix: another user, in the group, without waiting."""
    receiver, sender = Pipe(duplex=False)
    number = os.fork()
    if number == 0:
        try:
            os.setgroups([])
            os.setgid(group)
            os.setuid(65534)
            with closing(sqlite3.connect(path, timeout=0)) as connection:
                sender.send(connection.execute("SELECT key, value FROM transport").fetchall())
        except BaseException as error:  # noqa: BLE001 - the parent raises it
            sender.send(error)
        os._exit(0)
    sender.close()
    answer = receiver.recv()
    os.waitpid(number, 0)
    if isinstance(answer, BaseException):
        raise answer
    return list(answer)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("end", ["runs", "was stopped", "was killed"])
def test_postfix_reads_the_tables_without_the_right_to_write(small_site: Site, end: str) -> None:
    site = small_site
    with TemporaryDirectory() as directory:  # pytest's own is closed for other users
        Path(directory).chmod(0o755)
        site.tables = Path(directory) / "relay"
        site.fill(site.create("a.example", via("one")))
        agent = site.start("--group", "mail")
        site.wait_until_served(1)
        site.wait_until_served(site.commit(site.create("b.example", via("two"))))
        if end == "was stopped":
            assert agent.stop() == 0
        elif end == "was killed":
            agent.kill()
        rows = dict(read_as_postfix(site.tables / "tables.sqlite", grp.getgrnam("mail").gr_gid))
        assert (rows["a.example"], rows["b.example"]) == (PROVIDER_ONE, PROVIDER_TWO)
        with pytest.raises(sqlite3.OperationalError):
            read_as_postfix(site.tables / "tables.sqlite", 65534)
        agent.kill()


def test_two_agents_do_not_share_a_directory(small_site: Site) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    site.start()
    site.wait_until_served(1)
    second = site.start(name="mx2")
    assert second.wait_for_exit() == 1
    assert second.lines[-1]["code"] == "relay-running"


def test_several_relays_follow_one_store(site: Site) -> None:
    site.fill(site.create("a.example", via("one")))
    site.start()
    site.wait_until_served(1)
    other = site.tables.with_name("other")
    site.start("--dir", str(other), name="mx2")
    site.wait_until_served(1, "mx2")
    assert [relay.name for relay in site.store.relays()] == ["mx1", "mx2"]


def test_a_restored_store_is_read_again(small_site: Site, tmp_path: Path) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    backup_store(site.url, tmp_path / "early.db")
    agent = site.start()
    site.wait_until_served(1)
    site.wait_until_served(site.commit(site.reroute("a.example", via("one"), via("two"))))
    site.store.close()
    path = Path(site.url.removeprefix("sqlite:///"))
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    site.store = init_store(site.url, site.say.provenance, from_backup=tmp_path / "early.db")
    wait_until(
        lambda: site.rows("transport").get("a.example") == "sendroute-starttls:[p1r1001]:587"
    )
    assert agent.logged("everything read")
    site.wait_until_served(site.store.head().revision)
    assert {"p1r1", "p1r1001"} <= site.rows("credentials").keys()


def test_a_store_in_which_an_alias_means_another_destination_is_read_again(
    small_site: Site,
) -> None:
    """No mail of the old destination may meet the credential of the new one: so the old routes go
    first."""
    site = small_site
    site.fill(site.create("a.example", via("one")))
    agent = site.start()
    site.wait_until_served(1)
    site.store.close()
    path = Path(site.url.removeprefix("sqlite:///"))
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    site.store = init_store(site.url, site.say.provenance)
    site.say.key = site.say.key._replace(namespace="other", name="other")
    site.fill(site.create("a.example", via("one")), profiles=("one", "two", "three"))
    wait_until(lambda: site.aliases().get("p3r1") == "smtp.three.example")
    site.wait_until_served(1)
    assert agent.logged("The store was replaced by another")
    assert site.sql("SELECT owner FROM nexthop WHERE alias = 'p1r1'") == [
        ("profile one of account other/other",)
    ]
    assert len(site.reloads()) >= 1


def test_status_shows_each_relay(site: Site) -> None:
    site.fill(site.create("a.example", via("one")))
    agent = site.start()
    site.wait_until_served(1)
    agent.stop()
    site.commit(site.create("b.example", via("one")))
    done = site.sendroute("status", "-o", "json")
    [relay] = json.loads(done.stdout)["relays"]
    assert (relay["name"], relay["revision"], relay["behind"]) == ("mx1", 1, True)
    assert relay["behind_since"] == site.say.provenance.at.astimezone(UTC).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    assert datetime.fromisoformat(relay["seen"]) <= datetime.now(UTC)


def test_a_relay_can_be_forgotten(small_site: Site) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    agent = site.start()
    site.wait_until_served(1)
    agent.stop()
    assert site.sendroute("relay", "forget", "mx1").returncode == 0
    assert site.store.relays() == ()
    done = site.sendroute("relay", "forget", "mx1")
    assert done.returncode == 1
    assert "knows no relay `mx1`" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "The option --dir DIR is required."),
        (("forget",), "Write `sendroute relay --dir DIR` or `sendroute relay forget NAME`."),
        (("status", "x"), "Write `sendroute relay --dir DIR` or `sendroute relay forget NAME`."),
        (("--dir", "x", "--name", "a\nb"), "255 characters that can be printed"),
    ],
)
def test_wrong_usage_is_one_sentence(
    small_site: Site, arguments: tuple[str, ...], message: str
) -> None:
    done = small_site.sendroute("relay", *arguments)
    assert done.returncode == 64
    assert message in done.stderr


def test_metrics_and_health_say_what_is_served(small_site: Site) -> None:
    site = small_site
    site.fill(site.create("a.example", via("one")))
    agent = site.start("--listen", "127.0.0.1:0")
    site.wait_until_served(1)
    url = agent.wait_for_log("Serving http")["url"]
    assert page(f"{url}/readyz") == "Revision 1 is served, the latest of the store.\n"
    assert "heartbeat" in page(f"{url}/healthz")
    metrics = page(f"{url}/metrics")
    for line in (
        "sendroute_relay_served_revision 1.0",
        "sendroute_store_revision 1.0",
        "sendroute_relay_lag_seconds 0.0",
        'sendroute_relay_rows{table="access"} 2.0',
        'sendroute_relay_nexthops{state="in-use"} 3.0',
        'sendroute_relay_reloads_total{outcome="completed"} 0.0',
    ):
        assert line in metrics


@pytest.mark.parametrize("may_report", [True, False])
def test_an_agent_needs_few_rights_in_the_database(
    make_site: Callable[[str], Site], cluster: Cluster, postgres_url: str, *, may_report: bool
) -> None:
    """To read, and to report in one table; without that it still follows the store."""
    site = make_site(postgres_url)
    site.fill(site.create("a.example", via("one")))
    database = postgres_url.rpartition("/")[2]
    role = f"agent_{database}_{may_report}".lower()
    statements = (
        RIGHTS.read_text().replace("mailrelay", role).replace("sendroute TO", f"{database} TO", 1)
    )
    with cluster.connect(database) as server:
        for statement in statements.split(";\n"):
            if statement.strip() and (may_report or "UPDATE" not in statement):
                server.execute(statement.encode())
        try:
            url = cluster.url(database, role)
            # The page about relays writes the Postfix side with the same role.
            config = ("postfix", "config", "--dir", str(site.directory / "other"), "--store", url)
            done = site.sendroute(*config)
            assert done.returncode == 0, done.stderr
            agent = site.start("--store", url)
            if may_report:
                site.wait_until_served(1)
            else:
                agent.wait_for_log("Serving revision 1")
                site.commit(site.create("b.example", via("two")))
                agent.wait_for_log("Serving revision 2")
                assert agent.logged("does not have the required privileges")
                assert site.store.relays() == ()
            assert agent.stop() == 0
        finally:
            server.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


RIGHTS = Path(__file__).parents[2] / "examples" / "relay" / "agent.sql"
UNIT = Path(__file__).parents[2] / "examples" / "relay" / "sendroute-relay.service"


def test_the_command_of_the_unit_tells_systemd_when_it_serves(
    small_site: Site, tmp_path: Path
) -> None:
    """With its command and variables, and the readiness of sd_notify(3)."""
    site = small_site
    site.fill(site.create("a.example", via("one")))
    [line] = re.findall(r"^ExecStart=(.*)$", UNIT.read_text(), re.MULTILINE)
    program, command, *options = line.replace("${STATE_DIRECTORY}", str(site.tables)).split()
    assert (program, command) == ("/opt/sendroute/bin/sendroute", "relay")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20)
        site.start(*options, NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert listener.recv(100) == b"READY=1"
    assert site.rows("transport")["a.example"] == PROVIDER_ONE


def page(url: str) -> str:
    """What the agent answers, also while it is not ready."""
    try:
        with urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
            return str(answer.read().decode())
    except HTTPError as not_ready:
        return str(not_ready.read().decode())
