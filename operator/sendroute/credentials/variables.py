"""Secrets as variables: ``SENDROUTE_SECRET_<NAMESPACE>_<NAME>_<KEY>``.

Names are in upper case, with ``_`` for ``-`` and ``.``. Two references can have the same variables
(``a-b/c`` and ``a/b-c``); then neither is resolved, because the variables are ambiguous.
"""

from sendroute.model.secret import SecretRef

PREFIX = "SENDROUTE_SECRET_"
_MANGLED = str.maketrans("-.", "__")


def stem(ref: SecretRef) -> str:
    """The prefix of a secret's variables, followed by ``_``."""
    return PREFIX + f"{ref.namespace}_{ref.name}".translate(_MANGLED).upper()


def variable(ref: SecretRef, key: str) -> str:
    return f"{stem(ref)}_{key.translate(_MANGLED).upper()}"
