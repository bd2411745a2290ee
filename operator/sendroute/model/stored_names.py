"""The form of the names and ports that Sendroute keeps.

The manifests are checked more closely, with better messages. These bounds hold for everything that
is decoded: stores, backups, lock files and saved plans, which others may have written. A name
within them is safe as a line of Postfix's alias file (hostname(7)), in its tables, as a part of the
path of a secret, and on a terminal.
"""

from typing import Annotated

from msgspec import Meta

LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z"  # RFC 1123, as Kubernetes reads it
SUBDOMAIN = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z"
# Postfix separates the login names of an address by commas and white space
# (postconf(5), smtpd_sender_login_maps), so a name holds neither.
LOGIN = r"^[!-+.-~-]+\Z"

StoredLabel = Annotated[str, Meta(max_length=63, pattern=LABEL)]
"""A namespace, or the name of an account or profile."""
StoredSecretName = Annotated[str, Meta(max_length=253, pattern=SUBDOMAIN)]
StoredDomain = Annotated[str, Meta(max_length=253, pattern=SUBDOMAIN)]
"""A sending domain as a lower-case A-label (RFC 5890)."""
StoredHost = Annotated[str, Meta(max_length=254, pattern=r"^[a-z0-9:][a-z0-9.:-]*\Z")]
"""A DNS name, with or without the final dot, or an address without brackets."""
StoredPort = Annotated[int, Meta(ge=1, le=65535)]
StoredLogin = Annotated[str, Meta(max_length=255, pattern=LOGIN)]
