"""The parameters of Postfix, as data; each comment names the manual that explains it.

What delivery needs is set for the services of Sendroute alone (:mod:`.services`), so other
deliveries of the same Postfix stay as they are. main.cf gets only what Postfix reads for all mail.
"""

import re
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import NamedTuple

from sendroute.model.codes import finding
from sendroute.model.platform import Platform
from sendroute.model.problem import ProblemError
from sendroute.model.smtp_client import SMTP_CLIENT, ehlo_name
from sendroute.postfix import tables

DEFAULT_ENVIRONMENT = (
    "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ XAUTHORITY DISPLAY LANG=C POSTLOG_SERVICE"
    " POSTLOG_HOSTNAME"
)
"""The default of import_environment in Postfix 3.4 and later."""


SENDER_SYNTAX = ("allow_percent_hack", "swap_bangpath", "resolve_dequoted_address")
"""Old forms of an address, in which another domain is hidden before the @: ``x%a.example@``."""

_NULL_SENDER_KEYS = (
    "smtpd_null_access_lookup_key",
    "empty_address_default_transport_maps_lookup_key",
)


class Match(Enum):
    """When a value that a user set is as good as the one that mail needs."""

    EQUAL = auto()
    CONTAINS = auto()
    """It has the word as well; the word is added to whatever is there."""
    ENDS_WITH = auto()
    """It ends with the same restrictions; earlier ones only refuse more."""
    CHOICE = auto()
    """A user's choice is kept: it takes some mail off its sender's route."""


class Parameter(NamedTuple):
    """A parameter of main.cf (postconf(5)), or an override of it for one service (master(5)).
    ``comment`` is written above it."""

    name: str
    value: str
    comment: str
    match: Match = Match.EQUAL

    def is_met_by(self, value: str) -> bool:
        """Whether a value of Postfix does what this one does (spaces and commas separate)."""
        words, needed = words_of(value), words_of(self.value)
        match self.match:
            case Match.CONTAINS:
                return needed[-1] in words
            case Match.ENDS_WITH:
                earlier = words[: -len(needed)]
                return words[-len(needed) :] == needed and not _permits(earlier)
            case _:
                return words == needed

    def missing_items(self, value: str) -> list[str]:
        """The items of this parameter that a value of Postfix does not have."""
        has = f" {' '.join(words_of(value))} "
        items = [" ".join(words_of(item)) for item in self.value.split(", ")]
        if self.match is Match.CONTAINS:
            items = words_of(self.value)[-1:]
        return [item for item in items if f" {item} " not in has]

    def after(self, value: str, written: Iterable[str]) -> str | None:
        """The value that replaces a present one which Sendroute wrote.

        Args:
            value: the present value.
            written: what Sendroute may have written.

        Returns:
            The new value; restrictions that a user put before Sendroute's own stay. None if the
            present value is a user's, or permits a sender before Sendroute's restrictions are read.
        """
        for earlier in sorted(filter(words_of, written), key=len, reverse=True):
            pattern = r"[\s,]+".join(map(re.escape, words_of(earlier)))
            match = re.fullmatch(rf"(|.*[\s,]){pattern}[\s,]*", value, re.DOTALL)
            earlier_words = words_of(match[1]) if match else []
            kept = self.match is Match.ENDS_WITH and not _permits(earlier_words)
            if match and (kept or not earlier_words):
                return f"{match[1].lstrip()}{self.value}"
        return None

    def merged(self, value: str | None) -> "Parameter":
        """This parameter; if it only adds a word, the present value with that word."""
        if value is None or self.match is not Match.CONTAINS:
            return self
        added = words_of(self.value)[-1]
        name, equals, _ = added.partition("=")
        kept = [word for word in words_of(value) if not word.startswith(name + equals)]
        return self._replace(value=" ".join([*kept, added]))


def words_of(value: str) -> list[str]:
    """The items of a list in main.cf (postconf(5): separated by commas or whitespace)."""
    return value.replace(",", " ").split()


def _permits(words: list[str]) -> bool:
    """Whether restrictions keep the next ones from being read, or from refusing:
    SMTPD_ACCESS_README, "How Postfix evaluates"; postconf(5), ``warn_if_reject``."""
    return any(word.startswith("permit") for word in words) or words[-1:] == ["warn_if_reject"]


def main_parameters(directory: str, *, signs_in: bool = True) -> tuple[Parameter, ...]:
    """What main.cf needs for all mail of this Postfix.

    Args:
        directory: the absolute path of the lookup tables.
        signs_in: clients sign in. Otherwise smtpd would warn of each message that nobody can be
            compared with the logins of a domain.

    Returns:
        The parameters.
    """
    return (*_routes(directory), *_senders(directory, signs_in=signs_in), *_RECIPIENTS)


def own_values(name: str, value: str) -> Iterator[str]:
    """What this program writes for a parameter, whatever a server's other parameters are.

    Args:
        name: the parameter.
        value: its present value, which holds the directory of its tables.

    Yields:
        Its value for clients that sign in, and for others; and that of earlier versions.
    """
    for directory in set(re.findall(r":(/[^\s,]*)/[^/\s,]+", value)):
        if name == "sender_dependent_default_transport_maps":
            # From before the senders with folded letters were refused.
            yield f"{tables.TRANSPORT.map(directory)}, {tables.NULL_TRANSPORT.map(directory)}"
        for signs_in in (True, False):
            for parameter in main_parameters(directory, signs_in=signs_in):
                if parameter.name == name:
                    yield parameter.value


def _routes(directory: str) -> tuple[Parameter, ...]:
    return (
        Parameter(
            "import_environment",
            f"{DEFAULT_ENVIRONMENT} HOSTALIASES={directory}/{tables.ALIASES}",
            "Names the file that turns the alias of a nexthop (p42r7) into its host: postconf(5)"
            " import_environment, hostname(7) HOSTALIASES. Postfix reads it when it starts.",
            Match.CONTAINS,
        ),
        Parameter(
            "sender_dependent_default_transport_maps",
            f"regexp:{directory}/{tables.FOLDED_ROUTES}, {tables.TRANSPORT.map(directory)},"
            f" {tables.NULL_TRANSPORT.map(directory)}",
            "The route by the sender's domain: postconf(5). Bounces have an entry of their own.",
        ),
        Parameter(
            "default_transport",
            "retry:4.7.1 The domain of the sender has no route at present",
            "Mail without a route waits; it is never sent to the recipient's MX: postconf(5),"
            " error(8) retry.",
        ),
    )


def _senders(directory: str, *, signs_in: bool) -> tuple[Parameter, ...]:
    compared = ("reject_known_sender_login_mismatch",) if signs_in else ()
    restrictions = (
        *compared,
        f"check_sender_access {tables.ACCESS.map(directory)}",
        f"check_sender_access {tables.NULL_ACCESS.map(directory)}",
        f"check_sender_access regexp:{directory}/{tables.UNKNOWN_SENDERS}",
        "reject",
    )
    again = (
        *compared,
        "permit_sasl_authenticated",
        f"check_sender_access {tables.CLOSED_SENDERS.map(directory)}",
    )
    return (
        Parameter(
            "smtpd_sender_restrictions",
            ", ".join(restrictions),
            "Who may send: postconf(5) smtpd_sender_restrictions, access(5). The order matters:"
            " first whose domain it is, then its route, and last a refusal for every other domain.",
            Match.ENDS_WITH,
        ),
        Parameter(
            "smtpd_data_restrictions",
            ", ".join(again),
            "Again after the route was looked up, so that a new domain is not open for a moment;"
            " and for services without sign-in, which ignore the comparison with the logins:"
            " postconf(5) smtpd_data_restrictions.",
            Match.ENDS_WITH,
        ),
        Parameter(
            "smtpd_sender_login_maps",
            tables.SENDERS.map(directory),
            "Which signed-in clients own a domain: postconf(5) smtpd_sender_login_maps.",
        ),
        Parameter(
            "smtpd_command_filter",
            f"regexp:{directory}/{tables.FOLDED_COMMANDS}",
            "Refuses the domains that Postfix would look up as others: postconf(5).",
        ),
        Parameter(
            "smtpd_reject_unlisted_recipient",
            "no",
            "Or smtpd, which keeps answers for 30 s, refuses mail of a domain that just got its"
            " route: postconf(5) smtpd_reject_unlisted_recipient.",
        ),
        *(
            Parameter(
                name,
                "no",
                "Otherwise smtpd takes x%own.example@other.example for x@own.example if mail to"
                " other.example stays here, and it is sent by the route of other.example:"
                f" postconf(5) {name}.",
            )
            for name in SENDER_SYNTAX
        ),
        *(
            Parameter(name, "<>", f"The key of the null sender in the tables: postconf(5) {name}.")
            for name in _NULL_SENDER_KEYS
        ),
    )


_RECIPIENTS = tuple(
    Parameter(
        name,
        "",
        f"Recipients listed here do not take their sender's route: postconf(5) {name}.",
        Match.CHOICE,
    )
    for name in ("transport_maps", "mydestination", "relay_domains")
)


def client_parameters(platform: Platform | None) -> tuple[Parameter, ...]:
    """How every host is spoken to, as :data:`~sendroute.model.smtp_client.SMTP_CLIENT` and the
    platform say, which connection tests obey too.

    Args:
        platform: names the EHLO name and the deadline; None for the defaults.

    Returns:
        The parameters of an SMTP client.
    """
    declared = (platform.helo_name or None) if platform is not None else None
    seconds = (platform.test_timeout or None) if platform is not None else None
    timeout = f"{seconds or SMTP_CLIENT.timeout}s"
    count = str(SMTP_CLIENT.max_addresses)
    return (
        Parameter(
            "smtp_helo_name",
            ehlo_name(declared, "$myhostname", None) or "",
            "The platform's heloName, or this machine's own name: RFC 5321, 4.1.1.1.",
        ),
        Parameter("smtp_always_send_ehlo", "yes", "As connection tests do: postconf(5)."),
        Parameter("smtp_never_send_ehlo", "no", "As connection tests do: postconf(5)."),
        Parameter(
            "smtp_pix_workarounds",
            ", ".join(SMTP_CLIENT.pix_workarounds),
            "With disable_esmtp a server whose greeting has no text gets HELO: postconf(5).",
        ),
        Parameter("smtp_pix_workaround_maps", "", "The same for every host: postconf(5)."),
        Parameter(
            "smtp_sasl_mechanism_filter",
            ", ".join(SMTP_CLIENT.mechanisms),
            "Otherwise CRAM-MD5 or SCRAM is chosen if a server offers it: postconf(5).",
        ),
        Parameter(
            "smtp_tls_mandatory_protocols",
            ", ".join(f"!{name}" for name in _older_than(SMTP_CLIENT.tls_minimum)),
            f"{SMTP_CLIENT.tls_minimum} or newer. Postfix 3.5 knows only what to leave out:"
            " postconf(5).",
        ),
        Parameter("smtp_tls_mandatory_ciphers", "medium", "The list below: postconf(5)."),
        Parameter("smtp_tls_mandatory_exclude_ciphers", "", "Nothing else is left out."),
        Parameter("smtp_tls_exclude_ciphers", "", "Nothing else is left out."),
        Parameter("tls_medium_cipherlist", SMTP_CLIENT.ciphers, "OpenSSL's own list: ciphers(1)."),
        Parameter("smtp_mx_address_limit", count, "How many addresses are tried: postconf(5)."),
        Parameter("smtp_mx_session_limit", count, "How many addresses are tried: postconf(5)."),
        Parameter("smtp_connect_timeout", timeout, "The deadline of a connection test."),
        Parameter("smtp_helo_timeout", timeout, "The deadline of a connection test."),
    )


def _older_than(minimum: str) -> list[str]:
    versions = ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    return versions[: versions.index(minimum)]


def usable(platform: Platform | None) -> Platform | None:
    """Return the platform, if Postfix can use it as the connection test does.

    Raises:
        ProblemError: its caFile is a relative path, which Postfix would read from a directory of
            its own (postconf(5), smtp_tls_CAfile).
    """
    if platform is not None and platform.ca_file and not platform.ca_file.startswith("/"):
        raise ProblemError(
            finding(
                "invalid-value",
                f"The platform's caFile {platform.ca_file} is a relative path, which means another"
                " file to Postfix.",
                hint="Declare an absolute path in the MailPlatform, and apply it.",
            )
        )
    return platform


def route_parameters(directory: str, platform: Platform | None) -> tuple[Parameter, ...]:
    """What the services of Sendroute need besides :func:`client_parameters`.

    Args:
        directory: the absolute path of the lookup tables.
        platform: names the file of additional authorities; None for none.

    Returns:
        The parameters of an SMTP client.
    """
    authorities = platform.ca_file or "" if platform is not None else ""
    return (
        Parameter("smtp_host_lookup", "dns", "The alias is resolved by DNS: postconf(5)."),
        Parameter(
            "smtp_dns_resolver_options",
            "res_defnames",
            "Without it the resolver ignores HOSTALIASES: postconf(5), resolver(3) RES_DEFNAMES.",
        ),
        Parameter(
            "smtp_delivery_status_filter",
            f"regexp:{directory}/{tables.DELIVERY_STATUS}",
            "An alias that is missing for a moment delays mail, and does not return it: postconf(5)"
            " default_delivery_status_filter.",
        ),
        Parameter("smtp_fallback_relay", "", "No other route after a failure: postconf(5)."),
        Parameter("smtp_sasl_auth_enable", "yes", "Signs in if the table has a credential."),
        Parameter("smtp_sasl_type", "cyrus", "Debian: the package libsasl2-modules."),
        Parameter(
            "smtp_sasl_password_maps",
            tables.CREDENTIALS.map(directory),
            "Keyed by alias, so no credential ever reaches another profile's host: postconf(5).",
        ),
        Parameter("smtp_sender_dependent_authentication", "no", "Keyed by alias alone."),
        Parameter("smtp_sasl_security_options", "noanonymous", "PLAIN and LOGIN: postconf(5)."),
        Parameter("smtp_sasl_tls_security_options", "noanonymous", "The same: postconf(5)."),
        Parameter(
            "smtp_tls_policy_maps",
            tables.TLS_POLICY.map(directory),
            "The certificate must be valid for the profile's host: TLS_README, client policies.",
        ),
        Parameter("smtp_tls_CAfile", authorities, "The platform's caFile: postconf(5)."),
        Parameter("tls_append_default_CA", "yes", "And the system's authorities: postconf(5)."),
        Parameter(
            "smtp_tls_connection_reuse",
            "yes",
            "Several messages per connection: TLS_README, client-side connection reuse.",
        ),
    )
