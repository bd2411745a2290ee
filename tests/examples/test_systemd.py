"""The systemd unit that users copy: its command works, and its sandboxing options are set."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.private_server import free_port

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "examples" / "systemd"
UNIT = (DIRECTORY / "sendroute-run.service").read_text()
SETTINGS = re.findall(r"^(\w+)=(.*)$", UNIT, re.MULTILINE)

MANIFESTS = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec: {plans: [{name: nano, managed: false}]}
---
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {name: acme, namespace: acme}
spec: {plan: nano}
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: news, namespace: acme}
spec: {account: acme, domain: news.example.com}
"""
SANDBOXING = {
    ("NoNewPrivileges", "yes"),
    ("CapabilityBoundingSet", ""),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
    ("SystemCallFilter", "@system-service"),
    ("UMask", "0077"),
}


def command() -> list[str]:
    (line,) = (value for name, value in SETTINGS if name == "ExecStart")
    return shlex.split(line)


def environment() -> dict[str, str]:
    values = (shlex.split(value) for name, value in SETTINGS if name == "Environment")
    return dict(assignment.split("=", 1) for value in values for assignment in value)


def test_the_unit_has_all_sandboxing_options() -> None:
    assert set(SETTINGS) >= SANDBOXING


class Machine:
    """The paths of the unit in a temporary directory, and a local repository as the server."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("etc/secrets", "var", "credentials", "home", "origin/manifests"):
            (directory / name).mkdir(parents=True)
        self.origin = directory / "origin"
        listen = f"127.0.0.1:{free_port()}"
        self.replacements = {
            "/etc/sendroute": str(directory / "etc"),
            "/var/lib/sendroute": str(directory / "var"),
            "${STATE_DIRECTORY}": str(directory / "var"),
            "%d": str(directory / "credentials"),
            "ssh://git@git.example.com/acme/mail.git": f"file://{self.origin}",
            "127.0.0.1:9464": listen,
        }
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory / "home"),
            "PYTHONPATH": str(ROOT / "operator"),
            **{name: self.replace_paths(value) for name, value in environment().items()},
        }

    def replace_paths(self, text: str) -> str:
        for old, new in self.replacements.items():
            text = text.replace(old, new)
        return text

    def run(self, *arguments: str) -> str:
        completed = subprocess.run(
            arguments, cwd=self.directory / "var", env=self.variables, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert completed.returncode == 0, completed.stderr
        return completed.stdout

    def sendroute(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "sendroute", *arguments)

    def init(self) -> None:
        """As the page says: the key is created beside the store, then moved."""
        key_file = self.variables.pop("SENDROUTE_KEY_FILE")
        self.sendroute("init", "-q")
        (self.directory / "var" / "sendroute.key").rename(key_file)
        self.variables["SENDROUTE_KEY_FILE"] = key_file

    def push(self) -> None:
        key = self.directory / "alice"
        self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        public = (self.directory / "alice.pub").read_text()
        signers = self.directory / "etc" / "allowed_signers"
        signers.write_text(f'alice@example.com namespaces="git" {public}')
        (self.origin / "manifests" / "all.yaml").write_text(MANIFESTS)
        git = ["git", "-C", str(self.origin), "-c", "user.name=A", "-c", "user.email=a@example.com"]
        self.run("git", "init", "-q", "-b", "main", str(self.origin))
        self.run(*git, "add", "-A")
        signing = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={key}"]
        self.run(*git, *signing, "commit", "-q", "-S", "-m", "Mail")


def test_the_command_of_the_unit_applies_a_signed_commit(tmp_path: Path) -> None:
    """With its command and variables, a signed commit is applied, and SIGTERM ends it cleanly."""
    machine = Machine(tmp_path)
    machine.push()
    machine.init()
    program, *arguments = map(machine.replace_paths, command())
    assert program == "/opt/sendroute/bin/sendroute"
    with (tmp_path / "log").open("wb") as log:
        service = subprocess.Popen(
            [sys.executable, "-m", "sendroute", *arguments],
            cwd=tmp_path / "var",
            env=machine.variables,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + 30
            while "news.example.com" not in machine.sendroute("routes"):
                assert service.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            service.terminate()
            assert service.wait(30) == 0
        finally:
            service.kill()
            service.wait()


RELAY = ROOT / "examples" / "relay" / "sendroute-relay.service"


@pytest.mark.parametrize("file", [DIRECTORY / "sendroute-run.service", RELAY])
def test_every_credential_of_the_unit_is_loaded(file: Path) -> None:
    loaded = re.findall(r"^LoadCredential=([\w-]+):", file.read_text(), re.MULTILINE)
    assert set(re.findall(r"%d/([\w-]+)", file.read_text())) == set(loaded)


@pytest.mark.parametrize("file", sorted(ROOT.glob("examples/*/*.service")))
def test_no_unit_writes_a_core_dump(file: Path) -> None:
    assert re.findall(r"^LimitCORE=(.*)$", file.read_text(), re.MULTILINE) == ["0"]


def test_the_relay_unit_sets_only_what_the_program_reads(tmp_path: Path) -> None:
    """Its command starts with its variables: no unknown one, no wrong value of an option."""
    assignments = re.findall(r"^Environment=(\w+)=(.*)$", RELAY.read_text(), re.MULTILINE)
    variables = {name: value.replace("%d", str(tmp_path)) for name, value in assignments}
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "foreign").write_text("")  # so that it ends
    (line,) = re.findall(r"^ExecStart=(.*)$", RELAY.read_text(), re.MULTILINE)
    program, *arguments = shlex.split(line.replace("${STATE_DIRECTORY}", str(tables)))
    assert program == "/opt/sendroute/bin/sendroute"
    completed = subprocess.run(
        [sys.executable, "-m", "sendroute", *arguments, "--log-format", "text"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "operator"), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert completed.returncode == 1, completed.stderr
    assert "unsafe-directory" in completed.stderr
    assert "unknown and has no effect" not in completed.stderr


def test_every_example_is_in_the_table_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    pages = {f"examples/{page.parent.name}/README.md" for page in ROOT.glob("examples/*/README.md")}
    assert {page for page in pages if f"]({page})" not in readme} == set()


@pytest.mark.parametrize(
    ("file", "exposure"),
    [
        (DIRECTORY / "sendroute-run.service", 20),
        (ROOT / "examples" / "relay" / "sendroute-relay.service", 25),  # runs as root
    ],
)
def test_systemd_analyze_accepts_the_unit(tmp_path: Path, file: Path, exposure: int) -> None:
    """If systemd is installed, check all option names and the exposure level."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    unit = tmp_path / file.name
    unit.write_text(file.read_text().replace("/opt/sendroute/bin/sendroute", "/bin/true"))
    for arguments in (
        ["verify", "--man=no"],
        ["security", "--offline=true", f"--threshold={exposure}"],
    ):
        completed = subprocess.run(
            [analyze, *arguments, str(unit)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        # An unknown option is only a warning; other units of the machine may give some too.
        assert file.name not in completed.stderr, completed.stderr
