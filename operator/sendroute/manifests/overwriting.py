"""Manifests that the output of a command would replace, and output that has replaced some.

A report in the place of manifests is a document of no kind, as those of other programs are. It
would be passed over, and all that the manifests declared would be removed.
"""

import re

from sendroute.files.regular import regular
from sendroute.manifests.shapes import API_GROUP

_GROUP = API_GROUP.encode() + b"/"
# As YAML or JSON writes the header of an object, also within a list. In a text of a JSON document
# the quotes would be escaped.
_HEADER = re.compile(
    rb"""(?:^[ \t-]*|[{,]\s*)(?P<quote>["']?)apiVersion(?P=quote)\s*:\s*["']?%b"""
    % re.escape(_GROUP),
    re.MULTILINE,
)
# All that Sendroute writes as JSON begins with its format, except SARIF. Terraform does the same.
_OUTPUT = re.compile(
    rb'\s*\{\s*(?:"format_version"\s*:\s*"[0-9]+\.[0-9]+"(?!\s*,\s*"(?:terraform|provider)_)'
    rb'|"format"\s*:\s*"sendroute-saved-plan")'
)
_SARIF = re.compile(rb'\s*\{\s*"\$schema".{,400}"driver"\s*:\s*\{\s*"name"\s*:\s*"sendroute"', re.S)
_HEAD = 1024


def holds_manifests(path: str) -> bool:
    """Whether a file holds an object of ours, as a valid or an invalid document.

    Args:
        path: the file, which need not exist.

    Returns:
        False also for a file that cannot be read.
    """
    try:
        with open(path, "rb", opener=regular) as file:
            content = file.read()
    except OSError:
        return False
    content = content.replace(b"\0", b"")  # UTF-16
    return _GROUP in content and _HEADER.search(content) is not None


def is_own_output(data: bytes) -> bool:
    """Whether a file is a saved plan, a lock file, or the result of a command as JSON or SARIF.

    Args:
        data: the content of the file.
    """
    head = data[:_HEAD]
    return (_OUTPUT.match(head) or _SARIF.match(head)) is not None
