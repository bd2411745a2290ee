"""Presets: what SMTP providers document of their submission hosts."""

from msgspec import Struct

from sendroute.manifests.fields import Provider
from sendroute.model.profile import Encryption


class Preset(Struct, frozen=True):
    """What fills the absent fields of a profile that names this provider.

    ``host`` is None where only the author knows it; ``tls_port`` is None where the provider has no
    port that speaks TLS from the first byte. ``username`` is set where the provider gives every
    client the same one. ``spf`` is the term that authorises the provider in a domain's SPF record
    (RFC 7208, 5.2), ``source`` the page of the provider's own documentation, and ``hint`` what an
    author should know of the host.
    """

    host: str | None
    spf: str
    source: str
    hint: str
    port: int = 587
    tls_port: int | None = 465
    username: str | None = None

    def fill_port(self, encryption: Encryption | None) -> int | None:
        """The port for an encryption; None where the provider has none for it."""
        return self.tls_port if encryption is Encryption.TLS else self.port

    def fill_encryption(self, port: int | None) -> Encryption:
        """The encryption that the provider speaks on a port."""
        # 465 is submissions (RFC 8314, 3.3); 2465 is its twin at Amazon SES.
        return Encryption.TLS if port in (465, 2465) else Encryption.STARTTLS


PRESETS: dict[Provider, Preset] = {
    "ses": Preset(
        host=None,
        spf="include:amazonses.com",
        source="Amazon SES Developer Guide: Connecting to an Amazon SES SMTP endpoint",
        hint="Amazon SES is regional: write host: email-smtp.REGION.amazonaws.com, for example "
        "email-smtp.eu-west-1.amazonaws.com.",
    ),
    "sendgrid": Preset(
        host="smtp.sendgrid.net",
        spf="include:sendgrid.net",
        source="Twilio SendGrid: Integrating with the SMTP API",
        hint="The user name is the word apikey, the password an API key that may send mail.",
        username="apikey",
    ),
    "mailgun": Preset(
        host="smtp.mailgun.org",
        spf="include:mailgun.org",
        source="Mailgun User Manual: Sending via SMTP",
        hint="Domains of the EU region write host: smtp.eu.mailgun.org.",
    ),
    "postmark": Preset(
        host="smtp.postmarkapp.com",
        spf="include:spf.mtasv.net",
        source="Postmark User Guide: Sending email with SMTP",
        hint="Broadcast streams write host: smtp-broadcasts.postmarkapp.com. Postmark speaks TLS "
        "by STARTTLS only, on ports 25, 587 and 2525.",
        tls_port=None,
    ),
    "microsoft365": Preset(
        host="smtp.office365.com",
        spf="include:spf.protection.outlook.com",
        source="Microsoft Learn: Set up a device or application to send email using Microsoft 365",
        hint="Client submission is by STARTTLS only, on port 587 (or 25), and the mailbox must "
        "have SMTP AUTH enabled.",
        tls_port=None,
    ),
    "google": Preset(
        host="smtp-relay.gmail.com",
        spf="include:_spf.google.com",
        source="Google Workspace Admin Help: Route outgoing SMTP relay messages through Google",
        hint="This is the relay service of Google Workspace; a single mailbox submits to "
        "smtp.gmail.com.",
    ),
}
