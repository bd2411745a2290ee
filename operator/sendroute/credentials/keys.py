"""The keys that credentials in the store are sealed with: the first one seals, all of them open."""

import os
import re
from pathlib import Path

from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting

VARIABLE = "SENDROUTE_KEY"
_LARGEST = 64 * 1024
# URL-safe base64 of 32 bytes, https://github.com/fernet/spec/blob/master/Spec.md
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")

Keys = tuple[str, ...]


def keys_in(text: str, what: str) -> Keys:
    """The keys of a text, with line ends or commas between them; ``what`` names where it stands.

    Raises :class:`ProblemError`, which shows no part of it.
    """
    keys = tuple(key for key in re.split(r"[\s,]+", text) if key)
    if not keys:
        raise _invalid(f"{what} holds no key")
    for number, key in enumerate(keys, start=1):
        if not _KEY.fullmatch(key):
            raise _invalid(f"Key {number} of {what} is none")
    return keys


def keys_of_file(path: str) -> Keys:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST)
    except OSError as error:
        raise ProblemError(
            finding(
                "unreadable",
                f"The key file {path} cannot be read: {(error.strerror or 'it failed').lower()}.",
                hint="Give a file that holds a key and that this user may read.",
                remedy=Configure(Setting.KEY),
            )
        ) from error
    # What is not ASCII is no key: replaced, it is found below, where no error would hold it.
    return keys_in(content.decode("ascii", "replace"), path)


def keys_at_hand(file: str | None, usual: str, environment: dict[str, str]) -> Keys | None:
    """The keys of the file given, else of the variable, else of the usual file where it is there;
    None where there are none."""
    if file is not None:
        return keys_of_file(file)
    if environment.get(VARIABLE, "").strip():
        return keys_in(environment[VARIABLE], VARIABLE)
    return keys_of_file(usual) if os.path.lexists(usual) else None


def _invalid(message: str) -> ProblemError:
    return ProblemError(
        finding(
            "invalid-value",
            f"{message}.",
            hint="A key is the URL-safe base64 of 32 random bytes. If none is given, creating a "
            "store creates one.",
        )
    )
