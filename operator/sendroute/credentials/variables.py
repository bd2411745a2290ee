"""Secrets as variables: ``SENDROUTE_SECRET_<NAMESPACE>_<NAME>_<KEY>``.

Names are put in upper case, with ``_`` for ``-`` and ``.``; so two references can mean one
variable (``a-b/c`` and ``a/b-c``), and then neither gets it: it cannot be told whose it is.
"""

from sendroute.model.secret import SecretRef

PREFIX = "SENDROUTE_SECRET_"
_MANGLED = str.maketrans("-.", "__")


def stem(ref: SecretRef) -> str:
    """All of a secret's variables begin with this and ``_``."""
    return PREFIX + f"{ref.namespace}_{ref.name}".translate(_MANGLED).upper()


def variable(ref: SecretRef, key: str) -> str:
    return f"{stem(ref)}_{key.translate(_MANGLED).upper()}"
