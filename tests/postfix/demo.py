"""`make demo-mail`: real mail through a real Postfix to pretend providers, and what they received.

Everything is private: a store, the relay's agent, a Postfix, a name server and three SMTP hosts, in
a temporary directory and in namespaces that end with the demo. No mail leaves the machine.
"""

import shutil
import smtplib
import sys
import tempfile
from pathlib import Path

from .programs import why_not
from .sending import MANAGED, UNCONFIGURED, Document, Sending, account, domain, profile, through


def main() -> int:
    reason = why_not()
    if reason is not None:
        print(f"No real mail here: {reason}.", file=sys.stderr)
        return 1
    # Postfix's own user enters it.
    home = Path(tempfile.mkdtemp(prefix="sendroute-demo-"))
    home.chmod(0o755)
    sending = Sending(home)
    try:
        sending.start()
        story(sending)
    finally:
        sending.stop()
        shutil.rmtree(home)
    return 0


def story(sending: Sending) -> None:
    sending.secret("acme", "one", "first", "1-secret")
    sending.secret("acme", "two", "first", "3-secret")
    before = account("acme", defaultRoute=UNCONFIGURED)
    gone = domain("acme", "old.test", through("one"))
    names = ("shop.test", "news.test", "old.test", "draft.test")
    print("Four domains of one account: managed, by two providers' profiles, and unconfigured.")
    sending.apply(
        before,
        profile("acme", "one", sending.provider_one.host, 587, "starttls", "one"),
        profile("acme", "two", sending.provider_two.host, 465, "tls", "two"),
        domain("acme", "shop.test", MANAGED),
        domain("acme", "news.test", through("two")),
        gone,
        domain("acme", "draft.test"),
    )
    send_each(sending, "first", names)

    print("\nAn apply-all switches every domain to the profile two.")
    sending.replace(before, apply_all("two", len(names)), settled=True)
    send_each(sending, "second", names)

    print("\nold.test is deleted.")
    sending.remove(gone)
    send_each(sending, "third", names)


def apply_all(name: str, count: int) -> Document:
    switch = {"id": f"move-to-{name}", "route": through(name), "confirm": {"domains": count}}
    return account("acme", defaultRoute=UNCONFIGURED, applyToAll=switch)


def send_each(sending: Sending, subject: str, names: tuple[str, ...]) -> None:
    """Send one mail from each domain, and print who received it, from the providers' records."""
    refused = {}
    for name in names:
        try:
            sending.server.send(f"jane@{name}", f"{subject} mail of {name}")
        except smtplib.SMTPResponseException as error:
            answer = error.smtp_error
            text = answer.decode() if isinstance(answer, bytes) else answer
            code, _, reason = text.partition(" ")
            refused[name] = f"refused: {error.smtp_code} {code} {reason.partition('rejected: ')[2]}"
    sending.server.wait_until_empty()
    for name in names:
        print(f"  {name:<11} {refused.get(name) or record(sending, f'{subject} mail of {name}')}")


def record(sending: Sending, subject: str) -> str:
    for provider in sending.providers.hosts.values():
        for message in provider.received:
            if message.subject == subject:
                return (
                    f"received by {provider.host:<18} user {message.user},"
                    f" TLS name {message.server_name}"
                )
    return "received by nobody"


if __name__ == "__main__":
    raise SystemExit(main())
