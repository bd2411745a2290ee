"""The lookup tables, as Postfix reads them (sqlite_table(5), regexp_table(5)).

``expansion_limit = 1`` makes a second row an error and not a list. The key is in single quotes:
Postfix escapes it for those alone. ``%d`` is the domain of an address and suppresses every lookup
of something else, such as parent domains (access(5)).
"""

import re
from typing import NamedTuple

from sendroute.delivery.sender import FOLDED_LETTERS

DATABASE = "tables.sqlite"
ALIASES = "aliases"
"""Lines ``p42r7 smtp.provider.com`` (hostname(7), HOSTALIASES)."""


class Table(NamedTuple):
    """One definition: ``name`` of its file, ``table`` of the database, and key and value as SQL."""

    name: str
    table: str
    key: str
    comment: str
    value: str = "value"

    @property
    def file(self) -> str:
        """The name of the file that defines it."""
        return f"{self.name}.cf"

    def map(self, directory: str) -> str:
        """How Postfix calls it: ``type:table`` (DATABASE_README)."""
        return f"sqlite:{directory}/{self.file}"

    def definition(self, directory: str) -> str:
        """The content of its file."""
        lines = (
            f"# {self.comment} sqlite_table(5).",
            f"dbpath = {directory}/{DATABASE}",
            f"query = SELECT {self.value} FROM {self.table} WHERE {self.key}",  # noqa: S608 - our own
            "expansion_limit = 1",
        )
        return "\n".join(lines) + "\n"


_OF_DOMAIN = "key = '%d'"
_OF_KEY = "key = '%s'"
_OF_NULL_SENDER = "key = '%s' AND key = '<>'"

ACCESS = Table("access", "access", _OF_DOMAIN, "OK or REJECT, by the sender's domain.")
NULL_ACCESS = Table("access-null", "access", _OF_NULL_SENDER, "The same, for the null sender.")
TRANSPORT = Table("transport", "transport", _OF_DOMAIN, "transport:nexthop, by sender's domain.")
NULL_TRANSPORT = Table(
    "transport-null", "transport", _OF_NULL_SENDER, "The same, for the null sender."
)
CREDENTIALS = Table("credentials", "credentials", _OF_KEY, "user:password, by alias.")
TLS_POLICY = Table("tls-policy", "tls_policy", _OF_KEY, "The name to verify, by [alias]:port.")
SENDERS = Table("senders", "senders", _OF_DOMAIN, "Logins that own a domain.")
CLOSED_SENDERS = Table(
    "senders-closed",
    "senders",
    _OF_DOMAIN,
    "REJECT for a domain whose account specifies logins: for clients that are not signed in.",
    "'REJECT 5.7.1 Only clients that sign in may send as this domain'",
)

TABLES = (
    ACCESS,
    NULL_ACCESS,
    TRANSPORT,
    NULL_TRANSPORT,
    CREDENTIALS,
    TLS_POLICY,
    SENDERS,
    CLOSED_SENDERS,
)

FOLDED_COMMANDS = "folded-commands"
FOLDED_ROUTES = "folded-routes"
UNKNOWN_SENDERS = "unknown-senders"
DELIVERY_STATUS = "delivery-status"

_FOLDED = f"({'|'.join(FOLDED_LETTERS)})"
_MAIL_FROM = "^MAIL[[:space:]]+FROM[[:space:]]*:"
_END = ">?([[:space:]].*)?$"
_STAND_IN = "sender@folded.invalid"

PATTERNS = {
    FOLDED_COMMANDS: f"""\
# Postfix folds these letters of a sender's domain before it looks it up, also in a table of
# patterns, and would find another domain. So it reads another sender instead, which is refused:
# postconf(5) smtpd_command_filter, regexp_table(5). A domain follows an @, or is in an old form
# without one.
/{_MAIL_FROM}.*@[^@>]*{_FOLDED}[^@>]*{_END}/ MAIL FROM:<{_STAND_IN}>
/{_MAIL_FROM}[^@>]*{_FOLDED}[^@>]*{_END}/ MAIL FROM:<{_STAND_IN}>
""",
    FOLDED_ROUTES: f"""\
# The same for mail that comes without SMTP, such as sendmail(1)'s: it waits.
/@[^@]*{_FOLDED}[^@]*$/ retry:4.7.1 Write the domain of the sender in its ASCII form (xn--)
""",
    UNKNOWN_SENDERS: f"""\
# The refusal of every sender that the access table does not have: regexp_table(5), access(5).
/^{re.escape(_STAND_IN)}$/ REJECT 5.7.1 Write the domain of the sender in its ASCII form (xn--)
/^<>$/ REJECT 5.7.1 Bounces are not accepted here: no relay is set for them
/@([^@]+)$/ REJECT 5.7.1 No account here has the domain $1: declare it, then send again
/^/ REJECT 5.7.1 No account here has this sender: use an address with your domain
""",
    DELIVERY_STATUS: """\
# "Host not found" of an alias delays the mail (4.4.4) and does not return it (5.4.4): postconf(5)
# default_delivery_status_filter, RFC 3463, 3.5.
/^5\\.4\\.4( .*)$/ 4.4.4$1
""",
}

INSTALLED = "installed.cf"

CONFIGURATION = (
    "main.cf",
    "master.cf",
    INSTALLED,
    *(table.file for table in TABLES),
    *PATTERNS,
)
"""The files that configuring a Postfix writes."""
