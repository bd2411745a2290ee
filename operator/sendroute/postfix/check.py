"""Whether a running Postfix gives the routes that the record says."""

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sendroute.delivery.explain import Explanation, Nexthop
from sendroute.delivery.sender import NULL_SENDER
from sendroute.files.reason import reason_of
from sendroute.files.regular import regular
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Severity
from sendroute.model.platform import Relay
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import ConfigurePostfix
from sendroute.model.smtp_client import tls_policy
from sendroute.model.words import first_of
from sendroute.postfix.installed import Postfix
from sendroute.postfix.tables import (
    ACCESS,
    ALIASES,
    CREDENTIALS,
    DATABASE,
    NULL_ACCESS,
    NULL_TRANSPORT,
    PATTERNS,
    SENDERS,
    TABLES,
    TLS_POLICY,
    TRANSPORT,
    Table,
)

_AT_ONCE = 20_000
_LOCAL_PART = "sendroute-check"


class SenderLookup(NamedTuple):
    """A sender as Postfix looks it up: ``key`` is the domain, or ``<>``."""

    key: str
    explanation: Explanation

    @property
    def address(self) -> str:
        """The key of the lookup."""
        return self.key if self.key == NULL_SENDER else f"{_LOCAL_PART}@{self.key}"


def check_running(postfix: Postfix, directory: str) -> Iterator[Finding]:
    """Whether Postfix runs, and was started with the file of aliases.

    Args:
        postfix: the Postfix.
        directory: the absolute path of the lookup tables.

    Yields:
        ``postfix-not-running`` or ``postfix-restart``.
    """
    if postfix.master is None:
        yield finding(
            "postfix-not-running",
            "Postfix is not running.",
            hint="Start the relay's agent, then Postfix.",
        )
        return
    aliases = postfix.environment("HOSTALIASES")
    if aliases is not None and aliases != f"{directory}/{ALIASES}":
        yield finding(
            "postfix-restart",
            f"The running Postfix does not know the file {directory}/{ALIASES}, because it was"
            " started without it.",
            hint="Restart Postfix; a reload does not change its environment.",
        )


def check_tables(directory: str) -> list[Finding]:
    """Check that the lookup tables are there. Without them no answer can be compared.

    Args:
        directory: the directory of the tables.

    Returns:
        ``tables-missing`` for what is missing; ``unreadable`` if that is unknown.
    """
    path = Path(directory)
    definitions = (*(table.file for table in TABLES), *PATTERNS)
    try:
        undefined = [name for name in definitions if not (path / name).is_file()]
        missing = [name for name in (DATABASE, ALIASES) if not (path / name).is_file()]
    except OSError as error:
        reason = reason_of(error)
        return [
            finding(
                "unreadable",
                f"The directory {directory} cannot be read: {reason}.",
                hint="Correct the path or the disk."
                if os.geteuid() == 0
                else "Run the check as root, or as a member of the group of Postfix.",
            )
        ]
    findings = [
        finding(
            "tables-missing",
            f"{path / name} is missing.",
            hint="Start the relay's agent with this directory; it writes the tables.",
        )
        for name in missing
    ]
    if undefined:
        findings.append(
            finding(
                "tables-missing",
                f"The directory {directory} lacks {first_of(undefined, 3)}, which Postfix's"
                " parameters refer to.",
                hint="Write these definitions of tables.",
                remedy=ConfigurePostfix(directory, installs=False),
            )
        )
    return findings


def check_sign_in(postfix: Postfix, directory: str) -> Iterator[Finding]:
    """Whether clients can sign in, if accounts specify which clients may send as their domains.

    Args:
        postfix: the Postfix.
        directory: the absolute path of the lookup tables.

    Yields:
        ``postfix-setting`` if nobody can send as these domains.
    """
    if postfix.signs_in:
        return
    with _tables(directory) as database:
        (count,) = database.execute(f"SELECT count(*) FROM {SENDERS.table}").fetchone()  # noqa: S608
    if count:
        yield finding(
            "postfix-setting",
            f"Postfix's smtpd_sasl_auth_enable is `no`, so nobody can send as the domains whose"
            f" accounts specify logins; {SENDERS.table} has {count} of them.",
            hint="Let clients sign in: SASL_README of Postfix.",
        )


@contextmanager
def _tables(directory: str) -> Iterator[sqlite3.Connection]:
    """The tables, to read. Raises ProblemError (``tables-damaged``)."""
    try:
        with closing(sqlite3.connect(f"file:{directory}/{DATABASE}?mode=ro", uri=True)) as database:
            yield database
    except sqlite3.Error as error:
        raise ProblemError(
            finding(
                "tables-damaged",
                f"{directory}/{DATABASE} cannot be read as lookup tables.",
                hint="Read the log of the relay's agent, which builds damaged tables again.",
                severity=Severity.ERROR,
            )
        ) from error


def compare(postfix: Postfix, directory: str, senders: Iterable[SenderLookup]) -> Iterator[Finding]:
    """Look up every sender as Postfix does, and compare the answers with the record.

    Args:
        postfix: the Postfix, whose programs look up.
        directory: the absolute path of the lookup tables.
        senders: all senders, or some of them.

    Yields:
        A finding for each difference (``route-differs``).

    Raises:
        ProblemError: a table is unreadable (``postfix-failed``).
    """
    nexthops: dict[str, Nexthop] = {}
    remaining = iter(senders)
    while batch := list(islice(remaining, _AT_ONCE)):
        null = [sender for sender in batch if sender.key == NULL_SENDER]
        others = [sender for sender in batch if sender.key != NULL_SENDER]
        yield from _compared(postfix, directory, others, ACCESS, TRANSPORT)
        yield from _compared(postfix, directory, null, NULL_ACCESS, NULL_TRANSPORT)
        for sender in batch:
            if (to := sender.explanation.nexthop) is not None:
                nexthops[to.transport] = to
    yield from _compared_nexthops(postfix, directory, nexthops.values())


def surplus(directory: str, known: Collection[str]) -> Iterator[Finding]:
    """Senders that the tables have and the store does not.

    Args:
        directory: the absolute path of the lookup tables.
        known: the keys of all senders of the store.

    Yields:
        A finding for each (``route-differs``).
    """
    with _tables(directory) as database:
        for table in (ACCESS, TRANSPORT, SENDERS):
            query = f"SELECT key FROM {table.table} ORDER BY key"  # noqa: S608 - our own name
            for (key,) in database.execute(query):
                if key not in known:
                    yield _differs(key, table, "a row", "no row, because it has no such domain")


def _compared(
    postfix: Postfix, directory: str, senders: list[SenderLookup], access: Table, transport: Table
) -> Iterator[Finding]:
    if not senders:
        return
    keys = [sender.address for sender in senders]
    allowed = postfix.look_up(keys, access.map(directory))
    routes = postfix.look_up(keys, transport.map(directory))
    for sender, key in zip(senders, keys, strict=True):
        to, has = sender.explanation.nexthop, sender.explanation.row is not None
        expected = "OK" if to is not None else "REJECT 5.7.1"
        answer = allowed.get(key)
        is_refused = answer is None and not has and sender.key != NULL_SENDER
        is_right = answer == "OK" if to is not None else (answer or "").startswith(expected)
        if not is_right and not is_refused:
            yield _differs(sender.key, access, _shown(answer), expected)
        route = to.transport if to is not None else None
        if routes.get(key) != route:
            yield _differs(sender.key, transport, _shown(routes.get(key)), _shown(route))
    if access is ACCESS:
        yield from _compared_clients(postfix, directory, senders)


def _compared_clients(
    postfix: Postfix, directory: str, senders: list[SenderLookup]
) -> Iterator[Finding]:
    """A domain without its logins is open to every client."""
    clients = postfix.look_up([sender.address for sender in senders], SENDERS.map(directory))
    for sender in senders:
        expected = ", ".join(sender.explanation.logins or ()) or None
        answer = clients.get(sender.address)
        if answer != expected:
            yield _differs(sender.key, SENDERS, _shown(answer), _shown(expected))


def _compared_nexthops(
    postfix: Postfix, directory: str, nexthops: Collection[Nexthop]
) -> Iterator[Finding]:
    aliases = _aliases(directory)
    signed = postfix.look_up([to.site for to in nexthops], CREDENTIALS.map(directory))
    policies = postfix.look_up([to.destination for to in nexthops], TLS_POLICY.map(directory))
    for to in nexthops:
        name, host = to.site, to.host.removesuffix(".")
        if name == to.alias and aliases.get(name) != host:
            yield _differs(name, None, _shown(aliases.get(name)), _shown(host))
        if (name in signed) is not (to.secret is not None):
            has, should = ("a credential", "none")[:: 1 if name in signed else -1]
            yield _differs(name, CREDENTIALS, has, should)
        policy = tls_policy(Relay(to.host, to.port, to.encryption))
        answer = policies.get(to.destination)
        words = (answer or "").split()
        if policy.verify is not None and f"match={policy.verify}" not in words:
            yield _differs(to.destination, TLS_POLICY, _shown(answer), f"match={policy.verify}")


def _aliases(directory: str) -> dict[str, str]:
    with open(Path(directory, ALIASES), encoding="utf-8", opener=regular) as file:
        lines = file.read().splitlines()
    pairs = (line.split(None, 1) for line in lines)
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}


def _shown(value: str | None) -> str:
    return f"`{value}`" if value is not None else "no row"


def _differs(key: str, table: Table | None, has: str, expected: str) -> Finding:
    where = f"table {table.name}" if table is not None else "file of aliases"
    return finding(
        "route-differs",
        f"{key} has {has} in Postfix's {where}, but the store says {expected}.",
        hint="Look at the relay's agent: does it serve the store's revision, and does it have the"
        " key of the credentials?",
    )
