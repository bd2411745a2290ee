"""The pod of a relay starts, serves, is reloaded and takes mail with the rights that the chart
gives it."""

import os
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.chart.conftest import RELAY, Render, the
from tests.chart.pods import Pod, why_no_pod
from tests.loop.conftest import wait_until
from tests.postfix.programs import real_mail
from tests.postfix.server import Addresses

REASON = why_no_pod()
pytestmark = [real_mail(), pytest.mark.skipif(REASON is not None, reason=f"NO POD: {REASON}")]

ROOT = Path(__file__).parents[2]
# The packages are unpacked here and not installed, so their programs have other groups.
UNPACKED = re.compile(r"/usr/sbin/post(queue|drop)$")
MANIFESTS = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec:
  managed:
    host: smtp.example
    ports: [{port: 587, encryption: starttls}]
    relay: {host: relay.example, port: 587, encryption: none}
  plans: [{name: pro, managed: true}]
---
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {name: acme, namespace: acme}
spec: {plan: pro}
---
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {name: one, namespace: acme}
spec: {account: acme, host: one.example, port: 587, encryption: none, connectionTest: skip}
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: a-example, namespace: acme}
spec: {account: acme, domain: a.example, route: {managed: {}}}
"""


class Relay:
    """A store with one domain, and the pod of a relay of the chart."""

    def __init__(self, home: Path, url: str, render: Render) -> None:
        self.home, self.url, self.address = home, url, Addresses().next()
        self.key = home / "key"
        self.key.write_text("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        self.sendroute("init")
        self.apply(MANIFESTS)
        settings = {"inet_interfaces": "loopback-only", "inet_protocols": "ipv4"}
        values = {**RELAY, "relay": {**RELAY["relay"], "settings": settings}}
        template = the(render(values), "StatefulSet")["spec"]["template"]
        _with_address(template, self.address)
        secrets = {"sendroute-store": {"url": url}, "sendroute-key": {"key": self.key.read_text()}}
        (home / "pod").mkdir()
        self.pod = Pod(home / "pod", template, secrets, "sendroute-relay-0")

    def sendroute(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "sendroute", *arguments],
            env={**os.environ, "SENDROUTE_STORE": self.url, "SENDROUTE_KEY_FILE": str(self.key)},
            cwd=self.home,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def apply(self, manifests: str) -> None:
        directory = self.home / "manifests"
        directory.mkdir(exist_ok=True)
        (directory / "all.yaml").write_text(manifests)
        self.sendroute("apply", str(directory), "--auto-approve", "--max-change-percent", "100")

    def answers(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://{self.address}:9465{path}", timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            return None

    def metric(self, sample: str) -> float:
        lines = (self.answers("/metrics") or "").splitlines()
        return next((float(x.split()[-1]) for x in lines if x.startswith(f"{sample} ")), -1.0)


def _with_address(template: dict[str, Any], address: str) -> None:
    """Give the pod an address of this machine that no other test has: it has no network of its
    own."""
    (configure,) = template["spec"]["initContainers"]
    service = f"postconf -M 'smtp/inet={address}:25 inet n - n - - smtpd'"
    configure["args"][0] = configure["args"][0].replace("exec ", f"{service}\nexec ")
    for container in template["spec"]["containers"]:
        for variable in container.get("env", ()):
            if variable["name"] == "SENDROUTE_LISTEN":
                variable["value"] = f"{address}:{variable['value'].rpartition(':')[2]}"


def ended(pod: Pod, container: str) -> bool:
    return not pod.runs(container)


@pytest.fixture
def relay(postgres_url: str, render: Render) -> Iterator[Relay]:
    # Not below pytest's own directory, which Postfix's user may not enter.
    home = Path(tempfile.mkdtemp(prefix="sendroute-pod-"))
    home.chmod(0o755)
    started = Relay(home, postgres_url, render)
    try:
        yield started
    finally:
        started.pod.stop()
        shutil.rmtree(home)


def test_the_pod_serves_the_routes_with_the_rights_that_it_has(relay: Relay) -> None:
    pod = relay.pod
    pod.wait(lambda: relay.answers("/readyz") is not None, "the agent is not ready")
    pod.wait(lambda: pod.execute("postfix", "postfix", "status") == 0, "Postfix does not run")
    with smtplib.SMTP(relay.address, 25, timeout=30) as client:
        assert client.ehlo("client.example")[0] == 250
        assert b"mail.example.com" in (client.ehlo_resp or b"")
        client.sendmail("x@a.example", ["y@elsewhere.example"], "Subject: one\r\n\r\n")
        with pytest.raises(smtplib.SMTPException, match=r"5\.7\.1"):
            client.sendmail("x@other.example", ["y@elsewhere.example"], "Subject: no\r\n\r\n")
    reloads = 'sendroute_relay_reloads_total{outcome="%s"}'
    before = relay.metric(reloads % "completed")
    relay.apply(MANIFESTS.replace("route: {managed: {}}", "route: {profile: one}"))
    pod.wait(lambda: relay.metric(reloads % "completed") > before, "Postfix is not reloaded")
    assert relay.metric(reloads % "failed") == 0
    # The agent reads the queue, so it can delete an alias that no message needs.
    log = pod.output("postfix") + pod.output("agent")
    lines = [line for line in log.splitlines() if not UNPACKED.search(line)]
    complaints = re.compile("ermission denied|not permitted|fatal|panic|warning: (not|group)")
    assert [line for line in lines if complaints.search(line)] == []
    # A pod that ends is not killed with mail in its hands.
    for container in ("postfix", "agent"):
        pod.terminate(container)
        wait_until(partial(ended, pod, container), f"the end of {container}")
