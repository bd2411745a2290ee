"""Secrets as variables: ``SENDROUTE_SECRET_<NAMESPACE>__<NAME>__<KEY>``.

Names are in upper case, with ``_`` for ``-``, and two underscores separate the parts. So a name
with two hyphens in a row or with a dot has no variables: its secret can be given as files only. No
other name begins or ends with ``_`` or contains ``__`` in this form, so no two references share a
variable.
"""

import re

from sendroute.model.secret import SecretRef

PREFIX = "SENDROUTE_SECRET_"
USERNAME, PASSWORD, ALLOWED_HOSTS = "username", "password", "allowed-hosts"
KEYS = (USERNAME, PASSWORD, ALLOWED_HOSTS)

_EARLIER_NAMESPACE = "default"
"""Where the platform's secrets were before they had a namespace of their own."""
_PLAIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def variable(ref: SecretRef, key: str) -> str | None:
    """The variable of a secret's key; None if the secret can be given as files only."""
    if not (_PLAIN.fullmatch(ref.namespace) and _PLAIN.fullmatch(ref.name)):
        return None
    return PREFIX + "__".join(map(_mangled, (ref.namespace, ref.name, key)))


def earlier_variable(ref: SecretRef, key: str) -> str:
    """The variable of earlier versions, which other references may share. It is never read."""
    namespace = earlier(ref).namespace
    return PREFIX + "_".join(map(_mangled, (namespace, ref.name, key)))


def earlier(ref: SecretRef) -> SecretRef:
    """The reference under which earlier versions looked for the same secret."""
    return SecretRef(_EARLIER_NAMESPACE, ref.name) if ref.of_platform else ref


def is_variable(name: str) -> bool:
    """Whether a name that begins with ``PREFIX`` is the variable of some secret's key."""
    parts = name.removeprefix(PREFIX).split("__")
    return len(parts) == 3 and all(parts) and parts[2] in map(_mangled, KEYS)


def _mangled(part: str) -> str:
    return part.replace("-", "_").replace(".", "_").upper()
