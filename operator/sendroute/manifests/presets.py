"""Presets: what SMTP providers document about their submission hosts."""

from msgspec import Struct

from sendroute.manifests.fields import Provider
from sendroute.model.profile import Encryption


class Preset(Struct, frozen=True):
    """Values for the absent fields of a profile with this provider.

    Attributes:
        host: the SMTP host, None if it differs between customers.
        spf: the term that authorises the provider in a domain's SPF record (RFC 7208, 5.2).
        source: the page of the provider's own documentation.
        hint: what an author should know about the host.
        port: the port with STARTTLS.
        tls_port: the port with TLS from the first byte, None if there is none.
        username: the user name, if it is the same for all customers.
    """

    host: str | None
    spf: str
    source: str
    hint: str
    port: int = 587
    tls_port: int | None = 465
    username: str | None = None

    def fill_port(self, encryption: Encryption | None) -> int | None:
        """Return the port for an encryption, None if the provider has none for it."""
        return self.tls_port if encryption is Encryption.TLS else self.port

    def fill_encryption(self, port: int | None) -> Encryption:
        """Return the encryption that the provider uses on a port."""
        # 465 is submissions (RFC 8314, 3.3); 2465 is its twin at Amazon SES.
        return Encryption.TLS if port in (465, 2465) else Encryption.STARTTLS


PRESETS: dict[Provider, Preset] = {
    "ses": Preset(
        host=None,
        spf="include:amazonses.com",
        source="Amazon SES Developer Guide: Connecting to an Amazon SES SMTP endpoint",
        hint="Amazon SES has one host per region. Set host to email-smtp.REGION.amazonaws.com, for "
        "example email-smtp.eu-west-1.amazonaws.com.",
    ),
    "sendgrid": Preset(
        host="smtp.sendgrid.net",
        spf="include:sendgrid.net",
        source="Twilio SendGrid: Integrating with the SMTP API",
        hint="The user name is the word apikey. The password is an API key that may send mail.",
        username="apikey",
    ),
    "mailgun": Preset(
        host="smtp.mailgun.org",
        spf="include:mailgun.org",
        source="Mailgun User Manual: Sending via SMTP",
        hint="For domains in the EU region, set host to smtp.eu.mailgun.org.",
    ),
    "postmark": Preset(
        host="smtp.postmarkapp.com",
        spf="include:spf.mtasv.net",
        source="Postmark User Guide: Sending email with SMTP",
        hint="For broadcast streams, set host to smtp-broadcasts.postmarkapp.com. Postmark "
        "supports STARTTLS only, on ports 25, 587 and 2525.",
        tls_port=None,
    ),
    "microsoft365": Preset(
        host="smtp.office365.com",
        spf="include:spf.protection.outlook.com",
        source="Microsoft Learn: Set up a device or application to send email using Microsoft 365",
        hint="Microsoft 365 supports STARTTLS only, on port 587 or 25. SMTP AUTH must be enabled "
        "for the mailbox.",
        tls_port=None,
    ),
    "google": Preset(
        host="smtp-relay.gmail.com",
        spf="include:_spf.google.com",
        source="Google Workspace Admin Help: Route outgoing SMTP relay messages through Google",
        hint="This is the SMTP relay service of Google Workspace. For a single mailbox, set "
        "host to smtp.gmail.com.",
    ),
}
