"""Who may submit: real clients that sign in, a real Postfix, and the tables of a real agent."""

import grp
import json
import os
import pwd
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .programs import environment, mail_owner, program, real_mail
from .server import NAME, SMTP_PORT, Addresses, MailServer

pytestmark = real_mail()
PASSWORD = "a-password"
API = "sendroute.dev/v1alpha1"


def document(kind: str, name: str, spec: dict[str, object], **metadata: str) -> dict[str, object]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def tenant(name: str, *logins: str) -> list[dict[str, object]]:
    spec: dict[str, object] = {"plan": "pro"}
    if logins:
        spec["submission"] = {"logins": list(logins)}
    domain = {"account": name, "domain": f"{name}.test", "route": {"managed": {}}}
    return [
        document("MailAccount", name, spec, namespace=name),
        document("SendingDomain", name, domain, namespace=name),
    ]


RELAY = {"host": "nowhere.test", "port": 25, "encryption": "none"}
PLATFORM = document(
    "MailPlatform",
    "default",
    {
        "managed": {
            "host": "mail.test",
            "ports": [{"port": 587, "encryption": "starttls"}],
            "relay": RELAY,
        },
        "bounces": {"relay": RELAY | {"host": "bounces.test"}},
        "plans": [{"name": "pro", "managed": True}],
    },
)


class Site:
    """A store, an agent beside it, and a Postfix whose clients sign in (SASL_README, sasldb)."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.server = MailServer(home, Addresses())
        self.url = f"sqlite:///{home}/store/sendroute.db"
        (home / "store").mkdir()
        self._sign_in("acme-app", "acme-crm", "beta-app", "gamma-app")
        self.run("init")
        self.apply(*tenant("acme", "acme-app", "ACME-CRM"), *tenant("beta", "beta-app"))
        self.start_agent()
        try:
            self.server.knows({"nowhere.test": "127.0.0.2"})  # nothing listens there
            self.server.configure(self.url)
            self.server.start()
            self.server.wait_until_it_accepts()
            self.serve()
        except BaseException:
            self.stop()
            raise

    def _sign_in(self, *users: str) -> None:
        sasl = self.server.config / "sasl"  # where Debian's Postfix reads it
        sasl.mkdir()
        (sasl / "smtpd.conf").write_text(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"
            f"sasldb_path: {sasl}/sasldb2\n"
        )
        for user in users:
            subprocess.run(
                (
                    str(program("saslpasswd2")),
                    "-p",
                    "-c",
                    "-f",
                    f"{sasl}/sasldb2",
                    "-u",
                    NAME,
                    user,
                ),
                input=f"{PASSWORD}\n",
                text=True,
                env=environment(self.server.config),
                check=True,
                capture_output=True,
            )
        shutil.chown(sasl / "sasldb2", mail_owner())
        with (self.server.config / "main.cf").open("a") as main:
            main.write(
                "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_security_options = noanonymous\n"
                # A sending domain whose own mail stays here, as on many hosts that exist already.
                "mydestination = acme.test\n"
            )

    def _group(self) -> str:
        return grp.getgrgid(pwd.getpwnam(mail_owner()).pw_gid).gr_name

    def _variables(self) -> dict[str, str]:
        return {**os.environ, "SENDROUTE_STORE": self.url}

    def command(self, *words: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "sendroute", *words)

    def run(self, *words: str) -> str:
        done = subprocess.run(
            self.command(*words), env=self._variables(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def apply(self, *documents: dict[str, object]) -> None:
        items = {"kind": "List", "apiVersion": "v1", "items": [PLATFORM, *documents]}
        (self.home / "tree.json").write_text(json.dumps(items))
        self.run("apply", "--auto-approve", "-q", str(self.home / "tree.json"))

    def serve(self) -> None:
        """Wait until the agent serves the store's revision."""

        def is_served() -> bool:
            relays = json.loads(self.run("status", "-o", "json"))["relays"]
            return bool(relays) and not any(relay["behind"] for relay in relays)

        self.server.wait(is_served, f"the agent does not serve it: {self.home}/agent.log")

    def start_agent(self) -> None:
        with (self.home / "agent.log").open("a") as log:
            self._agent = subprocess.Popen(
                self.command(
                    *("relay", "--no-reload", "--listen", "127.0.0.1:0"),
                    *("--dir", str(self.server.tables), "--group", self._group()),
                ),
                env=self._variables(),
                stdout=log,
                stderr=log,
            )

    def stop_agent(self) -> None:
        self._agent.terminate()
        self._agent.wait(20)

    def stop(self) -> None:
        self.stop_agent()
        self.server.stop()

    def submit(self, sender: str, login: str | None = None) -> tuple[int, str]:
        """Submit a message; the last answer."""
        with smtplib.SMTP(self.server.address, SMTP_PORT, "c.example.test", timeout=60) as session:
            if login is not None:
                session.login(login, PASSWORD)
            for command in (f"MAIL FROM:<{sender}>", "RCPT TO:<b@rcpt.test>"):
                code, reply = session.docmd(command)
                if code != 250:
                    return code, reply.decode()
            code, reply = session.data(b"Subject: x\r\n\r\nx\r\n")
            return code, reply.decode()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    if program("saslpasswd2") is None:
        pytest.skip("NOBODY SIGNS IN: saslpasswd2 is missing; .ci/postfix unpacks it")
    home = Path(tempfile.mkdtemp(prefix="sendroute-submission-"))
    home.chmod(0o755)
    running = Site(home)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(home)


def check(site: Site) -> str:
    """What ``postfix check`` says."""
    words = ("postfix", "check", "--postfix-config-dir", str(site.server.config))
    done = subprocess.run(
        (*site.command(*words), "--dir", str(site.server.tables), "--store", site.url),
        env=site.server.environment,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def test_the_check_compares_the_clients_of_each_domain(site: Site) -> None:
    site.serve()
    assert "route-differs" not in check(site)
    # Before the agent writes them, the tables have the logins of before.
    site.stop_agent()
    site.apply(*tenant("acme", "acme-app"), *tenant("beta", "beta-app"))
    text = " ".join(check(site).split())
    assert "acme.test has `ACME-CRM, acme-app` in Postfix's table senders" in text
    assert "but the store says `acme-app`" in text
    site.apply(*tenant("acme", "acme-app", "ACME-CRM"), *tenant("beta", "beta-app"))
    site.start_agent()
    site.serve()


FORMS = ("x@{}", "x@{}.", "X+tag@{}", '"a@b"@{}', "a!x@{}", "x%a@{}", "@beta.test:x@{}")


@pytest.mark.parametrize("form", FORMS)
def test_only_the_clients_of_an_account_send_as_its_domains(site: Site, form: str) -> None:
    sender = form.format("acme.test")
    assert site.submit(sender, "acme-app")[0] == 250
    assert site.submit(sender, "acme-crm")[0] == 250, "names compare without regard to case"
    for login in ("beta-app", "gamma-app"):
        code, text = site.submit(sender, login)
        assert (code, f"not owned by user {login}" in text) == (553, True), text
    code, text = site.submit(sender)
    assert (code, "not logged in" in text) == (553, True), text


def test_no_form_of_an_own_address_reaches_another_accounts_route(site: Site) -> None:
    """What is accepted has the sender's own domain in the queue, which decides the route."""
    for sender in ('"x@acme.test"@beta.test', "x%acme.test@beta.test", "acme.test!x@beta.test",
                   "@acme.test:x@beta.test", "x@acme.test@beta.test"):  # fmt: skip
        code, text = site.submit(sender, "beta-app")
        assert code == 250, text
        queue_id = text.rpartition(" ")[2]
        queued = re.compile(rf"qmgr\[\d+\]: {queue_id}: from=<(.*)>, size")
        site.server.wait(lambda queued=queued: queued.search(site.server.log) is not None, sender)
        match = queued.search(site.server.log)
        assert match is not None
        assert match[1].endswith("@beta.test")


@pytest.mark.parametrize(
    "form",
    ['"x@{}"@acme.test', "x%{}@acme.test", "{}!x@acme.test", "x@{}@acme.test", "x%{}%acme.test"],
)
def test_a_domain_of_this_host_hides_no_domain_before_it(site: Site, form: str) -> None:
    """Mail to acme.test stays here. Postfix would read what is before it as the sender, and send by
    the route of acme.test."""
    assert "acme.test" in site.server.program("postconf", "-h", "mydestination")
    sender = form.format("beta.test")
    for login in ("beta-app", "gamma-app", None):
        code, text = site.submit(sender, login)
        assert code in (553, 554), text


def test_until_an_account_names_logins_every_permitted_client_sends_as_its_domains(
    site: Site,
) -> None:
    others = (*tenant("acme", "acme-app", "ACME-CRM"), *tenant("beta", "beta-app"))
    site.apply(*others, *tenant("gamma"))
    site.serve()
    for login in ("gamma-app", "beta-app", None):
        assert site.submit("x@gamma.test", login)[0] == 250
    site.apply(*others, *tenant("gamma", "gamma-app"))
    site.serve()
    assert site.submit("x@gamma.test", "gamma-app")[0] == 250
    assert site.submit("x@gamma.test", "beta-app")[0] == 553
    assert site.submit("x@gamma.test")[0] == 553


def test_naming_another_tenants_login_gives_access_and_gains_none(site: Site) -> None:
    acme = tenant("acme", "acme-app", "ACME-CRM")
    acme += tenant("gamma", "gamma-app")
    site.apply(*acme, *tenant("beta", "beta-app", "acme-app"))
    site.serve()
    assert site.submit("x@acme.test", "acme-app")[0] == 250, "it can still send as its own"
    assert site.submit("x@beta.test", "acme-app")[0] == 250
    assert site.submit("x@acme.test", "beta-app")[0] == 553
    site.apply(*acme, *tenant("beta", "beta-app"))
    site.serve()


def test_a_message_is_explained_by_the_log_of_postfix(site: Site) -> None:
    for sender, alias, title in (
        ("x@acme.test", "m0r1", "the managed relay"),
        ("", "b0r1", "the bounce relay"),
    ):
        code, text = site.submit(sender, "acme-app")
        assert code == 250, text
        queue_id = text.rpartition(" ")[2]
        site.server.wait(
            lambda queue_id=queue_id: f"{queue_id}: to=<" in site.server.log, "no delivery"
        )
        log = str(site.server.home / "log")
        answer = json.loads(site.run("explain", "--message", queue_id, "--log", log, "-o", "json"))
        assert (answer["login"], answer["unread"]) == ("acme-app", 0)
        assert [used["alias"] for used in answer["nexthops"]] == [alias], answer["deliveries"]
        assert title in site.run("explain", "--message", queue_id, "--log", log)
