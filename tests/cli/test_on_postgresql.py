"""A store's whole life over PostgreSQL, as people run it; the password is in the URL, and nowhere
else."""

import base64
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from psycopg import sql
from tests.postgres import Cluster
from tests.store.test_lost_connections import until

from .conftest import Program, Ran, domain

WORD = "hunter2"


@pytest.fixture
def url(cluster: Cluster, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """`ada` may make a store in this database. The server takes her word for it, but the URL has
    a password."""
    name = postgres_url.rpartition("/")[2]
    with cluster.connect() as own:
        if own.execute("SELECT FROM pg_roles WHERE rolname = 'ada'").fetchone() is None:
            own.execute("CREATE ROLE ada LOGIN")
        own.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO ada").format(sql.Identifier(name)))
    url = f"postgresql://ada:{WORD}@127.0.0.1:{cluster.port}/{name}"
    monkeypatch.setenv("SENDROUTE_STORE", url)
    return url


@pytest.fixture
def run(sendroute: Program, url: str) -> Program:  # noqa: ARG001 - it names the store
    """Checks each time that the password is not said."""

    def checked(*words: str) -> Ran:
        ran = sendroute(*words)
        assert WORD not in ran.out + ran.err
        return ran

    return checked


def test_a_whole_history(run: Program, url: str, manifests: Path) -> None:
    assert run("plan", "manifests").status == 3, "there is no store yet"
    made = run("init")
    assert made.status == 0
    assert f"Created the store postgresql://127.0.0.1:{url.rpartition(':')[2]}" in made.out
    assert run("init", "--key-file", "sendroute.key").status == 3
    assert run("plan", "manifests", "--detailed-exitcode").status == 2
    assert run("plan", "manifests", "--out", "saved.plan").status == 0
    assert WORD.encode() not in Path("saved.plan").read_bytes()
    assert run("-v", "apply", "manifests", "--auto-approve", "--write-lock", "x.lock").status == 0
    assert run("plan", "manifests", "--detailed-exitcode").status == 0
    assert "shop.example.com" in run("routes").out
    told = json.loads(run("explain", "jane@shop.example.com", "-o", "json").out)
    assert told["transport"] == "sendroute-starttls:[p1r1]:587"
    with (manifests / "acme.yaml").open("a") as file:
        file.write("---\n" + domain("acme", "late.example.com"))
    assert run("apply", "manifests", "--auto-approve").status == 0
    assert "late.example.com" in run("history", "--limit", "1").out
    status = json.loads(run("status", "-o", "json").out)
    assert (status["store"]["revision"], status["domains"]) == (3, 3)
    assert "late.example.com" in run("export").out


def test_keys_are_turned_and_a_copy_is_kept(run: Program, url: str, manifests: Path) -> None:
    assert manifests.exists()
    assert run("init").status == 0
    assert run("apply", "manifests", "--auto-approve").status == 0
    old = Path("sendroute.key").read_text()
    new = base64.urlsafe_b64encode(os.urandom(32)).decode()
    Path("keys").write_text(f"{new}\n{old}")
    assert run("rekey", "--key-file", "keys").out.startswith("Re-encrypted")
    Path("new").write_text(new)
    assert run("plan", "manifests", "--key-file", "new", "--detailed-exitcode").status == 0
    assert run("backup", "copy.db").status == 0
    assert WORD.encode() not in Path("copy.db").read_bytes()
    assert url not in run("history").out


def test_a_store_that_can_only_be_read_says_so_once(
    run: Program, cluster: Cluster, postgres_url: str, manifests: Path
) -> None:
    assert manifests.exists()
    assert run("init").status == 0
    name = sql.Identifier(postgres_url.rpartition("/")[2])
    with cluster.connect() as own:
        turn = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on")
        own.execute(turn.format(name))
    assert run("plan", "manifests").status == 0
    applied = run("apply", "manifests", "--auto-approve", "-o", "json")
    assert applied.status == 1
    findings = json.loads(applied.out)["findings"]
    assert [found["code"] for found in findings].count("store-failed") == 1


def test_a_wrong_url_says_nothing_of_it(
    process: Callable[..., "CompletedProcess[str]"], url: str
) -> None:
    for wrong in (
        url.replace("@127", "@@127"),
        url.replace("/t", "/none"),
        url.replace("127.0.0.1", "no-such-host.invalid"),
        url + "?sslmode=require",
        url + "?nonsense=1",
    ):
        ran = process("--log-format", "json", "-v", "status", env={"SENDROUTE_STORE": wrong})
        assert ran.returncode == 1, ran.stderr
        assert WORD not in ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("comes_back", [True, False], ids=["comes back", "is gone"])
def test_relays_are_waited_for_while_the_store_is_away(
    run: Program,
    process: Callable[..., "CompletedProcess[str]"],
    url: str,
    cluster: Cluster,
    manifests: Path,
    comes_back: bool,
) -> None:
    """What was applied is told whatever becomes of the wait."""
    assert manifests.exists()
    assert run("init").status == 0
    database = url.rpartition("/")[2]
    name = sql.Identifier(database)
    words = ("apply", "manifests", "--auto-approve", "--wait", "--wait-timeout", "3", "-o", "json")
    with (
        cluster.connect() as admin,
        cluster.connect(database) as own,
        ThreadPoolExecutor(1) as pool,
    ):
        own.execute("INSERT INTO sendroute.relay VALUES ('mx1', 0, now())")
        own.execute("BEGIN")
        own.execute("LOCK TABLE sendroute.relay")
        done = pool.submit(process, *words)
        until(admin, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS off").format(name))
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ada'"
        )
        own.execute("UPDATE sendroute.relay SET revision = 9")
        own.execute("COMMIT")
        if comes_back:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS on").format(name))
        ran = done.result()
    result = json.loads(ran.stdout)
    assert {one["outcome"] for one in result["accounts"]} == {"committed"}
    codes = [found["code"] for found in result["findings"]]
    assert (ran.returncode, codes) == ((0, []) if comes_back else (1, ["store-failed"]))


def test_a_relay_that_is_behind_is_named(
    run: Program, url: str, cluster: Cluster, manifests: Path
) -> None:
    assert manifests.exists()
    assert run("init").status == 0
    with cluster.connect(url.rpartition("/")[2]) as own:
        own.execute(
            "INSERT INTO sendroute.relay VALUES ('ahead', 9, now()), ('behind', 0, now()),"
            " ('unseen', 0, now() - interval '1 hour')"
        )
    words = ("apply", "manifests", "--auto-approve", "--wait", "--wait-timeout", "0.3")
    ran = run(*words, "-o", "json")
    assert (ran.status, json.loads(ran.out)["relays_behind"]) == (4, ["behind", "unseen"])
