"""The life cycle of a store on PostgreSQL, through the command line; the password is in the URL
and must appear nowhere else."""

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

from .conftest import CommandResult, Program, domain

PASSWORD = "hunter2"


@pytest.fixture
def url(cluster: Cluster, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The role `ada` may create a store in this database. The server does not ask for a password,
    but the URL has one."""
    name = postgres_url.rpartition("/")[2]
    with cluster.connect() as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = 'ada'").fetchone() is None:
            connection.execute("CREATE ROLE ada LOGIN")
        connection.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO ada").format(sql.Identifier(name))
        )
    url = f"postgresql://ada:{PASSWORD}@127.0.0.1:{cluster.port}/{name}"
    monkeypatch.setenv("SENDROUTE_STORE", url)
    return url


@pytest.fixture
def run(sendroute: Program, url: str) -> Program:  # noqa: ARG001 - sets the store
    """Checks after every command that the password is not in its output."""

    def run_and_check(*arguments: str) -> CommandResult:
        result = sendroute(*arguments)
        assert PASSWORD not in result.out + result.err
        return result

    return run_and_check


def test_every_command_works_and_none_prints_the_password(
    run: Program, url: str, manifests: Path
) -> None:
    assert run("plan", "manifests").status == 3, "there is no store yet"
    created = run("init")
    assert created.status == 0
    assert f"Created the store postgresql://127.0.0.1:{url.rpartition(':')[2]}" in created.out
    assert run("init", "--key-file", "sendroute.key").status == 3
    assert run("plan", "manifests", "--detailed-exitcode").status == 2
    assert run("plan", "manifests", "--out", "saved.plan").status == 0
    assert PASSWORD.encode() not in Path("saved.plan").read_bytes()
    assert run("-v", "apply", "manifests", "--auto-approve", "--write-lock", "x.lock").status == 0
    assert run("plan", "manifests", "--detailed-exitcode").status == 0
    assert "shop.example.com" in run("routes").out
    explanation = json.loads(run("explain", "jane@shop.example.com", "-o", "json").out)
    assert explanation["transport"] == "sendroute-starttls:[p1r1]:587"
    with (manifests / "acme.yaml").open("a") as file:
        file.write("---\n" + domain("acme", "late.example.com"))
    assert run("apply", "manifests", "--auto-approve").status == 0
    assert "late.example.com" in run("history", "--limit", "1").out
    status = json.loads(run("status", "-o", "json").out)
    assert (status["store"]["revision"], status["domains"]) == (3, 3)
    assert "late.example.com" in run("export").out


def test_rekey_and_backup_work_and_keep_the_password_out(
    run: Program, url: str, manifests: Path
) -> None:
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
    assert PASSWORD.encode() not in Path("copy.db").read_bytes()
    assert url not in run("history").out


def test_a_read_only_store_is_reported_once(
    run: Program, cluster: Cluster, postgres_url: str, manifests: Path
) -> None:
    assert manifests.exists()
    assert run("init").status == 0
    name = sql.Identifier(postgres_url.rpartition("/")[2])
    with cluster.connect() as connection:
        statement = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on")
        connection.execute(statement.format(name))
    assert run("plan", "manifests").status == 0
    applied = run("apply", "manifests", "--auto-approve", "-o", "json")
    assert applied.status == 1
    findings = json.loads(applied.out)["findings"]
    assert [finding["code"] for finding in findings].count("store-failed") == 1


def test_errors_about_a_wrong_url_do_not_show_the_password(
    process: Callable[..., "CompletedProcess[str]"], url: str
) -> None:
    unreadable = url.replace("@127", "@@127"), url + "?nonsense=1"
    absent = url.replace("/t", "/none"), url.replace("127.0.0.1", "no-such-host.invalid")
    statuses = dict.fromkeys(unreadable, 64) | dict.fromkeys((*absent, url + "?sslmode=require"), 1)
    for wrong, status in statuses.items():
        result = process("--log-format", "json", "-v", "status", env={"SENDROUTE_STORE": wrong})
        assert result.returncode == status, result.stderr
        assert PASSWORD not in result.stdout + result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("comes_back", [True, False], ids=["comes back", "is gone"])
def test_apply_reports_its_changes_when_the_store_is_away_during_the_wait(
    run: Program,
    process: Callable[..., "CompletedProcess[str]"],
    url: str,
    cluster: Cluster,
    manifests: Path,
    comes_back: bool,
) -> None:
    """The report lists what was applied, however the wait ends."""
    assert manifests.exists()
    assert run("init").status == 0
    database = url.rpartition("/")[2]
    name = sql.Identifier(database)
    arguments = (
        "apply",
        "manifests",
        "--auto-approve",
        "--wait",
        "--wait-timeout",
        "3",
        "-o",
        "json",
    )
    with (
        cluster.connect() as admin,
        cluster.connect(database) as blocker,
        ThreadPoolExecutor(1) as pool,
    ):
        blocker.execute("INSERT INTO sendroute.relay VALUES ('mx1', 0, now())")
        running = pool.submit(process, *arguments)
        # Not earlier, because opening a store looks at every table.
        until(blocker, "SELECT EXISTS (SELECT FROM sendroute.account)")
        blocker.execute("BEGIN")
        blocker.execute("LOCK TABLE sendroute.relay")
        until(admin, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS off").format(name))
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ada'"
        )
        blocker.execute("UPDATE sendroute.relay SET revision = 9")
        blocker.execute("COMMIT")
        if comes_back:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS on").format(name))
        finished = running.result()
    result = json.loads(finished.stdout)
    assert {account["outcome"] for account in result["accounts"]} == {"committed"}
    codes = [finding["code"] for finding in result["findings"]]
    assert (finished.returncode, codes) == ((0, []) if comes_back else (1, ["store-failed"]))


def test_wait_lists_the_relays_that_are_behind(
    run: Program, url: str, cluster: Cluster, manifests: Path
) -> None:
    assert manifests.exists()
    assert run("init").status == 0
    with cluster.connect(url.rpartition("/")[2]) as connection:
        connection.execute(
            "INSERT INTO sendroute.relay VALUES ('ahead', 9, now()), ('behind', 0, now()),"
            " ('unseen', 0, now() - interval '1 hour')"
        )
    arguments = ("apply", "manifests", "--auto-approve", "--wait", "--wait-timeout", "0.3")
    result = run(*arguments, "-o", "json")
    assert (result.status, json.loads(result.out)["relays_behind"]) == (4, ["behind", "unseen"])
