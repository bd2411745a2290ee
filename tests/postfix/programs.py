"""Postfix and dnsmasq, where the tests find them: unpacked by ``make test``, or installed."""

import grp
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from sendroute.model.platform import Platform
from sendroute.postfix.parameters import Parameter, client_parameters

UNPACKED = Path(__file__).parents[2] / ".postfix"
NAMESPACE = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"),
)
"""A namespace of mounts, and of processes that all end with its first one, or with the tests, even
if the tests are killed (prctl(2), PR_SET_PDEATHSIG)."""
PASSED_ON = "MAIL_CONFIG LD_LIBRARY_PATH SASL_PATH PATH POSTLOG_SERVICE POSTLOG_HOSTNAME"
"""Variables that Postfix needs besides the usual ones, because it is not installed."""


def search_path() -> str:
    """Where the programs are; unpacked ones first, because they come with all their packages."""
    directories = (UNPACKED / "usr/sbin", os.environ.get("PATH", ""), "/usr/sbin")
    return os.pathsep.join(map(str, directories))


def program(name: str) -> str | None:
    """The path of a program; None if it is missing."""
    return shutil.which(name, path=search_path())


def root() -> Path:
    """The directory that holds Postfix's ``usr``."""
    client = program("postfix")
    return UNPACKED if client and client.startswith(str(UNPACKED)) else Path("/")


SOURCE = str(Path(__file__).parents[2] / "operator")
"""This program, and not one that is installed elsewhere."""


def environment(config: Path) -> dict[str, str]:
    """The variables that Postfix's programs are run with."""
    sasl = next(root().glob("usr/lib/*/sasl2"), None)
    libraries = [UNPACKED / "usr/lib/postfix", *UNPACKED.glob("usr/lib/*-linux-gnu")]
    return {
        **os.environ,
        "PATH": search_path(),
        "PYTHONPATH": SOURCE,
        "MAIL_CONFIG": str(config),
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        **({"SASL_PATH": str(sasl)} if sasl is not None else {}),
    }


def why_not() -> str | None:
    """Why no Postfix can be started here; None if one can."""
    missing = [name for name in ("postfix", "dnsmasq") if program(name) is None]
    if missing:
        return f"{' and '.join(missing)} missing: .ci/postfix unpacks Debian's packages"
    if os.getuid() != 0 or shutil.which("unshare") is None:
        return "Postfix starts as root only, and unshare must be there"
    if subprocess.run((*NAMESPACE, "true"), capture_output=True).returncode != 0:
        return "this machine allows no process namespaces"
    has_plain = any(root().glob("usr/lib/*/sasl2/libplain.so"))
    return None if has_plain else "libsasl2-modules is missing"


def real_mail() -> pytest.MarkDecorator:
    """The mark of tests that start Postfix. In CI they fail where it cannot start; elsewhere they
    are skipped, and say so."""
    reason = why_not()
    if reason is not None and os.environ.get("REAL_MAIL_TESTS") == "required":
        pytest.fail(f"NO REAL MAIL: {reason}")
    return pytest.mark.skipif(reason is not None, reason=f"NO REAL MAIL: {reason}")


def settle(config: Path) -> None:
    """Make main.cf look older. Every program of Postfix waits until nobody has changed it for two
    seconds, in case it is still being written."""
    past = time.time() - 10
    os.utime(config / "main.cf", (past, past))


def parameters_text(parameters: Iterable[Parameter]) -> str:
    return "".join(f"{name} = {value}\n" for name, value, *_ in parameters)


def client_cf(name: str) -> str:
    """The parameters of every client, from the one description that connection tests have."""
    platform = Platform(None, (), helo_name=name)
    return (
        f"compatibility_level = 3.6\nmyhostname = {name}\n"
        f"{parameters_text(client_parameters(platform))}{owners_cf()}"
    )


def owners_cf() -> str:
    """Postfix insists on a user and groups that nobody shares. It need not be its own."""
    owner, group, other = _unprivileged()
    return f"mail_owner = {owner}\nsetgid_group = {group}\ndefault_privs = {other}\n"


def mail_owner() -> str:
    return _unprivileged()[0]


def _unprivileged() -> tuple[str, str, str]:
    users = [user for user in pwd.getpwall() if user.pw_uid != 0]
    gids = [user.pw_gid for user in users]
    uids = [user.pw_uid for user in users]
    owner = next(user for user in users if gids.count(user.pw_gid) == uids.count(user.pw_uid) == 1)
    group = next(group for group in grp.getgrall() if group.gr_gid not in (0, *gids))
    other = next(user for user in users if user.pw_uid != owner.pw_uid)
    return owner.pw_name, group.gr_name, other.pw_name


def directories_cf(home: Path, meta: Path) -> str:
    """The directories of a private Postfix, which shares nothing with an installed one. ``meta``
    holds its postfix-files and dynamicmaps.cf."""
    base = root()
    return f"""\
queue_directory = {home}/spool
data_directory = {home}/data
command_directory = {base}/usr/sbin
daemon_directory = {base}/usr/lib/postfix/sbin
shlib_directory = {base}/usr/lib/postfix
meta_directory = {meta}
sendmail_path = {base}/usr/sbin/sendmail
maillog_file = {home}/log
maillog_file_prefixes = {home}
export_environment = {PASSED_ON} HOSTALIASES
queue_minfree = 0
inet_protocols = ipv4
"""
