"""Documents that do not show whether they hold objects of ours: encrypted ones, and texts such as
base64. What they hold is unknown, and must not seem to be deleted."""

from typing import Any

from sendroute.manifests.headers import has_group
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Where
from sendroute.model.secret_text import encryption_of

_TEXT = "it is a text, and no object"


def opacity_of(value: Any) -> str | None:
    """Return why a document does not show what it holds, as a clause; None for a list, and for a
    mapping of which the kind can be read.

    Args:
        value: the document as plain data, of any type.
    """
    if isinstance(value, dict):
        tool = _encryption_of_mapping(value)
    elif isinstance(value, list):
        return None
    else:
        tool = _encryption(value)
        if tool is None:
            return _TEXT
    return f"it is encrypted with {tool}" if tool is not None else None


def finding_of(where: Where, reason: str) -> Finding:
    """Return the finding for such a document.

    Args:
        where: the document.
        reason: as :func:`opacity_of` gives it.
    """
    hint = (
        "Remove it, or write an object. If it is encoded or encrypted, decode it first."
        if reason == _TEXT
        else "Commit manifests as plain text, and encrypt only secrets; or decrypt it first."
    )
    return finding(
        "unreadable",
        f"A document of {where.file} cannot be read: {reason}.",
        hint=f"{hint} Until then nothing is removed.",
        where=where,
    )


def _encryption_of_mapping(value: dict[Any, Any]) -> str | None:
    """The tool that encrypted the kind of a document that may be one of ours or a ``List``. sops
    leaves all keys as they are, so a Secret, or a file of settings, is still known to be one."""
    if value.keys() == {"data", "sops"}:  # a file of any format, encrypted as one text
        return _encryption(value["data"])
    if "spec" not in value and "items" not in value:
        return None
    version = value.get("apiVersion")
    tool = _encryption(version)
    if tool is not None or (isinstance(version, str) and has_group(version)):
        return tool
    return _encryption(value.get("kind"))


def _encryption(value: Any) -> str | None:
    return encryption_of(value) if isinstance(value, str) else None
