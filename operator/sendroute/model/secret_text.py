"""Texts in the place of a secret that are none: encrypted ones, placeholders and references.

Several tools replace such a text by the secret before it is used. It is recognised by its form
alone.
"""

import re

_SOPS = "ENC[AES256_GCM,"
"""How a value begins that sops encrypted (https://getsops.io/docs/)."""

_ENVELOPES = (
    ("$ANSIBLE_VAULT;", "Ansible Vault"),
    ("-----BEGIN AGE ENCRYPTED FILE-----", "age"),
    ("age-encryption.org/", "age"),
    ("-----BEGIN PGP MESSAGE-----", "PGP"),
)
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----")
# Of shells and envsubst, of Helm and Jinja, of the Argo CD Vault Plugin and of Kubernetes.
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}|\{\{.*\}\}|<[^<>]*>|\$\([^)]*\)")
# https://bank-vaults.dev/docs/mutating-webhook/, https://github.com/helmfile/vals,
# https://developer.1password.com/docs/cli/secret-reference-syntax/,
# https://docs.aws.amazon.com/service-authorization/latest/reference/ (ARN formats).
_REFERENCE = re.compile(
    r"(?:>>)?vault:[^\s/]+/\S+|ref\+[a-z0-9]+://\S+|op://\S+"
    r"|arn:aws[a-z-]*:(?:secretsmanager|ssm):\S+"
)


def encryption_of(text: str) -> str | None:
    """Return the tool that encrypted a text, None for any other text.

    Args:
        text: a value, or a file in which sops encrypted the values.
    """
    if _SOPS in text:
        return "sops"
    inner = text.lstrip()
    return next((tool for start, tool in _ENVELOPES if inner.startswith(start)), None)


def is_pem(text: str) -> bool:
    """Whether a text is a key, a certificate or another object in PEM form (RFC 7468)."""
    return _PEM.match(text.lstrip()) is not None


def is_placeholder(text: str) -> bool:
    """Whether the whole text is a variable or an expression that a tool replaces."""
    return _PLACEHOLDER.fullmatch(text.strip()) is not None


def is_reference(text: str) -> bool:
    """Whether the whole text says where a store of secrets has the value."""
    return _REFERENCE.fullmatch(text.strip()) is not None
