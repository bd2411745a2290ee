"""The service that users copy: its command is one that the program takes, its walls stand."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "systemd"
UNIT = (FOLDER / "sendroute-run.service").read_text()
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
WALLS = {
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
    return dict(each.split("=", 1) for value in values for each in value)


def test_its_walls_stand() -> None:
    assert set(SETTINGS) >= WALLS


class Machine:
    """The unit's paths, in a folder of the test's, and a repository in the server's place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("etc/secrets", "var", "credentials", "home", "origin/manifests"):
            (folder / name).mkdir(parents=True)
        self.origin = folder / "origin"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            listen = f"127.0.0.1:{probe.getsockname()[1]}"
        self.places = {
            "/etc/sendroute": str(folder / "etc"),
            "/var/lib/sendroute": str(folder / "var"),
            "${STATE_DIRECTORY}": str(folder / "var"),
            "%d": str(folder / "credentials"),
            "ssh://git@git.example.com/acme/mail.git": f"file://{self.origin}",
            "127.0.0.1:9464": listen,
        }
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "PYTHONPATH": str(ROOT / "operator"),
            **{name: self.placed(value) for name, value in environment().items()},
        }

    def placed(self, text: str) -> str:
        for old, new in self.places.items():
            text = text.replace(old, new)
        return text

    def run(self, *words: str) -> str:
        done = subprocess.run(
            words, cwd=self.folder / "var", env=self.variables, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sendroute(self, *words: str) -> str:
        return self.run(sys.executable, "-m", "sendroute", *words)

    def init(self) -> None:
        """As the page says: the key is made beside the store, and moved."""
        given = self.variables.pop("SENDROUTE_KEY_FILE")
        self.sendroute("init", "-q")
        (self.folder / "var" / "sendroute.key").rename(given)
        self.variables["SENDROUTE_KEY_FILE"] = given

    def push(self) -> None:
        key = self.folder / "alice"
        self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        public = (self.folder / "alice.pub").read_text()
        signers = self.folder / "etc" / "allowed_signers"
        signers.write_text(f'alice@example.com namespaces="git" {public}')
        (self.origin / "manifests" / "all.yaml").write_text(MANIFESTS)
        git = ["git", "-C", str(self.origin), "-c", "user.name=A", "-c", "user.email=a@example.com"]
        self.run("git", "init", "-q", "-b", "main", str(self.origin))
        self.run(*git, "add", "-A")
        signing = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={key}"]
        self.run(*git, *signing, "commit", "-q", "-S", "-m", "Mail")


def test_it_runs_as_it_stands(tmp_path: Path) -> None:
    """Its very command and variables: a signed commit is applied, and SIGTERM ends it cleanly."""
    machine = Machine(tmp_path)
    machine.push()
    machine.init()
    program, *words = map(machine.placed, command())
    assert program == "/opt/sendroute/bin/sendroute"
    with (tmp_path / "log").open("wb") as log:
        service = subprocess.Popen(
            [sys.executable, "-m", "sendroute", *words],
            cwd=tmp_path / "var",
            env=machine.variables,
            stderr=log,
        )
        try:
            until = time.monotonic() + 30
            while "news.example.com" not in machine.sendroute("routes"):
                assert service.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < until, (tmp_path / "log").read_text()
            service.terminate()
            assert service.wait(30) == 0
        finally:
            service.kill()
            service.wait()


def test_every_credential_that_it_names_is_loaded() -> None:
    loaded = {value.partition(":")[0] for name, value in SETTINGS if name == "LoadCredential"}
    assert set(re.findall(r"%d/([\w-]+)", UNIT)) == loaded


def test_systemd_understands_it(tmp_path: Path) -> None:
    """Where systemd is: the names of all settings, and that little is left open."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    unit = tmp_path / "sendroute-run.service"
    unit.write_text(UNIT.replace("/opt/sendroute/bin/sendroute", "/bin/true"))
    for words in (["verify", "--man=no"], ["security", "--offline=true", "--threshold=20"]):
        done = subprocess.run(
            [analyze, *words, str(unit)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
