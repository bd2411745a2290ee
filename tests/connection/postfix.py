"""Postfix, where the tests find it: installed, or unpacked by ``make test``."""

import grp
import os
import pwd
import shutil
from pathlib import Path

from sendroute.model.smtp_client import SMTP_CLIENT

from .peers import CLIENT

UNPACKED = Path(__file__).parents[2] / ".postfix"


def program(name: str) -> str | None:
    """The path of one of Postfix's programs; None if Postfix is missing."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", str(UNPACKED / "usr/sbin")))
    return shutil.which(name, path=path)


def root() -> Path:
    """The directory that holds Postfix's ``usr``."""
    client = program("postfix")
    return UNPACKED if client and client.startswith(str(UNPACKED)) else Path("/")


def environment(config: Path) -> dict[str, str]:
    sasl = next(root().glob("usr/lib/*/sasl2"), None)
    return {
        **os.environ,
        "MAIL_CONFIG": str(config),
        "LD_LIBRARY_PATH": str(UNPACKED / "usr/lib/postfix"),
        **({"SASL_PATH": str(sasl)} if sasl is not None else {}),
    }


def main_cf() -> str:
    """The settings of every client, from the one description that connection tests have."""
    return f"""\
compatibility_level = 3.6
myhostname = {CLIENT}
smtp_helo_name = {CLIENT}
smtp_sasl_mechanism_filter = {", ".join(SMTP_CLIENT.mechanisms)}
smtp_tls_mandatory_protocols = >={SMTP_CLIENT.tls_minimum}
smtp_tls_mandatory_ciphers = medium
tls_medium_cipherlist = {SMTP_CLIENT.ciphers}
smtp_mx_address_limit = {SMTP_CLIENT.max_addresses}
smtp_mx_session_limit = {SMTP_CLIENT.max_addresses}
smtp_connect_timeout = {SMTP_CLIENT.timeout}
smtp_helo_timeout = {SMTP_CLIENT.timeout}
{_unprivileged()}"""


def _unprivileged() -> str:
    """Postfix insists on a user and groups that nobody shares. It need not be its own."""
    users = [user for user in pwd.getpwall() if user.pw_uid != 0]
    gids = [user.pw_gid for user in users]
    uids = [user.pw_uid for user in users]
    owner = next(user for user in users if gids.count(user.pw_gid) == uids.count(user.pw_uid) == 1)
    group = next(group for group in grp.getgrall() if group.gr_gid not in (0, *gids))
    other = next(user for user in users if user.pw_uid != owner.pw_uid)
    return (
        f"mail_owner = {owner.pw_name}\nsetgid_group = {group.gr_name}\n"
        f"default_privs = {other.pw_name}\n"
    )
