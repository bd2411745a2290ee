"""The keys that encrypt credentials in the store: the first encrypts, all of them decrypt."""

import os
import re

from sendroute.files.reason import reason_of
from sendroute.files.regular import regular
from sendroute.model.byte_order_mark import BYTE_ORDER_MARK, without_mark
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, GenerateKey, Setting

VARIABLE = "SENDROUTE_KEY"
_MAX_BYTES = 64 * 1024
# Base64 of 32 bytes: URL-safe, https://github.com/fernet/spec/blob/master/Spec.md, or as most
# programs write it.
_KEY = re.compile(r"[A-Za-z0-9_+/-]{43}=")
_URL_SAFE = str.maketrans("+/", "-_")

Keys = tuple[str, ...]


def keys_in(text: str, source: str) -> Keys:
    """Read the keys of a text, separated by white space or commas.

    Args:
        text: the text.
        source: the name of its source, for messages.

    Returns:
        The keys in order, at least one, as URL-safe base64. The first one encrypts, and each of
        them decrypts.

    Raises:
        ProblemError: it has no key or an invalid one (``invalid-value``); the message shows no part
            of it.
    """
    keys = tuple(key for key in re.split(r"[\s,]+", text.removeprefix(BYTE_ORDER_MARK)) if key)
    if not keys:
        raise _invalid(f"{source} contains no key")
    for number, key in enumerate(keys, start=1):
        if not _KEY.fullmatch(key):
            raise _invalid(f"Key {number} of {source} is invalid")
    return tuple(key.translate(_URL_SAFE) for key in keys)


def keys_of_file(path: str) -> Keys:
    """Read the keys of a file.

    Args:
        path: the path of the file.

    Returns:
        The keys, as from :func:`keys_in`.

    Raises:
        ProblemError: it cannot be read (``unreadable``), or as for :func:`keys_in`.
    """
    try:
        with open(path, "rb", opener=regular) as file:
            content = file.read(_MAX_BYTES)
    except OSError as error:
        raise ProblemError(
            finding(
                "unreadable",
                f"The key file {path} cannot be read: {reason_of(error)}.",
                hint="Give a file that holds a key and that the user that runs sendroute may read.",
                remedy=Configure(Setting.KEY),
            )
        ) from error
    # Bytes that are not ASCII are replaced, so that the check rejects them and no exception holds
    # them.
    return keys_in(without_mark(content).decode("ascii", "replace"), path)


def find_keys(file: str | None, default_file: str, environment: dict[str, str]) -> Keys | None:
    """The keys of the given file, else of the variable, else of the default file.

    Args:
        file: the given file; None if none is given.
        default_file: the file that is used if it exists.
        environment: the environment variables.

    Returns:
        The keys; None if there are none.

    Raises:
        ProblemError: the keys cannot be read, or are invalid.
    """
    if file is not None:
        return keys_of_file(file)
    if environment.get(VARIABLE, "").strip():
        return keys_in(environment[VARIABLE], VARIABLE)
    return keys_of_file(default_file) if os.path.lexists(default_file) else None


def _invalid(message: str) -> ProblemError:
    return ProblemError(
        finding(
            "invalid-value",
            f"{message}.",
            hint="A key is the base64 of 32 random bytes. To generate one.",
            remedy=GenerateKey(),
        )
    )
