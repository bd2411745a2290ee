"""What a followed commit does not contain is unknown: nothing of it is taken for deleted."""

import ssl
import subprocess
from pathlib import Path

import pytest
import trustme
from tests.connection.peers import Server

from .conftest import OTHER_LOCK, PLATFORM, Workspace, account, profile, replace, wait_until

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def git(directory: Path, *arguments: str) -> None:
    settings = ["protocol.file.allow=always", "user.name=T", "user.email=t@t.example"]
    options = [part for setting in settings for part in ("-c", setting)]
    subprocess.run(["git", *options, *arguments], cwd=directory, check=True, capture_output=True)


def to_submodule(top: Path) -> None:
    tenants = top.parent / "tenants"
    (top / "m/tenants").rename(tenants)
    git(tenants, "init", "-q", "-b", "main")
    git(tenants, "add", "-A")
    git(tenants, "commit", "-q", "-m", "tenants")
    git(top, "rm", "-q", "-r", "--cached", "m/tenants")
    git(top, "submodule", "add", "-q", f"file://{tenants}", "m/tenants")


def to_pointer(top: Path) -> None:
    (top / "m/tenants/birch.yaml").write_text(POINTER)


@pytest.mark.parametrize(
    ("move", "where", "reason"),
    [
        (to_submodule, "m/tenants", "it is a submodule"),
        (to_pointer, "m/tenants/birch.yaml", "Git LFS pointer"),
    ],
)
def test_accounts_that_moved_into_what_is_not_fetched_are_held_back(
    workspace: Workspace, move: object, where: str, reason: str
) -> None:
    assert callable(move)
    top = workspace.directory / "up"
    (top / "m/tenants").mkdir(parents=True)
    replace(top / "m/platform.yaml", PLATFORM)
    replace(top / "m/acme.yaml", account("acme", "a.example"))
    replace(top / "m/tenants/birch.yaml", account("birch", "b.example"))
    git(top, "init", "-q", "-b", "main")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "one")
    loop = workspace.start(f"file://{top}", "--path", "m", "--poll", "200ms")
    wait_until(lambda: set(workspace.domains()) == {"a.example", "b.example"}, "both domains")

    move(top)
    replace(top / "m/acme.yaml", account("acme", "a.example", "c.example"))
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "two")
    line = loop.wait_for_log(where, reason)
    assert line["code"] == "unreadable"
    assert line["message"].startswith(f"{where}:1:1: The "), line["message"]
    assert f" {where} cannot be read" in line["message"], "without the path of the checkout"
    loop.wait_for_log("Account birch/birch is unchanged")
    wait_until(lambda: "c.example" in workspace.domains(), "the change of the other account")
    assert "b.example" in workspace.domains()
    assert loop.stop() == 0


@pytest.mark.parametrize("name", ["sendroute.lock", "m/sendroute.lock"])
@pytest.mark.parametrize(
    "text",
    [OTHER_LOCK, "{\n<<<<<<< HEAD\n"],
    ids=["another store", "merge marks"],
)
def test_a_lock_file_is_named_by_its_path_in_the_source(
    workspace: Workspace, name: str, text: str
) -> None:
    top = workspace.directory / "up"
    (top / "m").mkdir(parents=True)
    replace(top / "m/platform.yaml", PLATFORM)
    replace(top / "m/acme.yaml", account("acme", "a.example"))
    replace(top / name, text)
    git(top, "init", "-q", "-b", "main")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "one")
    state = workspace.directory / "linked"
    (workspace.directory / "state").mkdir()
    state.symlink_to("state")
    loop = workspace.start(
        f"file://{top}", "--path", "m", "--poll", "200ms", "--state-dir", str(state)
    )
    line = loop.wait_for_log("sendroute.lock")
    words = str(line).replace("'", " ").split()
    assert any(word.partition(":")[0] == name for word in words), line
    assert "/trees/" not in str(line)


def follow_with_ca_file(workspace: Workspace, ca_file: str, port: int) -> Path:
    """A repository whose platform has this caFile, and a profile on a server with TLS."""
    top = workspace.directory / "up"
    (top / "m" / "certificates").mkdir(parents=True)
    connection_test = "connectionTest: {"
    with_ca = PLATFORM.replace(connection_test, f"{connection_test}caFile: {ca_file}, ")
    replace(top / "m/platform.yaml", with_ca)
    tls = profile("acme", "own", port).replace("127.0.0.1", "localhost").replace("none", "tls")
    replace(top / "m/acme.yaml", account("acme", "a.example", route="{profile: own}") + tls)
    return top


def commit_all(top: Path) -> None:
    git(top, "init", "-q", "-b", "main")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "one")


def test_a_relative_ca_file_is_that_of_the_commit(workspace: Workspace) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = Server(context=context, implicit=True)
    server.start()
    try:
        top = follow_with_ca_file(workspace, "certificates/ca.pem", server.port)
        authority.cert_pem.write_to_path(str(top / "m/certificates/ca.pem"))
        commit_all(top)
        loop = workspace.start(f"file://{top}", "--path", "m", "--poll", "200ms")
        loop.wait_for_log("acme/acme", "committed")
        assert workspace.domains() == {"a.example": "own"}
        assert loop.stop() == 0
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("ca_file", "reason"),
    [
        ("../../../../../../../../../../etc/hostname", "leads out of the repository"),
        ("../ca.pem", "is not among the followed files"),
        ("certificates", "is not among the followed files"),
    ],
)
def test_a_relative_ca_file_that_is_not_in_the_commit_stops_the_tree(
    workspace: Workspace, ca_file: str, reason: str
) -> None:
    top = follow_with_ca_file(workspace, ca_file, 1)
    replace(top / "ca.pem", "x")
    replace(top / "m/certificates/x.pem", "x")
    commit_all(top)
    loop = workspace.start(f"file://{top}", "--path", "m", "--poll", "200ms")
    line = loop.wait_for_log(f"The platform's caFile {ca_file} {reason}.")
    assert line["code"] == "source-unreachable"
    assert "/trees/" not in str(line)
    assert loop.stop() == 0
    assert workspace.domains() == {}
