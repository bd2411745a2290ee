"""Fixtures for Postfix: a configuration that nothing runs with."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .programs import directories_cf, environment, owners_cf, program, root, settle
from .sending import Sending

Run = Callable[..., subprocess.CompletedProcess[str]]
PLATFORM = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec:
  heloName: out.example.test
  connectionTest: {caFile: /etc/our-ca.pem, timeout: 12s}
  plans:
  - {name: nano, managed: false}
"""


@pytest.fixture(scope="module")
def sending() -> Iterator[Sending]:
    """A running platform. Each test has accounts of its own."""
    # Not below pytest's own directory, which no other user may enter.
    home = Path(tempfile.mkdtemp(prefix="sendroute-mail-"))
    home.chmod(0o755)
    platform = Sending(home)
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()
        shutil.rmtree(home)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration that Debian's package comes with, in a directory of its own."""
    if program("postconf") is None:
        pytest.skip("POSTFIX IS NOT CONFIGURED: postconf is missing; .ci/postfix unpacks it")
    directory = tmp_path / "etc"
    directory.mkdir()
    debian = root() / "usr/share/postfix"
    shutil.copy(debian / "master.cf.dist", directory / "master.cf")
    shutil.copy(root() / "etc/postfix/postfix-files", directory)
    (directory / "dynamicmaps.cf").write_text("sqlite postfix-sqlite.so dict_sqlite_open\n")
    text = (debian / "main.cf.debian").read_text()
    parameters = "myhostname = relay.example.test\nmydestination = relay.example.test, localhost\n"
    (directory / "main.cf").write_text(
        f"{text}\n{parameters}{owners_cf()}{directories_cf(tmp_path, directory)}"
    )
    for name in ("spool", "data"):
        (tmp_path / name).mkdir()
    settle(directory)
    return directory


@pytest.fixture
def run(store: str, config: Path) -> Run:
    """Run the program on a store with a platform, and on that configuration."""
    variables = environment(config) | {"SENDROUTE_STORE": store}
    del variables["MAIL_CONFIG"]

    def sendroute(
        *words: str, path: str = "", status: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        chosen = variables | ({"PATH": f"{path}{os.pathsep}{variables['PATH']}"} if path else {})
        command = (sys.executable, "-m", "sendroute", *words)
        done = subprocess.run(command, env=chosen, capture_output=True, text=True, timeout=120)
        settle(config)
        assert status in (done.returncode, None), done.stdout + done.stderr
        return done

    return sendroute


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store that holds a platform alone."""
    home = tmp_path_factory.mktemp("store")
    url = f"sqlite:///{home}/sendroute.db"
    (home / "platform.yaml").write_text(PLATFORM)
    for words in (["init"], ["apply", "--auto-approve", str(home / "platform.yaml")]):
        command = (sys.executable, "-m", "sendroute", *words, "--store", url)
        subprocess.run(command, check=True, capture_output=True)
    return url
