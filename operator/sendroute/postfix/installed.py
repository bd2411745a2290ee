"""A Postfix of this machine: what it was built with, and what it is configured with.

Everything is asked of Postfix's own programs (postconf(1), postmap(1)).
"""

import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from sendroute.files.reason import reason_of
from sendroute.model.child_environment import child_environment, is_ours
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import InstallPackage
from sendroute.model.smtp_client import SMTP_CLIENT

Program = Literal["postconf", "postfix", "postmap", "postqueue"]
"""The programs that are started: no other may be (postfix(1))."""

OLDEST = (3, 5)
_PROGRAMS = "/usr/sbin:/usr/local/sbin"
_PLUGINS = ("/usr/lib/*/sasl2", "/usr/lib64/sasl2", "/usr/lib/sasl2", "/usr/local/lib/sasl2")
_READERS = frozenset({"smtpd", "trivial-rewrite"})
"""The programs that read the lookup tables, besides the SMTP clients of Sendroute."""
_TIMEOUT = 60


class Postfix:
    """A Postfix, by the directory of its configuration.

    Args:
        config: the directory of main.cf and master.cf; None for Postfix's own default.
    """

    def __init__(self, config: str | None) -> None:
        self.config = config

    def run(self, program: Program, *arguments: str, text: str | None = None) -> str:
        """Run one of Postfix's programs.

        Args:
            program: its name.
            arguments: its arguments, besides the directory of the configuration.
            text: its standard input; None for none.

        Returns:
            Its standard output.

        Raises:
            ProblemError: it is missing (``postfix-missing``), or it failed (``postfix-failed``).
            ValueError: it is no program of Postfix.
        """
        if program not in get_args(Program):
            raise ValueError(f"{program} is no program of Postfix")
        variables = _environment()
        executable = shutil.which(program, path=variables["PATH"])
        if executable is None:
            raise ProblemError(
                finding(
                    "postfix-missing",
                    f"Postfix's program {program} is not on this machine.",
                    hint="Install the packages postfix, postfix-sqlite and libsasl2-modules.",
                )
            )
        configuration = ("-c", self.config) if self.config is not None else ()
        try:
            done = subprocess.run(
                (executable, *configuration, *arguments),
                input=text or "",
                capture_output=True,
                encoding="utf-8",
                errors="surrogateescape",  # a value that is not UTF-8 is set again as it was
                timeout=_TIMEOUT,
                env=variables,
            )
        except OSError as error:
            reason = f"{executable} cannot be run: {reason_of(error)}"
            raise ProblemError(_failed(program, reason)) from error
        except subprocess.TimeoutExpired:
            raise ProblemError(_failed(program, f"no answer within {_TIMEOUT} seconds")) from None
        # postmap exits with 1 if a key has no row (postmap(1)).
        if done.returncode != 0 and (program != "postmap" or "fatal" in done.stderr):
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise ProblemError(_failed(program, lines[-1]))
        return done.stdout

    @cached_property
    def version(self) -> tuple[int, ...]:
        """``mail_version``: the numbers before anything else."""
        text = self.run("postconf", "-dh", "mail_version")
        return tuple(map(int, re.findall(r"\d+", text.partition("-")[0])))

    @cached_property
    def explicit(self) -> dict[str, str]:
        """The parameters that main.cf sets."""
        return dict(_pairs(self.run("postconf", "-n").splitlines()))

    def value(self, name: str) -> str:
        """Return a parameter in effect, with its references expanded (postconf(1), ``-x``).

        Args:
            name: the parameter.
        """
        return self.run("postconf", "-xh", name).strip()

    @cached_property
    def fields(self) -> dict[str, dict[str, str]]:
        """The fields of each service of master.cf, by ``name/type``."""
        return self._of_services("-F")

    @cached_property
    def overrides(self) -> dict[str, dict[str, str]]:
        """The overrides (``-o``) of each service of master.cf, by ``name/type``."""
        return self._of_services("-P")

    def _of_services(self, option: str) -> dict[str, dict[str, str]]:
        services: dict[str, dict[str, str]] = {}
        for key, value in _pairs(self.run("postconf", option).splitlines()):
            service, _, name = key.rpartition("/")
            services.setdefault(service, {})[name] = value
        return services

    def program_of(self, key: str) -> str:
        """The program of a service of master.cf, by ``name/type``."""
        return self.fields[key]["command"].split(" ")[0]

    @property
    def signs_in(self) -> bool:
        """Whether a service of smtpd lets clients sign in."""
        name = "smtpd_sasl_auth_enable"
        overrides = (value for _, _, value in self.overrides_of("smtpd", [name]))
        return "yes" in (self.value(name), *overrides)

    def reading_in_chroot(self) -> list[str]:
        """The services that read lookup tables in a chroot, where SQLite does not find its files.
        The field's default depends on the compatibility level (master(5))."""
        level = self.value("compatibility_level")
        default = "y" if level.split(".")[0] == "0" else "n"
        return [
            key
            for key, fields in self.fields.items()
            if self.program_of(key) in _READERS
            and (default if fields["chroot"] == "-" else fields["chroot"]) == "y"
        ]

    def overrides_of(self, program: str, names: Iterable[str]) -> list[tuple[str, str, str]]:
        """Where a service of a program sets one of these for itself: service, name and value."""
        chosen = frozenset(names)
        return [
            (key, name, value)
            for key, overrides in self.overrides.items()
            if self.program_of(key) == program
            for name, value in overrides.items()
            if name in chosen
        ]

    def missing_requirements(self) -> list[Finding]:
        """Return what this Postfix lacks: a finding for each package, and for its version."""
        findings: list[Finding] = []
        if self.version[:2] < OLDEST:
            version, oldest = (".".join(map(str, number)) for number in (self.version, OLDEST))
            findings.append(
                finding(
                    "postfix-version",
                    f"Postfix {version} is older than {oldest}, the oldest that is supported.",
                    hint="Upgrade Postfix.",
                )
            )
        if not self._opens_sqlite():
            findings.append(_package("postfix-sqlite", "it cannot read SQLite tables"))
        if "cyrus" not in self.run("postconf", "-A").split():
            findings.append(_package("libsasl2-modules", "its SMTP client cannot sign in"))
        elif missing := _missing_plugins():
            findings.append(
                _package("libsasl2-modules", f"the sign-in by {' and '.join(missing)} is missing")
            )
        return findings

    def _opens_sqlite(self) -> bool:
        """A package may list the type of table and leave its library to another one. The probe is a
        table that can be read, because Postfix logs every failure."""
        if "sqlite" not in self.run("postconf", "-m").split():
            return False
        with tempfile.TemporaryDirectory(prefix="sendroute-") as home:
            tables, definition = Path(home, "empty.sqlite"), Path(home, "empty.cf")
            with closing(sqlite3.connect(tables)) as database:
                database.execute("CREATE TABLE empty (key TEXT, value TEXT)")
            query = "SELECT value FROM empty WHERE key = '%s'"
            definition.write_text(f"dbpath = {tables}\nquery = {query}\n")
            os.utime(definition, (0, 0))  # Postfix waits until a new file is two seconds old
            try:
                self.run("postmap", "-q", "x", f"sqlite:{definition}")
            except ProblemError as problem:
                return "unsupported dictionary type" not in str(problem)
        return True

    def look_up(self, keys: Sequence[str], table: str) -> dict[str, str]:
        """Look up keys as Postfix does (``postmap -q``).

        Args:
            keys: the keys; none may hold a line end.
            table: ``type:table``.

        Returns:
            The value of each key that the table has.

        Raises:
            ProblemError: the table is unreadable (``postfix-failed``).
        """
        answer = self.run("postmap", "-q", "-", table, text="".join(f"{key}\n" for key in keys))
        return dict(line.split("\t", 1) for line in answer.splitlines())

    @cached_property
    def master(self) -> int | None:
        """The process id of its running master(8); None if it is not running."""
        try:
            number = int(Path(self.value("queue_directory"), "pid/master.pid").read_text())
            os.kill(number, 0)
        except (OSError, ValueError):
            return None
        return number

    def environment(self, name: str) -> str | None:
        """A variable of the running Postfix, as the processes of its master have it; None without
        it, and if it cannot be read."""
        for child in _queue_managers(self.master or 0):
            try:
                content = Path(f"/proc/{child}/environ").read_bytes()
            except OSError:
                continue
            pairs = (item.partition(b"=") for item in content.split(b"\0"))
            return next((os.fsdecode(value) for key, _, value in pairs if key == name.encode()), "")
        return None


def _environment() -> dict[str, str]:
    variables = child_environment(os.environ, lambda name: not is_ours(name))
    return {**variables, "PATH": f"{variables['PATH']}:{_PROGRAMS}", "LC_ALL": "C.UTF-8"}


def _queue_managers(master: int) -> Iterator[str]:
    """The process ids of the children of a master that are its queue manager, qmgr(8). In a
    container the first process may have other children."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        if rest.split()[1] == str(master) and name.endswith("(qmgr"):
            yield stat.parent.name


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, equals, value = line.partition("=")
        if equals:
            yield name.strip(), value.strip()


def _missing_plugins() -> list[str]:
    directories = [Path(path) for path in os.environ.get("SASL_PATH", "").split(":") if path]
    for pattern in _PLUGINS:
        directories += Path("/").glob(pattern.removeprefix("/"))
    return [
        name.upper()
        for name in SMTP_CLIENT.mechanisms
        if not any(any(directory.glob(f"lib{name}.so*")) for directory in directories)
    ]


def _package(name: str, lack: str) -> Finding:
    return finding(
        "postfix-package",
        f"Postfix needs the package {name}: {lack}.",
        hint="Install it, or the package of your system that has it.",
        remedy=InstallPackage(name),
    )


def _failed(program: str, reason: str) -> Finding:
    return finding(
        "postfix-failed",
        f"Postfix's program {program} failed: {reason}",
        hint="Correct what Postfix reports."
        if os.geteuid() == 0
        else "Correct what Postfix reports, or run it as root.",
    )
