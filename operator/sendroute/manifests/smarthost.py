"""What holds for every host that mail is handed to, a profile's or the managed relay's: its name,
and that credentials travel only encrypted and only to a name."""

from msgspec import UNSET, Struct, UnsetType

from sendroute.manifests.fields import Credentials
from sendroute.manifests.names import BadNameError, host
from sendroute.manifests.wording import dotted
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.profile import Encryption


class Place(Struct, frozen=True):
    """A mapping in a document, the account it counts for, and where its findings go."""

    where: Where
    account: AccountKey | None
    findings: list[Finding]

    def tell(
        self,
        code: str,
        field: str,
        message: str,
        hint: str,
        *,
        severity: Severity | None = None,
    ) -> None:
        """A finding at a field of the mapping, at the mapping itself where ``field`` is empty."""
        path = (*self.where.path, field) if field else self.where.path
        where = self.where.at(*path)
        self.findings.append(
            finding(code, message, hint=hint, where=where, account=self.account, severity=severity)
        )

    def name(self, field: str) -> str:
        """The field as its author knows it: ``spec.route.newProfile.host``."""
        return dotted((*self.where.path, field))


def host_name(text: str, place: Place, *, credentials: bool) -> str | None:
    """The host in the form in which it is compared; None, with a finding, for what is none."""
    try:
        found = host(text)
    except BadNameError as error:
        message = f"{place.name('host')} {error.message}."
        place.tell("invalid-value", "host", message, error.hint)
        return None
    if found.is_address and credentials:
        place.tell(
            "credentials-need-hostname",
            "host",
            f"{place.name('host')} is an address, and credentials are sent only to a host that "
            "proves its name.",
            "Write the host's DNS name, or leave the credentials out where it knows its clients "
            "by address.",
        )
        return None
    return found.name


def check_auth(
    credentials: Credentials | UnsetType, encryption: Encryption, allowed: bool, place: Place
) -> None:
    """Credentials in clear are an error, and a warning where they are allowed to be."""
    if credentials is UNSET or encryption is not Encryption.NONE:
        return
    if allowed:
        place.tell(
            "insecure-auth",
            "allowInsecureAuth",
            "The credentials are sent in clear: whoever is on the way can read them.",
            "Use encryption starttls or tls where the host can.",
            severity=Severity.WARNING,
        )
        return
    place.tell(
        "insecure-auth",
        "encryption",
        f"{place.name('encryption')} is none, so the credentials would be sent in clear.",
        "Use starttls or tls; or accept it with allowInsecureAuth: true.",
    )


def secret_of(credentials: Credentials | UnsetType) -> str | None:
    return None if credentials is UNSET else credentials.secret_ref.name
