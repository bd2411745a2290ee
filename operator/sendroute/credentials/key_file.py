"""The key that credentials in the store are encrypted with."""

import base64
import os
from pathlib import Path

from sendroute.files.reason import reason_of
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, ReuseKey, Setting

NAME = "sendroute.key"


def key_path(url: str) -> Path:
    """The default path of a store's key: beside a SQLite store, otherwise in the working directory.

    Args:
        url: the store's URL. It is not checked.

    Returns:
        The path; the file need not exist.
    """
    scheme, _, path = url.partition(":///")
    return (Path(path).parent if scheme == "sqlite" and path else Path()) / NAME


def create_key(path: Path) -> None:
    """Create a key that only its owner can read; an existing file is never overwritten.

    A key is the URL-safe base64 of 32 random bytes
    (https://github.com/fernet/spec/blob/master/Spec.md).

    Args:
        path: the path of the new file.

    Raises:
        ProblemError: the file exists (``key-exists``), or it cannot be written.
    """
    key = base64.urlsafe_b64encode(os.urandom(32)) + b"\n"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError as error:
        raise ProblemError(
            finding(
                "key-exists",
                f"The key file {path} exists, and a key is never overwritten.",
                hint="Leave it there: if its store was lost, create that store again with it, from"
                " a lock file or a backup. A new store can use it too.",
                remedy=ReuseKey(str(path)),
            )
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with open(handle, "wb") as stream:  # noqa: PTH123
            os.fchmod(handle, 0o600)
            stream.write(key)
            stream.flush()
            os.fsync(handle)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ProblemError:
    return ProblemError(
        finding(
            "unwritable",
            f"The key could not be written to {path}: {reason_of(error)}.",
            hint="Specify a file in a directory that exists and is writable.",
            remedy=Configure(Setting.KEY),
        )
    )
