"""Documents that do not show whether they hold objects of ours: encrypted ones, and texts such as
base64. What they hold is unknown, and must not seem to be deleted."""

from typing import Any

from sendroute.manifests.headers import has_group, is_misspelt, is_ours, items_within
from sendroute.manifests.wording import ENCRYPT_ONLY_SECRETS
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Where
from sendroute.model.secret_text import encryption_of

_TEXT = "it is a text, and no object"


def opacity_of(value: Any) -> str | None:
    """Return why a document does not show what it holds, as a clause; None for a mapping of which
    the kind can be read, and for a list with no encrypted item.

    Args:
        value: the document as plain data, of any type.
    """
    tool = _encryption(value)
    if tool is not None:
        return f"it is encrypted with {tool}"
    if not isinstance(value, dict | list):
        return _TEXT
    tools = (tool for item in items_within(value) if (tool := _encryption(item)))
    tool = next(tools, None)
    return f"an item of it is encrypted with {tool}" if tool is not None else None


def may_hold_objects(value: Any) -> bool:
    """Whether a document that is none of ours, and no List, holds objects of ours or may hold some:
    :func:`holds_objects` or :func:`opacity_of`, with one walk over a long list.

    Args:
        value: the document as plain data, of any type.
    """
    if not isinstance(value, dict | list) or _encryption(value) is not None:
        return True
    return any(
        is_ours(item) or is_misspelt(item) or _encryption(item) is not None
        for item in items_within(value)
    )


def finding_of(where: Where, reason: str) -> Finding:
    """Return the finding for such a document.

    Args:
        where: the document.
        reason: as :func:`opacity_of` gives it.
    """
    hint = (
        "Remove it, or write an object. If it is encoded or encrypted, decode it first."
        if reason == _TEXT
        else ENCRYPT_ONLY_SECRETS
    )
    return finding(
        "unreadable",
        f"A document of {where.file} cannot be read: {reason}.",
        hint=f"{hint} Until then nothing is removed.",
        where=where,
    )


def _encryption(value: Any) -> str | None:
    return _encryption_of_mapping(value) if isinstance(value, dict) else _encryption_of_text(value)


def _encryption_of_mapping(value: dict[Any, Any]) -> str | None:
    """The tool that encrypted the kind of a document that may be one of ours or a ``List``. sops
    leaves all keys as they are, so a Secret, or a file of settings, is still known to be one."""
    if value.keys() == {"data", "sops"}:  # a file of any format, encrypted as one text
        return _encryption_of_text(value["data"])
    if not ("spec" in value or "items" in value) and (
        "kind" not in value or "data" in value or "stringData" in value
    ):
        return None
    version = value.get("apiVersion")
    tool = _encryption_of_text(version)
    if tool is not None or (isinstance(version, str) and has_group(version)):
        return tool
    return _encryption_of_text(value.get("kind"))


def _encryption_of_text(value: Any) -> str | None:
    return encryption_of(value) if isinstance(value, str) else None
