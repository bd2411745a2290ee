"""Problems of a document, and the paths and values in their messages: short, printable, never a
secret."""

import re
from typing import Any

from msgspec import Struct

from sendroute.model.finding import Path
from sendroute.model.stored_values import LABEL
from sendroute.model.unseen import is_seen

ENCRYPT_ONLY_SECRETS = (
    "Commit manifests as plain text, and encrypt only secrets; or decrypt it first."
)
"""The hint for an encrypted text in a place where none may be."""


class ShapeProblem(Struct, frozen=True):
    """``path`` leads to the value, or to the key itself if ``of_key`` is true."""

    code: str
    path: Path
    of_key: bool
    message: str
    hint: str | None


def titled(kind: str, name: Any) -> str:
    """Return how a message names an object: ``SMTPProfile ses``; only its kind if the name is not a
    valid one."""
    is_name = isinstance(name, str) and len(name) <= 63 and re.search(LABEL, name)
    return f"{kind} {name}" if is_name else kind


def dotted(path: Path) -> str:
    """Return a path as people write it: ``spec.plans[0].name``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def shown(value: Any) -> str:
    """Return a value as a message may repeat it, or only its type if it is long or unprintable."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value) if abs(value) < 10**20 else "a number of more than 20 digits"
        case float():
            return repr(value)
        case str() if not value:
            return "an empty text"
        case str() if len(value) <= 40 and is_seen(value):
            return f"{value!r}"
        case str() if len(value) <= 40:
            return "a text with unprintable characters"
        case str():
            return f"a text of {len(value)} characters"
        case list():
            return "a list" if value else "an empty list"
        case dict():
            return "a mapping" if value else "an empty mapping"
        case _:
            return f"a {type(value).__name__}"
