"""Secrets of the Kubernetes API beside the manifests that hold their values in plain text.

All other documents of foreign groups are passed over, whatever they hold. A value is plain unless
it is empty, encrypted, a placeholder or a reference; base64 is no encryption. No part of a value,
and no name of a key, leaves this module.
"""

import binascii
from collections.abc import Container, Iterable, Iterator
from typing import Any

from sendroute.manifests.acceptance import ANNOTATION, codes_in
from sendroute.model.codes import Code, finding
from sendroute.model.finding import Finding, Path, Where
from sendroute.model.remedy import Configure, Setting
from sendroute.model.secret_text import encryption_of, is_placeholder, is_reference

_FIELDS = ("stringData", "data")


def plain_fields(document: dict[str, Any], blind: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield the first field of each Secret that holds a plain value.

    Args:
        document: a Secret or a list of them, as plain data
            (:func:`~sendroute.manifests.headers.is_secret`).
        blind: the paths of values that are written but were not read.

    Yields:
        The path of the field; nothing for a Secret that accepts the finding.
    """
    # A text that is too long is blind although it was read.
    unread = [path for path in blind if not isinstance(_value_at(document, path), str)]
    if document["kind"] == "Secret":
        yield from _plain_field(document, (), {path[:1] for path in unread})
    elif isinstance(items := document.get("items"), list):
        hidden = {path[:3] for path in unread}
        for index, item in enumerate(items):
            yield from _plain_field(item, ("items", index), hidden)


def finding_of(where: Where, path: Path) -> Finding:
    """Return the finding for a field of a Secret.

    Args:
        where: the document.
        path: the path of the field.
    """
    form = "base64, which is no encryption" if path[-1] == "data" else "plain text"
    return finding(
        "secret-in-manifests",
        f"A Kubernetes Secret beside the manifests holds its {path[-1]} in {form}.",
        hint="Remove it, and change the values if it was committed. Commit a Secret only encrypted,"
        " or give the values as files outside the repository.",
        remedy=Configure(Setting.SECRETS),
        where=where.at(*path, of_key=True),
    )


def _plain_field(secret: Any, path: Path, hidden: Container[Path]) -> Iterator[Path]:
    if not isinstance(secret, dict) or _accepts(secret.get("metadata")):
        return
    for name in _FIELDS:
        here = (*path, name)
        if here in hidden or _holds_plain_values(secret.get(name)):
            yield here
            return


def _value_at(value: Any, path: Path) -> Any:
    for step in path:
        try:
            value = value[step]
        except (LookupError, TypeError):
            return None
    return value


def _accepts(metadata: Any) -> bool:
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    text = annotations.get(ANNOTATION) if isinstance(annotations, dict) else None
    return Code.SECRET_IN_MANIFESTS in codes_in(text)


def _holds_plain_values(field: Any) -> bool:
    return any(map(_is_plain, field.values() if isinstance(field, dict) else [field]))


def _is_plain(value: Any) -> bool:
    if not isinstance(value, str):
        return value is not None and value != {} and value != []
    return value.strip() != "" and not _is_harmless(value) and not _is_harmless(_decoded(value))


def _is_harmless(text: str) -> bool:
    return encryption_of(text) is not None or is_placeholder(text) or is_reference(text)


def _decoded(value: str) -> str:
    """The text of a value in base64; empty if it is none."""
    try:
        return binascii.a2b_base64(value, strict_mode=True).decode()
    except ValueError:  # binascii.Error, UnicodeDecodeError and text that is not ASCII
        return ""
