"""What another user put into the directory of the tables, or above it."""

import os
from pathlib import Path

import pytest

from .conftest import Site
from .test_agent import via

STRANGER = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


def serve_and_stop(site: Site) -> None:
    """Leave the tables of an earlier agent."""
    site.fill(site.create("a.example", via("one")))
    agent = site.start()
    site.wait_until_served(1)
    assert agent.stop() == 0


def planted(site: Site, mode: int) -> list[int]:
    """Replace each file by a copy that is kept open, as another user could in a directory that was
    open; the descriptors."""
    descriptors = []
    for path in site.tables.glob("[at]*"):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        path.chmod(0o666)
        descriptors.append(os.open(path, os.O_RDWR))
    site.tables.chmod(mode)
    return descriptors


def requires_new_files(site: Site) -> None:
    last = site.commit(site.create("b.example", via("two")))
    agent = site.start()
    agent.wait_for_log("could have been written by another user. It is built again")
    site.wait_until_served(last)
    assert site.rows("transport").keys() >= {"a.example", "b.example"}
    assert agent.stop() == 0


def test_tables_of_a_directory_that_was_open_are_built_again(small_site: Site) -> None:
    """Any process that has a file open can read it, also the passwords that come later."""
    site = small_site
    serve_and_stop(site)
    descriptors = planted(site, 0o777)
    requires_new_files(site)
    for descriptor in descriptors:
        assert b"b.example" not in os.pread(descriptor, 1 << 24, 0)
        os.close(descriptor)


@only_root
@pytest.mark.parametrize(
    "name", ["aliases", "tables.sqlite", "tables.sqlite-wal", "tables.sqlite-boot"]
)
def test_tables_with_a_file_of_another_user_are_built_again(small_site: Site, name: str) -> None:
    site = small_site
    serve_and_stop(site)
    os.chown(site.tables / name, STRANGER, -1)
    requires_new_files(site)


def test_a_file_with_another_name_elsewhere_is_not_changed(
    small_site: Site, tmp_path: Path
) -> None:
    site = small_site
    serve_and_stop(site)
    other = tmp_path / "other"
    other.touch(mode=0o604)
    other.chmod(0o604)
    (site.tables / "tables.sqlite-wal").unlink()
    (site.tables / "tables.sqlite-wal").hardlink_to(other)
    requires_new_files(site)
    assert (other.stat().st_mode & 0o777, other.stat().st_size) == (0o604, 0)


@pytest.mark.parametrize(
    "name", ["tables.sqlite-shm", "tables.sqlite-boot", "tables.sqlite-journal", "aliases"]
)
def test_no_agent_waits_for_a_pipe(small_site: Site, name: str) -> None:
    site = small_site
    serve_and_stop(site)
    (site.tables / name).unlink(missing_ok=True)
    os.mkfifo(site.tables / name)
    requires_new_files(site)


def test_tables_of_an_agent_before_are_kept(small_site: Site) -> None:
    site = small_site
    serve_and_stop(site)
    agent = site.start()
    site.wait_until_served(site.commit(site.create("b.example", via("two"))))
    assert agent.logged("the changes read")


def test_an_open_directory_without_tables_is_closed(small_site: Site) -> None:
    """As an emptyDir of Kubernetes, in which Postfix was configured before."""
    site = small_site
    site.tables.mkdir()
    site.tables.chmod(0o777)
    assert site.sendroute("postfix", "config", "--dir", str(site.tables)).returncode == 0
    site.fill(site.create("a.example", via("one")))
    agent = site.start()
    site.wait_until_served(1)
    assert site.tables.stat().st_mode & 0o777 == 0o750
    assert not agent.logged("another user")


@only_root
@pytest.mark.parametrize("command", ["relay", "postfix"])
def test_a_directory_below_that_of_another_user_is_refused(small_site: Site, command: str) -> None:
    site = small_site
    above = site.directory / "above"
    site.tables = above / "relay"
    site.tables.mkdir(parents=True)
    os.chown(above, STRANGER, -1)
    if command == "relay":
        agent = site.start()
        assert agent.wait_for_exit() == 1
        assert agent.lines[-1]["code"] == "unsafe-directory"
    else:
        done = site.sendroute("postfix", "config", "--dir", str(site.tables))
        assert done.returncode == 1
        assert f"{above} belongs to another user." in " ".join(done.stderr.split())
    assert list(site.tables.iterdir()) == []


def test_a_directory_below_an_open_one_is_refused(small_site: Site) -> None:
    site = small_site
    above = site.directory / "above"
    site.tables = above / "relay"
    site.tables.mkdir(parents=True)
    above.chmod(0o777)
    agent = site.start()
    assert agent.wait_for_exit() == 1
    assert agent.lines[-1]["code"] == "unsafe-directory"


@only_root
def test_a_configuration_of_another_user_is_refused_and_written_again(small_site: Site) -> None:
    site = small_site
    configure = ("postfix", "config", "--dir", str(site.tables))
    assert site.sendroute(*configure).returncode == 0
    file = next(site.tables.glob("*.cf"))
    content = file.read_text()
    os.chown(file, STRANGER, -1)
    agent = site.start()
    assert agent.wait_for_exit() == 1
    assert agent.lines[-1]["code"] == "unsafe-directory"
    assert site.sendroute(*configure).returncode == 0
    assert (file.stat().st_uid, file.read_text()) == (os.geteuid(), content)


@only_root
def test_a_lock_of_another_user_keeps_no_agent_out(small_site: Site) -> None:
    site = small_site
    serve_and_stop(site)
    lock = site.tables / "agent.lock"
    os.chown(lock, STRANGER, -1)
    site.start()
    site.wait_until_served(site.commit(site.create("b.example", via("two"))))
    assert lock.stat().st_uid == os.geteuid()
