"""Output of Sendroute that has replaced manifests.

A report in the place of manifests is a document of no kind, as those of other programs are. It
would be passed over, and all that the manifests declared would be removed.
"""

import re

# All that Sendroute writes as JSON begins with its format, except SARIF. Terraform does the same.
_OUTPUT = re.compile(
    rb'\s*\{\s*(?:"format_version"\s*:\s*"[0-9]+\.[0-9]+"(?!\s*,\s*"(?:terraform|provider)_)'
    rb'|"format"\s*:\s*"sendroute-saved-plan")'
)
_SARIF = re.compile(rb'\s*\{\s*"\$schema".{,400}"driver"\s*:\s*\{\s*"name"\s*:\s*"sendroute"', re.S)
HEAD = 1024
"""Bytes that :func:`is_own_output` reads."""


def is_own_output(data: bytes) -> bool:
    """Whether a file is a saved plan, a lock file, or the result of a command as JSON or SARIF.

    Args:
        data: the content of the file.
    """
    head = data[:HEAD]
    return (_OUTPUT.match(head) or _SARIF.match(head)) is not None
