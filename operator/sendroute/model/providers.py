"""Presets: what SMTP providers document about their submission hosts.

Every fact is from a page of the provider, or about it if it has none to read; ``sources`` names
them. What no source says is absent, and the author of a profile must write it: a preset never
guesses. Ports of ``starttls_ports`` greet first and then change to TLS (RFC 3207); on ``tls_ports``
TLS begins with the first byte (RFC 8314, section 3.3).
"""

from msgspec import Struct

from sendroute.model.profile import Encryption

SUBMISSION, SUBMISSIONS = 587, 465
"""The standard ports (RFC 6409, section 3.1; RFC 8314, section 7.3)."""


class Provider(Struct, frozen=True):
    """What is known of a provider.

    Attributes:
        host: the SMTP host; None if it differs between customers.
        starttls_ports: the ports with STARTTLS.
        tls_ports: the ports with TLS from the first byte; empty if there are none.
        sources: the pages that say so.
        hint: what an author should know, such as other hosts.
        username: the username, if it is the same for all customers.
        username_rule: what the username and password are, as one sentence.
        spf: the term that authorises the provider in a domain's SPF record (RFC 7208, section 5.2).
        ports_without_tls: ports that the provider documents for use without TLS only.
    """

    host: str | None
    starttls_ports: tuple[int, ...]
    tls_ports: tuple[int, ...]
    sources: tuple[str, ...]
    hint: str
    username: str | None = None
    username_rule: str | None = None
    spf: str | None = None
    ports_without_tls: tuple[int, ...] = ()

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port, in order."""
        return tuple(sorted({*self.starttls_ports, *self.tls_ports, *self.ports_without_tls}))

    def usual_port(self, encryption: Encryption | None) -> int | None:
        """Return the port for an encryption: the standard one, if the provider has it. None if it
        has no port for this encryption."""
        if encryption is Encryption.TLS:
            return _first(self.tls_ports, SUBMISSIONS)
        return _first(self.starttls_ports, SUBMISSION)

    def encryption_on(self, port: int) -> Encryption | None:
        """Return the encryption that the provider has on a port; None if no source says it."""
        if port in self.tls_ports:
            return Encryption.TLS
        return Encryption.STARTTLS if port in self.starttls_ports else None


def _first(ports: tuple[int, ...], standard: int) -> int | None:
    return standard if standard in ports else next(iter(ports), None)


def speaks_tls_at_once(provider: str | None, port: int) -> bool | None:
    """Whether TLS begins with the first byte on a port.

    Args:
        provider: the preset of the profile; None if it has none.
        port: the port.

    Returns:
        Whether it does, as the provider documents or the standards say (RFC 8314, section 3.3; RFC
        5321; RFC 6409); None if neither says it.
    """
    known = PROVIDERS.get(provider) if provider is not None else None
    if known is not None and (encryption := known.encryption_on(port)) is not None:
        return encryption is Encryption.TLS
    if known is not None and port in known.ports_without_tls:
        return False
    return {25: False, SUBMISSION: False, SUBMISSIONS: True}.get(port)


def username_rule(provider: str | None) -> str | None:
    """Return what the username and password of a provider are; None if it is unknown."""
    known = PROVIDERS.get(provider) if provider is not None else None
    return known.username_rule if known is not None else None


PROVIDERS: dict[str, Provider] = {
    "ses": Provider(
        host=None,
        starttls_ports=(25, 587, 2587),
        tls_ports=(465, 2465),
        username_rule="Amazon SES signs in with SMTP credentials of the region, not with AWS "
        "access keys.",
        spf="include:amazonses.com",
        sources=(
            "https://docs.aws.amazon.com/ses/latest/dg/smtp-connect.html",
            "https://docs.aws.amazon.com/ses/latest/dg/smtp-issues.html",
            "https://docs.aws.amazon.com/ses/latest/dg/mail-from.html",
        ),
        hint="Amazon SES has one host per region. Set host to email-smtp.REGION.amazonaws.com, for "
        "example email-smtp.eu-west-1.amazonaws.com.",
    ),
    "sendgrid": Provider(
        host="smtp.sendgrid.net",
        starttls_ports=(25, 587, 2525),
        tls_ports=(465,),
        username="apikey",
        username_rule="The username of SendGrid is the word apikey, and the password an API key "
        "that may send mail.",
        spf="include:sendgrid.net",
        sources=(
            "https://www.twilio.com/docs/sendgrid/for-developers/sending-email/"
            "integrating-with-the-smtp-api",
        ),
        hint="The username is the word apikey. The password is an API key that may send mail.",
    ),
    "mailgun": Provider(
        host="smtp.mailgun.org",
        starttls_ports=(25, 587, 2525),
        tls_ports=(465,),
        username_rule="Mailgun has SMTP credentials for each domain; an API key is none.",
        spf="include:mailgun.org",
        sources=(
            "https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp",
        ),
        hint="For domains in the EU region, set host to smtp.eu.mailgun.org.",
    ),
    "postmark": Provider(
        host="smtp.postmarkapp.com",
        starttls_ports=(25, 587, 2525),
        tls_ports=(),
        username_rule="Postmark takes the Server API Token as username and password, or the two "
        "keys of an SMTP Token.",
        spf="include:spf.mtasv.net",
        sources=(
            "https://postmarkapp.com/support/article/"
            "811-what-are-the-smtp-details-credentials-i-should-be-using",
            "https://postmarkapp.com/developer/user-guide/send-email-with-smtp",
        ),
        hint="For broadcast streams, set host to smtp-broadcasts.postmarkapp.com. Postmark "
        "supports STARTTLS only, on ports 25, 587 and 2525.",
    ),
    "microsoft365": Provider(
        host="smtp.office365.com",
        starttls_ports=(25, 587),
        tls_ports=(),
        username_rule="Microsoft 365 signs in with the full address of a mailbox that has SMTP "
        "AUTH enabled.",
        spf="include:spf.protection.outlook.com",
        sources=(
            "https://learn.microsoft.com/exchange/mail-flow-best-practices/"
            "how-to-set-up-a-multifunction-device-or-application-to-send-email-using-"
            "microsoft-365-or-office-365",
        ),
        hint="Microsoft 365 supports STARTTLS only, on port 587 or 25. SMTP AUTH must be enabled "
        "for the mailbox.",
    ),
    "google": Provider(
        host="smtp-relay.gmail.com",
        starttls_ports=(25, 587),
        tls_ports=(),
        ports_without_tls=(465,),
        username_rule="The SMTP relay of Google Workspace takes the address and an app password "
        "of a user, or none if it knows your network.",
        spf="include:_spf.google.com",
        sources=("https://support.google.com/a/answer/2956491",),
        hint="This is the SMTP relay service of Google Workspace, with STARTTLS on port 587 or 25. "
        "It expects a domain name with EHLO: see heloName of the MailPlatform. For a single "
        "mailbox, set host to smtp.gmail.com.",
    ),
    "brevo": Provider(
        host="smtp-relay.brevo.com",
        starttls_ports=(587, 2525),
        tls_ports=(465,),
        username_rule="Brevo signs in with the SMTP login and an SMTP key; an API key is not one.",
        sources=("https://developers.brevo.com/docs/smtp-integration",),
        hint="The username is the SMTP login, and the password an SMTP key, not an API key.",
    ),
    "mailjet": Provider(
        host="in-v3.mailjet.com",
        starttls_ports=(587, 2525),
        tls_ports=(465,),
        username_rule="The username of Mailjet is the API key, and the password the secret key.",
        spf="include:spf.mailjet.com",
        sources=(
            "https://rubydoc.info/gems/mailjet/Mailjet/Mailer",
            "https://cloud.google.com/compute/docs/tutorials/sending-mail/using-mailjet",
            "https://smtptester.org/guides/mailjet-smtp-test/",
        ),
        hint="The username is the API key, and the password the secret key.",
    ),
    "sparkpost": Provider(
        host="smtp.sparkpostmail.com",
        starttls_ports=(587, 2525),
        tls_ports=(),
        username="SMTP_Injection",
        username_rule="The username of SparkPost is SMTP_Injection, and the password an API key "
        "that may send via SMTP.",
        sources=("https://developers.sparkpost.com/api/smtp",),
        hint="For the EU, set host to smtp.eu.sparkpostmail.com. SparkPost supports STARTTLS only, "
        "on ports 587 and 2525. Subaccounts need a username with a colon, which Postfix cannot "
        "pass.",
    ),
    "resend": Provider(
        host="smtp.resend.com",
        starttls_ports=(25, 587, 2587),
        tls_ports=(465, 2465),
        username="resend",
        username_rule="The username of Resend is the word resend, and the password an API key.",
        sources=("https://resend.com/docs/send-with-smtp",),
        hint="The username is the word resend. The password is an API key.",
    ),
    "smtp2go": Provider(
        host="mail.smtp2go.com",
        starttls_ports=(25, 587, 2525, 8025),
        tls_ports=(465, 8465),
        username_rule="SMTP2GO signs in with an SMTP user, not with the login of the account.",
        sources=("https://developers.smtp2go.com/docs/smtp-relay",),
        hint="SMTP2GO is authorised by CNAME records, not by an SPF term.",
    ),
    "zeptomail": Provider(
        host="smtp.zeptomail.com",
        starttls_ports=(587,),
        tls_ports=(465,),
        username="emailapikey",
        username_rule="The username of ZeptoMail is the word emailapikey, and the password the one "
        "of the Mail Agent.",
        sources=("https://www.zoho.com/zeptomail/help/smtp-home.html",),
        hint="The username is the word emailapikey. The password is that of the Mail Agent.",
    ),
    "scaleway": Provider(
        host="smtp.tem.scaleway.com",
        starttls_ports=(25, 587, 2587),
        tls_ports=(465, 2465),
        username_rule="The username of Scaleway is the Project ID, and the password a secret key.",
        sources=(
            "https://www.scaleway.com/en/docs/transactional-email/reference-content/"
            "smtp-configuration/",
        ),
        hint="The username is the Project ID. The password is the secret key of an API key.",
    ),
    "oci": Provider(
        host=None,
        starttls_ports=(25, 587),
        tls_ports=(465,),
        username_rule="Oracle signs in with SMTP credentials of a user, not with its API keys.",
        sources=(
            "https://docs.oracle.com/iaas/Content/Email/Tasks/configuresmtpconnection.htm",
            "https://docs.cloud.oracle.com/Content/Email/Reference/"
            "gettingstarted_topic-Configure_the_SMTP_connection.htm",
        ),
        hint="Oracle Cloud has one host per region. Set host to "
        "smtp.email.REGION.oci.oraclecloud.com, for example "
        "smtp.email.eu-frankfurt-1.oci.oraclecloud.com. The SPF term differs by region.",
    ),
    "fastmail": Provider(
        host="smtp.fastmail.com",
        starttls_ports=(587,),
        tls_ports=(465,),
        username_rule="Fastmail signs in with the full address and an app password.",
        spf="include:spf.messagingengine.com",
        sources=(
            "https://www.fastmail.com/help/technical/servernamesandports.html",
            "https://xenocept.com/docs/email-setup/fastmail.html",
        ),
        hint="The username is the full address. The password is an app password.",
    ),
}

ALIASES: dict[str, str] = {
    "amazon": "ses",
    "aws": "ses",
    "amazonses": "ses",
    "twilio": "sendgrid",
    "gmail": "google",
    "gsuite": "google",
    "googleworkspace": "google",
    "office365": "microsoft365",
    "o365": "microsoft365",
    "m365": "microsoft365",
    "outlook": "microsoft365",
    "exchange": "microsoft365",
    "sendinblue": "brevo",
    "messagebird": "sparkpost",
    "zoho": "zeptomail",
    "transmail": "zeptomail",
    "oracle": "oci",
    "tem": "scaleway",
}
"""Names that people use for a provider, without spaces and punctuation, and the preset's own."""


def preset_meant_by(name: str) -> str | None:
    """Return the preset that is meant by another name of a provider, such as ``Gmail``; None if
    that is unknown."""
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    return plain if plain in PROVIDERS else ALIASES.get(plain)
