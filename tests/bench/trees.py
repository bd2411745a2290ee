"""Trees of manifests, with the same bytes for the same sizes on every machine.

Each account has one profile (a relay by address, so that apply needs neither a secret nor the
network) and an equal share of the domains. Of four domains two declare the profile, one declares
managed, and one declares nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PLATFORM = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec:
  managed:
    displayName: Bench Mail
    host: smtp.bench.example
    ports: [{port: 587, encryption: starttls}, {port: 465, encryption: tls}]
    relay: {host: relay.internal.example, port: 587, encryption: starttls}
    spf: include:spf.bench.example
  plans:
  - {name: nano, managed: false}
  - {name: pro, managed: true}
"""

_ACCOUNT = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {{name: {account}, namespace: {account}}}
spec: {{plan: pro, defaultRoute: {{profile: ses}}}}
---
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {{name: ses, namespace: {account}}}
spec:
  account: {account}
  displayName: Relay of {account}
  host: 192.0.2.25
  port: 587
  encryption: starttls
  connectionTest: skip
"""

_DOMAIN = """\
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata:
  name: shop-{number:07d}-example-com
  namespace: {account}
spec:
  account: {account}
  domain: shop-{number:07d}.example.com
"""

PROFILE, MANAGED = "  route: {profile: ses}\n", "  route: {managed: {}}\n"
_ROUTES = (PROFILE, PROFILE, MANAGED, "")


class Tree(NamedTuple):
    """``domains`` are spread evenly over ``files``, and ``files`` over ``accounts``."""

    root: Path
    domains: int
    files: int
    accounts: int

    def path(self, number: int) -> Path:
        """The path of a file by its number, from 0. Each account has a directory."""
        return self.root / self._account(number) / f"{number:06d}.yaml"

    def _account(self, number: int) -> str:
        return f"team-{number * self.accounts // self.files:05d}"

    def write(self) -> "Tree":
        self.root.mkdir(parents=True)
        (self.root / "platform.yaml").write_text(_PLATFORM)
        previous = None
        for number in range(self.files):
            account, path = self._account(number), self.path(number)
            if account != previous:
                path.parent.mkdir()
            text = "---\n".join(self._documents(number, account, new=account != previous))
            path.write_text(text)
            previous = account
        return self

    def _documents(self, number: int, account: str, *, new: bool) -> Iterator[str]:
        if new:
            yield _ACCOUNT.format(account=account)
        share = self.domains // self.files
        for domain in range(number * share, (number + 1) * share):
            yield _DOMAIN.format(number=domain, account=account) + _ROUTES[domain % 4]

    def reroute(self, numbers: range) -> None:
        """Change the declared routes of these files from profile to managed, or back."""
        turned = {PROFILE: MANAGED, MANAGED: PROFILE}
        for number in numbers:
            path = self.path(number)
            lines = path.read_text().splitlines(keepends=True)
            path.write_text("".join(turned.get(line, line) for line in lines))
